"""One block of a recording beside its plan."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from nmes_wave.plan import Plan
from nmes_wave.verification.band import IN_BAND, Band
from nmes_wave.verification.clock import Clock
from nmes_wave.verification.fitting import FIT_DTYPE, fit
from nmes_wave.verification.recording import Recording

Floats = NDArray[np.float64]

#: An event is sought so far from where the clock predicts it.
SEARCH_S = 0.5e-3
#: Part of an event's amplitude that must be there for it to be found.
FOUND = 0.5
#: What is slower than this is no event.
SLOW_S = 5e-3
#: Rounding of the whole computation, relative to a channel's largest amplitude.
FLOOR = 1e-9

EXTRA_DTYPE = np.dtype(
    [
        ("time_s", np.float64),  # in the recording
        ("channel", np.int64),
        ("amplitude_ma", np.float64),  # recorded
    ]
)


@dataclass
class Chain:
    """What lies between plan and recording: gain, droop and cross-talk.

    `crosstalk[i, j]`: recorded on channel i per planned on channel j, 0 for i = j.
    """

    gain: Floats
    droop_hz: Floats
    crosstalk: Floats
    #: The strongest event seen of each channel, at 1 mA, for finding others.
    shapes: dict[int, tuple[float, Floats]] = field(default_factory=dict)


@dataclass
class Observation:
    """What a block says: of its events and of what is left without them."""

    fits: NDArray[np.void]  # as the rows that were given
    covered: NDArray[np.bool_]
    frames: Floats  # where the clock predicts them
    lengths: Floats
    noise: Floats  # r.m.s. per channel, mA
    extras: NDArray[np.void]
    #: (channels, frames) before the events were fitted one by one, and the plan
    #: there; empty where extras were sought.
    residual: Floats
    planned: Floats


class Observer:
    """Fits the events of blocks."""

    def __init__(self, plan: Plan, recording: Recording) -> None:
        self.plan, self.recording = plan, recording
        self.rate_hz = recording.rate_hz
        self.band = Band(plan.output.sample_rate_hz, recording.rate_hz)
        self.search = max(4, round(SEARCH_S * self.rate_hz))
        self.margin = self.band.half // 2 + self.search
        self.longest = max(
            self._length(stage.event.duration_us)
            for channel in plan.protocol.channels
            for stage in channel.stages
        )
        self.pad = 2 * self.longest
        self.largest_ma = np.array(
            [max(s.amplitude_ma for s in c.stages) for c in plan.protocol.channels]
        )

    def _length(self, duration_us: float) -> int:
        return math.ceil(duration_us * self.rate_hz / 1e6) + 2 + 2 * self.margin

    def expected(self, start: float, stop: float) -> NDArray[np.void]:
        """Return the rows of the plan that deliver anything."""
        rows = self.plan.pulses(max(0.0, start), max(0.0, stop))
        output = self.plan.output
        code_ma = output.ma_per_code(self.plan.n_channels)[rows["channel"]]
        out: NDArray[np.void] = rows[rows["amplitude_ma"] >= code_ma]
        return out

    def durations(self, rows: NDArray[np.void]) -> Floats:
        """Return how long events last, in frames of the recording."""
        out = np.zeros(len(rows))
        for c, s in {(int(c), int(s)) for c, s in rows[["channel", "stage"]].tolist()}:
            event = self.plan.protocol.channels[c].stages[s].event
            mine = (rows["channel"] == c) & (rows["stage"] == s)
            out[mine] = event.duration_us * self.rate_hz / 1e6
        return out

    # -- one block ---------------------------------------------------------------

    def observe(
        self,
        start: int,
        stop: int,
        clock: Clock,
        rows: NDArray[np.void],
        chain: Chain,
        extra_percent: float | None = None,
        z: float = math.inf,
    ) -> Observation:
        """Fit `rows` in the frames [start, stop) of the recording.

        All events of the plan around there are subtracted, `rows` or not; what
        remains is searched for more where `extra_percent` is given.
        """
        low, high = start - self.pad, stop + self.pad
        half = self.band.half
        residual = self.band.low_pass(self.recording.read(low - half, high + half))
        first = math.floor(clock.at(low)) - self.band.plan_half - 1
        last = math.ceil(clock.at(high)) + self.band.plan_half + 2
        current = self._planned(first, last, chain)
        around = self.expected(clock.at(low) - self.longest, clock.at(high))
        onsets = clock.frames(around["frame"]) - low
        planned = np.zeros_like(residual)
        if chain.droop_hz.any():
            nearest = np.rint(
                clock.plan_frames(np.arange(low, high, dtype=np.float64))
            ).astype(np.intp)
            planned[:] = current[:, nearest - first]
        groups = [*self._groups(around, onsets, high - low)]
        shapes = []
        for c, mine, index in groups:
            at = clock.plan_frames((index + low).astype(np.float64)) - first
            values = self.band.between(current[c], at)
            planned[c, index] = values
            shapes.append(values * self._own(around, c, mine, at + first))
        gain = chain.gain[:, np.newaxis]
        residual -= gain * planned
        residual -= chain.crosstalk @ planned
        noise = self._level(residual, groups)
        inside = slice(self.pad, -self.pad if extra_percent is None else self.pad)
        before = residual[:, inside].copy()

        fits = np.zeros(len(around), FIT_DTYPE)
        core = np.zeros(residual.shape, np.bool_)
        for (c, mine, index), shape in zip(groups, shapes, strict=True):
            expected = chain.gain[c] * shape
            fits[mine], model = fit(
                residual[c, index], shape, chain.gain[c], self.margin, self.search
            )
            found = np.abs(fits["ratio"][mine]) > FOUND * abs(chain.gain[c])
            change = (model - expected) * found[:, np.newaxis]
            for part in (slice(0, None, 2), slice(1, None, 2)):  # windows may overlap
                residual[c, index[part]] -= change[part]
            inner = self.margin // 2
            core[c, index[:, inner:-inner]] = True
            self._keep(chain, c, around[mine], shape)
        extras = np.zeros(0, EXTRA_DTYPE)
        if extra_percent is not None:
            # of a dead channel: what is heard there, if the others are
            gain = np.abs(chain.gain).clip(min=0.01 * np.abs(chain.gain).max())
            least = extra_percent / 100 * self.largest_ma * gain
            extras = self._extras(residual, core, noise, chain, least, z)
            frames = extras["time_s"] + low
            extras = extras[(frames >= start) & (frames < stop)]
            extras["time_s"] = (extras["time_s"] + low) / self.rate_hz
        at_rows = _positions(around, rows)
        lengths = self.durations(rows)
        frames = clock.frames(rows["frame"])
        end = self.recording.n_frames
        return Observation(
            fits=fits[at_rows],
            covered=(frames >= 1) & (frames + lengths <= end - 2),
            frames=frames,
            lengths=lengths,
            residual=before,
            planned=planned[:, inside].copy(),
            noise=noise,
            extras=extras,
        )

    def _planned(self, first: int, last: int, chain: Chain) -> Floats:
        """Return the plan's frames [first, last) in mA, through the chain's droop."""
        rate = self.plan.output.sample_rate_hz
        slowest = chain.droop_hz[chain.droop_hz > 0].min(initial=math.inf)
        # five time constants of what came before
        before = round(min(5 / (2 * math.pi * slowest), 2.0) * rate)
        begin = first - before
        low, high = max(0, begin), max(0, last)
        current = np.zeros((self.plan.n_channels, last - begin))
        if high > low:
            codes = self.plan.render(low, high)
            current[:, low - begin :] = self.plan.to_ma(codes).T
        if before:
            from scipy.signal import lfilter

            for c, corner in enumerate(chain.droop_hz):
                if corner > 0:
                    pole = math.exp(-2 * math.pi * corner / rate)
                    taps = np.array([1.0, -1.0]) * (1 + pole) / 2
                    current[c] = lfilter(taps, [1.0, -pole], current[c])
        return current[:, before:]

    def _groups(
        self, around: NDArray[np.void], onsets: Floats, n_frames: int
    ) -> list[tuple[int, NDArray[np.intp], NDArray[np.intp]]]:
        """Return channel, rows, and windows of events of one length."""
        out = []
        for c, channel in enumerate(self.plan.protocol.channels):
            for s, stage in enumerate(channel.stages):
                length = self._length(stage.event.duration_us)
                begin = np.floor(onsets).astype(np.int64) - self.margin
                mine = np.flatnonzero(
                    (around["channel"] == c)
                    & (around["stage"] == s)
                    & (begin >= 0)
                    & (begin + length <= n_frames)
                )
                if len(mine):
                    index = begin[mine, np.newaxis] + np.arange(length)
                    out.append((c, mine, index))
        return out

    def _own(
        self, around: NDArray[np.void], c: int, mine: NDArray[np.intp], at: Floats
    ) -> Floats | float:
        """Return 1 where a window is nearer to its event than to another's."""
        of_channel = np.flatnonzero(around["channel"] == c)
        begin = around["frame"][of_channel]
        ratio = self.plan.output.sample_rate_hz / self.rate_hz
        end = begin + self.durations(around[of_channel]) * ratio
        middle = (end[:-1] + begin[1:]) / 2
        if not len(middle) or (begin[1:] - end[:-1]).min() > 4 * self.margin * ratio:
            return 1.0
        borders = np.concatenate([[-math.inf], middle, [math.inf]])
        k = np.searchsorted(of_channel, mine)[:, np.newaxis]
        out: Floats = ((at >= borders[k]) & (at < borders[k + 1])).astype(np.float64)
        return out

    def _level(
        self,
        residual: Floats,
        groups: list[tuple[int, NDArray[np.intp], NDArray[np.intp]]],
    ) -> Floats:
        """Return the noise of each channel, and take its offset away."""
        noise = np.zeros(len(residual))
        for c, row in enumerate(residual):
            quiet = np.ones(len(row), np.bool_)
            for channel, _, index in groups:
                if channel == c:
                    quiet[index] = False
            some = row[quiet] if quiet.sum() > len(row) // 50 else row
            some = some[:: max(1, len(some) // 20000)]
            middle = np.median(some)
            row -= middle
            noise[c] = 1.4826 * np.median(np.abs(some - middle))
            # a quiet converter's zeros have no median deviation
            clipped = np.clip(some - middle, -6 * noise[c], 6 * noise[c])
            noise[c] = max(noise[c], float(np.std(clipped)))
        return noise

    def _keep(
        self, chain: Chain, c: int, rows: NDArray[np.void], shape: Floats
    ) -> None:
        k = int(rows["amplitude_ma"].argmax())
        amplitude_ma = float(rows["amplitude_ma"][k])
        if amplitude_ma > chain.shapes.get(c, (0.0, shape))[0]:
            chain.shapes[c] = (amplitude_ma, shape[k] / amplitude_ma)

    # -- what is not in the plan ---------------------------------------------------

    def _extras(
        self,
        residual: Floats,
        core: NDArray[np.bool_],
        noise: Floats,
        chain: Chain,
        least_ma: Floats,
        z: float,
    ) -> NDArray[np.void]:
        """Return onsets, in frames of `residual`, of what stands out of the noise.

        Two ways: through the filter that is matched to the channel's own event,
        and sample by sample, for what has another shape.
        """
        from scipy.ndimage import uniform_filter1d
        from scipy.signal import fftconvolve

        found = []
        slow = max(3, round(SLOW_S * self.rate_hz))
        for c, row in enumerate(residual):
            rest = np.where(core[c], 0.0, row)
            rest -= uniform_filter1d(rest, slow)
            rest[core[c]] = 0.0
            level = np.abs(rest)
            threshold = max(z * noise[c], least_ma[c])
            hits = np.flatnonzero(level > threshold)
            strength = level[hits] / threshold
            onsets = hits.astype(np.float64)
            amplitudes = level[hits]
            gap = self.longest
            if c in chain.shapes:
                shape = chain.shapes[c][1]
                gap = len(shape)
                energy = float(shape @ shape)
                own = z * noise[c] * IN_BAND / math.sqrt(energy)
                threshold = max(own, least_ma[c])
                # the filter's output cannot be more than this
                most = float(level.max()) * float(np.abs(shape).sum()) / energy
                if most > threshold:
                    matched = fftconvolve(rest, shape[::-1], "valid") / energy
                    level = np.abs(matched)
                    hits = np.flatnonzero(level > threshold)
                    # it tells the onset better than single samples do
                    told = 1e6 * level[hits] / threshold
                    strength = np.concatenate([strength, told])
                    onsets = np.concatenate([onsets, hits + float(self.margin)])
                    amplitudes = np.concatenate([amplitudes, level[hits]])
            order = np.argsort(onsets, kind="stable")
            clumps = np.split(order, np.flatnonzero(np.diff(onsets[order]) > gap) + 1)
            for clump in clumps:
                if len(clump):
                    k = clump[strength[clump].argmax()]
                    found.append((onsets[k], c, amplitudes[k]))
        found.sort()
        return np.array(found, EXTRA_DTYPE)


def _positions(around: NDArray[np.void], rows: NDArray[np.void]) -> NDArray[np.intp]:
    """Return where each of `rows` stands in `around`, which holds them all."""
    out = np.zeros(len(rows), np.intp)
    for c in np.unique(rows["channel"]):
        mine = rows["channel"] == c
        there = np.flatnonzero(around["channel"] == c)
        out[mine] = there[np.searchsorted(around["frame"][there], rows["frame"][mine])]
    return out
