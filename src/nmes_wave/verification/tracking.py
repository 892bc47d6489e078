"""A recording gone through block by block, its clock followed."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nmes_wave.verification.band import IN_BAND
from nmes_wave.verification.clock import Clock, fitted
from nmes_wave.verification.fitting import FIT_DTYPE
from nmes_wave.verification.locating import relocate
from nmes_wave.verification.observing import (
    EXTRA_DTYPE,
    FOUND,
    Chain,
    Observation,
    Observer,
)

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

#: Frames of a block.
BLOCK = 1 << 17
#: Events that teach the clock, and over what time at most.
LEARN_EVENTS, LEARN_S = 200, 60.0
#: The clock is that of the events of so long.
RECENT_S = 20.0
#: Events in a row, per channel, that are not where they should be: lost or shifted.
RUN = 3
#: A jump of the clock is sought so far.
REACH_S = 5.0
#: Below this a running shift is no jump, in frames.
SMALLEST_JUMP = 0.4


@dataclass(frozen=True)
class Stretch:
    """A part of the recording with one clock."""

    begin: int  # frame of the recording
    clock: Clock


@dataclass
class Track:
    """All that was seen."""

    rows: NDArray[np.void]  # of plan.pulses()
    fits: NDArray[np.void]
    frames: Floats  # recorded onset
    covered: Mask
    lost: Mask  # no frame of the recording is theirs
    noise: Floats  # of each row's channel then
    stretch: NDArray[np.int64]
    stretches: list[Stretch]
    extras: NDArray[np.void]
    channel_noise: Floats


class Tracker:
    """Goes through a recording; `run` gives the `Track`."""

    def __init__(
        self, observer: Observer, chain: Chain, z: float, extra_percent: float
    ) -> None:
        self.observer, self.chain, self.z = observer, chain, z
        self.extra_percent = extra_percent
        self.rate_hz = observer.rate_hz
        self.parts: list[tuple[NDArray[np.void], Observation, Mask, int]] = []
        self.extras: list[NDArray[np.void]] = []
        self.levels: list[Floats] = []

    def run(
        self, clock: Clock, progress: Callable[[int, int], object] | None = None
    ) -> Track:
        """Go through the recording from its first frame, where `clock` holds."""
        end = self.observer.recording.n_frames
        self.stretches = [Stretch(0, clock)]
        cursor = max(0.0, clock.at(0))
        self.before = cursor
        start, refused = 0, -math.inf
        size = max(BLOCK, 4 * self.observer.longest)
        while start < end:
            stop = min(start + size, end)
            until = max(cursor, clock.at(stop))
            if stop == end:  # what is cut belongs to the recording, too
                until = max(until, clock.at(stop))
            rows = self.observer.expected(cursor, until)
            seen = self.observer.observe(
                start, stop, clock, rows, self.chain, self.extra_percent, self.z
            )
            n = len(self.stretches) - 1
            self.parts.append((rows, seen, np.zeros(len(rows), np.bool_), n))
            self.extras.append(seen.extras)
            self.levels.append(seen.noise)
            run = self._run_of_bad(n)
            if run is not None and run[1] > refused:
                jumped = self._jump(clock, run)
                if jumped is not None:
                    clock, start, cursor = jumped
                    continue
                refused = run[2]
            cursor, start = until, stop
            clock = self._followed(clock, n)
            if progress is not None:
                progress(stop, end)
        self.after = cursor
        return self._track()

    # -- the clock -----------------------------------------------------------------

    def _good(self, rows: NDArray[np.void], seen: Observation) -> tuple[Mask, Mask]:
        """Return which events are as expected, and which could tell."""
        return judged(rows, seen, self.chain, self.z)

    def _followed(self, clock: Clock, n: int) -> Clock:
        frames, planned = [], []
        latest = -math.inf
        for rows, seen, _, stretch in reversed(self.parts):
            if stretch != n:
                break
            good, _ = self._good(rows, seen)
            if good.any():
                at = seen.frames[good] + seen.fits["delay"][good]
                latest = max(latest, float(at.max()))
                if at.max() < latest - RECENT_S * self.rate_hz:
                    break
                frames.append(at)
                planned.append(rows["frame"][good])
        if not frames:
            return clock
        return fitted(np.concatenate(frames), np.concatenate(planned), clock)

    def learn(self, clock: Clock, start: int) -> Clock:
        """Return the clock from `start` on, from one stretch twice as long each."""
        observer, end = self.observer, self.observer.recording.n_frames
        length, n_events = 0.5, 0
        while length <= LEARN_S:
            stop = min(end, start + round(length * self.rate_hz))
            rows = observer.expected(clock.at(start), clock.at(stop))
            if len(rows):
                seen = observer.observe(start, stop, clock, rows, self.chain)
                good, _ = self._good_anywhere(rows, seen)
                at = seen.frames + seen.fits["delay"]
                clock = fitted(at[good], rows["frame"][good], clock)
                n_events = int(good.sum())
            if stop == end or (n_events >= LEARN_EVENTS and length >= 8):
                break
            length *= 2
        return clock

    def _good_anywhere(
        self, rows: NDArray[np.void], seen: Observation
    ) -> tuple[Mask, Mask]:
        return judged(rows, seen, self.chain, self.z, anywhere=True)

    # -- jumps -----------------------------------------------------------------------

    def _run_of_bad(self, n: int) -> tuple[float, float, float, float] | None:
        """Return the first long run of events that are not where they should be.

        As recorded frames: the end of the last event before it, its first and
        its last event; and the plan frame of its first.
        """
        parts = [part for part in self.parts[-40:] if part[3] == n]
        rows = np.concatenate([part[0] for part in parts])
        if not len(rows):
            return None
        bad, tell, frames, ends = [], [], [], []
        for own, seen, _, _ in parts:
            good, decided = self._good(own, seen)
            bad.append(~good)
            tell.append(decided & seen.covered)
            frames.append(seen.frames)
            ends.append(seen.frames + seen.lengths)
        told = np.flatnonzero(np.concatenate(tell))
        wrong = np.concatenate(bad)[told]
        needed = max(2 * RUN, RUN * self.observer.plan.n_channels)
        edges = np.flatnonzero(np.diff(wrong.astype(np.int8), prepend=0, append=0))
        all_frames, all_ends = np.concatenate(frames), np.concatenate(ends)
        for first, last in zip(edges[::2], edges[1::2], strict=True):
            if last - first >= needed:
                i, j = told[first], told[last - 1]
                done = all_ends[told[first - 1]] if first else -math.inf
                return (
                    float(done),
                    float(all_frames[i]),
                    float(all_frames[j]),
                    float(rows["frame"][i]),
                )
        return None

    def _jump(
        self, clock: Clock, run: tuple[float, float, float, float]
    ) -> tuple[Clock, int, float] | None:
        """Return the clock after a jump, the frame to go on from, and the cursor."""
        done, first, last, plan_frame = run
        begin = math.ceil(max(done, first - 2.0 * self.rate_hz, 0)) + 1
        shift = self._common_shift(first, last)
        if shift is not None:
            found: Clock | None = clock.later(shift)
        else:
            found = relocate(self.observer, clock, begin, REACH_S)
        if found is None:
            return None
        found = self.learn(found, begin)
        if (
            abs(float((found.frames(np.array([plan_frame])) - first)[0]))
            < SMALLEST_JUMP
        ):
            return None
        self._forget(first, begin)
        n = len(self.stretches)
        self.stretches.append(Stretch(begin, found))
        cursor = plan_frame - 1e-6
        until = found.at(begin) - 1
        if until > cursor:  # the recording skipped these
            rows = self.observer.expected(cursor, until)
            seen = self.observer.observe(
                begin,
                begin + 1,
                found,
                rows[:0],
                self.chain,
                self.extra_percent,
                self.z,
            )
            nothing = Observation(
                fits=np.zeros(len(rows), FIT_DTYPE),
                covered=np.ones(len(rows), np.bool_),
                frames=np.full(len(rows), float(begin)),
                lengths=self.observer.durations(rows),
                residual=seen.residual,
                planned=seen.planned,
                noise=seen.noise,
                extras=seen.extras,
            )
            self.parts.append((rows, nothing, np.ones(len(rows), np.bool_), n))
            cursor = until
        return found, begin, cursor

    def _common_shift(self, first: float, last: float) -> float | None:
        """Return the delay that all events of a run share, if they do."""
        delays = []
        for rows, seen, _, _ in self.parts[-40:]:
            _, tell = self._good(rows, seen)
            anywhere, _ = self._good_anywhere(rows, seen)
            mine = tell & (seen.frames >= first) & (seen.frames <= last)
            delays.append(np.where(anywhere, seen.fits["delay"], np.nan)[mine])
        every = np.concatenate(delays)
        if np.isnan(every).mean() > 0.2:
            return None
        every = every[~np.isnan(every)]
        middle = float(np.median(every))
        near = np.abs(every - middle) < SMALLEST_JUMP
        return middle if near.mean() > 0.8 and abs(middle) > SMALLEST_JUMP else None

    def _forget(self, first: float, begin: int) -> None:
        """Drop what was fitted from a recorded frame on."""
        kept = []
        for rows, seen, lost, n in self.parts:
            keep = (seen.frames < first - 0.5) | lost
            part = Observation(
                fits=seen.fits[keep],
                covered=seen.covered[keep],
                frames=seen.frames[keep],
                lengths=seen.lengths[keep],
                residual=seen.residual,
                planned=seen.planned,
                noise=seen.noise,
                extras=seen.extras,
            )
            kept.append((rows[keep], part, lost[keep], n))
        self.parts = kept
        self.extras = [e[e["time_s"] * self.rate_hz < begin] for e in self.extras]

    # -- all of it ---------------------------------------------------------------------

    def _track(self) -> Track:
        observer = self.observer
        last = len(self.stretches) - 1
        end = float(observer.plan.n_frames)
        early = observer.expected(0.0, self.before)
        late = observer.expected(self.after, max(end, self.after))
        rows = [early, *(part[0] for part in self.parts), late]
        counts = [len(early), *(len(part[0]) for part in self.parts), len(late)]
        numbers = [0, *(part[3] for part in self.parts), last]
        nothing = [np.zeros(len(r), FIT_DTYPE) for r in (early, late)]
        frames = [
            self.stretches[n].clock.frames(r["frame"])
            for r, n in ((early, 0), (late, last))
        ]
        absent = [np.zeros(len(r), np.bool_) for r in (early, late)]
        noise = [
            part[1].noise[part[0]["channel"]] if len(part[0]) else np.zeros(0)
            for part in self.parts
        ]
        extras = [e for e in self.extras if len(e)]
        return Track(
            rows=np.concatenate(rows),
            fits=np.concatenate(
                [nothing[0], *(part[1].fits for part in self.parts), nothing[1]]
            ),
            frames=np.concatenate(
                [
                    frames[0],
                    *(part[1].frames + part[1].fits["delay"] for part in self.parts),
                    frames[1],
                ]
            ),
            covered=np.concatenate(
                [absent[0], *(part[1].covered for part in self.parts), absent[1]]
            ),
            lost=np.concatenate(
                [absent[0], *(part[2] for part in self.parts), absent[1]]
            ),
            noise=np.concatenate([absent[0] * 0.0, *noise, absent[1] * 0.0]),
            stretch=np.repeat(numbers, counts),
            stretches=self.stretches,
            extras=np.concatenate(extras) if extras else np.zeros(0, EXTRA_DTYPE),
            channel_noise=np.sqrt(np.mean(np.square(self.levels), axis=0)),
        )


def judged(
    rows: NDArray[np.void],
    seen: Observation,
    chain: Chain,
    z: float,
    *,
    anywhere: bool = False,
) -> tuple[Mask, Mask]:
    """Return which events are where the clock says, and which are strong enough."""
    fits = seen.fits
    gain = chain.gain[rows["channel"]]
    noise = seen.noise[rows["channel"]] * IN_BAND
    ratio = fits["ratio"] / gain
    some = fits["energy"] > 0
    relative = noise / np.where(some, np.abs(gain) * np.sqrt(fits["energy"]), 1.0)
    decidable = some & (relative * z < FOUND)
    steep = np.abs(gain) * np.sqrt(np.where(some, fits["steepness"], 1.0))
    jitter = noise / np.where(some, steep, 1.0)
    good = decidable & (ratio > FOUND) & (ratio < 2.0 / FOUND)
    if not anywhere:
        good &= np.abs(fits["delay"]) <= np.maximum(SMALLEST_JUMP, z * jitter)
    return good, decidable
