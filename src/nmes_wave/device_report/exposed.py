"""What a mode exposes an electrode to over one second, into 500 Ω."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from nmes_wave.device_report.delivered import (
    Delivered,
    deliver,
    gross_area_us,
)
from nmes_wave.device_report.modes import Mode
from nmes_wave.exposure import ChannelExposure
from nmes_wave.spec import Channel, Pulse, Stage

#: The guidance's load for charges and densities, ohm.
LOAD_OHM = 500.0


@dataclass(frozen=True, kw_only=True)
class Exposed:
    """The fullest second of a mode at full intensity, into 500 Ω.

    Attributes
    ----------
    event
        One event into the load.
    rms_ma, average_ma
        Root mean square, and mean magnitude, highest over any one second.
    n_rms, n_average
        Events in it, those of a ramp counted by their part: ``rms_ma =
        peak·sqrt(square_us·n_rms / 1 s)``, ``average_ma = peak·gross_us·n / 1 s``.
    net_dc_ua
        Highest magnitude of a one-second mean.
    """

    event: Delivered
    rms_ma: float
    average_ma: float
    n_rms: float
    n_average: float
    net_dc_ua: float


def expose(mode: Mode, compliance_v: float) -> Exposed:
    """Return the fullest second of a mode, by the code that the limits use.

    Where the compliance voltage clips, the events of a ramp of the amplitude
    count as at full level: an upper bound.
    """
    stage = mode.stage
    event = deliver(stage.event, stage.amplitude_ma, LOAD_OHM, compliance_v)
    n_rms = n_average = 0.0
    for use in mode.uses:
        alone = use.alone
        if event.clipped:
            alone = replace(alone, stages=(_at_full_level(alone.stages[0]),))
        n_rms = max(n_rms, _events_by_square(alone))
        n_average = max(n_average, _events_by_area(alone))
    return Exposed(
        event=event,
        rms_ma=event.peak_ma * min(1.0, math.sqrt(event.square_us * 1e-6 * n_rms)),
        average_ma=event.peak_ma * min(1.0, event.gross_us * 1e-6 * n_average),
        n_rms=n_rms,
        n_average=n_average,
        net_dc_ua=abs(event.net_uc) * n_average
        if event.clipped
        else max(ChannelExposure(use.alone).net_dc_ua for use in mode.uses),
    )


def _at_full_level(stage: Stage) -> Stage:
    # A ramp of the width clips each event alike: it stays.
    if stage.envelope.modulates == "width":
        return stage
    return replace(stage, envelope=replace(stage.envelope, start_level=1.0))


def _events_by_square(channel: Channel) -> float:
    stage = replace(channel.stages[0], amplitude_ma=1.0)
    rms = ChannelExposure(replace(channel, stages=(stage,))).rms_ma
    return _tidy(rms**2 / (stage.event.square_area_us * 1e-6))


def _events_by_area(channel: Channel) -> float:
    """Return the same for areas: those of monophasic pulses of as much area."""
    stage = channel.stages[0]
    gross_us = gross_area_us(stage.event)
    pulse = Pulse(phase_width_us=gross_us, balanced=False)
    train = replace(stage.train, alternate_polarity=False)
    one = replace(stage, event=pulse, train=train, amplitude_ma=1.0)
    mean = ChannelExposure(replace(channel, stages=(one,))).net_dc_ua / 1000
    # of an event longer than a second, no more than a second
    most = gross_us / stage.event.duration_us
    return _tidy(min(mean, most) / (gross_us * 1e-6))


def _tidy(n: float) -> float:
    """Return a whole number where rounding alone keeps it from being one."""
    return float(round(n)) if abs(n - round(n)) <= 1e-9 * n else n
