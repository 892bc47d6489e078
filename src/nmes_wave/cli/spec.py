"""``spec``: the device report of a protocol, an output and its electrodes."""

from __future__ import annotations

import datetime
import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nmes_wave.cli._options import (
    AcceptAssumptions,
    AmplitudeMa,
    Contractions,
    Dtype,
    Edges,
    ElectrodeCm2,
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
    with_electrodes,
)
from nmes_wave.cli._screen import emit_facts, emit_json, note, progress
from nmes_wave.cli._target import Target, whole
from nmes_wave.errors import FormatError, SpecError

if TYPE_CHECKING:
    from nmes_wave.device_report import Device


def spec(
    context: typer.Context,
    name: Name,
    output: Target,
    compliance_v: Annotated[
        float,
        typer.Option(
            "--compliance-v",
            metavar="V",
            help="Highest voltage of the current source.",
            show_default=False,
        ),
    ],
    electrode_cm2: ElectrodeCm2 = None,
    tolerance_percent: Annotated[
        float | None,
        typer.Option(
            "--tolerance-percent",
            metavar="P",
            help="± of output voltage and current, as the maker states it.",
            show_default=False,
        ),
    ] = None,
    device: Annotated[
        Path | None,
        typer.Option(
            "--device",
            metavar="FILE",
            help="TOML file with what no software can tell of the device.",
            show_default=False,
        ),
    ] = None,
    date: Annotated[
        str | None,
        typer.Option(
            "--date",
            metavar="YYYY-MM-DD",
            help="Date of the report, instead of SOURCE_DATE_EPOCH or today.",
            show_default=False,
        ),
    ] = None,
    amplitude_ma: AmplitudeMa = None,
    accept_assumptions: AcceptAssumptions = False,
    contractions: Contractions = None,
    fields: Fields = None,
    sample_rate_hz: SampleRateHz = 48000.0,
    dtype: Dtype = "int24",
    full_scale_ma: FullScaleMa = None,
    edges: Edges = "area",
    coupling: Annotated[
        str,
        typer.Option(
            "--coupling", metavar="MODE", help="ac, or dc: allows monophasic pulses."
        ),
    ] = "ac",
    limits: LimitSet = None,
    json: Json = False,
) -> None:
    """Write the FDA's tables of 1999 for a protocol: HTML, Markdown or JSON.

    Computed from the description, not measured; not a submission.
    """
    from nmes_wave.device_report import Device, DeviceReport
    from nmes_wave.device_report.document import check_suffix
    from nmes_wave.device_report.quantity import one_line
    from nmes_wave.plan import build_plan

    check_suffix(output)
    day = None if date is None else _day(date)
    stated = Device() if device is None else _device(device)
    protocol = stimulus(name, amplitude_ma, accept_assumptions, contractions, fields)
    protocol = with_electrodes(protocol, electrode_cm2)
    settings = grid(protocol, sample_rate_hz, dtype, full_scale_ma, edges)
    coupled: Any = coupling
    settings = replace(settings, coupling=coupled)
    report = DeviceReport(
        plan=build_plan(protocol, settings, limit_set(limits)),
        compliance_v=compliance_v,
        tolerance_percent=tolerance_percent,
        device=stated,
        date=day,
        command=_command(context),
    )
    with whole(output) as place, progress("drawing", report.n_tracings) as done:
        report.save(place, done)
    without = [c.name for c in protocol.channels if not c.electrodes]
    if without:
        note(
            f"no electrodes given ({', '.join(without)}): densities are not evaluated; "
            "--electrode-cm2 sets their area"
        )
    if json:
        emit_json(
            {
                "file": str(output),
                "modes": [mode.name for mode in report.modes],
                "without_electrodes": without,
            }
        )
        return
    facts = {
        "file": one_line(str(output), 1000),
        "output modes": f"{len(report.modes)}",
    }
    emit_facts(facts | {"": "not a measurement, not a submission"})


def _day(text: str) -> datetime.date:
    try:
        return datetime.date.fromisoformat(text)
    except ValueError:
        raise UsageError(f"--date {text}: must be a day, as 2026-01-31") from None


def _device(path: Path) -> Device:
    from nmes_wave.device_report import Device

    try:
        return Device.load(path)
    except SpecError as error:
        raise FormatError(f"{path}: {error}") from None


def _command(context: typer.Context) -> str:
    """Return the command with all that was given; of the target its suffix only."""
    words = ["nmes-wave", "spec"]
    for option in context.command.params:
        value = context.params[option.name or ""]
        if option.name == "output":
            value = f"FILE{value.suffix}"
        unset = (
            value is None or value is False or value == [] or value == option.default
        )
        if unset or option.name == "json":
            continue
        flags = [option.opts[0]] if option.param_type_name == "option" else []
        if value is True:
            words += flags
            continue
        for one in value if isinstance(value, (list, tuple)) else [value]:
            words += [*flags, f"{one:.15g}" if isinstance(one, float) else str(one)]
    return shlex.join(words)
