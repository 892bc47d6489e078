"""``presets`` and ``show``: what there is, and where every value comes from."""

from __future__ import annotations

import dataclasses
import tomllib
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nmes_wave.cli._options import Json, Name, is_path, load_file, load_preset
from nmes_wave.cli._screen import console, emit_json, printable
from nmes_wave.errors import NmesWaveError
from nmes_wave.plot.captions import clock, event_words, train_words

if TYPE_CHECKING:
    from rich.console import Console

    from nmes_wave.presets import Preset
    from nmes_wave.spec import Channel, Stage, StimProtocol

_COLOURS = {"complete": "green", "partial": "yellow", "entry": "red"}
_KINDS = {"reported": "green", "secondary": "cyan", "derived": "blue"}
_BARS = "▁▂▃▄▅▆▇█"
_BAR_COLUMNS = 60
#: From here on the population has a column of its own.
_WIDE_COLUMNS = 100


def presets(
    status: Annotated[
        str | None,
        typer.Option(
            metavar="STATUS",
            help="Only those that are complete, partial or entry.",
            show_default=False,
        ),
    ] = None,
    json: Json = False,
) -> None:
    """List the published protocols that can be used by name."""
    from nmes_wave import presets

    chosen: Any = status
    found = [presets.load(name) for name in presets.names(chosen)]
    if json:
        emit_json([_summary(preset) for preset in found])
        return
    from rich.table import Table
    from rich.text import Text

    screen = console()
    wide = screen.width >= _WIDE_COLUMNS
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("name", *["population"] * wide):
        table.add_column(heading)
    for heading in ("muscle", "rate", "width", "on/off", "status"):
        table.add_column(heading, no_wrap=True)
    for preset in found:
        name, population = Text(preset.name, "bold"), Text(preset.population)
        first = [name, population] if wide else [Text.assemble(name, "\n", population)]
        table.add_row(
            *first,
            Text(preset.muscle),
            _value(preset, "rate_hz"),
            _width(preset),
            _on_off(preset),
            Text(preset.status, _COLOURS[preset.status]),
        )
    screen.print(table)


def _summary(preset: Preset) -> dict[str, Any]:
    fields = ("rate_hz", "phase_width_us", "carrier_hz", "cycles", "on_s", "off_s")
    values = {field: preset.value(field) for field in fields}
    return {
        "name": preset.name,
        "title": preset.title,
        "population": preset.population,
        "muscle": preset.muscle,
        **{field: value and value.value for field, value in values.items()},
        "status": preset.status,
    }


def _value(preset: Preset, field: str) -> str:
    value = preset.value(field)
    return "–" if value is None else str(value).partition(" = ")[2]


def _width(preset: Preset) -> str:
    if preset.value("carrier_hz") is None:
        return _value(preset, "phase_width_us")
    return f"{_value(preset, 'cycles')} × {_value(preset, 'carrier_hz')}"


def _on_off(preset: Preset) -> str:
    on, off = _value(preset, "on_s"), _value(preset, "off_s")
    return f"{on.removesuffix(' s')}/{off}"


def show(name: Name, json: Json = False) -> None:
    """Show a preset with the source of every value, or a protocol file."""
    if is_path(name):
        protocol = load_file(name)
        if json:
            emit_json(tomllib.loads(protocol.to_toml()))
            return
        screen = console()
        screen.print(protocol.to_toml(), markup=False, soft_wrap=True)
        _print_timeline(screen, protocol, with_amplitude=True)
        return
    preset = load_preset(name)
    if json:
        emit_json(_in_full(preset))
        return
    _print_preset(console(), preset)


def _in_full(preset: Preset) -> dict[str, Any]:
    return {
        "name": preset.name,
        "title": preset.title,
        "status": preset.status,
        "population": preset.population,
        "muscle": preset.muscle,
        "values": [dataclasses.asdict(v) for v in preset.values],
        "assumptions": [v.field for v in preset.assumptions],
        "not_found": [dataclasses.asdict(v) for v in preset.not_found],
        "evidence": dataclasses.asdict(preset.evidence),
        "citations": [dataclasses.asdict(v) for v in preset.citations],
    }


