"""``measure``: what pulses a recording holds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from nmes_wave.cli._options import Json, UsageError
from nmes_wave.cli._screen import emit_json, printable, progress


def measure(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="A recording: WAV, RF64, FLAC, NPY, or raw with its JSON file.",
            show_default=False,
        ),
    ],
    ma_per_unit: Annotated[
        float | None,
        typer.Option(
            "--ma-per-unit",
            metavar="MA",
            help="Current at full scale of a file that tells none; of an NPY file, "
            "for 1 in the array.",
            show_default=False,
        ),
    ] = None,
    sample_rate_hz: Annotated[
        float | None,
        typer.Option(
            "--sample-rate-hz",
            metavar="HZ",
            help="Of an NPY file that does not tell its own.",
            show_default=False,
        ),
    ] = None,
    channel: Annotated[
        int | None,
        typer.Option(
            "--channel",
            metavar="N",
            help="Only this one, counted from 0.",
            show_default=False,
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Find the pulses in a recording, and measure them as an oscilloscope would.

    Files that nmes-wave wrote tell their calibration; of others currents are
    parts of full scale unless --ma-per-unit is given.
    """
    from nmes_wave.measuring import measure
    from nmes_wave.recordings import open_recording

    if ma_per_unit is not None and not 0 < ma_per_unit < float("inf"):
        raise UsageError(f"--ma-per-unit {ma_per_unit:g}: must be above 0")
    with open_recording(file, sample_rate_hz) as whole:
        recording = whole if channel is None else whole.only(channel)
        scale = recording.ma_per_unit if ma_per_unit is None else ma_per_unit
        with progress("measuring", 1.0) as done:
            found = measure(
                recording, recording.sample_rate_hz, scale or 1.0, done=done
            )
    if scale is None:
        found = replace(found, calibrated=False)
    if json:
        emit_json({"file": str(file), **found.to_dict()})
    else:
        typer.echo(printable(str(found)))
