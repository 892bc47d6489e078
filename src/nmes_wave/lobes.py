"""What lobes of bursts and custom shapes lose in the frames that they share.

A frame that holds the end of one lobe, of area a in there, and the beginning of
the next, of area b and the other sign, delivers a - b: both lobes lose
min(a, b). Every lobe is at least one frame wide (the sample grid's check), so a
frame holds one such meeting at most. Areas here are in frames, at level 1.
"""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from nmes_wave.output import Output
from nmes_wave.spec import Burst, CustomPulse
from nmes_wave.spec.event import PHASE_MEAN

#: The phase shape that half a cycle of a carrier has.
HALF_CYCLE = {"sine": "half_sine", "square": "rectangular", "triangular": "triangular"}
#: Zero crossings of a carrier that are looked at one by one.
MAX_CROSSINGS = 1000

_Array = NDArray[np.float64]


def shape_area(shape: str, u: float) -> float:
    """Return the integral of a phase shape from 0 to u, 0 <= u <= 1."""
    if shape == "half_sine":
        return 2 * math.sin(math.pi * u / 2) ** 2 / math.pi
    if shape == "triangular":
        return u * u if u <= 0.5 else 0.5 - (1 - u) ** 2
    if shape == "exponential_rise":
        return (math.expm1(5 * u) / 5 - u) / math.expm1(5)
    if shape == "exponential_decay":
        return PHASE_MEAN[shape] - shape_area("exponential_rise", 1 - u)
    return u


def half_cycle(event: Burst, output: Output) -> Fraction:
    """Return half a carrier cycle in frames."""
    return Fraction(output.sample_rate_hz) / (2 * Fraction(event.carrier_hz))


def burst_loss(event: Burst, output: Output, aligned: bool, touching: bool) -> float:
    """Return the most that a half cycle loses, in frames.

    Parameters
    ----------
    aligned
        Every event begins on a frame boundary; else anywhere in a frame.
    touching
        The last half cycle can share a frame with the next event's first.
    """
    half = half_cycle(event, output)
    shape = HALF_CYCLE[event.shape]

    def lost(distance: Fraction) -> float:
        """Loss at a zero crossing this far from the nearest frame boundary."""
        return float(half) * shape_area(shape, float(distance / half))

    n = 2 * event.cycles
    # the next one falls on a frame boundary, and then they fall as before
    last = min(n - 1, half.denominator - 1)
    if aligned and last <= MAX_CROSSINGS:
        losses = [lost(_to_boundary(m * half)) for m in range(1, last + 1)]
        return max(a + b for a, b in pairwise([0.0, *losses, 0.0]))
    # `lost` is convex, so the sum over both ends of a half cycle is largest where
    # one of them is in the middle of a frame.
    other = lost(Fraction(1, 2) - _to_boundary(half)) if n > 2 or touching else 0.0
    return lost(Fraction(1, 2)) + other


def _to_boundary(t: Fraction) -> Fraction:
    part = t % 1
    return min(part, 1 - part)


def custom_losses(
    event: CustomPulse, output: Output, aligned: bool, touching: bool
) -> tuple[_Array, _Array]:
    """Return the area of each lobe and the most of it that is lost, in frames.

    `aligned` and `touching` as for `burst_loss`. A shape that touches the next
    is laid out twice, so that its first lobe follows its last.
    """
    shape = _Pieces(event, output, copies=2 if touching else 1)
    losses = []
    for k in range(len(shape.areas)):
        meetings = [m for m in (k - 1, k) if m in shape.meetings]
        offsets = np.zeros(1) if aligned else shape.knots(meetings)
        middles = (offsets[1:] + offsets[:-1]) / 2
        total = np.zeros(2 * len(offsets) - 1)
        for m in meetings:
            total[::2] += shape.loss(m, offsets)
            total[1::2] += shape.loss(m, middles)
        highest = _highest(total)
        losses.append(highest if highest > 1e-9 else 0.0)
    return shape.areas, np.array(losses)


