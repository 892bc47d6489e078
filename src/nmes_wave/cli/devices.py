"""``devices``: what can be driven, and how."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from nmes_wave.cli._options import Json
from nmes_wave.cli._screen import console, emit_json

if TYPE_CHECKING:
    from rich.table import Table

    from nmes_wave.sinks.audio import AudioDevice

_SINKS = (
    ("null", "keeps time like a device, drives nothing"),
    ("file:PATH", "WAV, RF64, FLAC, NPY or raw, by suffix"),
    ("memory", "in Python only: nmes_wave.MemorySink()"),
    ("audio", "an audio interface, by --device (below)"),
)


def devices(json: Json = False) -> None:
    """List the sinks, and the audio devices of this machine, inputs too."""
    from nmes_wave.sinks import audio

    if json:
        found = audio.devices()
        sinks = [{"sink": name, "what": what} for name, what in _SINKS]
        rows = [dataclasses.asdict(device) for device in found]
        inputs = [dataclasses.asdict(device) for device in audio.input_devices()]
        emit_json({"sinks": sinks, "audio_devices": rows, "audio_inputs": inputs})
        return
    from rich.table import Table

    screen = console()
    sinks_table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("sink", ""):
        sinks_table.add_column(heading, no_wrap=True)
    for name, what in _SINKS:
        sinks_table.add_row(name, what)
    screen.print(sinks_table)
    screen.print()
    found = audio.devices()
    if not found:
        screen.print("No audio output device on this machine.")
        return
    screen.print(_table("device", found))
    heard = audio.input_devices()
    if heard:
        screen.print()
        screen.print(_table("input", heard))


def _table(what: str, found: list[AudioDevice]) -> Table:
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in (what, "name", "host API", "channels", "rate", "latency", "use"):
        table.add_column(heading)
    for device in found:
        use = "direct" if device.direct else "[yellow]shared: not for electrodes[/]"
        table.add_row(
            f"{device.index}{' (default)' * device.default}",
            escape(device.name),
            escape(device.host_api),
            str(device.channels),
            f"{device.sample_rate_hz:g} Hz",
            f"{device.latency_s * 1e3:.3g} ms",
            use,
        )
    return table
