"""Which instant of the plan each frame of the recording is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: An alignment this close to the grid, in frames, lies on it.
ON_GRID = 0.01
#: Scatter that is nobody's fault, in frames.
LEAST = 1e-3
#: Events of so long before and after count for the clock at an instant.
LOCAL_S = 10.0
#: As many are needed; else the clock of the whole stretch counts.
LOCAL_EVENTS = 8


@dataclass(frozen=True)
class Clock:
    """A line from frames of the recording to frames of the plan."""

    frame: float
    plan_frame: float
    slope: float

    def at(self, frame: float) -> float:
        """Return the plan's frame at a frame of the recording."""
        return self.plan_frame + self.slope * (frame - self.frame)

    def frames(self, plan_frames: Floats) -> Floats:
        """Return where frames of the plan lie in the recording."""
        return self.frame + (plan_frames - self.plan_frame) / self.slope

    def plan_frames(self, frames: Floats) -> Floats:
        """Return where frames of the recording lie in the plan."""
        out: Floats = self.plan_frame + self.slope * (frames - self.frame)
        return out

    def later(self, frames: float) -> Clock:
        """Return the clock of a plan that comes later by frames of the recording."""
        return Clock(self.frame + frames, self.plan_frame, self.slope)


def fitted(frames: Floats, plan_frames: Floats, before: Clock) -> Clock:
    """Return the line through events, those far off it left out.

    The slope stays as it was `before` where there is too little to tell it.
    """
    if not len(frames):
        return before
    middle = float(np.median(frames))
    off = before.frames(plan_frames)
    error = frames - off
    keep = np.abs(error - np.median(error)) <= 4 * _spread(error) + LEAST
    span = float(np.ptp(frames))
    slope, shift = 0.0, float(np.median(error))
    if keep.sum() >= 6 and span > 0:
        for _ in range(3):
            u = frames[keep] - middle
            slope, shift = np.polyfit(u / span, error[keep], 1)
            rest = error - shift - slope * (frames - middle) / span
            wide = 4 * _spread(rest[keep]) + LEAST
            keep = np.abs(rest) <= wide
            if keep.sum() < 6:
                return before.later(float(np.median(error)))
        slope /= span
    clock = Clock(middle, before.at(middle - shift), before.slope * (1 - slope))
    return _on_grid(clock, frames)


def _on_grid(clock: Clock, frames: Floats) -> Clock:
    """Return the clock of a recording that is the plan's own frames, if it is."""
    ends = np.array([frames.min(), frames.max()])
    shift = clock.plan_frames(ends) - ends
    whole = round(float(shift[0]))
    near = np.abs(shift - whole).max() < ON_GRID and abs(clock.slope - 1) < 1e-3
    if len(frames) >= 6 and near:
        return Clock(0.0, float(whole), 1.0)
    return clock


def _spread(values: Floats) -> float:
    """Return the standard deviation, as the median deviation tells it."""
    return 1.4826 * float(np.median(np.abs(values - np.median(values))))


def local_errors(
    frames: Floats, plan_frames: Floats, good: NDArray[np.bool_], clock: Clock,
    rate_hz: float,
) -> Floats:  # fmt: skip
    """Return by how many frames events are late against their neighbours' clock.

    Two clocks wander by some parts in a million against each other, which is an
    error of none of the events.
    """
    error = frames - clock.frames(plan_frames)
    out = error.copy()
    if not good.any():
        return out
    size = LOCAL_S * rate_hz
    bins = np.floor(frames / size).astype(np.int64)
    for b in np.unique(bins):
        mine = bins == b
        near = good & (np.abs(bins - b) <= 1)
        if near.sum() < LOCAL_EVENTS:
            continue
        start = Clock(0.0, clock.at(0.0), clock.slope)
        local = fitted(frames[near], plan_frames[near], start)
        out[mine] = frames[mine] - local.frames(plan_frames[mine])
    return out
