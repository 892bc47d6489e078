"""The table of what was asked beside what will be delivered."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from itertools import islice
from typing import Any, overload

from nmes_wave.output import Output

#: A number, or the lowest and the highest.
Value = float | tuple[float, float]


class DeliveryVerdict(StrEnum):
    """How what is delivered stands to what was asked."""

    EXACT = "EXACT"
    #: Off by what a whole code, or a whole frame, makes unavoidable.
    QUANTIZED = "QUANTIZED"
    #: More than that, or so close to what the output can do that it matters.
    CAUTION = "CAUTION"


@dataclass(frozen=True, kw_only=True)
class DeliveryRow:
    """One field of one stage.

    Attributes
    ----------
    channel, stage
        Name of the channel, number of the stage.
    field, unit
        Name of the field, and the unit of its numbers.
    asked
        What the protocol says, at envelope 1 and full intensity; None where
        every event has its own (an onset).
    delivered
        What leaves the output. A pair (lowest, highest) where it depends on
        where in a frame an event begins. The charge of a lobe of a burst or
        custom shape is meant give or take one code·frame.
    error
        `delivered` less `asked`; a pair likewise.
    verdict
        See `DeliveryVerdict`.
    note
        Why.
    """

    channel: str
    stage: int
    field: str
    unit: str
    asked: float | None
    delivered: Value | None
    error: Value
    verdict: DeliveryVerdict
    note: str = ""


@dataclass(frozen=True, repr=False)
class Delivery(Sequence[DeliveryRow]):
    """All rows of a plan: a sequence that prints as a table.

    Attributes
    ----------
    output : Output
        The grid that it is delivered on.
    rows : tuple of DeliveryRow
        By channel, stage and field.
    """

    output: Output
    rows: tuple[DeliveryRow, ...]

    @overload
    def __getitem__(self, index: int) -> DeliveryRow: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[DeliveryRow, ...]: ...
    def __getitem__(self, index: int | slice) -> DeliveryRow | tuple[DeliveryRow, ...]:
        """Return a row, or a tuple of rows for a slice."""
        return self.rows[index]

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        cautions = sum(row.verdict == DeliveryVerdict.CAUTION for row in self.rows)
        return f"<Delivery: {len(self.rows)} rows, {cautions} cautions>"

    def __str__(self) -> str:
        """Return the table; channels that are delivered alike stand together."""
        stages: dict[tuple[str, int], list[DeliveryRow]] = {}
        for row in self.rows:
            stages.setdefault((row.channel, row.stage), []).append(row)
        groups: dict[tuple[DeliveryRow, ...], list[str]] = {}
        for (name, _), rows in stages.items():
            alike = tuple(replace(row, channel="") for row in rows)
            groups.setdefault(alike, []).append(name)
        table = [_HEADINGS, *(_cells(row) for rows in groups for row in rows)]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        lines = (_line(cells, widths) for cells in table)
        output = self.output
        text = [
            f"{output.sample_rate_hz:g} Hz, frames of "
            f"{1e6 / output.sample_rate_hz:.5g} µs, {output.dtype}, "
            f'edges="{output.edges}"; at envelope 1 and full intensity',
            next(lines),
        ]
        for alike, names in groups.items():
            others = f" and {len(names) - 3} more channels" if len(names) > 3 else ""
            text.append(f"{', '.join(names[:3])}{others}, stage {alike[0].stage}")
            text += islice(lines, len(alike))
        return "\n".join(text)

    def to_dict(self) -> dict[str, Any]:
        """Return the output's grid and the rows as plain data; pairs as lists."""
        rows = [asdict(row) for row in self.rows]
        for row in rows:
            row["verdict"] = str(row["verdict"])
            for name in ("delivered", "error"):
                if isinstance(row[name], tuple):
                    row[name] = list(row[name])
        return {
            "sample_rate_hz": self.output.sample_rate_hz,
            "dtype": self.output.dtype,
            "edges": self.output.edges,
            "rows": rows,
        }

    def to_json(self) -> str:
        """Return `to_dict` as JSON text."""
        return json.dumps(self.to_dict(), indent=2, ensure_ascii=False)


_Cells = tuple[str, str, str, str, str, str]
_HEADINGS: _Cells = ("", "asked", "delivered", "error", "verdict", "note")


def _cells(row: DeliveryRow) -> _Cells:
    error = _text(row.error, "+.3g")
    low, high = pair(row.error)
    if row.asked and max(-low, high) >= 1e-4 * row.asked:
        low, high = (round(100 * e / row.asked, 2) for e in (low, high))
        error += f" ({_text((low, high), '+g')} %)"
    asked = "-" if row.asked is None else _text(row.asked, ".6g")
    delivered = "-" if row.delivered is None else _text(row.delivered, ".6g")
    return "  " + row.field, asked, delivered, error, row.verdict, row.note


def _line(cells: _Cells, widths: list[int]) -> str:
    name, *numbers, verdict, note = (
        cell.ljust(width) for cell, width in zip(cells, widths, strict=True)
    )
    right = (c.strip().rjust(len(c)) for c in numbers)
    return "  ".join([name, *right, verdict, note]).rstrip()


def _text(value: Value, how: str) -> str:
    return " to ".join(format(v, how) if v else "0" for v in sorted({*pair(value)}))


def pair(value: Value) -> tuple[float, float]:
    """Return a number as the lowest and the highest."""
    return value if isinstance(value, tuple) else (value, value)
