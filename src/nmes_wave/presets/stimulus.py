"""From the fields of the vocabulary to a channel of a protocol."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from nmes_wave.errors import PresetError
from nmes_wave.presets.values import in_words
from nmes_wave.presets.vocabulary import EVENTS, FIELDS
from nmes_wave.spec import Channel, DutyCycle, Electrode, Envelope, Stage, Train
from nmes_wave.spec._fields import exact
from nmes_wave.spec._file import nearest

_REQUIRED = (
    "waveform",
    "rate_hz",
    "on_s",
    "off_s",
    "ramp_up_s",
    "ramp_down_s",
    "ramp_shape",
    "ramps_count_as_on",
)
#: Any of these says how long it goes on, the first that is there.
_LENGTHS = ("contractions", "main_stage_min", "session_min")
#: What makes the length of a period.
PERIOD = ("on_s", "off_s", "ramps_count_as_on")
_ELECTRODES = ("electrode_size_cm", "electrode_diameter_cm")
_OF_TRAIN = ("rate_hz", "first_interval_ms", "count", "phase_deg")


def conformed(overrides: dict[str, Any]) -> dict[str, Any]:
    """Return overrides as the types of their fields.

    Raises
    ------
    PresetError
        For one that is no field, or nothing that a protocol is built from.
    SpecError
        For a value out of range.
    """
    allowed = [name for name, field in FIELDS.items() if field.builds]
    for name in overrides:
        if name not in allowed:
            raise PresetError(f"{name} cannot be overridden: {nearest(name, allowed)}")
    return {
        name: FIELDS[name].conform(name, value) for name, value in overrides.items()
    }


def merged(settings: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Return the settings with the changes, which replace what they stand for."""
    if changes.keys() & {*_ELECTRODES}:
        settings = {k: v for k, v in settings.items() if k not in _ELECTRODES}
    return settings | changes


def check_settings(
    name: str, settings: dict[str, Any], changes: dict[str, Any]
) -> None:
    """Refuse changes for another waveform, and what is still missing."""
    waveform = settings.get("waveform")
    for field in changes:
        if not FIELDS[field].applies(waveform):
            raise PresetError(
                f"{name}: {field} does not apply to the waveform {waveform}"
            )
    needed = [*_REQUIRED, *(EVENTS[waveform][1] if waveform else ())]
    missing = [field for field in needed if field not in settings]
    if not settings.keys() & {*_LENGTHS}:
        missing.append("contractions")
    if missing:
        raise PresetError(
            f"{name}: neither published nor assumed, so give them: "
            + ", ".join(f"{field}=…" for field in missing)
        )


def channel(name: str, settings: dict[str, Any], amplitude_ma: float) -> Channel:
    """Return the channel that these settings describe."""
    stage = _stage(settings, amplitude_ma)
    return Channel(name=name, stages=(stage,), electrodes=_electrodes(settings))


def _stage(settings: dict[str, Any], amplitude_ma: float) -> Stage:
    event_type, fields = EVENTS[settings["waveform"]]
    train = {field: settings[field] for field in _OF_TRAIN if field in settings}
    stage = Stage(
        event=event_type(**{field: settings[field] for field in fields}),
        train=Train(**train),
        envelope=Envelope(
            ramp_up_s=settings["ramp_up_s"],
            ramp_down_s=settings["ramp_down_s"],
            shape=settings["ramp_shape"],
        ),
        duty_cycle=DutyCycle(
            on_s=settings["on_s"],
            off_s=settings["off_s"],
            repeats=settings.get("contractions", 1),
            ramps_count_as_on=settings["ramps_count_as_on"],
        ),
        amplitude_ma=amplitude_ma,
    )
    if "contractions" in settings:
        return stage
    length = next(field for field in _LENGTHS if field in settings)
    repeats = 60 * exact(settings[length]) // stage.exact_period_s
    return replace(stage, duty_cycle=replace(stage.duty_cycle, repeats=repeats))


def _electrodes(settings: dict[str, Any]) -> tuple[Electrode, ...]:
    # A channel has two terminals, so at least two electrodes; the number that a
    # study used is seldom printed, and the smallest alone counts for densities.
    diameter = settings.get("electrode_diameter_cm")
    if diameter is not None:
        area = math.pi / 4 * diameter**2
        words = f"round, {in_words(diameter)} cm across"
        return (Electrode(area_cm2=area, description=words),) * 2
    size = settings.get("electrode_size_cm")
    if size is None:
        return ()
    if isinstance(size[0], tuple):
        return tuple(map(_rectangular, size))
    return (_rectangular(size),) * 2


def _rectangular(size: tuple[float, float]) -> Electrode:
    width, height = size
    area = float(exact(width) * exact(height))
    return Electrode(area_cm2=area, description=f"{in_words(size)} cm")
