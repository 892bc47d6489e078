"""An engine and its sink, from opening to closing.

It owns what the delivering thread may touch; a session only refers to it, so
that a session that is dropped, an interpreter that exits and a process that
forks leave nothing that calls into freed memory.
"""

from __future__ import annotations

import atexit
import math
import os
import threading
import time
import weakref
from typing import TYPE_CHECKING

import numpy as np

from nmes_wave._core import Engine
from nmes_wave.faults import Fault
from nmes_wave.limits import Limits
from nmes_wave.output import Output
from nmes_wave.plan import Plan
from nmes_wave.pump import Pump, Taken
from nmes_wave.sinks import PullSink, Sink
from nmes_wave.status import ENGINE_STATES, State

if TYPE_CHECKING:
    from pathlib import Path

    from nmes_wave._core import _Snapshot
    from nmes_wave.record import RecordFacts, RecordWriter

#: Length of the ramp of a stop and of the watchdog.
STOP_RAMP_S = 0.5
#: Time between two looks at a draining stream.
POLL_S = 0.005
#: The supervisor looks this often.
WATCH_S = 0.05
#: A device is lost when it has not asked for frames for so long, or for four times
#: its latency; before its first request it has longer.
LOST_S = 0.25
FIRST_REQUEST_S = 2.0
#: A push sink is lost when it has not taken a block for so long at the end.
STUCK_S = 5.0
#: The engine keeps records for so long at the plan's highest rate.
RECORD_S = 30.0


