"""``run``: deliver a protocol to a device, a file or nothing."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Annotated

import typer

from nmes_wave.cli._options import (
    AcceptAssumptions,
    AmplitudeMa,
    Contractions,
    Dtype,
    Edges,
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
from nmes_wave.cli._screen import emit_facts, emit_json, note, progress
from nmes_wave.cli._signals import orderly_signals
from nmes_wave.cli.render import cautions, scale_words
from nmes_wave.plot.captions import clock

if TYPE_CHECKING:
    from nmes_wave.plan import Plan
    from nmes_wave.status import Status

SinkName = Annotated[
    str,
    typer.Option(
        "--sink",
        metavar="SINK",
        help="audio, null (keeps time, drives nothing) or file:PATH.",
    ),
]
Device = Annotated[
    str | None,
    typer.Option(
        "--device",
        metavar="D",
        help="Audio device: its number or name, see [bold]nmes-wave devices[/bold].",
        show_default=False,
    ),
]
Shared = Annotated[
    bool,
    typer.Option(
        "--shared",
        help="Allow a device behind a server that mixes and scales: not for "
        "electrodes.",
    ),
]
Intensity = Annotated[
    float,
    typer.Option(
        "--intensity",
        metavar="X",
        help="Part of the planned amplitude, 0 to 1. Zero unless you ask for more.",
    ),
]


def run(
    name: Name,
    sink: SinkName = "audio",
    device: Device = None,
    shared: Shared = False,
    intensity: Intensity = 0.0,
    amplitude_ma: AmplitudeMa = None,
    accept_assumptions: AcceptAssumptions = False,
    contractions: Contractions = None,
    sample_rate_hz: SampleRateHz = 48000.0,
    dtype: Dtype = "int24",
    full_scale_ma: FullScaleMa = None,
    edges: Edges = "area",
    limits: LimitSet = None,
    json: Json = False,
) -> None:
    """Deliver a protocol. Ctrl-C stops it: no further pulse, then silence."""
    from nmes_wave.errors import SinkUnavailableError
    from nmes_wave.plan import build_plan
    from nmes_wave.session import Session
    from nmes_wave.sinks import open_sink

    try:
        hardware = open_sink(sink, device=device, shared=shared).hardware
    except SinkUnavailableError as error:
        # no device has been asked yet: it is the options that do not fit
        raise UsageError(str(error)) from None
    protocol = stimulus(
        name, amplitude_ma, accept_assumptions, contractions, for_hardware=hardware
    )
    if hardware and not full_scale_ma:
        raise UsageError(
            f"sink {sink} needs --full-scale-ma: the current in mA that your hardware "
            "drives at digital full scale, which only you can measure"
        )
    settings = grid(protocol, sample_rate_hz, dtype, full_scale_ma, edges)
    plan = build_plan(protocol, settings, limit_set(limits))
    session = Session(plan, sink=sink, device=device, shared=shared)
    # Not even Ctrl-Z: a suspended stream repeats its last block for ever.
    with (
        orderly_signals("SIGTSTP"),
        progress("delivering", plan.n_frames) as done,
        session,
    ):
        cautions(plan)
        session.start(intensity)
        if intensity == 0:
            note("intensity 0: silence. --intensity 1 delivers the planned amplitude")
        try:
            while not session.wait(0.1):
                done(session.status.frame)
        except KeyboardInterrupt:
            reached_s = session.status.frame / settings.sample_rate_hz
            raise KeyboardInterrupt(
                f"no pulse after {reached_s:.3f} s of {plan.duration_s:.3f} s"
            ) from None
        status = session.status
    _tell(plan, status, sink, intensity, chosen=not full_scale_ma, as_json=json)


def _tell(
    plan: Plan,
    status: Status,
    sink: str,
    intensity: float,
    *,
    chosen: bool,
    as_json: bool,
) -> None:
    if as_json:
        asked = {"sink": sink, "start_intensity": intensity}
        emit_json({**asked, **dataclasses.asdict(status)})
        return
    median_us, _, longest_us = status.callback_us
    emit_facts(
        {
            "sink": sink,
            "delivered": f"{clock(plan.duration_s)}, {status.frame:,} frames at "
            f"{plan.output.sample_rate_hz:g} Hz",
            "pulses": f"{status.pulses:,} at intensity {intensity:g}",
            "full scale": scale_words(plan, chosen=chosen),
            "underruns": f"{status.underruns}",
            "stop": f"at worst {status.worst_stop_ms:.3g} ms to silence",
            "callback": f"{median_us:.3g} µs median, {longest_us:.3g} µs longest",
        }
    )