class _Pieces:
    """A custom shape as straight pieces of one sign, times in frames."""

    def __init__(self, event: CustomPulse, output: Output, copies: int) -> None:
        rows = np.array(event.segments() * copies)
        n = len(rows) // copies
        rows[n:, :2] += rows[n - 1, 1]
        sign = np.sign(rows[:, 2] + rows[:, 3])
        self.start, self.stop = rows[:, :2].T * output.sample_rate_hz / 1e6
        self.level, self.end_level = np.abs(rows[:, 2:]).T
        area = (self.level + self.end_level) / 2 * (self.stop - self.start)
        self.until = np.concatenate([[0.0], np.cumsum(area)])
        # A lobe is a run of pieces of one sign; the next copy begins a new one,
        # of the other sign where polarities alternate: assumed always.
        new = np.flatnonzero(np.diff(sign, prepend=0.0) != 0)
        if copies > 1:
            new = np.union1d(new, [n])
        runs = zip(new, [*new[1:], len(sign)], strict=True)
        lobes = [(a, b) for a, b in runs if sign[a]]
        self.areas = np.array([self.until[b] - self.until[a] for a, b in lobes])
        # meeting m is that of lobe m with the next
        self.end = np.array([self.stop[b - 1] for _, b in lobes[:-1]])
        self.begin = np.array([self.start[a] for a, _ in lobes[1:]])
        self.meetings = {
            m
            for m, ((a, _), (b, _)) in enumerate(pairwise(lobes))
            if sign[a] != sign[b] or b == n
        }
        self.crossing = self._crossing()

    def gross(self, t: _Array) -> _Array:
        """Integral of the magnitude up to `t`."""
        i = np.searchsorted(self.start, t, side="right") - 1
        i = np.clip(i, 0, len(self.start) - 1)
        length = self.stop[i] - self.start[i]
        x = np.clip(t - self.start[i], 0, length)
        rise = (self.end_level[i] - self.level[i]) * x / (2 * length)
        out: _Array = self.until[i] + x * (self.level[i] + rise)
        return out

    def sides(self, m: int | slice, t: _Array) -> tuple[_Array, _Array]:
        """Areas of both lobes in a frame that begins at `t`, near meeting `m`."""
        first = self.gross(self.end[m]) - self.gross(t)
        return first, self.gross(t + 1) - self.gross(self.begin[m])

    def _crossing(self) -> _Array:
        """For each meeting the frame in which both sides are equal, by bisection."""
        low, high = self.begin - 1, self.end
        for _ in range(60):
            middle = (low + high) / 2
            first, second = self.sides(slice(None), middle)
            low = np.where(first > second, middle, low)
            high = np.where(first > second, high, middle)
        return high

    def loss(self, m: int, offsets: _Array) -> _Array:
        """Loss at a meeting when the event begins this far inside a frame."""
        t = np.ceil(self.end[m] + offsets) - 1 - offsets
        return np.maximum(0.0, np.minimum(*self.sides(m, t)))

    def knots(self, meetings: list[int]) -> _Array:
        """Offsets between which the losses are quadratic: 0, ..., 1."""
        found = [np.array([0.0, 1.0])]
        for m in meetings:
            # where a straight piece within reach of the frame begins or ends
            near = np.abs(self.start - self.end[m]) < 3
            found.append(-self.start[near] % 1)
            found.append(-np.array([self.end[m], self.crossing[m]]) % 1)
        return np.unique(np.concatenate(found))


def _highest(values: _Array) -> float:
    """Return the maximum of parabolas through knot, middle, knot, middle, ..."""
    v0, v1, v2 = values[:-1:2], values[1::2], values[2::2]
    slope, bend = 4 * v1 - 3 * v0 - v2, 2 * (v0 + v2 - 2 * v1)
    with np.errstate(divide="ignore", invalid="ignore"):
        u = -slope / (2 * bend)
        tops = np.where((bend < 0) & (u > 0) & (u < 1), v0 + slope * u / 2, 0.0)
    return float(max(values.max(), tops.max(initial=0.0)))
