"""Models of one event, rendered as the mean over each frame.

A row of parameters holds times in frames and levels in mA; the same rows for
many events at once are an array ``(events, parameters)``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from nmes_wave.measuring.samples import Floats
from nmes_wave.spec.event import CARRIER_MEAN, PHASE_MEAN

_E5 = math.expm1(5)


def _half_sine(u: Floats) -> Floats:
    return (1 - np.cos(np.pi * u)) / 2


def _triangular(u: Floats) -> Floats:
    return np.where(u < 0.5, 2 * u * u, 1 - 2 * (1 - u) ** 2)


def _rise(u: Floats) -> Floats:
    return (np.expm1(5 * u) - 5 * u) / (_E5 - 5)


def _decay(u: Floats) -> Floats:
    return 1 - _rise(1 - u)


def _rectangular(u: Floats) -> Floats:
    return u


#: Part of a phase's area that has flowed at u = 0..1 of its width.
FLOWN: dict[str, Callable[[Floats], Floats]] = {
    "rectangular": _rectangular,
    "half_sine": _half_sine,
    "triangular": _triangular,
    "exponential_rise": _rise,
    "exponential_decay": _decay,
}


@dataclass(frozen=True)
class Phases:
    """One phase, or two with a gap between them.

    Parameters
    ----------
    first, recovery
        Shapes; `recovery` empty: there is one phase.
    """

    first: str
    recovery: str

    #: Columns of the parameters; the last three need a recovery phase.
    ONSET: ClassVar[int] = 0
    WIDTH: ClassVar[int] = 1
    LEVEL: ClassVar[int] = 2
    GAP: ClassVar[int] = 3
    RECOVERY_WIDTH: ClassVar[int] = 4
    RECOVERY_LEVEL: ClassVar[int] = 5

    @property
    def name(self) -> str:
        """The shapes in words."""
        if not self.recovery:
            return f"monophasic {self.first}"
        if self.recovery == self.first:
            return self.first
        return f"{self.first}, recovery {self.recovery}"

    @property
    def times(self) -> list[int]:
        """Columns that hold widths and gaps."""
        return [self.WIDTH, self.GAP, self.RECOVERY_WIDTH] if self.recovery else [1]

    @property
    def levels(self) -> list[int]:
        """Columns that hold levels."""
        return [self.LEVEL, self.RECOVERY_LEVEL] if self.recovery else [self.LEVEL]

    @property
    def scalable(self) -> list[int]:
        """Columns that a width-modulated train scales."""
        return [self.WIDTH, self.RECOVERY_WIDTH] if self.recovery else [self.WIDTH]

    def render(self, rows: Floats, n_frames: int) -> Floats:
        """Return ``(events, n_frames)``."""
        onset, width = rows[:, self.ONSET], rows[:, self.WIDTH]
        charge = self.charge(rows)
        flown = charge[:, None] * _flown(self.first, onset, width, n_frames)
        if self.recovery:
            begin = onset + width + rows[:, self.GAP]
            wide, level = rows[:, self.RECOVERY_WIDTH], rows[:, self.RECOVERY_LEVEL]
            back = level * wide * PHASE_MEAN[self.recovery]
            flown -= back[:, None] * _flown(self.recovery, begin, wide, n_frames)
        return np.diff(flown, axis=1)

    def charge(self, rows: Floats) -> Floats:
        """Return the area of the first phase, mA·frames."""
        return rows[:, self.LEVEL] * rows[:, self.WIDTH] * PHASE_MEAN[self.first]

    def span(self, rows: Floats) -> Floats:
        """Return the frames from onset to end."""
        return rows[:, self.times].sum(axis=1)


@dataclass(frozen=True)
class Cycles:
    """A carrier of so many half cycles."""

    shape: str
    halves: int

    ONSET: ClassVar[int] = 0
    WIDTH: ClassVar[int] = 1  # of half a cycle
    LEVEL: ClassVar[int] = 2

    @property
    def name(self) -> str:
        """The carrier in words."""
        return f"burst of {self.halves / 2:g} cycles, {self.shape}"

    times: ClassVar[list[int]] = [1]
    levels: ClassVar[list[int]] = [2]
    scalable: ClassVar[list[int]] = []

    def render(self, rows: Floats, n_frames: int) -> Floats:
        """Return ``(events, n_frames)``."""
        onset, width, level = rows[:, 0], rows[:, 1], rows[:, 2]
        edges = np.arange(n_frames + 1.0)
        turn = (edges - onset[:, None]) / width[:, None]
        part = np.clip(turn, 0.0, float(self.halves)) % 2.0
        if self.halves % 2:
            part = np.where(turn >= self.halves, 1.0, part)
        flow = FLOWN[{"sine": "half_sine", "square": "rectangular"}.get(
            self.shape, self.shape
        )]  # fmt: skip
        flown = np.where(
            part <= 1, flow(np.minimum(part, 1.0)), 1 - flow(np.maximum(part, 1.0) - 1)
        )
        area = level * width * CARRIER_MEAN[self.shape]
        return np.diff(area[:, None] * flown, axis=1)

    def charge(self, rows: Floats) -> Floats:
        """Return the area of half a cycle, mA·frames."""
        area: Floats = rows[:, 1] * rows[:, 2] * CARRIER_MEAN[self.shape]
        return area

    def span(self, rows: Floats) -> Floats:
        """Return the frames from onset to end."""
        frames: Floats = self.halves * rows[:, 1]
        return frames


@dataclass(frozen=True)
class Averaged:
    """Any other shape: the mean of the pulses themselves, shifted and scaled.

    Parameters
    ----------
    mean
        Frames of the event, its largest value 1, its onset at frame 0 (the
        first ones may lie before it).
    before
        Frames of `mean` before the onset.
    width, area
        Of the first phase, in frames; the area for a level of 1.
    length
        From onset to end.
    """

    mean: tuple[float, ...]
    before: float
    width: float
    area: float
    length: float

    ONSET: ClassVar[int] = 0
    WIDTH: ClassVar[int] = 1
    LEVEL: ClassVar[int] = 2

    name: ClassVar[str] = "other"
    times: ClassVar[list[int]] = [1]
    levels: ClassVar[list[int]] = [2]
    scalable: ClassVar[list[int]] = []

    def render(self, rows: Floats, n_frames: int) -> Floats:
        """Return ``(events, n_frames)``; the mean is joined by straight lines."""
        at = np.arange(n_frames) - rows[:, :1] + self.before
        grid = np.arange(len(self.mean))
        flat = np.interp(at.ravel(), grid, self.mean, left=0.0, right=0.0)
        out: Floats = rows[:, 2:3] * flat.reshape(at.shape)
        return out

    def charge(self, rows: Floats) -> Floats:
        """Return the area of the first phase, mA·frames."""
        area: Floats = rows[:, 2] * self.area
        return area

    def span(self, rows: Floats) -> Floats:
        """Return the frames from onset to end."""
        return np.full(len(rows), self.length)


class Drooped:
    """A waveform behind a first-order high-pass.

    One more parameter, the last: its corner in thousandths of a radian per
    frame, so that all parameters are of one order.
    """

    ONSET = 0

    def __init__(self, model: Phases | Cycles | Averaged) -> None:
        self.model = model
        self.times = model.times
        self.levels = model.levels

    def corner(self, rows: Floats) -> Floats:
        """Return the corner, radians per frame."""
        angle: Floats = rows[:, -1] / 1000
        return angle

    def render(self, rows: Floats, n_frames: int) -> Floats:
        """Return ``(events, n_frames)``."""
        term = self.model.render(rows[:, :-1], n_frames)
        out = term.copy()
        # y = x − ωc ∫ y, put into itself; 20 Hz at 48 kHz turn by 1.3 rad in 10 ms
        for _ in range(8):
            term = -self.corner(rows)[:, None] * (np.cumsum(term, axis=1) - term / 2)
            out += term
        return out


Waveform = Phases | Cycles | Averaged


def _flown(shape: str, onset: Floats, width: Floats, n_frames: int) -> Floats:
    edges = np.arange(n_frames + 1.0)
    u = (edges - onset[:, None]) / width[:, None]
    return FLOWN[shape](np.clip(u, 0.0, 1.0))
