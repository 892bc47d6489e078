"""Events: the charge-balanced happenings that a train repeats.

Levels are relative to ``Stage.amplitude_ma``; times are in microseconds from
the event's onset. A positive level drives current out of the channel's first
terminal.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nmes_wave.spec._fields import (
    Count,
    NonNegative_us,
    Positive_us,
    Range,
    Spec,
)

PhaseShape = Literal[
    "rectangular", "half_sine", "triangular", "exponential_rise", "exponential_decay"
]
CarrierShape = Literal["sine", "square", "triangular"]
Polarity = Literal[1, -1]

_E5 = math.e**5
_RISE_MEAN = 1 / 5 - 1 / (_E5 - 1)
_RISE_MEAN_SQUARE = ((_E5**2 - 1) / 10 - 2 * (_E5 - 1) / 5 + 1) / (_E5 - 1) ** 2

#: Mean and mean square of each phase shape over u = 0..1 (integrals of api shapes).
PHASE_MEAN: dict[str, float] = {
    "rectangular": 1.0,
    "half_sine": 2 / math.pi,
    "triangular": 0.5,
    "exponential_rise": _RISE_MEAN,
    "exponential_decay": _RISE_MEAN,
}
PHASE_MEAN_SQUARE: dict[str, float] = {
    "rectangular": 1.0,
    "half_sine": 0.5,
    "triangular": 1 / 3,
    "exponential_rise": _RISE_MEAN_SQUARE,
    "exponential_decay": _RISE_MEAN_SQUARE,
}
#: The same over half a carrier cycle.
CARRIER_MEAN: dict[str, float] = {"sine": 2 / math.pi, "square": 1.0, "triangular": 0.5}
CARRIER_MEAN_SQUARE: dict[str, float] = {
    "sine": 0.5,
    "square": 1.0,
    "triangular": 1 / 3,
}

_Array = NDArray[np.float64]


def phase_level(shape: str, u: _Array) -> _Array:
    """Return the level of a phase of this shape at u = 0..1 of its width."""
    shapes: dict[str, Callable[[_Array], _Array]] = {
        "rectangular": np.ones_like,
        "half_sine": lambda u: np.sin(np.pi * u),
        "triangular": lambda u: 1 - np.abs(2 * u - 1),
        "exponential_rise": lambda u: np.expm1(5 * u) / math.expm1(5),
        "exponential_decay": lambda u: np.expm1(5 * (1 - u)) / math.expm1(5),
    }
    return shapes[shape](u)


@dataclass(frozen=True, kw_only=True)
class Pulse(Spec):
    """A first phase, a gap, and a recovery phase of the same area.

    Parameters
    ----------
    phase_width_us
        Width of the first phase, in microseconds.
    interphase_gap_us
        Time between the end of the first phase and the recovery phase.
    shape
        Shape of the first phase over u = 0..1: ``rectangular`` 1, ``half_sine``
        sin(πu), ``triangular`` 1−|2u−1|, ``exponential_rise`` (e^5u−1)/(e^5−1),
        ``exponential_decay`` the same mirrored in time.
    recovery_ratio
        Width of the recovery phase over that of the first, at least 1. Its
        level is such that the two areas are equal.
    recovery_shape
        Shape of the recovery phase; None: that of the first, stretched and
        negated, not mirrored.
    polarity
        1: the first phase is positive; -1: negative.
    balanced
        False leaves the recovery phase out (monophasic).

    Raises
    ------
    SpecError
        For a value out of range, or a recovery phase that would have to rise
        above the first phase's peak to have its area.
    """

    type_name: ClassVar[str] = "pulse"

    phase_width_us: Positive_us
    interphase_gap_us: NonNegative_us = 0.0
    shape: PhaseShape = "rectangular"
    recovery_ratio: Annotated[float, Range(ge=1)] = 1.0
    recovery_shape: PhaseShape | None = None
    polarity: Polarity = 1
    balanced: bool = True

    def _check(self) -> None:
        if self.balanced and self.recovery_level > 1 + 1e-9:
            lowest = self.recovery_level * self.recovery_ratio
            raise self._refuse(
                "recovery_ratio",
                f"must be at least {lowest:.6g} (shape {self.shape}, recovery shape "
                f"{self.effective_recovery_shape}), or the recovery phase would peak "
                f"at {self.recovery_level:.3g} times amplitude_ma",
            )

    @property
    def effective_recovery_shape(self) -> PhaseShape:
        """Shape of the recovery phase, `shape` where none is given."""
        return self.recovery_shape or self.shape

    @property
    def recovery_level(self) -> float:
        """Peak of the recovery phase relative to that of the first phase."""
        first = PHASE_MEAN[self.shape]
        return first / (PHASE_MEAN[self.effective_recovery_shape] * self.recovery_ratio)

    @property
    def recovery_width_us(self) -> float:
        """Width of the recovery phase; 0 without one."""
        return self.phase_width_us * self.recovery_ratio if self.balanced else 0.0

    @property
    def duration_us(self) -> float:
        """From the onset to the end of the last phase."""
        if not self.balanced:
            return self.phase_width_us
        return self.phase_width_us + self.interphase_gap_us + self.recovery_width_us

    @property
    def phase_area_us(self) -> float:
        """Largest area of one phase, µs times level, nC per mA."""
        return self.phase_width_us * PHASE_MEAN[self.shape]

    @property
    def net_area_us(self) -> float:
        """Signed area of the whole event; 0 when balanced."""
        return 0.0 if self.balanced else self.polarity * self.phase_area_us

    @property
    def square_area_us(self) -> float:
        """Integral of the squared level over the event."""
        area = self.phase_width_us * PHASE_MEAN_SQUARE[self.shape]
        if self.balanced:
            square = PHASE_MEAN_SQUARE[self.effective_recovery_shape]
            area += self.recovery_width_us * square * self.recovery_level**2
        return area

    def levels(self, t_us: ArrayLike) -> _Array:
        """Return the ideal level at each time, in −1..1."""
        t = np.asarray(t_us, dtype=np.float64)
        u = t / self.phase_width_us
        out = np.where((u >= 0) & (u < 1), phase_level(self.shape, u.clip(0, 1)), 0.0)
        if self.balanced:
            start = self.phase_width_us + self.interphase_gap_us
            u = (t - start) / self.recovery_width_us
            shape = phase_level(self.effective_recovery_shape, u.clip(0, 1))
            inside = (u >= 0) & (u < 1)
            out = np.where(inside, -self.recovery_level * shape, out)
        return self.polarity * out


@dataclass(frozen=True, kw_only=True)
class Burst(Spec):
    """Whole cycles of a carrier, beginning at a zero crossing.

    Parameters
    ----------
    carrier_hz
        Carrier frequency, at least 10 Hz.
    cycles
        Number of whole cycles; Russian current is ``carrier_hz=2500,
        cycles=25`` at ``rate_hz=50``.
    shape
        ``sine``, ``square`` or ``triangular``.
    polarity
        1: begins at a rising zero crossing; -1: at a falling one.

    Raises
    ------
    SpecError
        For a value out of range.
    """

    type_name: ClassVar[str] = "burst"

    # Below 10 Hz a cycle's charge at 768 kHz leaves no guard bits in a float64.
    carrier_hz: Annotated[float, Range(ge=10, unit="Hz")]
    cycles: Count
    shape: CarrierShape = "sine"
    polarity: Polarity = 1

    @property
    def duration_us(self) -> float:
        """From the first zero crossing to the last."""
        return self.cycles / self.carrier_hz * 1e6

    @property
    def phase_width_us(self) -> float:
        """Half a carrier cycle."""
        return 0.5e6 / self.carrier_hz

    @property
    def phase_area_us(self) -> float:
        """Area of half a cycle, µs times level, nC per mA."""
        return self.phase_width_us * CARRIER_MEAN[self.shape]

    @property
    def net_area_us(self) -> float:
        """Signed area of the whole event, 0."""
        return 0.0

    @property
    def square_area_us(self) -> float:
        """Integral of the squared level over the event."""
        return self.duration_us * CARRIER_MEAN_SQUARE[self.shape]

    def levels(self, t_us: ArrayLike) -> _Array:
        """Return the ideal level at each time, in −1..1."""
        t = np.asarray(t_us, dtype=np.float64)
        turn = t * self.carrier_hz * 1e-6
        part = turn - np.floor(turn)
        wave: _Array
        if self.shape == "sine":
            wave = np.sin(2 * np.pi * part)
        elif self.shape == "square":
            wave = np.where(part < 0.5, 1.0, -1.0)
        else:
            wave = 1 - np.abs(4 * ((part + 0.25) % 1.0) - 2)
        return self.polarity * np.where((turn >= 0) & (turn < self.cycles), wave, 0.0)


@dataclass(frozen=True, kw_only=True)
class CustomPulse(Spec):
    """A shape of one's own: points joined by straight lines.

    Parameters
    ----------
    points
        Pairs of time in µs and level in −1..1. The first time is 0 and times
        never fall; two points at one time make a step. ``Stage.amplitude_ma`` is
        the current at level 1: a shape that stays below 1 delivers less.
    polarity
        -1 negates the shape.
    balanced
        True asserts that the net area is at most 1e-9 of the gross area; the
        residue is removed by scaling the negative part. Nothing is added.

    Raises
    ------
    SpecError
        For points out of order or range, a shape without area, or a shape that
        claims to be balanced and is not.
    """

    type_name: ClassVar[str] = "custom"

    points: tuple[
        tuple[NonNegative_us, Annotated[float, Range(ge=-1, le=1)]],
        ...,
    ]
    polarity: Polarity = 1
    balanced: bool = True

    def _check(self) -> None:
        times = [t for t, _ in self.points]
        if len(times) < 2 or times[-1] <= 0:
            raise self._refuse("points", "needs two points or more that last some time")
        if times[0] != 0:
            raise self._refuse("points", f"must begin at time 0, not {times[0]:g} µs")
        for i, (before, after) in enumerate(itertools.pairwise(times)):
            if after < before:
                raise self._refuse(
                    "points",
                    f"times must not fall; points[{i + 1}] is at {after:g} µs after "
                    f"{before:g} µs",
                )
        areas = [area for _, area in self.lobes()]
        gross = math.fsum(map(abs, areas))
        net = math.fsum(areas)
        if gross == 0:
            raise self._refuse("points", "must leave zero somewhere")
        if self.balanced and abs(net) > 1e-9 * gross:
            raise self._refuse(
                "points",
                f"net area {net:g} µs is {abs(net) / gross:.3g} of the gross area; "
                "at most 1e-9 is allowed (balanced=False makes a monophasic event)",
            )

    def segments(self) -> list[tuple[float, float, float, float]]:
        """Return straight pieces of one sign: (start_us, stop_us, level, level)."""
        pieces = []
        for (t0, a), (t1, b) in zip(self.points, self.points[1:], strict=False):
            if t1 <= t0:
                continue
            if a * b < 0:
                cross = t0 + (t1 - t0) * a / (a - b)
                if t0 < cross < t1:
                    pieces += [(t0, cross, a, 0.0), (cross, t1, 0.0, b)]
                    continue
            pieces.append((t0, t1, a, b))
        return pieces

    def lobes(self) -> list[tuple[float, float]]:
        """Return (width_us, signed area in µs) of each lobe, polarity aside."""
        found: list[tuple[float, float]] = []
        sign = 0.0
        for t0, t1, a, b in self.segments():
            area = 0.5 * (a + b) * (t1 - t0)
            if area == 0:
                sign = 0.0
            elif area * sign > 0:
                width, before = found[-1]
                found[-1] = (width + t1 - t0, before + area)
            else:
                found.append((t1 - t0, area))
                sign = math.copysign(1.0, area)
        return found

    @property
    def duration_us(self) -> float:
        """Time of the last point."""
        return self.points[-1][0]

    @property
    def phase_width_us(self) -> float:
        """Width of the first lobe."""
        return next(width for width, area in self.lobes() if area)

    @property
    def phase_area_us(self) -> float:
        """Largest area of one lobe, µs times level, nC per mA."""
        return max(abs(area) for _, area in self.lobes())

    @property
    def net_area_us(self) -> float:
        """Signed area of the whole event; 0 when balanced."""
        if self.balanced:
            return 0.0
        return self.polarity * math.fsum(area for _, area in self.lobes())

    @property
    def square_area_us(self) -> float:
        """Integral of the squared level over the event."""
        return math.fsum(
            (a * a + a * b + b * b) / 3 * (t1 - t0) for t0, t1, a, b in self.segments()
        )

    def levels(self, t_us: ArrayLike) -> _Array:
        """Return the ideal level at each time, in −1..1."""
        t = np.asarray(t_us, dtype=np.float64)
        out = np.zeros_like(t)
        for t0, t1, a, b in self.segments():
            inside = (t >= t0) & (t < t1)
            out = np.where(inside, a + (b - a) * (t - t0) / (t1 - t0), out)
        return self.polarity * out


Event = Pulse | Burst | CustomPulse