class Stream:
    """A plan on its way to a sink.

    Parameters
    ----------
    plan, sink
        What, and where to.
    slew_per_s, watchdog_s, trip
        Of the session.
    log, note
        Where to write the delivered record, None: nowhere; and what the operator
        says about it.

    Attributes
    ----------
    plans : list of Plan
        The first, and those that were loaded later.
    lost : str or None
        What a lost device or a failed log said.
    forked : bool
        True in a child process: nothing here is its own.
    """

    def __init__(
        self,
        plan: Plan,
        sink: Sink | PullSink,
        *,
        slew_per_s: float,
        watchdog_s: float,
        trip: bool,
        log: str | Path | None,
        note: str,
    ) -> None:
        self.plans = [plan]
        self.sink = sink
        self.lost: str | None = None
        self.forked = False
        # a signal handler may ask for the status in the middle of a call
        self._lock = threading.RLock()
        self._pump: Pump | None = None
        self._ended = threading.Event()
        self._watcher: threading.Thread | None = None
        self._writer: RecordWriter | None = None
        self._log, self._note = log, note
        self._taken = Taken()
        self._signals: set[int] = set()
        pulls = isinstance(sink, PullSink)
        codes, total_ma = caps(plan.limits, plan.output, plan.n_channels)
        self.engine = Engine(
            plan.core,
            plan.n_frames,
            plan.output.sample_rate_hz,
            packed=pulls and plan.output.dtype == "int24",
            slew_per_s=slew_per_s,
            ramp_s=STOP_RAMP_S,
            watchdog_s=watchdog_s if sink.paced else 0.0,
            trip=trip,
            cap_codes=codes,
            ma_per_code=plan.output.ma_per_code(plan.n_channels).tolist(),
            cap_total_ma=total_ma,
            n_records=0 if log is None else _records_for(plan),
        )

    # -- opening ---------------------------------------------------------------

    def open(self) -> None:
        """Open the sink; a device begins to ask for frames, and gets silence."""
        plan = self.plans[0]
        # The record first: a sink may empty the file that it is to write.
        writer = None if self._log is None else self._new_writer(self._log)
        try:
            self.sink.open(plan.output, plan.n_columns, plan.n_frames)
            if isinstance(self.sink, PullSink):
                self.sink.begin(self.engine)
        except BaseException:
            self.sink.close()
            if writer is not None:
                writer.discard()
            raise
        if writer is not None:
            writer.connect(self._facts())
            writer.start()
            self._writer = writer
        _open.add(self)
        # After sounddevice was imported, so that it runs before PortAudio goes.
        atexit.unregister(_close_all)
        atexit.register(_close_all)
        if isinstance(self.sink, PullSink):
            self._watcher = threading.Thread(
                target=self._watch, name="nmes-wave-supervisor", daemon=True
            )
            self._watcher.start()

    def _facts(self) -> RecordFacts:
        from nmes_wave.record import RecordFacts

        return RecordFacts(
            device=self.sink.device_name
            if isinstance(self.sink, PullSink)
            else type(self.sink).__name__,
            latency_s=self.latency_s,
            shared=getattr(self.sink, "shared", False),
            note=self._note,
        )

    def _new_writer(self, path: str | Path) -> RecordWriter:
        from nmes_wave.record import RECORD_DTYPE, RecordWriter

        engine, taken = self.engine, self._taken

        def take() -> tuple[np.ndarray, int]:
            rows = np.frombuffer(engine.take_records(), RECORD_DTYPE)
            rows = np.concatenate([taken.waiting, rows]) if len(taken.waiting) else rows
            n = int(np.searchsorted(rows["onset"], taken.frames))
            taken.waiting = rows[n:]
            return rows[:n], engine.records_lost

        def fail() -> None:
            engine.wind_down(Fault.LOG)

        taken.waiting = np.empty(0, RECORD_DTYPE)
        writer = RecordWriter(path, self.plans[0], take, self._facts(), fail)
        writer.open()
        return writer

    def prepare(self, intensity: list[float]) -> None:
        """Set where each channel begins; just before the start command."""
        for channel, value in enumerate(intensity):
            self.engine.set_initial_intensity(channel, value)
        if self._writer is not None:
            self._writer.mark_start(intensity)

    def begin_pump(self) -> None:
        """Begin to feed a push sink."""
        if isinstance(self.sink, PullSink):
            return
        self._taken.frames = 0
        self._pump = Pump(
            self.engine, self.sink, self.plans, self._lock, self._taken, self._has_room
        )
        self._pump.start()

    def _has_room(self) -> bool:
        """Whether records of another block fit; or nobody takes them any more."""
        writer = self._writer
        return (
            writer is None or writer.failure is not None or self.engine.has_record_room
        )

    # -- watching --------------------------------------------------------------

    @property
    def latency_s(self) -> float:
        """How long what is handed over waits in the device."""
        return self.sink.latency_s if isinstance(self.sink, PullSink) else 0.0

    @property
    def delivers(self) -> bool:
        """Whether blocks are still carried to a push sink."""
        return self._pump is not None and self._pump.is_alive()

    def snapshot(self) -> _Snapshot:
        """Return the engine's newest status."""
        with self._lock:
            return self.engine.snapshot()

    def command(self, kind: int, channel: int = -1, value: float = 0.0) -> bool:
        """Queue a command; False if the ring is full."""
        with self._lock:
            return self.engine.push(kind, channel, value)

    def load(self, plan: Plan) -> bool:
        """Queue another plan; False if one is waiting already."""
        with self._lock:
            # before it can be delivered, as its record may come at once
            self.plans.append(plan)
            if not self.engine.load(plan.core, plan.n_frames):
                self.plans.pop()
                return False
        if self._writer is not None:
            self._writer.load(plan)
        return True

    def trip(self, fault: Fault) -> None:
        """Stop at once, for this reason unless there is one already."""
        self.engine.trip(fault)
        self.attend()

    def attend(self) -> None:
        """Let the engine look at commands where nobody asks for frames yet."""
        if self._pump is None and not isinstance(self.sink, PullSink):
            nothing = np.empty((0, self.plans[0].n_columns), np.int32)
            self.engine.process(nothing, 0)

    def catch_signal(self, number: int) -> bool:
        """Let a signal trip the engine; False if it cannot be caught."""
        if not self.engine.catch_signal(number):
            return False
        self._signals.add(number)
        return True

    def release_signal(self, number: int) -> None:
        """Give a signal back."""
        self.engine.release_signal(number)
        self._signals.discard(number)

    def check(self) -> None:
        """Take note of what the pump, the writer and the device say."""
        if self.lost is not None or self.forked:
            return
        if self._pump is not None and self._pump.failure is not None:
            self._lose(self._pump.failure)
        elif self._writer is not None and self._writer.failure is not None:
            self.lost = self._writer.failure

    def _lose(self, reason: str) -> None:
        self.lost = reason
        self.engine.trip(Fault.DEVICE_LOST)
        if self._writer is not None:
            taken, self._taken.frames = self._taken.frames, math.inf
            self._writer.lose(reason, taken if taken < math.inf else None)

    def _watch(self) -> None:
        assert isinstance(self.sink, PullSink)
        begun = time.monotonic()
        patience_s = max(LOST_S, 4 * self.sink.latency_s)
        while not self._ended.wait(WATCH_S):
            idle_s = self.engine.idle_s
            reason = self.sink.lost()
            if reason is None and self.engine.finished:
                reason = "the device ended the stream"
            if reason is None and idle_s > patience_s:
                reason = f"the device has not asked for frames for {idle_s:.2f} s"
            if reason is None and idle_s == 0.0:
                waited_s = time.monotonic() - begun
                if waited_s > max(FIRST_REQUEST_S, patience_s):
                    reason = f"the device asked for no frames in {waited_s:.1f} s"
            if reason is not None:
                self._lose(f"{self.sink.device_name}: {reason}")
                return

    # -- closing ---------------------------------------------------------------

    def drain(self) -> None:
        """Wait until the last event has been played, and silence after it."""
        if self.forked:
            return
        if not isinstance(self.sink, PullSink):
            self._drain_pump()
            return
        plan = self.plans[-1]
        longest_s = max(
            stage.event.duration_us * 1e-6
            for channel in plan.protocol.channels
            for stage in channel.stages
        )
        silence_s = 2 * self.latency_s + 0.1
        silence = silence_s * plan.output.sample_rate_hz
        deadline = time.monotonic() + STOP_RAMP_S + longest_s + silence_s + 1.0
        while time.monotonic() < deadline and self.lost is None:
            now = self.snapshot()
            ended = ENGINE_STATES[now["state"]] in (State.STOPPED, State.FAULT)
            if ended and now["silent_frames"] >= silence:
                return
            time.sleep(POLL_S)

    def _drain_pump(self) -> None:
        pump, begun = self._pump, time.monotonic()
        while pump is not None and pump.is_alive() and self.lost is None:
            pump.join(WATCH_S)
            if time.monotonic() - max(begun, pump.wrote_at) > STUCK_S:
                self._lose(f"the sink has not taken a block for {STUCK_S:g} s")

    def close(self) -> None:
        """Close the sink and the record; in bounded time.

        Raises
        ------
        SinkError
            If the sink cannot finish what it was given.
        """
        if self.forked:
            return
        _open.discard(self)
        try:
            self.drain()
        finally:
            self._ended.set()
            if self._watcher is not None:
                self._watcher.join()
            for number in [*self._signals]:
                self.release_signal(number)
            self.check()
            try:
                if not self.delivers:  # never two calls of a sink at one time
                    self.sink.close()
            finally:
                self._taken.frames = math.inf  # what is left is told as it is
                if self._writer is not None:
                    self._writer.close()
                self.check()

    def abandon(self) -> None:
        """Emergency stop, and close; for those who left without closing."""
        if not self.forked:
            self.trip(Fault.EMERGENCY_STOP)
            self.close()


