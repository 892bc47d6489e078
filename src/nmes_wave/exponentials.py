"""Sums of decaying exponentials: their integrals, and where one first passes zero."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray


def decayed(rate: ArrayLike, time: ArrayLike) -> NDArray[np.float64]:
    """Return the integral of ``exp(-rate t)`` from 0 to `time`."""
    rate, time = np.broadcast_arrays(rate, time)
    turns = rate * time
    out = np.array(time, np.float64)
    # below it the quotient of two subnormal numbers would be nonsense
    np.divide(-np.expm1(-turns), rate, out=out, where=turns > 1e-200)
    return out


def first_above(
    first: float,
    terms: Sequence[float],
    rates: Sequence[float],
    time: float,
    near: float,
) -> float | None:
    """Return when ``f(t) = first + sum(c expm1(-r t))`` is first above 0.

    Parameters
    ----------
    first
        The value at 0.
    terms, rates
        c and r, r at least 0.
    time
        End of the search.
    near
        What is above minus this counts as above 0, beyond the first instant.

    Returns
    -------
    float or None
        None: never, up to `time`. No root is stepped over: a term with c < 0
        rises and lies below its tangent, another one falls and lies below its
        chord, so a straight line bounds f over an interval. Newton's steps
        along it come up to the first root from the left.
    """
    if first > 0:
        return 0.0
    pairs = [(c, r) for c, r in zip(terms, rates, strict=True) if c and r]
    if first + sum([c * math.expm1(-r * time) for c, r in pairs if c < 0]) <= 0:
        return None
    if len(pairs) == 1:
        c, r = pairs[0]
        return min(-math.log1p(-first / c) / r, time)
    t, width = 0.0, time
    while t < time:
        end = min(t + width, time)
        value, slope = first, 0.0
        for c, r in pairs:
            moved = c * math.expm1(-r * t)
            value += moved
            if c < 0:
                slope -= r * (c + moved)
            else:
                slope += (c * math.expm1(-r * end) - moved) / (end - t)
        if value >= -near:
            return t
        if value + slope * (end - t) <= 0:
            t, width = end, 2 * width
        else:
            t, width = max(t - value / slope, math.nextafter(t, end)), width / 2
    return None
