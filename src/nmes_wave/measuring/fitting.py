"""Fits a waveform to many events at once.

Gauss and Newton's method with a prior: what an event is too weak to tell of its
widths, the channel's other events tell.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nmes_wave.measuring.samples import Floats
from nmes_wave.measuring.waveforms import Drooped, Waveform

#: Frames and model pass through this before they are compared: what rings near
#: the Nyquist frequency (converters and resamplers at edges) is put aside, and an
#: edge has a slope that can be followed.
_SMOOTHER = np.array([1.0, 4.0, 6.0, 4.0, 1.0]) / 16
#: R.m.s. of white noise after it.
SMOOTHED_NOISE = float(np.sqrt(np.sum(_SMOOTHER**2)))
_STEP = 0.02  # of the numeric derivative, frames
_ITERATIONS = 8
#: Smallest width that a phase can have, frames.
_NARROWEST = 0.5


def smoothed(rows: Floats) -> Floats:
    """Return ``(events, frames)`` low-passed; 4 frames shorter."""
    n = rows.shape[1] - 4
    out = np.zeros((len(rows), n))
    for i, weight in enumerate(_SMOOTHER):
        out += weight * rows[:, i : i + n]
    return out


def undrooped(rows: Floats, corner: float) -> Floats:
    """Undo a first-order high-pass: x = y + ωc ∫ y, from the begin of each row.

    Parameters
    ----------
    rows
        ``(events, frames)``, about the level before the event.
    corner
        Radians per frame.
    """
    if not corner:
        return rows
    return rows + corner * (np.cumsum(rows, axis=1) - rows / 2)


def drooped(rows: Floats, corner: float) -> Floats:
    """Do what `undrooped` undoes."""
    from scipy.signal import lfilter

    if not corner:
        return rows
    out: Floats = lfilter([1, -1], [1 + corner / 2, corner / 2 - 1], rows, axis=1)
    return out


def fit(
    model: Waveform | Drooped,
    windows: Floats,
    start: Floats,
    sd: Floats,
    noise: float,
) -> tuple[Floats, Floats, Floats]:
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

    Returns
    -------
    rows
        The parameters.
    rest
        R.m.s. of what they leave unexplained, after the smoother.
    onset_sd
        Standard uncertainty of the onset, frames.
    """
    n_frames = windows.shape[1]
    seen = smoothed(windows)
    size = np.abs(start[:, model.levels[0]])
    # not SMOOTHED_NOISE: slow errors, which the smoother leaves, count most
    floor = np.maximum(noise, 1e-3 * size)
    floor = np.maximum(floor, np.finfo(float).tiny)
    steps = np.full(start.shape, _STEP)
    steps[:, model.levels] = 1e-3 * np.maximum(size, np.finfo(float).tiny)[:, None]
    rows = start.copy()
    onset_sd = np.zeros(len(rows))
    todo = np.arange(len(rows))
    for _ in range(_ITERATIONS):
        now = rows[todo]
        here = smoothed(model.render(now, n_frames))
        rest = (seen[todo] - here) / floor[todo, None]
        slopes = np.empty((*rest.shape, rows.shape[1]))
        for p in range(rows.shape[1]):
            moved = now.copy()
            moved[:, p] += steps[todo, p]
            there = smoothed(model.render(moved, n_frames))
            slopes[:, :, p] = (there - here) / (floor[todo] * steps[todo, p])[:, None]
        weight = sd[todo] ** -2.0
        matrix = slopes.transpose(0, 2, 1) @ slopes
        matrix[:, range(rows.shape[1]), range(rows.shape[1])] += weight
        right = (rest[:, None, :] @ slopes)[:, 0] + weight * (start[todo] - now)
        inverse = np.linalg.inv(matrix)
        step = (inverse @ right[:, :, None])[:, :, 0]
        onset_sd[todo] = np.sqrt(np.maximum(inverse[:, 0, 0], 0.0))
        times = [model.ONSET, *model.times]
        step[:, times] = step[:, times].clip(-2, 2)
        rows[todo] = _allowed(model, now + step)
        todo = todo[(np.abs(step[:, times]) > 1e-3).any(axis=1)]
        if not len(todo):
            break
    rest = seen - smoothed(model.render(rows, n_frames))
    return rows, np.sqrt(np.mean(rest**2, axis=1)), onset_sd


def _allowed(model: Waveform | Drooped, rows: Floats) -> Floats:
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
