"""Ramps of an on-period, found in the charges of its pulses."""

from __future__ import annotations

import math

import numpy as np

from nmes_wave.measuring.samples import Floats

#: A ramp begins at this part of the plateau or below.
_FOOT = 0.95
#: ... and explains this many times the scatter that is left.
_CLEAR = 4.0
_TRIALS = 60


def _shapes(u: Floats) -> dict[str, Floats]:
    return {
        "linear": u,
        "cosine": (1 - np.cos(np.pi * u)) / 2,
        "exponential": np.expm1(5 * u) / math.expm1(5),
    }


def ramp_s(time_s: Floats, charge: Floats) -> float:
    """Return how long a ramp at the begin lasts, 0 without one.

    Parameters
    ----------
    time_s
        Of the pulses, from the begin of the on-period, ascending.
    charge
        Per phase: it shows ramps of amplitude and of width.

    Notes
    -----
    The best of the three shapes that this package has, linear, cosine and
    exponential, from any start level.
    """
    if len(charge) < 4:
        return 0.0
    top = np.flatnonzero(charge >= 0.97 * np.quantile(charge, 0.95))
    # to the middle of the plateau: behind it is the ramp down
    n = max(4, int(np.median(top)) + 1)
    t, y = time_s[:n], charge[:n]
    flat = float(np.sum((y - np.median(y)) ** 2))
    trials = t[np.unique(np.linspace(1, n - 1, min(n - 1, _TRIALS)).astype(int))]
    best = (math.inf, 0.0, 1.0)
    for name in ("linear", "cosine", "exponential"):
        errors = [_fitted(t, y, float(r), name) for r in trials]
        i = min(range(len(errors)), key=lambda j: errors[j][0])
        low = float(trials[max(0, i - 1)])
        high = float(trials[min(len(trials) - 1, i + 1)])
        for r in np.linspace(low, high, 21):
            error, foot = _fitted(t, y, float(r), name)
            if error < best[0] * (1 - 1e-9):
                best = (error, float(r), foot)
    error, found, foot = best
    noise = max(error / max(1, n - 3), 1e-12 * float(np.max(y)) ** 2)
    if foot > _FOOT or (flat - error) < _CLEAR**2 * noise:
        return 0.0
    return found


def _fitted(t: Floats, y: Floats, length: float, name: str) -> tuple[float, float]:
    """Return the squares that a ramp leaves, and its start level."""
    drop = 1 - _shapes(np.minimum(t / length, 1.0))[name]
    basis = np.stack([np.ones_like(t), -drop], axis=1)
    (top, depth), *_ = np.linalg.lstsq(basis, y, rcond=None)
    error = float(np.sum((basis @ np.array([top, depth]) - y) ** 2))
    return error, 1 - depth / top if top > 0 else 1.0
