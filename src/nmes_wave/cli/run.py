"""``run``: deliver a protocol to a device, a file or nothing."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nmes_wave.cli._calibration import CalibrationFile, calibrated, driven
from nmes_wave.cli._control import controlled
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
from nmes_wave.cli._screen import emit_facts, emit_json, is_operable, note, progress
from nmes_wave.cli._signals import orderly_signals
from nmes_wave.cli.render import cautions, scale_words
from nmes_wave.errors import StateError
from nmes_wave.faults import Fault
from nmes_wave.plot.captions import clock

if TYPE_CHECKING:
    from nmes_wave.plan import Plan
    from nmes_wave.session import Session
    from nmes_wave.spec import StimProtocol
    from nmes_wave.status import Status

#: Beside those that end every command, what would suspend or kill: a suspended
#: stream repeats its last block for ever, a killed one cuts a pulse.
SUSPENDING = ("SIGTSTP", "SIGTTIN", "SIGTTOU", "SIGQUIT")

#: Said where hardware is to be driven and nobody knows how hard.
NEEDS_SCALE = (
    "{} needs --full-scale-ma (or --calibration): the current in mA that your hardware "
    "drives at digital full scale, which only you can measure"
)

#: Said of an intensity of zero.
SILENCE = "intensity 0: silence. --intensity 1 delivers the planned amplitude"

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

Log = Annotated[
    Path | None,
    typer.Option(
        "--log",
        metavar="FILE",
        help="Record what is delivered, pulse by pulse: a new file, its name ends in "
        ".tsv; beside it one in .json.",
        show_default=False,
    ),
]
Note = Annotated[
    str,
    typer.Option(
        "--note", metavar="TEXT", help="Put into the record.", show_default=False
    ),
]
Lines = Annotated[
    str | None,
    typer.Option(
        "--control",
        metavar="-",
        help="Obey lines on standard input instead of keys: intensity X \\[CHANNEL], "
        "pause, resume, stop, emergency, feed, status, load FILE. Each is answered on "
        "standard output, where events come too, in JSON, one on a line. Only lines "
        "keep it going: see --watchdog-s. The input's end means stop.",
        show_default=False,
    ),
]
WatchdogS = Annotated[
    float,
    typer.Option(
        "--watchdog-s",
        metavar="S",
        help="Ramp down and fail when nothing is heard for so long: with --control of "
        "the script (send feed), otherwise of this program itself.",
    ),
]


def run(
    name: Name,
    sink: SinkName = "audio",
    device: Device = None,
    shared: Shared = False,
    intensity: Intensity = 0.0,
    log: Log = None,
    remark: Note = "",
    control: Lines = None,
    watchdog_s: WatchdogS = 2.0,
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
    """Deliver a protocol, and operate it by keys.

    On a terminal it shows what is delivered, and the keys. The space bar and Ctrl-C
    are the emergency stop: no further pulse, then silence.
    """
    from nmes_wave.errors import SinkUnavailableError
    from nmes_wave.plan import build_plan
    from nmes_wave.session import Session
    from nmes_wave.sinks import open_sink

    if control not in (None, "-"):
        raise UsageError(f"--control {control}: only - (standard input) can be obeyed")
    if not 0 <= intensity <= 1:
        raise UsageError(f"--intensity {intensity:g}: must be 0 to 1")
    if remark and log is None:
        raise UsageError("--note goes into the record: give --log FILE as well")
    try:
        opened = open_sink(sink, device=device, shared=shared)
    except SinkUnavailableError as error:
        # no device has been asked yet: it is the options that do not fit
        raise UsageError(str(error)) from None

    def meant(name: str) -> StimProtocol:
        return stimulus(
            name,
            amplitude_ma,
            accept_assumptions,
            contractions,
            fields,
            for_hardware=opened.hardware,
        )

    protocol = meant(name)
    if opened.hardware and not full_scale_ma and calibration is None:
        raise UsageError(NEEDS_SCALE.format(f"sink {sink}"))
    measured = calibrated(
        calibration,
        full_scale_ma,
        len(protocol.channels),
        sample_rate_hz,
        None if calibration is None else driven(opened, sink, device),
    )
    if measured is not None:
        full_scale_ma = [*measured.full_scale_ma]
        remark = f"{remark}; calibration {calibration} of {measured.date}".lstrip("; ")
    settings = grid(protocol, sample_rate_hz, dtype, full_scale_ma, edges)
    plan = build_plan(protocol, settings, limit_set(limits))

    def compiled(name: str) -> Plan:
        return build_plan(meant(name), settings, plan.limits)

    session = Session(
        plan,
        sink=sink,
        device=device,
        shared=shared,
        watchdog_s=watchdog_s,
        log=log,
        note=remark,
    )
    with (
        interruptible(session),
        orderly_signals(*SUSPENDING) as caught,
        _driver(session, compiled if control is not None else None) as drive,
        session,
        session.emergency_stop_on(*caught),
    ):
        cautions(plan)
        _caution_total(plan)
        if intensity == 0:
            note(SILENCE)
        drive(intensity)
        status = session.status
    if control is None:
        _tell(plan, status, sink, intensity, chosen=not full_scale_ma, as_json=json)


@contextmanager
def interruptible(session: Session) -> Iterator[None]:
    """Let an interrupt, or the emergency stop that it made, say where it was."""
    try:
        yield
    except (KeyboardInterrupt, StateError) as error:
        stopped = session.status.fault == Fault.EMERGENCY_STOP.describe()
        if isinstance(error, StateError) and not stopped:
            raise
        plan = session.plan
        reached_s = session.status.frame / plan.output.sample_rate_hz
        raise KeyboardInterrupt(
            f"no pulse after {reached_s:.3f} s of {plan.duration_s:.3f} s"
        ) from None


def _caution_total(plan: Plan) -> None:
    """Say so if pulses of several channels together can exceed the total's cap."""
    from nmes_wave.limits import check

    limit_ma = plan.limits.max_total_current_ma
    if limit_ma is None:
        return
    for finding in check(plan.protocol, plan.limits).findings:
        if finding.rule == "total_current_ma" and (finding.value or 0) > limit_ma:
            note(
                f"caution: channels together can reach {finding.value:g} mA; a pulse "
                f"that would lift the sum above {limit_ma:g} mA is left out (of two "
                "that begin together, the later channel's), and counts as capped"
            )


