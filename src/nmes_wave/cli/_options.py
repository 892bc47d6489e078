"""Options that several commands share, and what they make."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nmes_wave.cli._screen import note
from nmes_wave.errors import FormatError, NmesWaveError, PresetError, SpecError
from nmes_wave.files import file_path

if TYPE_CHECKING:
    from nmes_wave.limits import Limits
    from nmes_wave.output import Output
    from nmes_wave.presets import Preset
    from nmes_wave.spec import Channel, StimProtocol

#: Headroom over the highest amplitude where no hardware is involved: 1.9 dB.
HEADROOM = 1.25

Name = Annotated[
    str,
    typer.Argument(
        metavar="NAME",
        help="A preset (see [bold]nmes-wave presets[/bold]), or a path to a protocol "
        "file: it ends in .toml or has a slash.",
        show_default=False,
    ),
]
AmplitudeMa = Annotated[
    float | None,
    typer.Option(
        "--amplitude-ma",
        metavar="MA",
        help="Peak current. None is published for a preset: 40 mA is an example, and "
        "hardware needs yours. Of a file: its highest amplitude, the others in "
        "proportion.",
        show_default=False,
    ),
]
AcceptAssumptions = Annotated[
    bool,
    typer.Option(
        "--accept-assumptions",
        help="Use a partial preset with what it assumes.",
    ),
]
Contractions = Annotated[
    int | None,
    typer.Option(
        "--contractions",
        metavar="N",
        help="Number of on-periods, instead of the protocol's.",
        show_default=False,
    ),
]
Fields = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="FIELD=VALUE",
        help="A field instead of the preset's, or one that a waveform leaves to you: "
        "on_s=10. phase=NAME chooses the phase of a progressive protocol. As often "
        "as needed.",
        show_default=False,
    ),
]
LimitSet = Annotated[
    str | None,
    typer.Option(
        "--limits",
        metavar="SET",
        help="A named set of limits instead of the defaults: "
        "powered-muscle-stimulator, certified-device, implant; unlimited for "
        "computation only.",
        show_default=False,
    ),
]
SampleRateHz = Annotated[float, typer.Option("--sample-rate-hz", metavar="HZ")]
Dtype = Annotated[
    str, typer.Option("--dtype", metavar="FORMAT", help="int16, int24, int32, float32.")
]
FullScaleMa = Annotated[
    list[float] | None,
    typer.Option(
        "--full-scale-ma",
        metavar="MA",
        help="Current at full scale: the calibration. Once, or once for each channel. "
        f"Without hardware the default is {HEADROOM:g} times the highest amplitude.",
        show_default=False,
    ),
]
Edges = Annotated[
    str, typer.Option("--edges", metavar="MODE", help="area (exact charge) or snap.")
]
ElectrodeCm2 = Annotated[
    float | None,
    typer.Option(
        "--electrode-cm2",
        metavar="CM2",
        help="Conductive area of the electrodes, instead of the protocol's.",
        show_default=False,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead.")]


class UsageError(NmesWaveError):
    """Options that do not go together, or one that is missing."""


def is_path(name: str) -> bool:
    """Whether NAME means a file."""
    separators = {os.sep, os.altsep, "/"} - {None}
    return name.endswith(".toml") or any(s in name for s in separators if s)


def load_file(name: str) -> StimProtocol:
    """Read a protocol file; an error begins with its path."""
    from nmes_wave.spec import StimProtocol

    try:
        return StimProtocol.load(file_path(name))
    except SpecError as error:
        raise FormatError(f"{name}: {error}") from None


def stimulus(
    name: str,
    amplitude_ma: float | None,
    accept_assumptions: bool,
    contractions: int | None,
    fields: list[str] | None = None,
    *,
    for_hardware: bool = False,
) -> StimProtocol:
    """Return the protocol that NAME and its options mean.

    Without an amplitude a preset has an example's, but not `for_hardware`.

    Raises
    ------
    NmesWaveError
        What is wrong, in terms of the command line.
    """
    from nmes_wave.presets.preset import EXAMPLE_AMPLITUDE_MA

    if is_path(name):
        if fields:
            raise UsageError("--set is for presets; change the file")
        protocol = load_file(name)
        if amplitude_ma is not None:
            protocol = _scaled(protocol, amplitude_ma)
        if contractions is not None:
            channels = tuple(_repeated(c, contractions) for c in protocol.channels)
            protocol = replace(protocol, channels=channels)
        return protocol
    preset = load_preset(name)
    if preset.status == "partial" and not accept_assumptions:
        raise UsageError(
            f"{name} is partial: give --accept-assumptions to use it with what is "
            f"assumed ({'; '.join(map(str, preset.assumptions))})"
        )
    builds = preset.status != "entry" or preset.kind == "waveform"
    if builds and amplitude_ma is None:
        words = _about_current(preset)
        if for_hardware:
            raise UsageError(
                f"{name} needs --amplitude-ma, the peak current in mA: {words}"
            )
        amplitude_ma = EXAMPLE_AMPLITUDE_MA
        note(
            f"amplitude {amplitude_ma:g} mA, an example: {words}; "
            "--amplitude-ma sets it"
        )
    changes = _changes(fields or [])
    if contractions is not None:
        if "contractions" in changes:
            raise UsageError("--contractions and --set contractions: give one of them")
        changes["contractions"] = contractions
    return preset.protocol(
        amplitude_ma=EXAMPLE_AMPLITUDE_MA if amplitude_ma is None else amplitude_ma,
        accept_assumptions=accept_assumptions,
        **changes,
    )


def _about_current(preset: Preset) -> str:
    published = preset.value("current_ma")
    words = "no current is published"
    if published:
        words = f"what is published of it is {published}"
    target = preset.value("intensity_target")
    return f"{words} (intensity: {target.value})" if target else words


def _changes(fields: list[str]) -> dict[str, Any]:
    """Return what --set gives: numbers, true, false and lists as such, else text."""
    changes: dict[str, Any] = {}
    for text in fields:
        field, equals, value = text.partition("=")
        if not equals:
            raise UsageError(f"--set {text}: must be FIELD=VALUE, such as on_s=10")
        field = field.strip()
        if field in changes:
            raise UsageError(f"--set {field}: given twice, must be given once")
        try:
            changes[field] = json.loads(value)
        except ValueError:
            changes[field] = value.strip()
    for name in ("amplitude_ma", "accept_assumptions"):
        if name in changes:
            option = name.replace("_", "-")
            raise UsageError(f"--set {name}: give --{option} instead")
    return changes


def load_preset(name: str) -> Preset:
    """Return a preset; a file of that name is mentioned."""
    from nmes_wave import presets

    try:
        return presets.load(name)
    except PresetError as error:
        if Path(name).is_file():
            raise PresetError(f"{error}; a file is named ./{name}") from None
        raise


def _scaled(protocol: StimProtocol, amplitude_ma: float) -> StimProtocol:
    """Give the file's highest amplitude this value, the others in proportion."""
    highest = highest_ma(protocol)
    if highest == 0:
        raise UsageError("--amplitude-ma: every amplitude in the file is 0 mA")
    return protocol.with_stages(
        lambda s: replace(s, amplitude_ma=amplitude_ma * (s.amplitude_ma / highest))
    )


