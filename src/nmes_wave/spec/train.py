"""When events come and how large: train, envelope, duty cycle.

The closed forms are those of the kernel (docs: *Waveform mathematics*): within
an on-period the train has a phase that counts events, and event k has its onset
where that phase is k + phase_deg/360.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Annotated, Any, Literal, overload

import numpy as np
from numpy.typing import NDArray

from nmes_wave.spec._fields import (
    Count,
    NonNegative_s,
    Positive_hz,
    Positive_ms,
    Positive_s,
    Range,
    Spec,
    exact,
)

#: An event belongs to the on-period if its phase is this far inside.
PHASE_TOLERANCE = 1e-6


@dataclass(frozen=True, kw_only=True)
class Train(Spec):
    """How events repeat within each on-period.

    Parameters
    ----------
    rate_hz
        Events per second.
    rate_end_hz
        Sweeps the rate linearly from `rate_hz` to this over each on-period.
    n_let, n_let_interval_ms
        Delivers each event `n_let` times, this far apart (2: a doublet).
    first_interval_ms
        Replaces the interval between events 0 and 1 by a shorter one
        (variable-frequency train); not together with a sweep.
    phase_deg
        Delays the train by this part of one period, 0 ≤ φ < 360.
    jitter
        Delays each event by a uniform random part of a period between 0 and
        this, 0..0.5; an N-let moves as one.
    seed
        Key of the jitter, with channel, stage, on-period and event.
    count
        Delivers exactly that many events in each on-period (an N-let is one).
    alternate_polarity
        Negates every second event of an on-period.

    Raises
    ------
    SpecError
        For a value out of range or fields that exclude each other.
    """

    rate_hz: Positive_hz
    rate_end_hz: Positive_hz | None = None
    n_let: Annotated[int, Range(ge=1, le=1000)] = 1
    n_let_interval_ms: Positive_ms | None = None
    first_interval_ms: Positive_ms | None = None
    phase_deg: Annotated[float, Range(ge=0, lt=360, unit="degrees")] = 0.0
    jitter: Annotated[float, Range(ge=0, le=0.5)] = 0.0
    seed: Annotated[int, Range(ge=0, le=2**63 - 1)] = 0
    count: Count | None = None
    alternate_polarity: bool = False

    def _check(self) -> None:
        if self.n_let > 1 and self.n_let_interval_ms is None:
            raise self._refuse(
                "n_let_interval_ms", f"must be given in ms with n_let={self.n_let}"
            )
        if self.n_let == 1 and self.n_let_interval_ms is not None:
            raise self._refuse("n_let_interval_ms", "needs n_let of at least 2")
        if self.first_interval_ms is None:
            return
        if self.rate_end_hz is not None:
            raise self._refuse(
                "first_interval_ms", "cannot be combined with a sweep (rate_end_hz)"
            )
        period = exact(1000.0) / exact(self.rate_hz)
        if exact(self.first_interval_ms) > period:
            raise self._refuse(
                "first_interval_ms",
                f"must be at most one period, {float(period):g} ms at "
                f"{self.rate_hz:g} Hz",
            )

    @property
    def highest_rate_hz(self) -> float:
        """The higher end of a sweep, else the rate."""
        return max(self.rate_hz, self.rate_end_hz or 0.0)

    @property
    def shortest_interval_s(self) -> float:
        """Least time between the onsets of two events that follow each other."""
        period = 1 / self.highest_rate_hz
        interval = period
        if self.first_interval_ms is not None:
            interval = min(interval, self.first_interval_ms / 1000)
        return interval - self.jitter * period

    @property
    def n_let_span_s(self) -> float:
        """From the first member of an N-let to the last."""
        return (self.n_let - 1) * (self.n_let_interval_ms or 0.0) / 1000

    def n_events_fitting(self, on_period_s: Fraction) -> int:
        """Return how many events belong to an on-period, `count` aside.

        Event k belongs if ``k + phase_deg/360 < phase(D) - 1e-6``.
        """
        phase = exact(self.phase_deg) / 360
        rate = exact(self.rate_hz)
        tolerance = exact(PHASE_TOLERANCE)
        mean_rate = rate
        if self.rate_end_hz is not None:
            mean_rate = (rate + exact(self.rate_end_hz)) / 2
        turns = mean_rate * on_period_s
        n = max(0, math.ceil(turns - tolerance - phase))
        if self.first_interval_ms is not None and n > 0:
            moved = turns - rate * exact(self.first_interval_ms) / 1000 + 1
            n = max(1, math.ceil(moved - tolerance - phase))
        return n

    @overload
    def onset_s(self, k: int, on_period_s: float, jitter: float = 0.0) -> float: ...
    @overload
    def onset_s(
        self, k: NDArray[np.intp], on_period_s: float, jitter: float = 0.0
    ) -> NDArray[np.float64]: ...
    def onset_s(self, k: Any, on_period_s: float, jitter: float = 0.0) -> Any:
        """Return the onset of event `k` within its on-period, in seconds.

        `jitter` is the event's own delay, in parts of a period. `k` is a number
        or an array of them.
        """
        q = k + self.phase_deg / 360 + jitter
        if self.rate_end_hz is not None:
            f0, f1 = self.rate_hz, self.rate_end_hz
            return 2 * q / (f0 + (f0 * f0 + 2 * (f1 - f0) * q / on_period_s) ** 0.5)
        if self.first_interval_ms is not None:
            longer_s = self.first_interval_ms / 1000 - 1 / self.rate_hz
            return q / self.rate_hz + (k > 0) * longer_s
        return q / self.rate_hz


@dataclass(frozen=True, kw_only=True)
class Envelope(Spec):
    """How an on-period rises and falls.

    Parameters
    ----------
    ramp_up_s, ramp_down_s
        Lengths of the ramps.
    start_level
        Level at the foot of both ramps, 0..1 (the motor threshold, say).
    shape
        Over r = 0..1 of the ramp: ``linear`` r, ``cosine`` (1−cos πr)/2,
        ``exponential`` (e^5r−1)/(e^5−1). The ramp down is mirrored in time.
    modulates
        ``amplitude``, or ``width``: both phase widths of a `Pulse` scale, its
        gap and level stay.

    Raises
    ------
    SpecError
        For a value out of range.
    """

    ramp_up_s: NonNegative_s = 0.0
    ramp_down_s: NonNegative_s = 0.0
    start_level: Annotated[float, Range(ge=0, le=1)] = 0.0
    shape: Literal["linear", "cosine", "exponential"] = "linear"
    modulates: Literal["amplitude", "width"] = "amplitude"

    @overload
    def level(self, t_s: float, on_period_s: float) -> float: ...
    @overload
    def level(
        self, t_s: NDArray[np.float64], on_period_s: float
    ) -> NDArray[np.float64]: ...
    def level(self, t_s: Any, on_period_s: float) -> Any:
        """Return the envelope `t_s` after the on-period's begin, 0..1.

        `t_s` is a number or an array of them.
        """
        r = np.ones(np.shape(t_s))
        if self.ramp_up_s > 0:
            r = np.minimum(r, t_s / self.ramp_up_s)
        if self.ramp_down_s > 0:
            left_s = np.maximum(0.0, on_period_s - t_s)
            r = np.minimum(r, left_s / self.ramp_down_s)
        ramping = r < 1
        if self.shape == "cosine":
            r = (1 - np.cos(math.pi * r)) / 2
        elif self.shape == "exponential":
            r = np.expm1(5 * r) / math.expm1(5)
        risen = self.start_level + (1 - self.start_level) * r
        level = np.where(ramping, risen, 1.0)
        return level if isinstance(t_s, np.ndarray) else float(level)


@dataclass(frozen=True, kw_only=True)
class DutyCycle(Spec):
    """On-periods and the pauses after them.

    Parameters
    ----------
    on_s
        Time on.
    off_s
        Time off after each on-period, the last included.
    repeats
        Number of on-periods; ``off_s=0, repeats=1`` is a continuous train.
    ramps_count_as_on
        True: the ramps lie inside `on_s`; False: the on-period lasts
        ``ramp_up_s + on_s + ramp_down_s``.

    Raises
    ------
    SpecError
        For a value out of range.
    """

    on_s: Positive_s
    off_s: NonNegative_s = 0.0
    repeats: Count = 1
    ramps_count_as_on: bool = True
