"""One event into a resistor, from a current source of limited voltage."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from nmes_wave.spec import Burst, CustomPulse, Event

#: Pieces of one smooth part of a clipped event.
_PIECES = 4096


@dataclass(frozen=True, kw_only=True)
class Delivered:
    """What one event at full level delivers.

    Attributes
    ----------
    set_ma, peak_ma
        Highest magnitude that is set, and that flows: ``min(set, Vc/R)``.
    compliance_ma
        ``Vc/R``.
    phase_uc, net_uc
        Charge of the largest phase, and of the whole event, signed.
    gross_us, square_us
        Integrals of ``|i/peak|`` and ``(i/peak)²`` over the event.
    """

    set_ma: float
    peak_ma: float
    compliance_ma: float
    phase_uc: float
    net_uc: float
    gross_us: float
    square_us: float

    @property
    def clipped(self) -> bool:
        """Whether the compliance voltage limits it."""
        return self.peak_ma < self.set_ma


def deliver(
    event: Event, amplitude_ma: float, load_ohm: float, compliance_v: float
) -> Delivered:
    """Return what an event delivers into a resistor.

    What is not clipped comes from the event's closed forms, which the limits
    use; what is clipped from sums over the clipped current.
    """
    limit_ma = compliance_v / load_ohm * 1000
    set_ma = amplitude_ma * peak_level(event)
    if set_ma <= limit_ma * (1 + 1e-12):
        level = peak_level(event)
        return Delivered(
            set_ma=set_ma,
            peak_ma=set_ma,
            compliance_ma=limit_ma,
            phase_uc=event.phase_area_us * amplitude_ma / 1000,
            net_uc=event.net_area_us * amplitude_ma / 1000,
            gross_us=gross_area_us(event) / level,
            square_us=event.square_area_us / level**2,
        )
    parts, times = _parts(event)
    lobes: list[float] = []
    gross = square = 0.0
    for start, stop in parts:
        t_us = start + (np.arange(_PIECES) + 0.5) / _PIECES * (stop - start)
        part = np.clip(event.levels(t_us) * (amplitude_ma / limit_ma), -1, 1)
        area = float(part.mean()) * (stop - start)
        gross += abs(area)
        square += float((part * part).mean()) * (stop - start)
        if lobes and lobes[-1] * area > 0:
            lobes[-1] += area
        else:
            lobes.append(area)
    net = math.fsum(lobes)
    return Delivered(
        set_ma=set_ma,
        peak_ma=limit_ma,
        compliance_ma=limit_ma,
        phase_uc=max(map(abs, lobes)) * limit_ma / 1000,
        # what two equal sums of floats leave is nothing
        net_uc=times * net * limit_ma / 1000 if abs(net) > 1e-9 * gross else 0.0,
        gross_us=times * gross,
        square_us=times * square,
    )


def _parts(event: Event) -> tuple[list[tuple[float, float]], int]:
    """Return smooth parts of one sign (start_us, stop_us), and how often they come."""
    width = event.phase_width_us
    if isinstance(event, Burst):
        return [(0.0, width), (width, 2 * width)], event.cycles
    if isinstance(event, CustomPulse):
        return [(start, stop) for start, stop, _, _ in event.segments()], 1
    if not event.balanced:
        return [(0.0, width)], 1
    return [(0.0, width), (width + event.interphase_gap_us, event.duration_us)], 1


def peak_level(event: Event) -> float:
    """Return the highest magnitude of the event's level; 1 but for custom shapes."""
    if isinstance(event, CustomPulse):
        return max(abs(level) for _, level in event.points)
    return 1.0


def gross_area_us(event: Event) -> float:
    """Return the integral of the level's magnitude over the event."""
    if isinstance(event, Burst):
        return 2 * event.cycles * event.phase_area_us
    if isinstance(event, CustomPulse):
        return math.fsum(abs(area) for _, area in event.lobes())
    return event.phase_area_us * (1 + event.balanced)