def with_electrodes(protocol: StimProtocol, area_cm2: float | None) -> StimProtocol:
    """Give each channel two electrodes of this area; None: leave them."""
    from nmes_wave.spec import Electrode

    if area_cm2 is None:
        return protocol
    pair = (Electrode(area_cm2=area_cm2),) * 2
    channels = tuple(replace(c, electrodes=pair) for c in protocol.channels)
    return replace(protocol, channels=channels)


def _repeated(channel: Channel, n: int) -> Channel:
    """Give the channel n passes, or its only stage n on-periods."""
    if channel.repeats > 1:
        return replace(channel, repeats=n)
    if len(channel.stages) > 1:
        raise UsageError(
            f"--contractions: channel {channel.name!r} has {len(channel.stages)} "
            "stages that run once; change their repeats in the file"
        )
    (stage,) = channel.stages
    duty_cycle = replace(stage.duty_cycle, repeats=n)
    return replace(channel, stages=(replace(stage, duty_cycle=duty_cycle),))


def highest_ma(protocol: StimProtocol) -> float:
    """Return the highest amplitude of all stages."""
    return max(s.amplitude_ma for c in protocol.channels for s in c.stages)


def grid(
    protocol: StimProtocol,
    sample_rate_hz: float,
    dtype: str,
    full_scale_ma: list[float] | None,
    edges: str,
) -> Output:
    """Return the output; without a full scale one with headroom."""
    from nmes_wave.output import Output

    scale: Any = tuple(full_scale_ma or ())
    if not scale:
        scale = HEADROOM * (highest_ma(protocol) or 1.0)
    elif len(scale) == 1:
        (scale,) = scale
    settings: dict[str, Any] = {"dtype": dtype, "edges": edges}
    return Output(sample_rate_hz=sample_rate_hz, full_scale_ma=scale, **settings)


def limit_set(name: str | None) -> Limits:
    """Return the named limits, the defaults without a name."""
    from nmes_wave.limits import Limits

    return Limits() if name is None else Limits.named(name)