def _print_preset(screen: Console, preset: Preset) -> None:
    from rich.padding import Padding
    from rich.panel import Panel
    from rich.text import Text

    def line(text: str | Text, indent: int = 0, style: str = "") -> None:
        text = Text(text, style=style) if isinstance(text, str) else text
        screen.print(Padding(text, (0, 0, 0, indent), expand=False))

    def heading(text: str) -> None:
        screen.print(Text(f"\n{text}", style="bold"))

    status = (f"  {preset.status}", _COLOURS[preset.status])
    line(Text.assemble((preset.name, "bold"), status))
    line(preset.title)
    line(f"{preset.population}; {preset.muscle}")
    if preset.assumptions:
        n = f"{len(preset.assumptions)} of {len(preset.values)} values are ASSUMED"
        line(f"{n}, from no source: see below", style="bold yellow")

    heading("From the sources")
    for value in preset.values:
        if value.kind == "assumed":
            continue
        kind = (f"  {value.kind}", _KINDS[value.kind])
        line(Text.assemble((str(value), "bold"), kind, f": {value.source}"), 2)
        if value.quote:
            line(f"“{value.quote}”", 6, "italic")
        if value.note:
            line(value.note, 6)

    if preset.assumptions:
        reasons = [((f"{v}\n", "bold"), f"{v.note}") for v in preset.assumptions]
        parts = [part for i, r in enumerate(reasons) for part in ("\n\n" * (i > 0), *r)]
        title = Text("ASSUMED: no source gives these values", style="bold")
        screen.print()
        screen.print(
            Panel(Text.assemble(*parts), title=title, border_style="bold yellow")
        )
    if preset.not_found:
        heading("Not found, and not needed")
        for missing in preset.not_found:
            line(missing.field + f": {missing.note}" * bool(missing.note), 2)
    try:
        # The timeline does not depend on the current, which is never published.
        protocol = preset.protocol(amplitude_ma=1.0, accept_assumptions=True)
    except NmesWaveError as error:
        heading("Timeline: none")
        line(str(error), 2)
    else:
        _print_timeline(screen, protocol, with_amplitude=False)
    heading("What the study found")
    for finding in str(preset.evidence).splitlines():
        line(finding, 2)
    heading("References")
    for citation in preset.citations:
        line(str(citation), 2)


# -- timelines ------------------------------------------------------------------


def _print_timeline(
    screen: Console, protocol: StimProtocol, *, with_amplitude: bool
) -> None:
    screen.print(f"\n[bold]Timeline: {clock(protocol.duration_s)}[/]")
    for channel in protocol.channels:
        for line in _timeline(channel, with_amplitude):
            screen.print(f"  {printable(line)}", markup=False, soft_wrap=True)


def _timeline(channel: Channel, with_amplitude: bool) -> list[str]:
    again = f", {channel.repeats} times all of this" if channel.repeats > 1 else ""
    lines = [f"{channel.name}, from {clock(channel.start_s)} on{again}"]
    for stage in channel.stages:
        duty = stage.duty_cycle
        words = f"{duty.repeats} × ({train_words(stage)}; {duty.off_s:g} s off)"
        n_pulses = stage.n_events * stage.train.n_let
        pulse = f"{n_pulses:,} pulses each: {event_words(stage.event)}"
        if stage.train.phase_deg:
            pulse += f", phase {stage.train.phase_deg:g}°"
        if with_amplitude:
            pulse += f", {stage.amplitude_ma:g} mA"
        lines += [f"  {words}", f"  {pulse}", f"  {_bar(stage)}"]
    return lines


def _bar(stage: Stage) -> str:
    """Return one on- and off-period as a row of blocks."""
    period_s, length_s = float(stage.exact_period_s), stage.on_period_s
    row = ""
    for i in range(_BAR_COLUMNS):
        t_s = (i + 0.5) * period_s / _BAR_COLUMNS
        if t_s < length_s:
            level = stage.envelope.level(t_s, length_s)
            row += _BARS[min(7, int(level * 8))]
        else:
            row += "·"
    return f"{row}  {period_s:g} s"
