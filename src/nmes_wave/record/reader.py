"""Reading a record back: arrays, units, and what stands beside them."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from nmes_wave.errors import FormatError
from nmes_wave.faults import Fault
from nmes_wave.files import file_path
from nmes_wave.output import Output
from nmes_wave.record.rows import (
    ABSENT,
    COMMANDS,
    EVENT_DTYPE,
    HEADER,
    NAMES,
    NOTES,
    STATUSES,
    UNCONFIRMED,
)
from nmes_wave.record.sidecar import Sidecar, read_sidecar, sidecar_path
from nmes_wave.spec import StimProtocol

#: Bytes of the table taken at a time.
PART_BYTES = 1 << 22
# Longer than any line by far: what has no newline for so long is no table.
_MAX_LINE_BYTES = 1 << 12

#: Field of `EVENT_DTYPE` from column of the table.
_FIELDS = {
    name: {"onset": "onset_s", "duration": "duration_s"}.get(name, name)
    for name in NAMES
    if name not in ("trial_type", "asked_frame", "value")
}
_EVENTS = ("event", "left_out")
# Text a little longer than what is known: what is cut off would be accepted.
_TABLE_DTYPE = np.dtype(
    [
        (name, "U12" if name not in _FIELDS or name == "status" else EVENT_DTYPE[field])
        for name, field in ((name, _FIELDS.get(name, "")) for name in NAMES)
    ]
)


@dataclass(frozen=True, kw_only=True)
class RecordRow:
    """A row of a record that is no event: a command, or something that happened.

    Attributes
    ----------
    kind : str
        ``start``, ``set_intensity``, ``pause``, ``resume``, ``stop``, ``load``;
        or ``fault``, ``underrun``, ``end``, ``records_lost``.
    onset_s : float
        When it took effect, on the device's clock since the start.
    plan_frame : float
        Where in the plan it took effect.
    asked_frame : float or None
        Of a command: where in the plan the session was when it was asked.
    channel : int or None
        None: all, or none.
    intensity : float or None
        Target of ``set_intensity``.
    load : int
        Number of the plan, 0 for the session's own.
    value : int or None
        Number of a ``fault``; count of ``underrun`` and ``records_lost``.
    """

    kind: str
    onset_s: float
    plan_frame: float
    asked_frame: float | None
    channel: int | None
    intensity: float | None
    load: int
    value: int | None

    @property
    def reason(self) -> str | None:
        """The fault in words; None for what is no fault."""
        if self.kind != "fault" or self.value is None:
            return None
        known = {int(fault): fault.describe() for fault in Fault}
        return known.get(self.value, f"fault {self.value}")


@dataclass(frozen=True, kw_only=True, eq=False)
class EventRecord:
    """What a session delivered; read by `read_events`.

    Attributes
    ----------
    events : ndarray
        Structured, one row for each event in the order of the file, with the
        fields ``onset_s`` (on the device's clock since the start),
        ``plan_frame`` (onset in the plan), ``duration_s`` (of the frames that
        the event touches), ``channel``, ``stage``, ``on_period``, ``index``,
        ``amplitude_ma`` (never negative), ``polarity`` (1 or -1, alternation
        included), ``net_charge_uc`` (0 if balanced), ``intensity`` (0..1),
        ``load`` (number of the plan) and ``status``: ``delivered``, ``capped``,
        ``left out`` (not started, amplitude 0), ``cut`` (ended early) or
        ``unconfirmed`` (an underrun or the loss of the device leaves it open).
    commands, notes : tuple of RecordRow
        Everything else: what was asked, and what happened.
    sidecar : dict
        The JSON beside the table.
    protocols : tuple of StimProtocol
    outputs : tuple of Output
    plan_sha256 : tuple of str
        Of the session's plan and of each that was loaded after it.
    truncated : bool
        The last line was cut and is left out, as after a kill or on a full disk.
    """

    path: Path
    events: NDArray[np.void]
    commands: tuple[RecordRow, ...]
    notes: tuple[RecordRow, ...]
    sidecar: dict[str, Any]
    protocols: tuple[StimProtocol, ...]
    outputs: tuple[Output, ...]
    plan_sha256: tuple[str, ...]
    truncated: bool

    @property
    def protocol(self) -> StimProtocol:
        """The protocol that the session began with."""
        return self.protocols[0]

    @property
    def output(self) -> Output:
        """The output that the session began with."""
        return self.outputs[0]

    @property
    def records_lost(self) -> int:
        """Rows that are missing because they came faster than they were written."""
        return sum(n.value or 0 for n in self.notes if n.kind == "records_lost")

    def __repr__(self) -> str:
        return (
            f"<EventRecord {self.path.name!r} of {self.protocol.name!r}: "
            f"{len(self.events)} events, {len(self.commands)} commands, "
            f"{len(self.notes)} notes{', cut short' if self.truncated else ''}>"
        )


def read_events(path: str | os.PathLike[str]) -> EventRecord:
    """Read the record of a session.

    Parameters
    ----------
    path
        Of the table (``.tsv``); its sidecar stands beside it.

    Returns
    -------
    EventRecord

    Raises
    ------
    FormatError
        If table or sidecar cannot be read or are not a record's; with the
        file and the line. A cut last line is no error.
    """
    table = file_path(path)
    sidecar = read_sidecar(sidecar_path(table))
    reading = _Table(table, sidecar)
    try:
        with table.open("rb") as file:
            reading.read(file)
    except OSError as error:
        raise FormatError(f"{table}: {error.strerror or error}") from None
    others = reading.others
    return EventRecord(
        path=table,
        events=np.concatenate([np.zeros(0, EVENT_DTYPE), *reading.parts]),
        commands=tuple(row for row in others if row.kind in COMMANDS),
        notes=tuple(row for row in others if row.kind in NOTES),
        sidecar=sidecar.document,
        protocols=sidecar.protocols,
        outputs=sidecar.outputs,
        plan_sha256=sidecar.sha256,
        truncated=reading.truncated,
    )


class _Table:
    """Goes through a table part by part."""

    def __init__(self, path: Path, sidecar: Sidecar) -> None:
        self.path = path
        self.n_channels = len(sidecar.protocols[0].channels)
        self.n_plans = len(sidecar.protocols)
        self.parts: list[NDArray[np.void]] = []
        self.others: list[RecordRow] = []
        self.truncated = False
        self.line = 2

    def read(self, file: BinaryIO) -> None:
        header = file.readline(_MAX_LINE_BYTES).decode("ascii", "replace")
        if header != HEADER:
            self.truncated = HEADER.startswith(header)
            if not self.truncated:
                raise FormatError(
                    f"{self.path}, line 1: not the columns of a record: "
                    f"{header[:60]!r}; expected {HEADER[:60]!r}..."
                )
            return
        rest = b""
        while data := file.read(PART_BYTES):
            whole, newline, rest = (rest + data).rpartition(b"\n")
            if len(rest) > _MAX_LINE_BYTES:
                line = self.line + whole.count(b"\n") + bool(newline)
                raise FormatError(f"{self.path}, line {line}: not a line of a record")
            if newline:
                self.part(whole.decode("ascii", "replace").split("\n"))
        self.truncated = bool(rest)

    def part(self, lines: list[str]) -> None:
        """Take whole lines."""
        others = [
            i
            for i, line in enumerate(lines)
            if "\tevent\t" not in line and "\tleft_out\t" not in line
        ]
        start = 0
        for i in [*others, len(lines)]:
            if start < i:
                self.events(lines[start:i], start)
            if i < len(lines):
                self.other(self.cells(lines[i], i), i)
            start = i + 1
        self.line += len(lines)

    def events(self, lines: list[str], at: int) -> None:
        """Take lines of events, the first of them line `at` of the part."""
        try:
            # half the time of splitting and converting column by column
            table = np.loadtxt(
                lines, _TABLE_DTYPE, comments=None, delimiter="\t", ndmin=1
            )
        except ValueError:
            table = self.line_by_line(lines, at)
        for name, known in (("trial_type", _EVENTS), ("status", STATUSES)):
            if not {*table[name].tolist()} <= {*known}:
                self.require(np.isin(table[name], known), name, table, at)
        for name in ("onset", "plan_frame"):
            self.require(np.isfinite(table[name]), name, table, at)
        for name, n in (("channel", self.n_channels), ("load", self.n_plans)):
            self.require((table[name] >= 0) & (table[name] < n), name, table, at)
        rows = np.empty(len(lines), EVENT_DTYPE)
        for name, field in _FIELDS.items():
            rows[field] = table[name]
        self.parts.append(rows)

    def line_by_line(self, lines: list[str], at: int) -> NDArray[np.void]:
        """Return the table where a number is absent; find the line that is wrong."""
        rows = []
        for i, line in enumerate(lines):
            cells = self.cells(line, at + i)
            rows.append(
                tuple(
                    self.value(
                        name, cells[name], _CONVERT[_TABLE_DTYPE[name].kind], at + i
                    )
                    for name in NAMES
                )
            )
        return np.array(rows, _TABLE_DTYPE)

    def cells(self, line: str, at: int) -> dict[str, str]:
        cells = line.split("\t")
        if len(cells) != len(NAMES):
            raise self.wrong(at, f"{len(cells)} columns; expected {len(NAMES)}")
        return dict(zip(NAMES, cells, strict=True))

    def value(
        self, name: str, cell: str, convert: Callable[[str], Any], at: int
    ) -> Any:
        try:
            return convert(cell)
        except ValueError:
            raise self.wrong(at, f"{name} = {cell!r}") from None

    def require(
        self, good: NDArray[np.bool_], field: str, rows: NDArray[np.void], at: int
    ) -> None:
        if not good.all():
            i = int(np.flatnonzero(~good)[0])
            raise self.wrong(at + i, f"{field} = {rows[field][i]}")

    def other(self, cells: dict[str, str], at: int) -> None:
        """Take a line that is no event."""

        def needed(name: str, convert: Callable[[str], Any]) -> Any:
            return self.value(name, cells[name], convert, at)

        def optional(name: str, convert: Callable[[str], Any]) -> Any:
            return None if cells[name] == ABSENT else needed(name, convert)

        kind = cells["trial_type"]
        if kind == "cut":
            charge_uc = needed("net_charge_uc", _finite)
            self.cut(
                needed("channel", _integer), needed("duration", _finite), charge_uc
            )
            return
        if kind not in (*COMMANDS, *NOTES):
            raise self.wrong(at, f"trial_type = {kind!r}")
        self.others.append(
            RecordRow(
                kind=kind,
                onset_s=needed("onset", _finite),
                plan_frame=needed("plan_frame", _finite),
                asked_frame=optional("asked_frame", _finite),
                channel=optional("channel", _integer),
                intensity=optional("intensity", _finite),
                load=needed("load", _integer),
                value=optional("value", _integer),
            )
        )

    def cut(self, channel: int, duration_s: float, net_charge_uc: float) -> None:
        """Amend the event of `channel` that began last."""
        for part in reversed(self.parts):
            mine = np.flatnonzero(part["channel"] == channel)
            if len(mine):
                event = part[mine[-1]]
                event["duration_s"], event["net_charge_uc"] = duration_s, net_charge_uc
                if event["status"] != UNCONFIRMED:
                    event["status"] = "cut"
                return

    def wrong(self, at: int, what: str) -> FormatError:
        return FormatError(f"{self.path}, line {self.line + at}: {what}")


def _number(cell: str) -> float:
    return math.nan if cell == ABSENT else float(cell)


def _finite(cell: str) -> float:
    value = float(cell)
    if not math.isfinite(value):
        raise ValueError(cell)
    return value


def _integer(cell: str) -> int:
    value = int(cell)
    if abs(value) >= 2**63:
        raise ValueError(cell)
    return value


_CONVERT: dict[str, Callable[[str], Any]] = {"f": _number, "i": _integer, "U": str}
