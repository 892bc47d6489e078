"""What a mode exposes an electrode to over one second, into 500 Ω."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from nmes_wave.device_report.delivered import (
    Delivered,
    deliver,
    gross_area_us,
)
from nmes_wave.device_report.modes import Mode, ramped
from nmes_wave.exposure import ChannelExposure
from nmes_wave.spec import Pulse, Stage

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
    n_rms = _events_by_square(mode, event.clipped)
    n_average = _events_by_area(mode, event.clipped, signed=False)
    return Exposed(
        event=event,
        rms_ma=event.peak_ma * min(1.0, math.sqrt(event.square_us * 1e-6 * n_rms)),
        average_ma=event.peak_ma * min(1.0, event.gross_us * 1e-6 * n_average),
        n_rms=n_rms,
        n_average=n_average,
        net_dc_ua=_net_dc_ua(mode, event),
    )


def _net_dc_ua(mode: Mode, event: Delivered) -> float:
    if not event.clipped:
        channels = mode.by_channel(lambda stage: stage)
        return max(ChannelExposure(channel).net_dc_ua for channel in channels)
    if event.net_uc == 0:
        return 0.0
    # On a clipped ramp of the amplitude neighbours are not as at full level,
    # where they would cancel: there none is taken to.
    signed = _at_full_level(mode.stage) == mode.stage
    return abs(event.net_uc) * _events_by_area(mode, True, signed=signed)


def _at_full_level(stage: Stage) -> Stage:
    # A ramp of the width clips each event alike: it stays.
    if stage.envelope.modulates == "width" or not ramped(stage):
        return stage
    return replace(stage, envelope=replace(stage.envelope, start_level=1.0))


def _events_by_square(mode: Mode, clipped: bool) -> float:
    def one(stage: Stage) -> Stage:
        stage = _at_full_level(stage) if clipped else stage
        return replace(stage, amplitude_ma=1.0)

    rms = max(ChannelExposure(channel).rms_ma for channel in mode.by_channel(one))
    return _tidy(rms**2 / (mode.stage.event.square_area_us * 1e-6))


def _events_by_area(mode: Mode, clipped: bool, *, signed: bool) -> float:
    """Return the same for areas: those of monophasic pulses of as much area.

    `signed`: of trains that alternate, what neighbours leave of each other.
    """
    event = mode.stage.event
    gross_us = gross_area_us(event)
    pulse = Pulse(phase_width_us=gross_us, balanced=False)

    def one(stage: Stage) -> Stage:
        stage = _at_full_level(stage) if clipped else stage
        alternates = signed and stage.train.alternate_polarity
        train = replace(stage.train, alternate_polarity=alternates)
        return replace(stage, event=pulse, train=train, amplitude_ma=1.0)

    channels = mode.by_channel(one)
    mean = max(ChannelExposure(channel).net_dc_ua for channel in channels) / 1000
    # of an event longer than a second, no more than a second
    most = gross_us / event.duration_us
    return _tidy(min(mean, most) / (gross_us * 1e-6))


def _tidy(n: float) -> float:
    """Return a whole number where rounding alone keeps it from being one."""
    return float(round(n)) if abs(n - round(n)) <= 1e-9 * n else n
