"""Where in its plan a recording begins: the coarse search, and the wiring."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nmes_wave.verification.clock import Clock
from nmes_wave.verification.observing import Observer

Floats = NDArray[np.float64]

#: The coarse search sees sums of magnitudes over so much time.
BIN_S = 0.5e-3
#: ... smoothed by a Gaussian of so many bins;
SMOOTH = 2.0
#: places are equally good that differ by this part or by the noise;
SAME = 2e-5
#: two courses agree whose squared correlation is this high.
AGREE = 0.5
#: ... of as much of the recording, from its first event on.
SEEN_S = 20.0
#: A bin this many standard deviations of the noise up is an event.
ACTIVE = 8.0
#: Events that the fine search looks at, of each channel, and over what time.
FINE_EVENTS, FINE_S = 100, 3.0


@dataclass(frozen=True)
class Place:
    """Where the plan lies, and what each recorded channel looks like.

    `gain[i, j]`: of plan channel j as seen in recorded channel i; `match` the
    same as a coefficient of correlation.
    """

    clock: Clock
    match: Floats
    gain: Floats


def locate(observer: Observer) -> Place | None:
    """Return where the whole recording lies in its plan; None: nothing is found."""
    start = _first_active(observer)
    rate = observer.rate_hz
    begin = max(0, start - round(1.0 * rate))
    heard = _heard(observer, begin, start + round(SEEN_S * rate))
    slope = observer.plan.output.sample_rate_hz / rate
    low, high = -len(heard) * _bin(observer) * slope, float(observer.plan.n_frames)
    lag = _best_lag(observer, heard, begin, low, high, wanted=begin * slope)
    if lag is None:
        return None
    return refine(observer, lag, start)


def relocate(
    observer: Observer, clock: Clock, begin: int, reach_s: float
) -> Clock | None:
    """Return the clock from frame `begin` on, if another than `clock` fits better."""
    rate = observer.rate_hz
    heard = _heard(observer, begin, begin + round(SEEN_S * rate))
    reach = reach_s * observer.plan.output.sample_rate_hz
    here = clock.at(begin)
    found = _best_lag(observer, heard, begin, here - reach, here + reach, wanted=here)
    if found is None:
        return None
    found = Clock(found.frame, found.plan_frame, clock.slope)
    place = refine(observer, found, begin)
    old = refine(observer, clock, begin, search=2)
    if place is None:
        return None
    better = float(np.diag(place.match).sum())
    if old is not None and better < 1.5 * float(np.diag(old.match).sum()):
        return None
    return place.clock


# -- the coarse search -----------------------------------------------------------


def _heard(observer: Observer, start: int, stop: int) -> Floats:
    """Return the sums of magnitudes over bins, the noise's own level taken off."""
    size = _bin(observer)
    recording = observer.recording
    stop = min(stop, recording.n_frames)
    n = max(0, (stop - start) // size)
    out = np.zeros(n)
    step = 4096
    for i in range(0, n, step):
        k = min(step, n - i)
        block = recording.read(start + i * size, start + (i + k) * size)
        block -= np.median(block, axis=1, keepdims=True)
        out[i : i + k] = np.abs(block).reshape(len(block), k, size).sum(axis=(0, 2))
    if n:
        # of noise the median; of a dense train, what is between its events
        twentieth, tenth, median = np.percentile(out, (5, 10, 50))
        out -= min(median, twentieth + 4.5 * (tenth - twentieth))
    return out


def _bin(observer: Observer) -> int:
    return max(1, round(BIN_S * observer.rate_hz))


def _first_active(observer: Observer) -> int:
    """Return the frame at which the recording first stands out of its noise.

    0 if it never does: it is empty, or nothing but events.
    """
    size = _bin(observer)
    chunk = 8192 * size
    for start in range(0, observer.recording.n_frames, chunk):
        bins = _heard(observer, start, start + chunk)
        if not len(bins):
            continue
        low, quarter = np.percentile(bins, (5, 25))
        noise = float(quarter - low)
        # half a code in a thousandth of the bins is no event
        floor = 1e-4 * float(observer.largest_ma.max()) * size
        active = np.flatnonzero(bins > max(ACTIVE * noise, floor))
        if len(active):
            return start + int(active[0]) * size
    return 0


def _best_lag(
    observer: Observer, heard: Floats, begin: int, low: float, high: float,
    wanted: float,
) -> Clock | None:  # fmt: skip
    """Return the clock at which the plan explains most of what was heard.

    Plan frames from `low` to `high` are considered for the recording's frame
    `begin`. Of places that serve equally well (equal on-periods, the middle of a
    long train) the one nearest to `wanted` is taken.
    """
    from scipy.ndimage import gaussian_filter1d
    from scipy.signal import correlate

    n = len(heard)
    if n < 3:
        return None
    slope = observer.plan.output.sample_rate_hz / observer.rate_hz
    per_bin = _bin(observer) * slope
    expected = _expected(observer, low, high + n * per_bin, per_bin)
    # Peaks of Gaussian shape, so that their height between two bins is known.
    heard = gaussian_filter1d(heard, SMOOTH, mode="constant")
    expected = gaussian_filter1d(expected, SMOOTH, mode="constant")
    low_level, quarter = np.percentile(heard, (5, 25))
    noise = float(quarter - low_level)
    score = correlate(expected, heard, "valid", method="fft")
    sums = np.concatenate([[0.0], np.cumsum(expected**2)])
    energy = sums[n:] - sums[:-n]
    usable = (score > 0) & (energy > 1e-9 * energy.max(initial=0.0))
    if not usable.any():
        return None
    explained = np.where(usable, score**2 / np.where(usable, energy, 1.0), 0.0)
    padded = np.pad(explained, 1)
    peaks = np.flatnonzero((explained >= padded[:-2]) & (explained >= padded[2:]))
    peaks = peaks[explained[peaks] >= 0.5 * explained.max()]
    # A place that goes wrong later on is judged by what it explains until then.
    second = round(1 / BIN_S)
    until = [_agreement(heard, expected[k : k + n], second) for k in peaks.tolist()]
    longest = max(until)
    peaks = peaks[np.array(until) >= longest - second // 5]
    tiny = 1e-12 * float(explained.max())
    last = len(expected) - n
    a, b, c = (
        np.log([_explained(heard, expected[k:], longest) + tiny for k in at.tolist()])
        for at in (np.clip(peaks + i, 0, last) for i in (-1, 0, 1))
    )
    offset = np.clip((a - c) / (2 * np.minimum(a - 2 * b + c, -1e-12)), -0.5, 0.5)
    height = np.exp(b - (a - c) * offset / 4)
    slack = SAME * float(height.max()) + (6 * noise) ** 2
    alike = height >= height.max() - slack
    plan_frames = low + (peaks[alike] + offset[alike]) * per_bin
    best = plan_frames[np.abs(plan_frames - wanted).argmin()]
    return Clock(float(begin), float(best), slope)


def _agreement(heard: Floats, expected: Floats, size: int) -> int:
    """Return up to which bin the two agree in every run of `size` bins."""
    products = np.stack([heard * expected, heard**2, expected**2])
    sums = np.cumsum(np.pad(products, ((0, 0), (size, 0))), axis=1)
    both, a, b = sums[:, size:] - sums[:, :-size]
    loud = (a > 0.1 * a.max()) | (b > 0.1 * b.max())
    silent = (a < 0.01 * a.max()) | (b < 0.01 * b.max())
    wrong = loud & (silent | (both < 0) | (both**2 < AGREE * a * b))
    return int(wrong.argmax()) if wrong.any() else len(heard)


def _explained(heard: Floats, expected: Floats, n: int) -> float:
    energy = float(expected[:n] @ expected[:n])
    return float(heard[:n] @ expected[:n]) ** 2 / energy if energy > 0 else 0.0


def _expected(observer: Observer, low: float, high: float, per_bin: float) -> Floats:
    """Return the planned magnitudes, summed over bins from plan frame `low` on."""
    rows = observer.expected(low, high)
    n = max(1, math.ceil((high - low) / per_bin))
    rate = observer.plan.output.sample_rate_hz / observer.rate_hz
    begin = (rows["frame"] - low) / per_bin
    length = observer.durations(rows) * rate / per_bin
    level = rows["amplitude_ma"] * per_bin / rate
    total = np.zeros(n + 2)
    # the sum up to an edge, so that an event that ends inside a bin counts in part
    for at, sign in ((begin, 1.0), (begin + length, -1.0)):
        at = np.clip(at, 0, n)
        whole = np.floor(at).astype(np.intp)
        part = 1 - (at - whole)
        np.add.at(total, whole, sign * part * level)
        np.add.at(total, whole + 1, sign * (1 - part) * level)
    return np.cumsum(total)[:n]


# -- the fine search ---------------------------------------------------------------


def refine(
    observer: Observer, clock: Clock, start: int, search: int | None = None
) -> Place | None:
    """Return the place to the frame, from the first events after `start`.

    It is sought `search` frames about; None: as far as the coarse search is off.
    """
    from scipy.signal import fftconvolve

    rate = observer.rate_hz
    if search is None:
        search = round(2.5 * BIN_S * rate) + 2
    n_channels = observer.plan.n_channels
    # the first three seconds in which the plan has anything
    first = clock.at(start) - observer.longest
    length = FINE_S * observer.plan.output.sample_rate_hz
    ahead = observer.expected(first, first + 20 * length)
    if not len(ahead):
        return None
    rows = ahead[ahead["frame"] <= ahead["frame"][0] + length]
    low = math.floor(clock.frames(rows["frame"][:1])[0]) - observer.longest
    high = math.ceil(clock.frames(rows["frame"][-1:])[0]) + 2 * observer.longest
    half = observer.band.half
    heard = observer.band.low_pass(
        observer.recording.read(low - search - half, high + search + half)
    )
    heard -= np.median(heard, axis=1, keepdims=True)
    onset = clock.at(low)
    begin = math.floor(onset) - observer.band.plan_half - 1
    end = math.ceil(clock.at(high)) + observer.band.plan_half + 2
    planned_ma = np.zeros((n_channels, end - begin))
    if end > 0:
        codes = observer.plan.render(max(0, begin), end)
        planned_ma[:, max(0, begin) - begin :] = observer.plan.to_ma(codes).T
    at = clock.plan_frames(np.arange(low, high, dtype=np.float64)) - begin
    planned = np.stack([observer.band.between(row, at) for row in planned_ma])
    energy = np.einsum("jn,jn->j", planned, planned)
    power = np.einsum("in,in->i", heard, heard)
    if not energy.any() or not power.any():
        return None
    # correlations of every recorded channel with every planned one
    cross = np.stack(
        [[fftconvolve(row, shape[::-1], "valid") for shape in planned] for row in heard]
    )
    scale = np.sqrt(power[:, None] * energy[None, :])
    match = np.abs(cross) / np.where(scale > 0, scale, 1.0)[..., None]
    lag = int(match.max(axis=1).sum(axis=0).argmax())
    safe = np.where(energy > 0, energy, 1.0)
    return Place(
        clock=clock.later(float(lag - search)),
        match=match[..., lag],
        gain=cross[..., lag] / safe,
    )
