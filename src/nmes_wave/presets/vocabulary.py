"""The fixed vocabulary of presets: every field, its type, its unit.

A preset file may hold these fields and no others, so that two studies can be
compared field by field. Bounds are those of the specs: they are written once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args, get_origin

from nmes_wave.spec import Burst, DutyCycle, Envelope, Pulse, Train
from nmes_wave.spec._fields import Count, Range, conform, field_types
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
    optional
        Whether a preset may leave it out without saying that it was not found.
    instead_of
        The field that need not be given where this one is.
    several
        Type of a list of such values, where there may be one.
    """

    hint: Any
    unit: str = ""
    builds: bool = False
    waveforms: tuple[str, ...] = ()
    optional: bool = False
    instead_of: str = ""
    several: Any = None

    def applies(self, waveform: str | None) -> bool:
        """Whether a preset of this waveform has the field (None: unknown)."""
        return waveform is None or not self.waveforms or waveform in self.waveforms

    def conform(self, place: str, value: object) -> Any:
        """Return the value as the field's type, or raise `SpecError`."""
        many = isinstance(value, (list, tuple)) and isinstance(
            next(iter(value), None), (list, tuple)
        )
        return conform(
            place, value, self.several if many and self.several else self.hint
        )

    @property
    def numeric(self) -> bool:
        """Whether a range of it has two ends."""
        kind = get_args(self.hint)[0] if get_origin(self.hint) else self.hint
        return kind in (float, int)


def _of_event(name: str, hint: Any, unit: str = "") -> Field:
    users = tuple(wave for wave, (_, fields) in EVENTS.items() if name in fields)
    return Field(hint, unit, builds=True, waveforms=users)


_pulse, _burst = field_types(Pulse), field_types(Burst)
_train = field_types(Train)
_envelope, _duty = field_types(Envelope), field_types(DutyCycle)
_Positive = Annotated[float, Range(gt=0)]
_Length_cm = Annotated[float, Range(gt=0, unit="cm")]
_Sides_cm = tuple[_Length_cm, _Length_cm]

FIELDS: dict[str, Field] = {
    # What is delivered.
    "waveform": Field(Waveform, builds=True),
    "rate_hz": Field(_train["rate_hz"], "Hz", builds=True),
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
    "first_interval_ms": Field(
        Annotated[float, Range(gt=0, unit="ms")], "ms", builds=True, optional=True
    ),
    "count": Field(Count, builds=True, optional=True),
    "phase_deg": Field(_train["phase_deg"], "deg", builds=True, optional=True),
    # The one timing of several channels that is built; `phase_deg` shifts pulses.
    "channel_timing": Field(Literal["simultaneous"], optional=True),
    # How it is applied.
    "session_min": Field(_Positive, "min"),
    "main_stage_min": Field(_Positive, "min", optional=True),
    "sessions_per_day": Field(_Positive, "per day"),
    "days_per_week": Field(_Positive, "per week"),
    "weeks": Field(_Positive, "weeks"),
    "days": Field(_Positive, "days", optional=True, instead_of="weeks"),
    "sessions": Field(Count, optional=True),
    "start": Field(str),
    "intensity_target": Field(str),
    "current_ma": Field(Annotated[float, Range(ge=0, unit="mA")], "mA", optional=True),
    "electrode_size_cm": Field(
        _Sides_cm, "cm", builds=True, several=tuple[_Sides_cm, ...]
    ),
    "electrode_diameter_cm": Field(
        _Length_cm, "cm", builds=True, optional=True, instead_of="electrode_size_cm"
    ),
    "electrode_placement": Field(str),
    "joint_position": Field(str),
    "device": Field(str),
}
