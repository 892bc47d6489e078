"""``verify``: what an interface plays, recorded and held against the plan."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from nmes_wave.cli._calibration import (
    CalibrationFile,
    Scale,
    calibrated,
    check_calibrating,
    save_calibration,
    sensed,
)
from nmes_wave.cli._options import (
    AcceptAssumptions,
    AmplitudeMa,
    Contractions,
    Dtype,
    Edges,
    Fields,
    FullScaleMa,
    Json,
    LimitSet,
    Name,
    SampleRateHz,
    UsageError,
    grid,
    limit_set,
    stimulus,
)
from nmes_wave.cli._screen import emit_facts, emit_json, printable, progress
from nmes_wave.cli._signals import orderly_signals
from nmes_wave.cli.render import cautions
from nmes_wave.cli.run import NEEDS_SCALE, SUSPENDING, Shared, interruptible, watched

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nmes_wave.plan import Plan
    from nmes_wave.sinks.loopback import LoopbackSink
    from nmes_wave.verification import Verification

#: An input has reached its end where a sample comes this close to full scale: the
#: largest code of 16 bits does.
OVERLOAD = 1 - 2.0**-15
#: Events this far outside a file are not just cut by its ends.
OUTSIDE_S = 1e-3

OutputDevice = Annotated[
    str | None,
    typer.Option(
        "--output-device",
        metavar="D",
        help="Audio device to drive: its number or name, see [bold]nmes-wave "
        "devices[/bold].",
        show_default=False,
    ),
]
InputDevice = Annotated[
    str | None,
    typer.Option(
        "--input-device",
        metavar="D",
        help="Audio device to listen to, of the same host API; the inputs of the "
        "output's device unless told otherwise.",
        show_default=False,
    ),
]
InputChannel = Annotated[
    list[int] | None,
    typer.Option(
        "--input-channel",
        metavar="N",
        help="Input that hears a channel of the protocol, from 0; once for each "
        "channel, in their order. The first ones unless told otherwise.",
        show_default=False,
    ),
]
Intensity = Annotated[
    float,
    typer.Option(
        "--intensity",
        metavar="X",
        help="Part of the planned amplitude, above 0 to 1. Everything unless you ask "
        "for less: this is for a dummy load, never for electrodes.",
    ),
]
RecordingFile = Annotated[
    Path | None,
    typer.Option(
        "--recording",
        metavar="FILE",
        help="Hold this recording against the protocol, and play nothing.",
        show_default=False,
    ),
]
SenseOhm = Annotated[
    float | None,
    typer.Option(
        "--sense-ohm",
        metavar="OHM",
        help="Resistor whose voltage is recorded: the report is then in mA.",
        show_default=False,
    ),
]
InputV = Annotated[
    float | None,
    typer.Option(
        "--input-v-per-unit",
        metavar="V",
        help="Volts at that resistor that are full scale of the input, with every "
        "divider between them.",
        show_default=False,
    ),
]
LoadOhm = Annotated[
    float | None,
    typer.Option(
        "--load-ohm",
        metavar="OHM",
        help="The whole dummy load as measured, with that resistor: for "
        "--write-calibration.",
        show_default=False,
    ),
]
WriteCalibration = Annotated[
    Path | None,
    typer.Option(
        "--write-calibration",
        metavar="FILE",
        help="Write the full scale that was found, for --calibration.",
        show_default=False,
    ),
]
Note = Annotated[
    str,
    typer.Option(
        "--note",
        metavar="TEXT",
        help="Put into the calibration: knobs, cables, who.",
        show_default=False,
    ),
]


def verify(
    name: Name,
    output_device: OutputDevice = None,
    input_device: InputDevice = None,
    input_channel: InputChannel = None,
    shared: Shared = False,
    intensity: Intensity = 1.0,
    recording: RecordingFile = None,
    sense_ohm: SenseOhm = None,
    input_v_per_unit: InputV = None,
    load_ohm: LoadOhm = None,
    write_calibration: WriteCalibration = None,
    remark: Note = "",
    amplitude_ma: AmplitudeMa = None,
    accept_assumptions: AcceptAssumptions = False,
    contractions: Contractions = None,
    fields: Fields = None,
    sample_rate_hz: SampleRateHz = 48000.0,
    dtype: Dtype = "int24",
    full_scale_ma: FullScaleMa = None,
    calibration: CalibrationFile = None,
    edges: Edges = "area",
    limits: LimitSet = None,
    json: Json = False,
) -> None:
    """Play a protocol into a dummy load, record it, and hold it against the plan.

    Output and input are two ends of one interface, joined by a cable or over a
    sensing resistor. Prints the round trip, gain, droop and polarity, and what is
    wrong, pulse by pulse; exit code 1 if anything is. Never with electrodes on.
    """
    scale = sensed(sense_ohm, input_v_per_unit)
    if write_calibration is not None:
        check_calibrating(scale, load_ohm, write_calibration)
    elif load_ohm is not None or remark:
        given = "--load-ohm" if load_ohm is not None else "--note"
        raise UsageError(f"{given} goes into the calibration: --write-calibration FILE")
    if recording is not None:
        played = (output_device, input_device, input_channel, write_calibration)
        if shared or intensity != 1.0 or any(x is not None for x in played):
            raise UsageError(
                "--recording plays nothing: give no devices, channels, --shared, "
                "--intensity or --write-calibration with it"
            )
    if not 0 < intensity <= 1:
        raise UsageError(f"--intensity {intensity:g}: must be above 0, at most 1")
    protocol = stimulus(
        name,
        amplitude_ma,
        accept_assumptions,
        contractions,
        fields,
        for_hardware=recording is None,
    )
    driven: str | None = None
    if recording is None:
        from nmes_wave.sinks.audio import choose_device

        if not full_scale_ma and calibration is None:
            raise UsageError(NEEDS_SCALE.format("an audio output"))
        if calibration is not None:
            driven = choose_device(output_device).full_name
    n_channels = len(protocol.channels)
    measured = calibrated(
        calibration, full_scale_ma, n_channels, sample_rate_hz, driven
    )
    if measured is not None:
        full_scale_ma = [*measured.full_scale_ma]
    from nmes_wave.plan import build_plan

    settings = grid(protocol, sample_rate_hz, dtype, full_scale_ma, edges)
    plan = build_plan(protocol, settings, limit_set(limits))
    if recording is not None:
        _of_file(plan, recording, scale, as_json=json)
        return
    from nmes_wave.sinks.loopback import LoopbackSink

    sink = LoopbackSink(output_device, input_device, shared, input_channel)
    _play(plan, sink, intensity)
    heard = sink.recording()
    failures = _own_failures(heard, sink)
    # the gain is that of what was delivered
    heard = heard if intensity == 1 else heard / np.float32(intensity)
    calibrates = write_calibration is not None
    # what is to be measured is not held against what was assumed
    per_unit = None if calibrates else scale.ma_per_unit
    verification = _held_against(plan, heard, settings.sample_rate_hz, per_unit)
    failures += verification.failures
    if n_beyond := int((~verification.pulses["covered"]).sum()):
        failures.append(
            f"{n_beyond} events came after the recording's end: the round trip is "
            "longer than the driver lets expect"
        )
    if write_calibration is not None and not failures:
        save_calibration(
            plan, sink, verification, scale, load_ohm, remark, write_calibration
        )
    facts = _facts(verification, sink, settings.sample_rate_hz)
    if write_calibration is not None:
        facts["calibration"] = None if failures else str(write_calibration)
    _tell(verification, failures, facts, as_json=json)


def _play(plan: Plan, sink: LoopbackSink, intensity: float) -> None:
    from nmes_wave.session import Session

    session = Session(plan, sink)
    with (
        interruptible(session),
        orderly_signals(*SUSPENDING) as caught,
        watched(session) as drive,
        session,
        session.emergency_stop_on(*caught),
    ):
        cautions(plan)
        drive(intensity)
        sink.wait()


def _held_against(
    plan: Plan,
    recording: NDArray[np.generic],
    sample_rate_hz: float,
    ma_per_unit: float | Sequence[float] | None,
) -> Verification:
    from nmes_wave.verification import verify as verify_recording

    with progress("verifying", len(recording)) as done:
        return verify_recording(
            plan,
            recording,
            sample_rate_hz,
            ma_per_unit,
            progress=lambda frames, total: done(frames),
        )


def _own_failures(heard: NDArray[np.float32], sink: LoopbackSink) -> list[str]:
    """Return what makes a recording unfit, whatever it holds."""
    failures = _overloads(heard)
    if not sink.complete:
        failures.append("the recording ended before it was complete")
    return failures


def _overloads(heard: NDArray[np.float32]) -> list[str]:
    return [
        f"channel {channel}: the input is at its full scale, where it clips: turn its "
        "gain down, or divide more"
        for channel, peak in enumerate(np.abs(heard).max(axis=0, initial=0.0).tolist())
        if peak >= OVERLOAD
    ]


def _of_file(plan: Plan, path: Path, scale: Scale, *, as_json: bool) -> None:
    from nmes_wave.cli._recording import read_recording

    read = read_recording(path, plan.output.sample_rate_hz)
    per_unit = read.ma_per_unit if scale.ma_per_unit is None else scale.ma_per_unit
    verification = _held_against(plan, read.samples, read.sample_rate_hz, per_unit)
    failures = [*verification.failures]
    samples, pulses = read.samples, verification.pulses
    if read.ma_per_unit is None and samples.dtype.kind == "f":
        heard = samples.astype(np.float32, copy=False)
        failures += _overloads(heard.reshape(len(heard), -1))
    # not those that its ends cut, or touch
    end_s = len(samples) / read.sample_rate_hz
    outside = (pulses["time_s"] < -OUTSIDE_S) | (pulses["time_s"] > end_s + OUTSIDE_S)
    if n_outside := int((outside & ~pulses["covered"]).sum()):
        n = len(pulses)
        failures.append(
            f"{n_outside} of {n} events are outside the recording: --contractions says "
            "how many were recorded"
        )
    _tell(verification, failures, {}, as_json=as_json)


def _facts(
    verification: Verification, sink: LoopbackSink, rate_hz: float
) -> dict[str, Any]:
    latency_s = None if math.isnan(verification.latency_s) else verification.latency_s
    return {
        "output_device": sink.device_name,
        "input_device": sink.input_name,
        "round_trip_frames": None if latency_s is None else latency_s * rate_hz,
        "round_trip_ms": None if latency_s is None else latency_s * 1e3,
        "driver_latency_ms": sum(sink.latencies_s) * 1e3,
        "input_gaps": sink.gaps,
    }


def _tell(
    verification: Verification,
    failures: list[str],
    facts: dict[str, Any],
    *,
    as_json: bool,
) -> None:
    if as_json:
        passed = {"passed": not failures, "failures": failures}
        emit_json({**passed, **facts, "verification": verification.to_dict()})
    else:
        typer.echo(printable(str(verification)))
        if facts:
            emit_facts(_words(facts))
        for line in failures:
            if line not in verification.failures:
                typer.echo(f"FAIL  {printable(line)}")
    if failures:
        raise typer.Exit(1)


def _words(facts: dict[str, Any]) -> dict[str, str]:
    frames, ms = facts["round_trip_frames"], facts["round_trip_ms"]
    trip = "not found" if frames is None else f"{frames:.2f} frames, {ms:.3f} ms"
    words = {
        "output": printable(facts["output_device"]),
        "input": printable(facts["input_device"]),
        "round trip": f"{trip} (the driver says {facts['driver_latency_ms']:.3g} ms)",
    }
    if facts["input_gaps"]:
        words["input"] += f"; {facts['input_gaps']} blocks with gaps, it says"
    if "calibration" in facts:
        words["calibration"] = facts["calibration"] or "not written: it failed"
    return words
