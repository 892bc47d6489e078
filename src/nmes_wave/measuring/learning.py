"""What a channel's events look like: learnt from the mean of some of them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise, product
from typing import NamedTuple

import numpy as np

from nmes_wave.measuring.detecting import SCALES_S, Ground, Ints, Spots
from nmes_wave.measuring.fitting import (
    SMOOTHED_NOISE,
    drooped,
    matched,
    smoothed,
)
from nmes_wave.measuring.samples import Floats, Samples
from nmes_wave.measuring.waveforms import FLOWN, Averaged, Cycles, Phases, Waveform

#: Events that are learnt from, at most.
_EVENTS = 256
#: The strongest, by contrast; weaker ones are in ramps.
_STRONG = 0.7
#: ... and of these the mean is of those that have this part of the energy.
_FULL = 0.8
#: Before and after an event, where others leave room.
_BEFORE_S, _AFTER_S = 2e-3, 12e-3
#: Longer phases are refused: the detector sees their edges apart.
LONGEST_PHASE_S = 1.1e-3
#: Their length is seen in means of so much, so far around an event, above half of
#: its peak.
_MEAN_S, _AROUND_S = 125e-6, 2e-3
#: A phase has at least this part of the area of the largest; ringing has not.
_PHASE_AREA = 0.08
#: ... and rises above this part of the peak; what does not is a tail.
_PHASE_LEVEL = 0.02
#: A model fits well, and well enough, if it leaves this part of the peak.
_GOOD, _FAIR = 0.015, 0.03
#: A gap that is shorter (frames) leaves no sample at zero: it cannot be told
#: from none. Then it is taken to be half a frame, with this standard deviation.
UNRESOLVED, HALF_FRAME, GAP_SD = 1.2, 0.5, 0.29
#: A droop takes at most this part of the level within the first phase (40 Hz in
#: 500 µs: 0.13); what takes more is a shape.
_MOST_DROOP = 0.15
#: Where the phases of a shape of no known kind begin and end, of their peak.
_FOOT = 0.1


class Lobe(NamedTuple):
    """Frames of one sign."""

    start: int
    stop: int
    area: float


@dataclass(frozen=True, kw_only=True)
class Pattern:
    """The event that a channel repeats.

    Attributes
    ----------
    model
        Its waveform.
    row
        Its parameters, the onset at frame 0 and the first level positive.
    before
        Frames before an event in which others leave it alone.
    reach
        Frames by which the widest detector sees an event before it begins.
    corner
        Of the droop, radians per frame; 0 without.
    sharp
        Edges end within one frame, as rendered: the recording passed neither a
        converter nor a resampler.
    """

    model: Waveform
    row: Floats
    before: int
    reach: int
    corner: float = 0.0
    sharp: bool = False

    @property
    def length(self) -> int:
        """Frames from the onset to the end."""
        return max(1, math.ceil(float(self.model.span(self.row[None])[0])))

    @property
    def meets(self) -> bool:
        """Whether two steps of opposite sign meet where no frame is between them."""
        return (
            self.model == Phases("rectangular", "rectangular")
            and self.row[Phases.GAP] < UNRESOLVED
        )


def learn(
    samples: Samples, channel: int, spots: Spots, ground: Ground
) -> Pattern | None:
    """Learn the event of one channel; None where there is none that can be learnt."""
    if not len(spots):
        return None
    chosen = strong(spots)
    if _longest_phase(samples, channel, spots, ground) > LONGEST_PHASE_S:
        return None
    # weaker ones may be the ends of long recovery phases
    quiet = spots.start[chosen][1:] - spots.stop[chosen][:-1]
    room = int(np.quantile(quiet, 0.1)) if len(quiet) else samples.n_frames
    before = max(8, min(samples.frames(_BEFORE_S), int(0.3 * room)))
    after = max(8, min(samples.frames(_AFTER_S), int(0.6 * room)))
    longest = int(np.quantile(spots.stop[chosen] - spots.start[chosen], 0.9))
    chosen = some(chosen, _EVENTS)
    windows = np.concatenate(
        [
            excerpt(samples, channel, int(start), before + longest + after, ground)
            for start in spots.start[chosen] - before
        ]
    )
    mean = _aligned(windows, before)
    noise = ground.noise_rms_ma / math.sqrt(len(chosen))
    lobes = _lobes(mean, noise)
    if not lobes:
        return None
    if lobes[0].area < 0:
        mean = -mean
        lobes = [Lobe(a.start, a.stop, -a.area) for a in lobes]
    if lobes[0].start >= 4:  # else there is nothing but the event
        mean = mean - mean[: max(4, lobes[0].start - 4)].mean()
    modelled = _modelled(mean, lobes, noise)
    if modelled is None:
        return None
    model, row = modelled
    row = row.copy()
    row[model.ONSET] = 0.0
    reach = samples.frames(max(SCALES_S))
    return Pattern(model=model, row=row, before=before, reach=reach)


def _longest_phase(
    samples: Samples, channel: int, spots: Spots, ground: Ground
) -> float:
    """Return how long most strong events keep one sign, s; from no model."""
    short, around = samples.frames(_MEAN_S), samples.frames(_AROUND_S)
    runs: list[int] = []
    for i in some(strong(spots), _EVENTS):
        begin, end = int(spots.start[i]) - around, int(spots.stop[i]) + around
        x = excerpt(samples, channel, begin, end - begin, ground)[0]
        x = np.convolve(x, np.full(short, 1 / short), mode="valid")
        sign = np.sign(x) * (np.abs(x) > 0.5 * np.abs(x).max())
        edges = np.flatnonzero(np.diff(np.r_[0, sign, 0]))
        lengths = [int(b - a) for a, b in pairwise(edges) if sign[a]]
        runs.append(max(lengths, default=0))
    # a phase that lies across frames shows in one more
    return (float(np.quantile(runs, 0.9)) - 1) / samples.rate_hz


def strong(spots: Spots) -> Ints:
    """Return the indices of the events that are not in ramps."""
    least = _STRONG * np.quantile(spots.level, 0.95)
    return np.flatnonzero(spots.level >= least)


def some(indices: Ints, n: int) -> Ints:
    """Return `n` of them, from begin to end."""
    at = np.linspace(0, len(indices) - 1, min(len(indices), n))
    chosen: Ints = indices[at.astype(int)]
    return chosen


def excerpt(
    samples: Samples, channel: int, start: int, length: int, ground: Ground
) -> Floats:
    """Return frames of one channel about its offset, as a row."""
    data = samples.read(start, start + length)[:, channel]
    return data[np.newaxis] - ground.offset_ma


def _aligned(windows: Floats, before: int) -> Floats:
    """Return the mean of the windows, moved by whole frames and turned to agree."""
    lag = before // 2
    energy = np.einsum("nk,nk->n", windows, windows)
    # narrow ones, of a width that ramps, have less
    full = energy >= _FULL * np.quantile(energy, 0.9)
    windows, energy = windows[full], energy[full]
    shape: Floats = windows[np.argsort(energy)[len(energy) // 2]]
    length = windows.shape[1] - 2 * lag
    shape = shape[lag : lag + length]
    for _ in range(3):
        _, at, ratio = matched(windows, shape[None])
        picked = at[:, None] + np.arange(length)
        rows = np.take_along_axis(windows, picked, axis=1)
        rows *= np.sign(ratio)[:, None]
        alike = np.abs(ratio) > 0.5 * np.median(np.abs(ratio))
        shape = rows[alike].mean(axis=0)
    return shape


def _lobes(mean: Floats, noise: float) -> list[Lobe]:
    """Return the phases: neither noise, nor ringing, nor a tail."""
    peak = np.abs(mean).max(initial=0.0)
    sign = np.sign(mean) * (np.abs(mean) > max(5 * noise, _PHASE_LEVEL * peak))
    edges = np.flatnonzero(np.diff(np.r_[0, sign, 0]))
    lobes = [
        Lobe(int(a), int(b), float(mean[a:b].sum()))
        for a, b in pairwise(edges)
        if sign[a]
    ]
    largest = max((abs(lobe.area) for lobe in lobes), default=0.0)
    joined: list[Lobe] = []
    for lobe in lobes:
        if abs(lobe.area) < _PHASE_AREA * largest:
            continue
        if joined and joined[-1].area * lobe.area > 0:
            area = joined[-1].area + lobe.area
            joined[-1] = Lobe(joined[-1].start, lobe.stop, area)
        else:
            joined.append(lobe)
    return joined


def _candidates(lobes: list[Lobe]) -> Iterator[Waveform]:
    """Yield the waveforms that have these lobes, the usual ones first."""
    if len(lobes) == 1:
        yield from (Phases(first, "") for first in FLOWN)
    elif len(lobes) == 2:
        yield from (Phases(first, second) for first, second in product(FLOWN, FLOWN))
    else:
        widths = [lobe.stop - lobe.start for lobe in lobes]
        if max(widths) <= 1.5 * min(widths) + 2:
            for shape in ("sine", "square", "triangular"):
                yield Cycles(shape, len(lobes))


def _modelled(
    mean: Floats, lobes: list[Lobe], noise: float
) -> tuple[Waveform, Floats] | None:
    """Return the waveform that fits best, and its parameters; None: no peak."""
    best: tuple[float, Waveform, Floats] | None = None
    narrow = [_narrowed(mean, lobe) for lobe in lobes]
    for model in _candidates(lobes):
        for begin in (narrow, lobes):
            found = _fitted(model, mean, begin, noise)
            if best is None or found[0] < best[0]:
                best = found
            if best[0] < _GOOD:
                return best[1:]
    if best is None or best[0] > _FAIR:
        return _averaged(mean, lobes)
    return best[1:]


def _narrowed(mean: Floats, lobe: Lobe) -> Lobe:
    """Return the part of a lobe above half of its peak: a droop may fill gaps."""
    part = np.abs(mean[lobe.start : lobe.stop])
    high = np.flatnonzero(part >= 0.5 * part.max())
    start, stop = lobe.start + int(high[0]), lobe.start + int(high[-1]) + 1
    return Lobe(start, stop, lobe.area)


def _first_guess(model: Waveform, mean: Floats, lobes: list[Lobe]) -> list[float]:
    first = lobes[0]
    level = float(mean[first.start : first.stop].max())
    if not isinstance(model, Phases):
        width = (lobes[-1].stop - first.start) / len(lobes)
        return [first.start, width, level]
    row = [first.start, first.stop - first.start, level]
    if model.recovery:
        back = lobes[1]
        peak = float(-mean[back.start : back.stop].min())
        row += [max(0.0, back.start - first.stop), back.stop - back.start, peak]
    return row


def _fitted(
    model: Waveform, mean: Floats, lobes: list[Lobe], noise: float
) -> tuple[float, Waveform, Floats]:
    """Fit one waveform and a droop to the mean event.

    Returns
    -------
    tuple
        What it leaves (part of the peak, without the noise), the waveform and
        its parameters.
    """
    from scipy.optimize import least_squares

    # the steps of numeric derivatives are absolute: levels must be near 1
    unit = float(np.abs(mean).max())
    mean, noise = mean / unit, noise / unit
    start, stop = lobes[0].start, lobes[-1].stop
    tail = 8 + (stop - start) // 2
    first = max(0, start - tail)
    seen = mean[first : stop + tail]
    guess = np.array([*_first_guess(model, mean, lobes), 0.0])
    guess[0] -= first
    guess[model.levels] = np.maximum(guess[model.levels], 1e-12)
    scale = np.ones(len(guess))
    scale[model.levels] = peak = guess[2]
    scale[-1] = 1e-2
    low = np.zeros(len(guess))
    low[0], low[1] = -np.inf, 0.5
    if len(guess) > 4:
        low[4] = 0.5
    guess = np.maximum(guess, low)
    target = smoothed(seen[None])[0] / peak
    unresolved = len(guess) > 4

    def rest(row: Floats) -> Floats:
        made = drooped(model.render(row[None, :-1], len(seen)), float(row[-1]))
        error: Floats = smoothed(made)[0] / peak - target
        if unresolved:
            # decides only where no frame tells it
            error = np.append(error, 1e-3 * (row[3] - HALF_FRAME))
        return error

    high = np.full(len(guess), np.inf)
    high[-1] = _MOST_DROOP / max(1.0, guess[1])
    found = least_squares(
        rest, guess, bounds=(low, high), x_scale=scale, max_nfev=60, ftol=1e-10
    )
    row = found.x[:-1].copy()
    error = found.fun[: len(target)]
    left = max(0.0, float(np.mean(error**2)) - (noise * SMOOTHED_NOISE / peak) ** 2)
    row[model.levels] *= unit
    used = float(model.span(row[None])[0]) / len(target)
    return math.sqrt(left / min(1.0, max(used, 0.05))), model, row


def _averaged(mean: Floats, lobes: list[Lobe]) -> tuple[Waveform, Floats] | None:
    first = mean[lobes[0].start : lobes[0].stop]
    peak = float(first.max())
    if peak <= 0:
        return None
    begin = _crossing(mean, lobes[0].start, peak, 1)
    end = _crossing(mean, lobes[0].stop - 1, peak, -1)
    last = mean[lobes[-1].start : lobes[-1].stop]
    least = float(np.abs(last).max()) * math.copysign(1.0, lobes[-1].area)
    stop = _crossing(mean, lobes[-1].stop - 1, least, -1)
    model = Averaged(
        mean=tuple((mean / peak).tolist()),
        before=begin,
        width=end - begin,
        area=float(first.sum()) / peak,
        length=stop - begin,
    )
    return model, np.array([0.0, end - begin, peak])


def _crossing(mean: Floats, at: int, peak: float, step: int) -> float:
    """Return where a phase rises above its foot, from outside it, in frames."""
    level = mean * math.copysign(1.0, peak)
    foot = _FOOT * abs(peak)
    while 0 < at < len(mean) - 1 and level[at] < foot:
        at += step
    while 0 < at < len(mean) - 1 and level[at - step] > foot:
        at -= step
    if not 0 < at < len(mean) - 1:
        return float(at)
    inside, outside = level[at], level[at - step]
    part = (inside - foot) / (inside - outside) if inside > outside else 0.0
    # a frame's value stands for its middle
    return float(at + 0.5 - step * part)