def caps(limits: Limits, output: Output, n_channels: int) -> tuple[list[int], float]:
    """Return the largest level of each channel in codes, and the total in mA."""
    total_ma = limits.max_total_current_ma
    most_ma = limits.max_amplitude_ma
    codes = []
    for ma_per_code in output.ma_per_code(n_channels).tolist():
        code = math.inf if most_ma is None else most_ma / ma_per_code * (1 + 1e-12)
        codes.append(min(output.max_code, math.floor(min(code, output.max_code))))
    return codes, math.inf if total_ma is None else total_ma


def _records_for(plan: Plan) -> int:
    rate_hz = 0.0
    for channel in plan.protocol.channels:
        rate_hz += max(
            max(s.train.rate_hz, s.train.rate_end_hz or 0.0) * s.train.n_let
            for s in channel.stages
        )
    return math.ceil(RECORD_S * rate_hz) + 1024


_open: weakref.WeakSet[Stream] = weakref.WeakSet()


def _close_all() -> None:
    for stream in list(_open):
        stream.abandon()


def _forget_all() -> None:
    # The threads did not come along, and the device is the parent's: a child that
    # closed a stream would end its parent's.
    for stream in list(_open):
        stream.forked = True
        stream.engine.forget_clock()
        stream._lock = threading.RLock()
    _open.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
