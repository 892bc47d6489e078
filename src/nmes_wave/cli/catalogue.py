"""``presets``: what there is."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nmes_wave.cli._options import Json
from nmes_wave.cli._screen import console, emit_json, note

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from nmes_wave.presets import Preset

STATUS_COLOURS = {"complete": "green", "partial": "yellow", "entry": "red"}
#: From here on it is a table.
_WIDE_COLUMNS = 150
_PIPED_COLUMNS = 250
_NONE, _YOURS = "–", "yours"
_SUMMARY = ("rate_hz", "phase_width_us", "carrier_hz", "cycles", "on_s", "off_s")


def presets(
    status: Annotated[
        str | None,
        typer.Option(
            metavar="STATUS",
            help="Only those that are complete, partial or entry.",
            show_default=False,
        ),
    ] = None,
    population: Annotated[
        str | None,
        typer.Option(
            metavar="WORDS",
            help="Only those with all of these words in name, title or population.",
            show_default=False,
        ),
    ] = None,
    json: Json = False,
) -> None:
    """List the published protocols that can be used by name."""
    from nmes_wave import presets

    chosen: Any = status
    found = [presets.load(name) for name in presets.names(chosen, population)]
    if json:
        emit_json([_summary(preset) for preset in found])
        return
    if not found:
        note("no preset is like that")
        return
    screen = console()
    # Nobody's eyes limit a pipe: there, every preset has one line, uncut.
    if not screen.is_terminal and "COLUMNS" not in os.environ:
        screen.width = _PIPED_COLUMNS
    if screen.width >= _WIDE_COLUMNS:
        screen.print(_table(found, screen.width))
    else:
        _print_blocks(screen, found)
    if any(v.kind == "assumed" for preset in found for v in preset.values):
        screen.print(f"\n(in brackets: assumed; {_NONE}: no source gives it)")


def _table(found: list[Preset], width: int) -> Table:
    """Return a line for each preset; population and muscle give way to the rest."""
    from rich.table import Table
    from rich.text import Text

    headings = ("name", "population", "muscle", "rate", "width", "on/off", "status")
    rows = [(p.name, p.population, p.muscle, *_cells(p), str(p.status)) for p in found]
    widths = [max(map(len, column)) for column in zip(headings, *rows, strict=True)]
    room = width - sum(widths) + sum(widths[1:3]) - 2 * len(headings)
    widths[2] = min(widths[2], max(24, room - widths[1]))
    widths[1] = min(widths[1], room - widths[2])
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading, columns in zip(headings, widths, strict=True):
        table.add_column(heading, no_wrap=True, width=columns)
    for name, *cells, status in rows:
        colour = STATUS_COLOURS[status]
        table.add_row(Text(name, "bold"), *map(Text, cells), Text(status, colour))
    return table


def _print_blocks(screen: Console, found: list[Preset]) -> None:
    """Print two lines or more for each preset, where a table has no room."""
    from rich.padding import Padding
    from rich.text import Text

    for preset in found:
        status = (f"  {preset.status}", STATUS_COLOURS[preset.status])
        screen.print(Text.assemble((preset.name, "bold"), status))
        words = ", ".join(cell for cell in _cells(preset) if cell != _NONE)
        words = "; ".join(filter(None, (preset.population, preset.muscle, words)))
        screen.print(Padding(Text(words), (0, 0, 0, 2), expand=False))


def _cells(preset: Preset) -> tuple[str, str, str]:
    return _told(preset, "rate_hz"), _width(preset), _on_off(preset)


def _summary(preset: Preset) -> dict[str, Any]:
    return {
        "name": preset.name,
        "title": preset.title,
        "kind": preset.kind,
        "population": preset.population,
        "muscle": preset.muscle,
        "channels": preset.channels,
        **{field: _plain(preset, field) for field in _SUMMARY},
        "status": preset.status,
    }


def _plain(preset: Preset, field: str) -> Any:
    """Return the value; where channels or phases differ, a list of them."""
    values = [v.value for v in preset.values if v.field == field]
    return values[0] if len(values) == 1 else values or None


def _width(preset: Preset) -> str:
    if preset.value("carrier_hz") is None:
        return _told(preset, "phase_width_us")
    return f"{_told(preset, 'cycles')} × {_told(preset, 'carrier_hz')}"


def _on_off(preset: Preset) -> str:
    on, off = _each(preset, "on_s"), _each(preset, "off_s")
    if len(on) != len(off):  # one of them is the same everywhere
        on, off = (x * max(len(on), len(off)) if len(x) == 1 else x for x in (on, off))
    told = []
    for a, b in zip(on, off, strict=True):
        told.append(a if a == b and a in (_NONE, _YOURS) else f"{a}/{b}")
    return _joint(preset, told, " s")


def _told(preset: Preset, field: str) -> str:
    from nmes_wave.presets.vocabulary import FIELDS

    return _joint(preset, _each(preset, field), f" {FIELDS[field].unit}".rstrip())


def _each(preset: Preset, field: str) -> list[str]:
    """Return a field as each group of channels, phase or row of ranges has it."""
    from nmes_wave.presets.values import ends, in_words

    told = []
    for value in (v for v in preset.values if v.field == field):
        ends_or_one = ends(value.low, value.high) if value.is_range else ""
        words = ends_or_one or in_words(value.value)
        told.append(f"({words})" if value.kind == "assumed" else words)
    told += [ends(r.low, r.high) for r in preset.ranges if r.field == field]
    if field in (p.field for p in preset.parameters):
        told.append(_YOURS)
    return [words.replace(" to ", "–") for words in told] or [_NONE]


def _joint(preset: Preset, told: list[str], unit: str) -> str:
    joint = " → " if preset.phases else ", "
    words = joint.join(dict.fromkeys(told))
    return f"{words}{unit}" if any(c.isdigit() for c in words) else words
