"""``show``: a preset with the source of every value, or a protocol file."""

from __future__ import annotations

import dataclasses
import tomllib
from typing import TYPE_CHECKING, Any

from nmes_wave.cli._options import Json, Name, is_path, load_file, load_preset
from nmes_wave.cli._screen import console, emit_json, printable
from nmes_wave.cli.catalogue import STATUS_COLOURS
from nmes_wave.errors import NmesWaveError
from nmes_wave.plot.captions import clock, event_words, train_words
from nmes_wave.presets.text import TWO_ELECTRODES, has_one_size

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from nmes_wave.presets import Preset
    from nmes_wave.spec import Channel, Stage, StimProtocol

_KINDS = {"reported": "green", "secondary": "cyan", "derived": "blue"}
_BARS = "▁▂▃▄▅▆▇█"
_BAR_COLUMNS = 60


def show(name: Name, json: Json = False) -> None:
    """Show a preset with the source of every value, or a protocol file."""
    if is_path(name):
        protocol = load_file(name)
        if json:
            emit_json(tomllib.loads(protocol.to_toml()))
            return
        screen = console()
        screen.print(protocol.to_toml(), markup=False, soft_wrap=True)
        screen.print(f"\n[bold]Timeline: {clock(protocol.duration_s)}[/]")
        _print_timeline(screen, protocol, with_amplitude=True)
        return
    preset = load_preset(name)
    if json:
        emit_json(_in_full(preset))
    else:
        _Page(console(), preset).print()


def _in_full(preset: Preset) -> dict[str, Any]:
    own = ("name", "title", "status", "kind", "population", "muscle", "channels")
    lists = ("values", "not_found", "parameters", "ranges", "groups", "phases")
    touched = ("omitted", "indications", "exclusions", "citations")
    return {
        **{name: getattr(preset, name) for name in own},
        **{
            name: [dataclasses.asdict(item) for item in getattr(preset, name)]
            for name in (*lists, *touched)
        },
        "assumptions": [v.field for v in preset.assumptions],
        "evidence": dataclasses.asdict(preset.evidence),
    }


class _Page:
    """A preset on the terminal, section after section."""

    def __init__(self, screen: Console, preset: Preset) -> None:
        self.screen = screen
        self.preset = preset

    def print(self) -> None:
        preset = self.preset
        self.head()
        # Of a partial preset the assumptions come before anything that is known.
        if preset.status == "partial":
            self.assumptions()
        if any(v.kind != "assumed" for v in preset.values):
            self.heading("From the sources")
        for value in preset.values:
            if value.kind != "assumed":
                self.sourced(str(value), value)
        if preset.ranges:
            self.heading("Ranges to hold a protocol against, by check --ranges")
        for row in preset.ranges:
            self.sourced(str(row), row)
        self.lines("Yours to give: no source has a value", preset.parameters)
        if preset.status != "partial":
            self.assumptions()
        if preset.omitted:
            self.heading("NOT IN THE PROTOCOL, though the study did it", "bold yellow")
        for omission in preset.omitted:
            self.line(f"{omission.what}: {omission.source}", 2, "bold")
            self.quoted(omission)
        if preset.not_found:
            needed = preset.status == "entry" and preset.kind == "study"
            self.heading("Not found" if needed else "Not found, and not needed")
        for missing in preset.not_found:
            words = missing.field.replace("everything_else", "everything else")
            self.line(words + f": {missing.note}" * bool(missing.note), 2)
        self.timelines()
        if preset.kind == "study":
            self.lines("What the study found", str(preset.evidence).splitlines())
        self.lines("Indications of the policy that it touches", preset.indications)
        self.lines("Exclusions of the policy that it touches", preset.exclusions)
        self.lines("References", preset.citations)

    def head(self) -> None:
        from rich.text import Text

        preset = self.preset
        status = f"  {preset.status}"
        if preset.kind != "study":
            status += f", {preset.kind}"
        colour = STATUS_COLOURS[preset.status]
        self.line(Text.assemble((preset.name, "bold"), (status, colour)))
        self.line(preset.title)
        self.line(f"{preset.population}; {preset.muscle}")
        if preset.channels != (preset.muscle,):
            self.line(f"{len(preset.channels)} channels: {', '.join(preset.channels)}")
        if preset.assumptions:
            n = f"{len(preset.assumptions)} of {len(preset.values)} values are ASSUMED"
            self.line(f"{n}, from no source: see below", style="bold yellow")
        if preset.omitted:
            what = "; ".join(omission.what for omission in preset.omitted)
            self.line(f"NOT IN THE PROTOCOL: {what}", style="bold yellow")
        if has_one_size(preset):
            self.line(TWO_ELECTRODES)

    def assumptions(self) -> None:
        from rich.panel import Panel
        from rich.text import Text

        preset = self.preset
        if not preset.assumptions:
            return
        parts: list[Any] = []
        title = "ASSUMED: no source gives these values"
        colour = "bold yellow"
        if preset.status == "partial":
            title = f"PARTIAL, so part of it is {title}"
            colour = "bold red"
            parts.append(
                (
                    "It loads only with accept_assumptions=True, on the command line "
                    "--accept-assumptions.\n\n",
                    colour,
                )
            )
        for i, value in enumerate(preset.assumptions):
            parts += ["\n\n" * (i > 0), (f"{value}\n", "bold"), value.note]
        self.screen.print()
        self.screen.print(
            Panel(
                Text.assemble(*parts),
                title=Text(title, style="bold"),
                border_style=colour,
            )
        )

    def timelines(self) -> None:
        preset = self.preset
        for phase in preset.phases or (None,):
            name = phase.name if phase else None
            try:
                # The timeline does not depend on the current, never prescribed.
                protocol = preset.protocol(1.0, accept_assumptions=True, phase=name)
            except NmesWaveError as error:
                self.heading("Timeline: none")
                self.line(str(error), 2)
                return
            words = f"Timeline: {clock(protocol.duration_s)}"
            if name:
                words += f", {name}"
            if preset.status == "partial":
                words += ", made with what is ASSUMED"
            self.heading(words)
            if phase and phase.note:
                self.line(phase.note, 2)
            _print_timeline(self.screen, protocol, with_amplitude=False)

    def sourced(self, words: str, value: Any) -> None:
        from rich.text import Text

        kind = (f"  {value.kind}", _KINDS[value.kind])
        self.line(Text.assemble((words, "bold"), kind, f": {value.source}"), 2)
        self.quoted(value)

    def quoted(self, value: Any) -> None:
        if value.quote:
            self.line(f"“{value.quote}”", 6, "italic")
        if value.note:
            self.line(value.note, 6)

    def lines(self, heading: str, items: Any) -> None:
        if items:
            self.heading(heading)
        for item in items:
            self.line(str(item), 2)

    def heading(self, text: str, style: str = "bold") -> None:
        from rich.text import Text

        self.screen.print(Text(f"\n{text}", style=style))

    def line(self, text: str | Text, indent: int = 0, style: str = "") -> None:
        from rich.padding import Padding
        from rich.text import Text

        text = Text(text, style=style) if isinstance(text, str) else text
        self.screen.print(Padding(text, (0, 0, 0, indent), expand=False))


# -- timelines ------------------------------------------------------------------


def _print_timeline(
    screen: Console, protocol: StimProtocol, *, with_amplitude: bool
) -> None:
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
        if stage.train.first_interval_ms is not None:
            pulse += f", the first interval {stage.train.first_interval_ms:g} ms"
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