def _driver(
    session: Session, compiled: Callable[[str], Plan] | None
) -> AbstractContextManager[Callable[[float], None]]:
    """Return what starts the session, at an intensity, and stays until its end."""
    if compiled is not None:
        return controlled(session, compiled)
    if is_operable():
        from nmes_wave.cli._operate import operated

        return operated(session)
    return watched(session)


@contextmanager
def watched(session: Session) -> Iterator[Callable[[float], None]]:
    """Yield what starts the session, and shows how far it is until it ends."""
    with progress("delivering", session.plan.n_frames) as done:

        def drive(intensity: float) -> None:
            session.start(intensity)
            while not session.wait(0.1):
                done(session.status.frame)

        yield drive


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
    reached_s = status.frame / plan.output.sample_rate_hz
    left_out = f", {status.capped:,} capped or left out" if status.capped else ""
    emit_facts(
        {
            "sink": sink,
            "delivered": f"{clock(reached_s)} of {clock(plan.duration_s)}, "
            f"{status.frame:,} frames at {plan.output.sample_rate_hz:g} Hz",
            "pulses": f"{status.pulses:,}, begun at intensity {intensity:g}{left_out}",
            "full scale": scale_words(plan, chosen=chosen),
            "underruns": f"{status.underruns}",
            "stop": f"at worst {status.worst_stop_ms:.3g} ms to silence",
            "callback": f"{median_us:.3g} µs median, {longest_us:.3g} µs longest",
        }
    )
