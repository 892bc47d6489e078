"""Rows of a table: what stands in them, and where it comes from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nmes_wave.device_report.quantity import result

#: What no software can tell.
BLANK = "to be stated by the manufacturer"


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One value of a row.

    Attributes
    ----------
    label
        Which of the row's values it is; empty for the only one.
    value, unit
        A number, or None where there is none; or the lowest and the highest.
    text
        The value as it is printed.
    calculation
        How it comes about, with the numbers in it.
    """

    label: str = ""
    value: float | tuple[float, float] | bool | None = None
    unit: str = ""
    text: str
    calculation: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the entry as plain data."""
        value = list(self.value) if isinstance(self.value, tuple) else self.value
        return {
            "label": self.label,
            "value": value,
            "unit": self.unit,
            "text": self.text,
            "calculation": self.calculation,
        }


@dataclass(frozen=True, kw_only=True)
class Row:
    """One row of the guidance's tables.

    Attributes
    ----------
    number
        In section 3, 1 to 16; empty in section 2.
    name
        As the guidance names it.
    entries
        Its values.
    note
        What holds for all of them.
    source
        Of section 2: ``software``, ``manufacturer``, or empty for a blank.
    """

    number: str = ""
    name: str
    entries: tuple[Entry, ...]
    note: str = ""
    source: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the row as plain data."""
        out: dict[str, Any] = {"number": int(self.number)} if self.number else {}
        out |= {"name": self.name, "entries": [e.to_dict() for e in self.entries]}
        out["note"] = self.note
        if not self.number:
            out["source"] = self.source
        return out


def number(
    value: float, unit: str, calculation: str = "", *, label: str = "", how: str = ""
) -> Entry:
    """Return an entry of a calculated number."""
    text = result(value, unit) + how
    return Entry(
        label=label, value=value, unit=unit, text=text, calculation=calculation
    )


def words(text: str, *, label: str = "", calculation: str = "") -> Entry:
    """Return an entry of words."""
    return Entry(label=label, text=text, calculation=calculation)
