"""Where pulses are: events on one channel, of any shape, in any noise.

At a scale of w frames the *contrast* at t is the sum of the w frames before t
less that of the w frames after it, over √(2w): offset cancels, a droop or hum
nearly so, and white noise has the same r.m.s. at every scale. A phase of width
W stands out at the scale next to W by up to √(2W) times its amplitude.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nmes_wave.measuring.samples import Floats, Samples

Ints = NDArray[np.int64]

#: Half the width of a detector; phases of 50 to 1000 µs have one near them.
SCALES_S = (60e-6, 125e-6, 250e-6, 500e-6)
#: Threshold over the r.m.s. of the contrast. Of white Gaussian noise, 60 s at 96 kHz
#: and four scales: 2 · 4 · 5.76e6 · Q(7) = 6e-5 false detections.
THRESHOLD = 7.0
#: So near to a pulse what is smaller than this part of it is its own ringing, its
#: tail, or crosstalk.
NEIGHBOURHOODS = ((15e-3, 0.2), (100e-3, 0.01))
#: What is smaller than this part of the largest (-80 dB) is rounding.
SMALLEST_PART = 1e-4
#: Flagged frames this near are of one event.
MERGE_S = 0.3e-3
#: Within the largest scale of another one, what is less than this part of it is not.
_SHADOW = 0.6
#: What goes on for longer is no pulse.
LONGEST_S = 0.1
_BIN_S = 1e-3
#: Excerpts that noise and offset are estimated from.
_EXCERPTS, _EXCERPT_S = 24, 0.5


@dataclass(frozen=True, kw_only=True)
class Ground:
    """What a channel shows between pulses, in mA.

    Attributes
    ----------
    offset_ma, noise_rms_ma
        Of the samples.
    mean_ma
        Of everything, pulses and all: behind a high-pass the level at which it
        rests, whatever tails the pulses leave between them.
    thresholds
        Of the contrast at each scale.
    """

    offset_ma: float
    noise_rms_ma: float
    mean_ma: float
    thresholds: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Spots:
    """Events as detected: frames [start, stop), and how much they stand out."""

    start: Ints
    stop: Ints
    level: Floats

    def __len__(self) -> int:
        return len(self.start)

    def where(self, chosen: NDArray[np.bool_]) -> Spots:
        """Return those that are chosen."""
        return Spots(
            start=self.start[chosen], stop=self.stop[chosen], level=self.level[chosen]
        )


class Detector:
    """Finds events at one sample rate."""

    def __init__(self, samples: Samples) -> None:
        self.samples = samples
        self.scales = sorted({samples.frames(s) for s in SCALES_S})
        self.bin = samples.frames(_BIN_S)
        self.reaches = [
            (math.ceil(samples.frames(reach_s) / self.bin), part)
            for reach_s, part in NEIGHBOURHOODS
        ]
        far = max(reach for reach, _ in self.reaches)
        # whole bins, so that a block's bins are those of its neighbours
        self.margin = (far + 1 + -(-self.scales[-1] // self.bin)) * self.bin
        self.merge = samples.frames(MERGE_S)

    def survey(self) -> list[Ground]:
        """Estimate offset and noise of each channel from excerpts."""
        samples = self.samples
        length = min(samples.frames(_EXCERPT_S), samples.n_frames)
        n = min(_EXCERPTS, samples.n_frames // length) if length else 0
        starts = np.linspace(0, samples.n_frames - length, n).astype(int)
        excerpts = [samples.read(int(s), int(s) + length) for s in starts]
        return [
            self._ground([excerpt[:, c] for excerpt in excerpts])
            for c in range(samples.n_channels)
        ]

    def _ground(self, excerpts: list[Floats]) -> Ground:
        every = np.concatenate(excerpts) if excerpts else np.zeros(1)
        offset = float(np.median(every))
        thresholds = []
        for scale in self.scales:
            parts = [
                contrast(x - offset, scale)[scale : len(x) - scale] for x in excerpts
            ]
            joined = np.concatenate(parts) if parts else np.zeros(0)
            peak = float(np.abs(joined).max(initial=0.0))
            thresholds.append(max(THRESHOLD * spread(joined), SMALLEST_PART * peak))
        draft = Ground(
            offset_ma=offset,
            noise_rms_ma=0.0,
            mean_ma=float(every.mean()),
            thresholds=tuple(thresholds),
        )
        quiet = [
            x[~_widened(self.flags(x, draft)[0], self.bin)] for x in excerpts if len(x)
        ]
        rest = np.concatenate(quiet) if quiet else np.zeros(0)
        if len(rest) > self.bin:
            offset = float(rest.mean())
            # about each millisecond's mean: what is slower is hum or droop
            rows = rest[: len(rest) // self.bin * self.bin].reshape(-1, self.bin)
            dof = max(self.bin - 1, 1) / self.bin
            noise = math.sqrt(rows.var(axis=1).mean() / dof)
        else:
            noise = float(spread(every - offset))
        return replace(draft, offset_ma=offset, noise_rms_ma=noise)

    def flags(self, x: Floats, ground: Ground) -> tuple[NDArray[np.bool_], Floats]:
        """Return which frames belong to events, and the largest contrast in each."""
        from scipy.ndimage import maximum_filter1d

        x = x - ground.offset_ma
        found = np.zeros(len(x), bool)
        level = np.zeros(len(x))
        n_bins = -(-len(x) // self.bin)
        bins = np.zeros(n_bins * self.bin)
        for scale, threshold in zip(self.scales, ground.thresholds, strict=True):
            size = np.abs(contrast(x, scale))
            bins[: len(x)] = size
            peaks = bins.reshape(n_bins, self.bin).max(axis=1)
            if peaks.max(initial=0.0) <= threshold:
                continue
            least = np.full(n_bins, threshold)
            for reach, part in self.reaches:
                near = maximum_filter1d(peaks, 2 * reach + 1, mode="constant")
                np.maximum(least, part * near, out=least)
            found |= size > np.repeat(least, self.bin)[: len(x)]
            np.maximum(level, size, out=level)
        return found, level

    def find(self, block: Floats, start: int, grounds: list[Ground]) -> list[Spots]:
        """Return the events in a block that has `margin` more frames at both ends.

        Parameters
        ----------
        block
            ``(margin + frames + margin, channels)``.
        start
            Frame of the recording after the first margin.
        """
        core = slice(self.margin, len(block) - self.margin)
        spots = []
        for c, ground in enumerate(grounds):
            found, level = self.flags(np.ascontiguousarray(block[:, c]), ground)
            frames = np.flatnonzero(found[core])
            if not len(frames):
                none = np.zeros(0, np.int64)
                spots.append(Spots(start=none, stop=none, level=np.zeros(0)))
                continue
            cuts = np.flatnonzero(np.diff(frames) > self.merge) + 1
            first = np.concatenate([[0], cuts])
            levels = np.maximum.reduceat(level[core][frames], first)
            last = np.concatenate([cuts, [len(frames)]]) - 1
            spots.append(
                Spots(
                    start=start + frames[first],
                    stop=start + frames[last] + 1,
                    level=levels,
                )
            )
        return spots

    def block(self, start: int, stop: int) -> Floats:
        """Read a span with `margin` more at both ends."""
        return self.samples.read(start - self.margin, stop + self.margin)

    def joined(self, parts: list[Spots]) -> Spots:
        """Join the events of consecutive blocks; what crosses a border is one."""
        start = np.concatenate([p.start for p in parts] or [np.zeros(0, np.int64)])
        stop = np.concatenate([p.stop for p in parts] or [np.zeros(0, np.int64)])
        level = np.concatenate([p.level for p in parts] or [np.zeros(0)])
        if not len(start):
            return Spots(start=start, stop=stop, level=level)
        first = np.flatnonzero(np.r_[True, start[1:] - stop[:-1] > self.merge])
        spots = Spots(
            start=start[first],
            stop=np.maximum.reduceat(stop, first),
            level=np.maximum.reduceat(level, first),
        )
        return spots.where(~self._shadows(spots))

    def _shadows(self, spots: Spots) -> NDArray[np.bool_]:
        """Whether events are the outer lobes that a scale makes beside a stronger."""
        near = spots.start[1:] - spots.stop[:-1] < self.scales[-1]
        shadow = np.zeros(len(spots), bool)
        shadow[1:] |= near & (spots.level[1:] < _SHADOW * spots.level[:-1])
        shadow[:-1] |= near & (spots.level[:-1] < _SHADOW * spots.level[1:])
        return shadow


def contrast(x: Floats, scale: int) -> Floats:
    """Return the contrast at each frame, 0 within `scale` of the ends."""
    out = np.zeros(len(x))
    if len(x) > 2 * scale:
        total = np.concatenate([[0.0], np.cumsum(x)])
        inner = 2 * total[scale:-scale] - total[: -2 * scale] - total[2 * scale :]
        out[scale : scale + len(inner)] = (inner / math.sqrt(2 * scale))[: len(out)]
        out[len(x) - scale :] = 0.0
    return out


def spread(values: Floats) -> float:
    """Return the r.m.s. of the noise in values of which many may be signal.

    From the quartile of the magnitudes, clipped at 3.5 r.m.s. until nothing
    changes: half of the frames of a burst-modulated current are no noise.
    """
    size = np.abs(values[:: max(1, len(values) // 2_000_000)])
    if not len(size):
        return 0.0
    rms = float(np.quantile(size, 0.25)) / 0.3186
    for _ in range(30):
        inside = size[size <= 3.5 * rms]
        before, rms = rms, math.sqrt(float(np.mean(inside**2))) / 0.9988
        if abs(before - rms) <= 1e-3 * rms:
            break
    return rms


def _widened(flags: NDArray[np.bool_], reach: int) -> NDArray[np.bool_]:
    from scipy.ndimage import maximum_filter1d

    wide: NDArray[np.bool_] = maximum_filter1d(flags.view(np.uint8), 2 * reach + 1) > 0
    return wide
