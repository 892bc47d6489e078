"""Writing a record while a session runs: an ordinary thread, whole lines, no buffer."""

from __future__ import annotations

import contextlib
import os
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nmes_wave.errors import FormatError
from nmes_wave.faults import Fault
from nmes_wave.files import file_path
from nmes_wave.plan import Plan
from nmes_wave.record.rows import (
    HEADER,
    RECORD_DTYPE,
    RecordKind,
    RowFormat,
)
from nmes_wave.record.sidecar import (
    RecordFacts,
    Start,
    plan_entry,
    sidecar_path,
    sidecar_text,
)

#: Time between two looks at the ring. What is due is written at every look.
POLL_S = 0.1
#: So many at once mean that more is waiting.
BUSY_RECORDS = 2000
#: `close` waits this long for a disk that does not answer.
CLOSE_S = 5.0

Take = Callable[[], tuple[NDArray[np.void], int]]


@dataclass
class _Held:
    """Records that an underrun or the loss of the device may still reach."""

    due_s: float
    records: NDArray[np.void]
    unconfirmed: NDArray[np.bool_]


class _News(NamedTuple):
    """What makes the sidecar a new one."""

    n_plans: int
    start: Start | None
    device_lost: str | None
    facts: RecordFacts


class RecordWriter:
    """Writes what was delivered to a BIDS-style table with its sidecar.

    A daemon thread takes records, holds them back until it is known that they
    were delivered, and writes whole lines without a buffer of its own: what is
    killed leaves a table that can be read, and a child process after ``fork``
    has nothing to write a second time.

    Parameters
    ----------
    path
        Of the table: ends in ``.tsv``, ``~`` is the home directory. The
        sidecar stands beside it and ends in ``.json``. Neither may exist.
    plan
        The session's plan.
    take
        Returns the records since the last call, oldest first (`RECORD_DTYPE`),
        and how many were lost so far because they did not fit. Called by one
        thread at a time. It must not refer to the session, which would then
        never be collected.
    facts
        Of the device and the operator.
    fail
        Called once, on the writer's thread, when nothing can be written any
        more. It must not refer to the session either.

    Attributes
    ----------
    failure : str or None
        Why nothing is written any more.

    Raises
    ------
    FormatError
        If the path does not end in ``.tsv``.

    Notes
    -----
    Rows are written one latency of the device plus the time in which its loss
    is noticed (0.25 s or four latencies) after the event has ended; those of a
    sink without latency when it has ended. After a kill the table lacks so
    much, and up to `POLL_S`.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        plan: Plan,
        take: Take,
        facts: RecordFacts,
        fail: Callable[[], None],
    ) -> None:
        # absolute: the program may change its directory
        self.path = file_path(path).absolute()
        if self.path.suffix != ".tsv":
            raise FormatError(
                f"{self.path}: the name of a record ends in .tsv; BIDS asks for "
                "..._events.tsv"
            )
        self.failure: str | None = None
        self._take = take
        self._facts = facts
        self._fail = fail
        self._rate = float(plan.output.sample_rate_hz)
        self._plans = [plan]
        self._format = RowFormat(self._plans)
        self._start: Start | None = None
        self._device_lost: str | None = None
        self._told = _News(0, None, None, facts)
        self._held: deque[_Held] = deque()
        self._lost_from: float | None = None
        self._gone_from = np.inf
        self._clock_s = 0.0
        self._turned = time.monotonic()
        self._lost = 0
        self._faulted = False
        self._last = np.zeros(1, RECORD_DTYPE)
        self._file = -1
        self._linked = False
        self._process = os.getpid()
        self._closing = threading.Event()
        self._thread = threading.Thread(
            target=self._run, name="nmes-wave-log", daemon=True
        )

    # -- what the session calls -------------------------------------------------

    def open(self) -> None:
        """Create both files and write the sidecar.

        Raises
        ------
        FormatError
            If one of the files exists, or cannot be made.
        """
        side = sidecar_path(self.path)
        made: list[Path] = []
        try:
            for path, data in ((side, self._sidecar()), (self.path, HEADER.encode())):
                self._file = os.open(
                    path,
                    os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0),
                    0o666,
                )
                made.append(path)
                self._write(data)
                if path is side:
                    self._close_file()
            self._linked = os.fstat(self._file).st_nlink > 0
        except OSError as error:
            self._close_file()
            for path in made:
                path.unlink(missing_ok=True)
            reason = error.strerror or str(error)
            if isinstance(error, FileExistsError):
                reason = "exists; a record is never written over, take another name"
            raise FormatError(f"{error.filename or self.path}: {reason}") from None

    def start(self) -> None:
        """Start the thread; the files are open."""
        self._thread.start()

    def connect(self, facts: RecordFacts) -> None:
        """Tell of the device, now that it is open; before `start`."""
        self._facts = facts

    def discard(self) -> None:
        """Remove both files; nothing was delivered."""
        self._close_file()
        for path in (self.path, sidecar_path(self.path)):
            path.unlink(missing_ok=True)

    def mark_start(self, intensity: Sequence[float] | None = None) -> None:
        """Note the time: the session is about to start delivering.

        Parameters
        ----------
        intensity
            At which each channel begins; None: not known. `compare` then takes
            no planned event before the first change for silent.
        """
        given = None if intensity is None else tuple(map(float, intensity))
        self._start = Start(datetime.now(UTC), given)

    def load(self, plan: Plan) -> None:
        """Add the plan of the next load; as the engine gets it."""
        self._plans.append(plan)

    def lose(self, reason: str, frame: float | None = None) -> None:
        """Note that the device is lost; it may never again tell the engine.

        `frame` is the first that it did not take, None: not known.
        """
        if self._device_lost is None:
            self._lost_from = frame
            self._device_lost = reason

    def close(self) -> None:
        """Write what is left and close; in bounded time, never raises."""
        if self._file < 0:
            return
        if self._process == os.getpid():
            self._closing.set()
            if self._thread.is_alive():
                self._thread.join(CLOSE_S)
            elif self._thread.ident is None:
                self._run()
            if self._thread.is_alive():
                # the file stays open: the thread is inside a call that uses it
                self.failure = f"{self.path}: no answer from the disk in {CLOSE_S:g} s"
                return
        try:
            self._close_file()
        except OSError as error:
            self.failure = self.failure or f"{self.path}: {error.strerror or error}"

    # -- the thread -------------------------------------------------------------

    def _run(self) -> None:
        try:
            pause_s = POLL_S
            while not self._closing.wait(pause_s):
                # a sink that no clock paces fills the ring as fast as this empties it
                pause_s = POLL_S if self._turn() < BUSY_RECORDS else 0.0
            self._turn(last=True)
        except OSError as error:
            self.failure = f"{self.path}: {error.strerror or error}"
        except Exception as error:
            # Whatever it is: stimulation must not go on without its record.
            self.failure = f"{self.path}: {type(error).__name__}: {error}"
        if self.failure is not None:
            self._fail()

    def _turn(self, *, last: bool = False) -> int:
        """Take and write what is due; return how many records were taken."""
        if self._linked and os.fstat(self._file).st_nlink == 0:
            raise FileNotFoundError(0, "the file was deleted")
        records, lost = self._take()
        taken = len(records)
        # Time in which this process was awake: after it was frozen, rows must not be
        # due before anybody else has noticed that the device is lost.
        now_s = time.monotonic()
        self._clock_s += min(now_s - self._turned, 2 * POLL_S)
        self._turned = now_s
        now = self._clock_s
        records = self._completed(records, lost)
        if (records["kind"] == RecordKind.START).any() and self._start is None:
            self.mark_start()
        # before the rows that need it
        self._tell()
        if len(records):
            longest_s = float(records["n_frames"].max()) / self._rate
            self._held.append(
                _Held(
                    now + self._hold_s + longest_s,
                    records,
                    np.zeros(len(records), np.bool_),
                )
            )
            self._mark(records)
        while self._held and (last or self._is_due(self._held[0], now)):
            held = self._held.popleft()
            self._write(self._format.lines(held.records, held.unconfirmed))
        return taken

    @property
    def _hold_s(self) -> float:
        latency_s = self._facts.latency_s
        if latency_s == 0:
            return 0.0
        # a lost device is noticed this late
        return latency_s + max(0.25, 4 * latency_s) + POLL_S

    def _is_due(self, held: _Held, now: float) -> bool:
        # the engine may have begun a plan before `load` was called with it
        known = held.records["load"].max() < self._told.n_plans
        return held.due_s <= now and bool(known)

    def _completed(self, records: NDArray[np.void], lost: int) -> NDArray[np.void]:
        """Add what the engine could not record: lost records, a lost device."""
        if self._faulted:
            # the engine may tell, later, what was told here already
            records = records[records["kind"] != RecordKind.FAULT]
        rows = [records]
        if len(records):
            self._last = records[-1:].copy()
            self._faulted |= bool((records["kind"] == RecordKind.FAULT).any())
        if lost != self._lost:
            # the ring was full: they came after those in it
            rows.append(self._row(RecordKind.RECORDS_LOST, lost - self._lost))
            self._lost = lost
        if self._device_lost is not None and not self._faulted:
            row = self._row(RecordKind.FAULT, Fault.DEVICE_LOST)
            if self._lost_from is not None:
                row["onset"] = self._lost_from
                # its place in time is before the events that were not taken
                early = int(np.searchsorted(records["onset"], self._lost_from))
                rows = [records[:early], row, records[early:]]
            else:
                rows.append(row)
            self._faulted = True
        return np.concatenate(rows)

    def _row(self, kind: RecordKind, value: int) -> NDArray[np.void]:
        """Return a row that stands where the last record does."""
        row = np.zeros(1, RECORD_DTYPE)
        for name in ("onset", "plan_frame", "load"):
            row[name] = self._last[name]
        row["kind"], row["value"] = kind, value
        row["channel"] = row["asked"] = -1
        return row

    def _mark(self, records: NDArray[np.void]) -> None:
        """Mark the events whose delivery an underrun or a lost device leaves open."""
        kind, value = records["kind"], records["value"]
        underrun = kind == RecordKind.UNDERRUN
        underrun |= (kind == RecordKind.FAULT) & (value == Fault.UNDERRUN)
        gone = (kind == RecordKind.FAULT) & (value == Fault.DEVICE_LOST)
        guard = (kind == RecordKind.FAULT) & (value == Fault.GUARD)
        for row in np.flatnonzero(underrun | gone | guard):
            at = records["onset"][row]
            # the guard silences from its own block on
            since = at if guard[row] else at - self._facts.latency_s * self._rate
            # what is handed over after an underrun is delivered
            until = at if underrun[row] else np.inf
            if gone[row]:
                self._gone_from = min(self._gone_from, since)
            self._leave_open(since, until)
        if self._gone_from < np.inf:
            self._leave_open(self._gone_from, np.inf)

    def _leave_open(self, since: float, until: float) -> None:
        """Mark the held events that end after one frame and begin before another."""
        for held in self._held:
            onset = held.records["onset"]
            end = np.floor(onset) + held.records["n_frames"]
            held.unconfirmed |= (
                (held.records["kind"] <= RecordKind.CAPPED)
                & (onset < until)
                & (end > since)
            )

    # -- files ------------------------------------------------------------------

    def _news(self) -> _News:
        return _News(len(self._plans), self._start, self._device_lost, self._facts)

    def _sidecar(self) -> bytes:
        self._told = self._news()
        plans = self._plans[: self._told.n_plans]
        self._format = RowFormat(plans)
        return sidecar_text(
            [plan_entry(p.protocol, p.output, p.limits) for p in plans],
            self._told.facts,
            self._told.start,
            self._told.device_lost,
        )

    def _tell(self) -> None:
        """Bring the sidecar up to date; whoever reads it sees the old or the new."""
        if self._told == self._news():
            return
        path = sidecar_path(self.path)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(self._sidecar())
            # mkstemp makes it private
            Path(name).chmod(path.stat().st_mode & 0o777)
            Path(name).replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                Path(name).unlink(missing_ok=True)
            raise

    def _write(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._file, rest) :]

    def _close_file(self) -> None:
        file, self._file = self._file, -1
        if file >= 0:
            os.close(file)
