"""How far a recording may be from its plan."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from nmes_wave.spec._fields import Positive_us, Range, Spec

_Percent = Annotated[float, Range(gt=0, le=100, unit="%")]
_Ppm = Annotated[float, Range(gt=0, unit="ppm")]


@dataclass(frozen=True, kw_only=True)
class Tolerance(Spec):
    """How far a recording may be from its plan; all defaults are choices.

    An error counts when it is above its tolerance and above what noise alone
    gives: with Gaussian noise one verification in a thousand has a false alarm.

    Parameters
    ----------
    time_us
        Of an event's onset against the clock of its neighbours (10 s on either
        side). 10 µs: half a frame at 48 kHz, so that one frame is found.
    amplitude_percent
        Of an event against the channel's gain, in percent of its planned
        amplitude (or of a tenth of the channel's largest, if that is more). 1 %:
        ten codes of a thousand, and above what a converter's own noise gives.
    charge_percent
        Of the charge of an event's phases, relative likewise. 2 %: a third of a
        frame in a phase of 300 µs at 48 kHz.
    net_charge_percent
        Net charge beyond the planned one, in percent of the charge of the
        event's phases. 2 %, as `charge_percent`.
    shape_percent
        R.m.s. of what remains of an event when amplitude and onset are fitted,
        in percent of its r.m.s. 5 %: twice what a converter's filter may leave in
        the band that is compared; one frame in 300 µs leaves about 20 %.
    extra_percent
        Peak of what is not in the plan, in percent of the channel's largest
        planned amplitude. 5 %: above cross-talk at -40 dB and the tails of
        AC-coupling.
    gain_percent
        Of each channel, where ``ma_per_unit`` is given. 5 %: the accuracy of a
        test load and a current probe together.
    clock_ppm
        Between the two clocks. 200 ppm: two quartz oscillators of 100 ppm.

    Raises
    ------
    SpecError
        For a value out of range.
    """

    time_us: Positive_us = 10.0
    amplitude_percent: _Percent = 1.0
    charge_percent: _Percent = 2.0
    net_charge_percent: _Percent = 2.0
    shape_percent: _Percent = 5.0
    extra_percent: _Percent = 5.0
    gain_percent: _Percent = 5.0
    clock_ppm: _Ppm = 200.0
