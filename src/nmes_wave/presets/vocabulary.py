"""The fixed vocabulary of presets: every field, its type, its unit.

A preset file may hold these fields and no others, so that two studies can be
compared field by field. Bounds are those of the specs: they are written once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from nmes_wave.spec import Burst, DutyCycle, Envelope, Pulse, Train
from nmes_wave.spec._fields import Count, Range, field_types
from nmes_wave.spec.event import CarrierShape, PhaseShape

Waveform = Literal["symmetrical biphasic", "asymmetrical biphasic", "burst"]

#: Event of each waveform, and the fields that describe it.
EVENTS: dict[str, tuple[type[Pulse] | type[Burst], tuple[str, ...]]] = {
    "symmetrical biphasic": (
        Pulse,
        ("phase_width_us", "interphase_gap_us", "shape"),
    ),
    "asymmetrical biphasic": (
        Pulse,
        ("phase_width_us", "interphase_gap_us", "shape", "recovery_ratio"),
    ),
    "burst": (Burst, ("carrier_hz", "cycles", "shape")),
}


@dataclass(frozen=True)
class Field:
    """One field of the vocabulary.

    Parameters
    ----------
    hint
        Type and bounds, as an annotation of a spec.
    unit
        Unit of the value; empty for text and counts.
    builds
        Whether a protocol is built from it; such a field can be overridden.
    waveforms
        The waveforms that it describes; empty: it does not depend on them.
    """

    hint: Any
    unit: str = ""
    builds: bool = False
    waveforms: tuple[str, ...] = ()

    def applies(self, waveform: str | None) -> bool:
        """Whether a preset of this waveform has the field (None: unknown)."""
        return waveform is None or not self.waveforms or waveform in self.waveforms


def _of_event(name: str, hint: Any, unit: str = "") -> Field:
    users = tuple(wave for wave, (_, fields) in EVENTS.items() if name in fields)
    return Field(hint, unit, builds=True, waveforms=users)


_pulse, _burst = field_types(Pulse), field_types(Burst)
_envelope, _duty = field_types(Envelope), field_types(DutyCycle)
_Positive = Annotated[float, Range(gt=0)]
_Length_cm = Annotated[float, Range(gt=0, unit="cm")]

FIELDS: dict[str, Field] = {
    # What is delivered.
    "waveform": Field(Waveform, builds=True),
    "rate_hz": Field(field_types(Train)["rate_hz"], "Hz", builds=True),
    "phase_width_us": _of_event("phase_width_us", _pulse["phase_width_us"], "µs"),
    "pulse_duration_meaning": Field(
        Literal["per phase", "whole pulse"],
        waveforms=("symmetrical biphasic", "asymmetrical biphasic"),
    ),
    "interphase_gap_us": _of_event(
        "interphase_gap_us", _pulse["interphase_gap_us"], "µs"
    ),
    "shape": _of_event("shape", Literal[PhaseShape, CarrierShape]),
    "recovery_ratio": _of_event("recovery_ratio", _pulse["recovery_ratio"]),
    "carrier_hz": _of_event("carrier_hz", _burst["carrier_hz"], "Hz"),
    "cycles": _of_event("cycles", _burst["cycles"]),
    "on_s": Field(_duty["on_s"], "s", builds=True),
    "off_s": Field(_duty["off_s"], "s", builds=True),
    "ramp_up_s": Field(_envelope["ramp_up_s"], "s", builds=True),
    "ramp_down_s": Field(_envelope["ramp_down_s"], "s", builds=True),
    "ramp_shape": Field(_envelope["shape"], builds=True),
    "ramps_count_as_on": Field(bool, builds=True),
    "contractions": Field(Count, builds=True),
    # How it is applied.
    "session_min": Field(_Positive, "min"),
    "sessions_per_day": Field(_Positive, "per day"),
    "days_per_week": Field(_Positive, "per week"),
    "weeks": Field(_Positive, "weeks"),
    "start": Field(str),
    "intensity_target": Field(str),
    "electrode_size_cm": Field(tuple[_Length_cm, _Length_cm], "cm", builds=True),
    "electrode_placement": Field(str),
    "joint_position": Field(str),
    "device": Field(str),
}
