"""When pulses come: on-periods, N-lets, rate, jitter, what is missing or extra."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nmes_wave.measuring.detecting import Ints
from nmes_wave.measuring.samples import Floats

#: A pause longer than this many intervals ends an on-period.
PAUSE = 4.5
#: Members of an N-let are no further apart, and no more.
N_LET_INTERVAL_S, N_LET_MEMBERS = 20e-3, 6
#: ... and the N-lets are at least this many times as far apart.
_N_LET_PAUSE = 2.0
#: Intervals that a change of rate is seen from, and how large it is at least.
_AROUND, _CHANGE = 7, 1.8
#: Two short intervals that add up to one, to this part of it: an extra pulse.
_SUM = 0.2
_SHORT = 0.8
_MOSTLY_MISSING = 1.6
#: Onsets this part of an interval (r.m.s.) about the best rhythm are of a sweep.
_SWEEP = 0.25
#: The first pulse is extra if the second comes sooner than this part of an interval.
_FIRST = 0.5
#: On-periods whose rates differ by more have rhythms of their own.
_SAME = 0.02


@dataclass(frozen=True, kw_only=True)
class Rhythm:
    """The times of one channel's pulses, put in order.

    Attributes
    ----------
    n_let, n_let_interval_s
        Members of an N-let (1: there are none), and the time between them.
    on_period
        Of each pulse.
    first
        Whether a pulse is the first of its N-let; without N-lets all are.
    extra
        Whether a pulse stands between two that are one interval apart.
    missing, interval_s
        Of each on-period: how many N-lets or pulses, and how far apart.
    main
        Whether an on-period has the rhythm that the next three tell of.
    main_interval_s, main_interval_sd_s
        The interval and its standard uncertainty.
    scatter_s
        R.m.s. of the onsets about that rhythm; NaN of a sweep.
    """

    n_let: int
    n_let_interval_s: float
    on_period: Ints
    first: NDArray[np.bool_]
    extra: NDArray[np.bool_]
    missing: Ints
    interval_s: Floats
    main: NDArray[np.bool_]
    main_interval_s: float
    main_interval_sd_s: float
    scatter_s: float


def find_rhythm(onset_s: Floats) -> Rhythm:
    """Find the rhythm in onsets in ascending order, at least one."""
    n_let, first = _n_lets(np.diff(onset_s))
    starts = np.flatnonzero(first)
    times = onset_s[starts]
    cuts = _pauses(np.diff(times))
    period = np.concatenate([[0], np.cumsum(cuts)]).astype(np.int64)
    on_period = period[np.cumsum(first) - 1]
    n_periods = int(period[-1]) + 1
    borders = np.searchsorted(period, np.arange(n_periods + 1))
    extra = np.zeros(len(onset_s), bool)
    missing = np.zeros(n_periods, np.int64)
    interval = np.full(n_periods, math.nan)
    sweeps = np.zeros(n_periods, bool)
    numbers: list[tuple[Floats, Floats]] = []
    for p in range(n_periods):
        part = slice(int(borders[p]), int(borders[p + 1]))
        number, odd = _numbered(times[part])
        extra[starts[part][odd]] = True
        here, number = times[part][~odd], number[~odd]
        missing[p] = (number[-1] - number[0] + 1) - len(number)
        interval[p] = _slope(number, here)
        if _sweeps(number, here, interval[p]):
            interval[p] = (here[-1] - here[0]) / (number[-1] - number[0])
            sweeps[p] = True
        numbers.append((number, here))
    main = _main(interval, np.diff(borders))
    mean, sd, scatter = _pooled([numbers[p] for p in np.flatnonzero(main)])
    if sweeps[main].any():
        mean, sd, scatter = float(np.nanmedian(interval[main])), math.nan, math.nan
    within = np.diff(onset_s)[~first[1:]]
    return Rhythm(
        n_let=n_let,
        n_let_interval_s=float(np.median(within)) if n_let > 1 else math.nan,
        on_period=on_period,
        first=first,
        extra=extra,
        missing=missing,
        interval_s=interval,
        main=main,
        main_interval_s=mean,
        main_interval_sd_s=sd,
        scatter_s=scatter,
    )


def _n_lets(intervals: Floats) -> tuple[int, NDArray[np.bool_]]:
    """Return how many pulses an N-let has, and which are the first of one."""
    alone = np.ones(len(intervals) + 1, bool)
    if len(intervals) < 3:
        return 1, alone
    least = float(np.median(intervals[intervals <= np.median(intervals)]))
    short = intervals < 1.5 * least
    if least > N_LET_INTERVAL_S or short.all():
        return 1, alone
    if float(np.median(intervals[~short])) < _N_LET_PAUSE * least:
        return 1, alone
    first = np.concatenate([[True], ~short])
    sizes = np.diff(np.flatnonzero(np.append(first, True)))
    values, counts = np.unique(sizes, return_counts=True)
    n = int(values[counts.argmax()])
    if not 2 <= n <= N_LET_MEMBERS or counts.max() < 0.8 * len(sizes):
        return 1, alone
    return n, first


def _pauses(intervals: Floats) -> NDArray[np.bool_]:
    """Return which intervals lie between two on-periods."""
    n = len(intervals)
    if not n:
        return np.zeros(0, bool)
    from numpy.lib.stride_tricks import sliding_window_view

    edge = np.full(_AROUND, math.nan)
    rows = sliding_window_view(np.concatenate([edge, intervals, edge]), _AROUND)
    before, after = _medians(rows[:n]), _medians(rows[_AROUND + 1 : _AROUND + 1 + n])
    whole = float(np.median(intervals))
    before = np.where(np.isnan(before), after, before)
    after = np.where(np.isnan(after), before, after)
    around = np.fmax(before, after)
    around = np.where(np.isnan(around), whole, around)
    pause = intervals > PAUSE * around
    # another rate from here on, without a pause
    onward = _medians(rows[_AROUND : _AROUND + n])
    with np.errstate(divide="ignore", invalid="ignore"):
        change = np.abs(np.log(onward / before))
    change = np.where(np.isnan(change), 0.0, change)
    change[:3] = change[n - 3 :] = 0.0
    jump = np.abs(np.diff(np.log(intervals), prepend=np.log(intervals[:1])))
    for i in _peaks(change > math.log(_CHANGE), jump):
        near = slice(max(0, i - _AROUND), i + _AROUND + 1)
        if not pause[near].any():
            pause[i - 1] = True  # the new rate's first pulse ends an old interval
    return pause


def _peaks(inside: NDArray[np.bool_], height: Floats) -> list[int]:
    """Return where each stretch inside is highest."""
    edges = np.flatnonzero(np.diff(np.r_[False, inside, False]))
    return [
        int(a) + int(height[a:b].argmax())
        for a, b in zip(edges[::2], edges[1::2], strict=True)
    ]


def _medians(rows: Floats) -> Floats:
    """Return the median of each row without its NaN, NaN where there is nothing."""
    ordered = np.sort(rows, axis=1)  # NaN last
    n = np.isfinite(rows).sum(axis=1)
    at = np.maximum(n - 1, 0)
    every = np.arange(len(rows))
    middle = (ordered[every, at // 2] + ordered[every, (at + 1) // 2]) / 2
    return np.where(n > 0, middle, math.nan)


def _numbered(times: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """Return the number of each event of an on-period, and which are extra."""
    odd = np.zeros(len(times), bool)
    if len(times) < 3:
        return np.arange(float(len(times))), odd
    for _ in range(2):
        kept = np.flatnonzero(~odd)
        gaps = np.diff(times[kept])
        local = _local(gaps)
        one = np.maximum(1.0, np.floor(gaps / local + 0.4))
        if odd.any():
            break
        pair = gaps[:-1] + gaps[1:]
        short = np.maximum(gaps[:-1], gaps[1:]) < _SHORT * local[:-1]
        single = np.abs(pair / local[:-1] - 1) < _SUM
        odd[1:-1] = short & single
        odd[1:] &= ~odd[:-1]
        # a first interval of its own, as of a variable-frequency train
        odd[0] = gaps[0] < _FIRST * local[0] and not odd[1]
        if not odd.any():
            break
    number = np.zeros(len(times))
    number[kept] = np.concatenate([[0.0], np.cumsum(one)])
    return number, odd


def _local(gaps: Floats) -> Floats:
    """Return the usual interval around each: that of a sweep changes."""
    from scipy.ndimage import median_filter

    near, wide = (
        median_filter(gaps, min(len(gaps), n), mode="reflect") for n in (11, 51)
    )
    # at the foot of a ramp in noise most may be missing
    local: Floats = np.where(near > _MOSTLY_MISSING * wide, wide, near)
    return local


def _slope(number: Floats, times: Floats) -> float:
    if len(number) < 2:
        return math.nan
    k = number - number.mean()
    return float(k @ (times - times.mean()) / (k @ k))


def _sweeps(number: Floats, times: Floats, interval: float) -> bool:
    """Whether the onsets lie about no rhythm at all; a jitter stays near one."""
    if len(number) < 4:
        return False
    rest = times - times.mean() - interval * (number - number.mean())
    return bool(np.sqrt(np.mean(rest**2)) > _SWEEP * interval)


def _main(interval: Floats, sizes: Ints) -> NDArray[np.bool_]:
    """Return which on-periods share the interval that most pulses have."""
    known = np.isfinite(interval)
    if not known.any():
        return np.ones(len(interval), bool)
    order = np.argsort(interval)  # NaN last
    order = order[known[order]]
    weight = np.cumsum(sizes[order])
    middle = interval[order[np.searchsorted(weight, weight[-1] / 2)]]
    with np.errstate(invalid="ignore"):
        return np.asarray(np.abs(interval / middle - 1) < _SAME)


def _pooled(parts: list[tuple[Floats, Floats]]) -> tuple[float, float, float]:
    """Return interval, its uncertainty and the scatter of onsets over on-periods."""
    parts = [(k - k.mean(), t - t.mean()) for k, t in parts if len(k) > 1]
    if not parts:
        return math.nan, math.nan, math.nan
    k = np.concatenate([k for k, _ in parts])
    t = np.concatenate([t for _, t in parts])
    mean = float(k @ t / (k @ k))
    free = len(k) - len(parts) - 1
    if free < 1:
        return mean, math.nan, math.nan
    scatter = math.sqrt(float(np.sum((t - mean * k) ** 2)) / free)
    return mean, scatter / math.sqrt(float(k @ k)), scatter
