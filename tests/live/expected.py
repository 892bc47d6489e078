"""Events as the waveform's mathematics has them, fitted to codes of any level.

The level of a live event depends on when a command was asked. So an event is
compared the other way round: which levels give the codes that were received?
With Q the running sum of the codes and C the ideal charge of level 1, those with
``|Q| <= L |C| < |Q| + 1`` at every frame boundary; none, if the event is wrong.
"""

from __future__ import annotations

import functools
import itertools
import math
from fractions import Fraction

import numpy as np

import nmes_wave as nw

_SLACK = 1e-3  # code·frame: float64 at 2^31 codes and hundreds of frames
_HALF = Fraction(1, 2)
_E5 = math.exp(5)


def _frames(time_us, plan):
    frames = Fraction(time_us) * Fraction(plan.output.sample_rate_hz) / 1_000_000
    # Whole but for the last digits of its float64 is whole.
    whole = round(frames)
    return Fraction(whole) if abs(frames - whole) <= whole * 1e-12 else frames


def _triangular(u):
    return np.where(u <= 0.5, 2 * u**2, 1 - 2 * (1 - u) ** 2)


def _rise(u):
    return (np.expm1(5 * u) - 5 * u) / (_E5 - 6)


#: Mean level of a shape, and the part of its charge that has flowed at u.
_SHAPES = {
    "rectangular": (1.0, lambda u: u),
    "square": (1.0, lambda u: u),
    "half_sine": (2 / math.pi, lambda u: np.sin(math.pi * u / 2) ** 2),
    "sine": (2 / math.pi, lambda u: np.sin(math.pi * u / 2) ** 2),
    "triangular": (0.5, _triangular),
    "exponential_rise": (0.2 - 1 / (_E5 - 1), _rise),
    "exponential_decay": (0.2 - 1 / (_E5 - 1), lambda u: 1 - _rise(1 - u)),
}


def _pulse(event, width_us, plan, onset):
    """Pieces: begin and width in frames, charge of level 1, and its curve."""
    width = _frames(width_us, plan)
    recovery = width * Fraction(event.recovery_ratio)
    gap = _frames(event.interphase_gap_us, plan)
    if plan.output.edges == "snap":
        width, recovery = (
            Fraction(max(1, math.floor(x + _HALF))) for x in (width, recovery)
        )
        gap = Fraction(math.floor(gap + _HALF))
    mean, curve = _SHAPES[event.shape]
    area = float(width) * mean
    begin = max(onset + width + gap, Fraction(math.ceil(onset + width)))
    _, back = _SHAPES[event.recovery_shape or event.shape]
    return [(onset, width, area, curve), (begin, recovery, -area, back)]


def _burst(event, plan, onset):
    half = Fraction(plan.output.sample_rate_hz) / (2 * Fraction(event.carrier_hz))
    mean, curve = _SHAPES[event.shape]
    area = float(half) * mean
    return [
        (onset + i * half, half, -area if i % 2 else area, curve)
        for i in range(2 * event.cycles)
    ]


def _custom(event, plan, onset):
    points = [(_frames(t, plan), Fraction(a)) for t, a in event.points]
    lines = []
    for (t0, a), (t1, b) in itertools.pairwise(points):
        if a * b < 0:
            zero = t0 + (t1 - t0) * a / (a - b)
            lines += [(t0, zero, a, 0), (zero, t1, 0, b)]
        else:
            lines.append((t0, t1, a, b))
    areas = [(t1 - t0) * (a + b) / 2 for t0, t1, a, b in lines]
    gained = sum(x for x in areas if x > 0)
    lost = -sum(x for x in areas if x < 0)
    areas = [x * gained / lost if x < 0 else x for x in areas]
    pieces = []
    for (t0, t1, a, b), area in zip(lines, areas, strict=True):
        if area:
            a, b = float(a), float(b)
            curve = functools.partial(
                lambda u, a, b: (2 * a * u + (b - a) * u**2) / (a + b), a=a, b=b
            )
            pieces.append((onset + t0, t1 - t0, float(area), curve))
    return pieces


@functools.lru_cache(4096)
def _unit_charge(plan, stage, width_us, fraction):
    onset = Fraction(fraction)
    event = stage.event
    if isinstance(event, nw.Pulse):
        pieces = _pulse(event, width_us, plan, onset)
    elif isinstance(event, nw.Burst):
        pieces = _burst(event, plan, onset)
    else:
        pieces = _custom(event, plan, onset)
    begin, width, _, _ = pieces[-1]
    t = np.arange(1, math.ceil(begin + width) + 1, dtype=np.float64)
    charge = np.zeros(len(t))
    for begin, width, area, curve in pieces:
        u = np.clip((t - float(begin)) / float(width), 0, 1)
        charge += area * curve(u)
    charge[-1] = 0.0  # balanced: exactly
    return charge


def unit_charge(plan, row):
    """Charge of level 1 (code·frame) at the end of each frame an event touches.

    The first of them is ``floor(row["frame"])``; polarity and alternation are in.
    """
    stage = plan.protocol.channels[row["channel"]].stages[row["stage"]]
    frame = float(row["frame"])
    charge = _unit_charge(
        plan, stage, float(row["phase_width_us"]), frame - math.floor(frame)
    )
    sign = stage.event.polarity
    if stage.train.alternate_polarity and row["index"] % 2:
        sign = -sign
    return sign * charge


def levels_of(unit, charge):
    """The levels (lowest, highest) that give these running sums; None: none do."""
    if (charge[unit == 0] != 0).any() or (charge * unit < 0).any():
        return None
    c, q = np.abs(unit[unit != 0]), np.abs(charge[unit != 0])
    if not len(c):
        return (0, 2**40)
    lowest = max(0, math.ceil(((q - _SLACK) / c).max()))
    highest = math.ceil(((q + 1 + _SLACK) / c).min()) - 1
    return (lowest, highest) if lowest <= highest else None


def level_at(plan, row, intensity):
    """The level of an event at an intensity, in codes, as the page reckons it."""
    full_scale_ma = plan.output.full_scales_ma(plan.n_channels)[row["channel"]]
    x = float(row["amplitude_ma"]) * intensity / full_scale_ma * plan.output.max_code
    return math.floor(x * (1 + 1e-12))
