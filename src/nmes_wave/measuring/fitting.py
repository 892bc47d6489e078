"""Fits a waveform to many events at once.

Gauss and Newton's method with a prior: what an event is too weak to tell of its
widths, the channel's other events tell.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nmes_wave.measuring.samples import Floats
from nmes_wave.measuring.waveforms import Waveform

#: Frames and model pass through this before they are compared: what rings near
#: the Nyquist frequency (converters and resamplers at edges) is put aside, and an
#: edge has a slope that can be followed.
_SMOOTHER = np.array([1.0, 4.0, 6.0, 4.0, 1.0]) / 16
#: R.m.s. of white noise after it.
SMOOTHED_NOISE = float(np.sqrt(np.sum(_SMOOTHER**2)))
_STEP = 0.02  # of the numeric derivative, frames
_ITERATIONS = 8
#: Added to the unit diagonal: phases of one frame tell level and width as one.
_RIDGE = 1e-12
#: Smallest width that a phase can have, frames.
_NARROWEST = 0.5


def smoothed(rows: Floats) -> Floats:
    """Return ``(events, frames)`` low-passed; 4 frames shorter."""
    n = rows.shape[1] - 4
    out = np.zeros((len(rows), n))
    for i, weight in enumerate(_SMOOTHER):
        out += weight * rows[:, i : i + n]
    return out


def drooped(rows: Floats, corner: float) -> Floats:
    """Pass rows through a first-order high-pass; `corner` in radians per frame."""
    from scipy.signal import lfilter

    out: Floats = lfilter([1, -1], [1 + corner / 2, corner / 2 - 1], rows, axis=1)
    return out


def integrals(rows: Floats) -> Floats:
    """Return the running integral at the middle of each frame.

    A first-order high-pass that makes y of x is undone by x = y + ωc ∫ y, but for
    the constant that leaves x at 0 before the event.
    """
    return np.cumsum(rows, axis=1) - rows / 2


class Fit(NamedTuple):
    """What `fit` found, for each event."""

    #: Parameters.
    rows: Floats
    #: R.m.s. of what they leave unexplained, after the smoother.
    rest: Floats
    #: Standard uncertainty of the onset, frames.
    onset_sd: Floats
    #: How much of the further shape there is.
    amount: Floats


def fit(
    model: Waveform,
    windows: Floats,
    start: Floats,
    sd: Floats,
    noise: float,
    further: Floats | None = None,
) -> Fit:
    """Fit each row of `windows`.

    Parameters
    ----------
    model, windows
        ``(events, frames)``, frame 0 of a window is time 0.
    start
        First guess and mean of the prior, ``(events, parameters)``.
    sd
        Standard deviation of the prior, the same shape.
    noise
        R.m.s. of the noise, mA.
    further
        A shape of the size of `windows` that is in them too, in an unknown
        amount.
    """
    n_events, n_frames = windows.shape
    n = start.shape[1]
    seen = smoothed(windows)
    size = np.abs(start[:, model.LEVEL])
    # not SMOOTHED_NOISE: slow errors, which the smoother leaves, count most
    floor = np.maximum(np.maximum(noise, 1e-3 * size), np.finfo(float).tiny)
    steps = np.full(start.shape, _STEP)
    steps[:, model.levels] = 1e-3 * np.maximum(size, np.finfo(float).tiny)[:, None]
    weights = sd**-2.0
    shape = smoothed(windows if further is None else further)
    if further is not None:
        weights = np.hstack([weights, np.zeros((n_events, 1))])
    rows, amount, onset_sd = start.copy(), np.zeros(n_events), np.zeros(n_events)
    diagonal = range(weights.shape[1])
    times = [model.ONSET, *model.times]
    todo = np.arange(n_events)
    for _ in range(_ITERATIONS):
        now, scale = rows[todo], 1 / floor[todo, None]
        here = smoothed(model.render(now, n_frames))
        rest = (seen[todo] - here - amount[todo, None] * shape[todo]) * scale
        slopes = np.empty((*rest.shape, weights.shape[1]))
        for p in range(n):
            moved = now.copy()
            moved[:, p] += steps[todo, p]
            there = smoothed(model.render(moved, n_frames))
            slopes[:, :, p] = (there - here) * (scale / steps[todo, p : p + 1])
        if further is not None:
            slopes[:, :, n] = shape[todo] * scale
        matrix = slopes.transpose(0, 2, 1) @ slopes
        matrix[:, diagonal, diagonal] += weights[todo]
        right = (rest[:, None, :] @ slopes)[:, 0]
        right[:, :n] += weights[todo, :n] * (start[todo] - now)
        # about a unit diagonal: weights and slopes lie 1e12 apart
        size_sd = 1 / np.sqrt(matrix[:, diagonal, diagonal])
        unit = size_sd[:, :, None] * size_sd[:, None, :]
        matrix *= unit
        matrix[:, diagonal, diagonal] += _RIDGE
        inverse = np.linalg.inv(matrix) * unit
        step = (inverse @ right[:, :, None])[:, :, 0]
        onset_sd[todo] = np.sqrt(np.maximum(inverse[:, 0, 0], 0.0))
        if further is not None:
            amount[todo] += step[:, n]
        step[:, times] = step[:, times].clip(-2, 2)
        rows[todo] = _allowed(model, now + step[:, :n])
        todo = todo[(np.abs(step[:, times]) > 1e-3).any(axis=1)]
        if not len(todo):
            break
    left = seen - smoothed(model.render(rows, n_frames)) - amount[:, None] * shape
    return Fit(rows, np.sqrt(np.mean(left**2, axis=1)), onset_sd, amount)


def _allowed(model: Waveform, rows: Floats) -> Floats:
    for p in model.times:
        least = 0.0 if p == 3 else _NARROWEST  # 3: the gap of `Phases`
        rows[:, p] = np.maximum(rows[:, p], least)
    return rows


def matched(
    windows: Floats,
    shapes: Floats,
    low: NDArray[np.int64] | None = None,
    high: NDArray[np.int64] | None = None,
) -> tuple[NDArray[np.int64], NDArray[np.int64], Floats]:
    """Find the best of some shapes in each window, of either sign, at any lag.

    Parameters
    ----------
    windows
        ``(events, frames)``.
    shapes
        ``(shapes, frames)``, fewer frames.
    low, high
        First and last lag that each window allows; None: all.

    Returns
    -------
    shape, lag
        Which one, and the frame of the window where its frame 0 lies.
    ratio
        Its amplitude, signed.
    """
    from scipy import fft

    length, short = windows.shape[1], shapes.shape[1]
    size = fft.next_fast_len(length + short, real=True)
    spectra = fft.rfft(windows, size)
    best = np.zeros(len(windows), np.int64)
    lag = np.zeros(len(windows), np.int64)
    ratio = np.zeros(len(windows))
    score = np.full(len(windows), -1.0)
    every = np.arange(len(windows))
    lags = np.arange(length - short + 1)
    barred = np.zeros((len(windows), len(lags)), bool)
    if low is not None:
        barred |= lags < low[:, None]
    if high is not None:
        barred |= lags > high[:, None]
    for i, shape in enumerate(shapes):
        energy = float(shape @ shape)
        if energy == 0:
            continue
        cross = fft.irfft(spectra * fft.rfft(shape, size).conj(), size)
        cross = cross[:, : len(lags)]
        at = np.where(barred, -1.0, np.abs(cross)).argmax(axis=1)
        value = cross[every, at]
        better = np.abs(value) / np.sqrt(energy) > score
        score[better] = np.abs(value[better]) / np.sqrt(energy)
        best[better], lag[better] = i, at[better]
        ratio[better] = value[better] / energy
    return best, lag, ratio
