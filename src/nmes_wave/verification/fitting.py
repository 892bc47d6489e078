"""Amplitude, delay and the rest of many events at once, by matched filters."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: What is measured of each event, in the recording's frames and mA; before any
#: gain is known.
FIT_DTYPE = np.dtype(
    [
        ("ratio", np.float64),  # of recorded and planned amplitude, signed
        ("delay", np.float64),  # frames, against the clock that predicted it
        ("energy", np.float64),  # of the planned event: sum of squares
        ("steepness", np.float64),  # sum of squares of its derivative
        ("rest", np.float64),  # sum of squares that the fit leaves
        ("n_rest", np.float64),  # samples of it
        ("n_outer", np.float64),  # samples that tell the offset
        ("gross", np.float64),  # sum over the phases, each with its sign
        ("planned_gross", np.float64),
        ("n_gross", np.float64),
        ("net", np.float64),  # sum
        ("planned_net", np.float64),
        ("droop", np.float64),  # rest times running sum of the event
        ("droop_energy", np.float64),
    ]
)
#: A delay this near (frames) is taken before a better one further off, which for
#: a carrier is one half cycle away and almost as good.
NEAR = 2
#: ... where it explains this part of it.
NEAR_PART = 0.8


def fit(
    residual: Floats, planned: Floats, gain: float, margin: int, search: int
) -> tuple[NDArray[np.void], Floats]:
    """Fit each row of `planned` to the same row of a recording.

    Parameters
    ----------
    residual
        The recording around each event, ``(events, frames)``, without `gain`
        times `planned`: with droop, an event has no flat line to either side.
    planned
        The event as planned, where the clock predicts it.
    gain
        See `residual`.
    margin
        Frames at either end of a row that the event does not reach.
    search
        Largest delay, in frames, less than `margin`.

    Returns
    -------
    fits
        `FIT_DTYPE`.
    model
        What was fitted, without the offset.
    """
    from scipy import fft

    length = planned.shape[1]
    inner = margin // 2
    outer = np.r_[0:inner, length - inner : length]
    offset = np.median(residual[:, outer], axis=1, keepdims=True)
    rows = residual - offset + gain * planned
    size = fft.next_fast_len(length + search, real=True)
    omega = 2 * np.pi * np.arange(size // 2 + 1) / size
    weight = np.full(len(omega), 2.0 / size)
    weight[0] = 1.0 / size
    if size % 2 == 0:
        weight[-1] = 1.0 / size
    spectrum = fft.rfft(planned, size)
    cross = fft.rfft(rows, size) * spectrum.conj()
    power = np.abs(spectrum) ** 2

    delay = _delays(cross, omega, weight, size, search)
    turn = np.exp(1j * omega * delay[:, np.newaxis])
    energy = power @ weight
    out = np.zeros(len(rows), FIT_DTYPE)
    safe = np.where(energy > 0, energy, 1.0)
    out["ratio"] = (cross * turn).real @ weight / safe
    out["delay"] = delay
    out["energy"] = energy
    out["steepness"] = power @ (weight * omega**2)
    moved = fft.irfft(spectrum * turn.conj(), size)[:, :length]
    model: Floats = out["ratio"][:, np.newaxis] * moved
    core = slice(inner, length - inner)
    rest = rows - model
    rest -= rest[:, core].mean(axis=1, keepdims=True)
    out["rest"] = np.einsum("nk,nk->n", rest[:, core], rest[:, core])
    out["n_rest"] = length - 2 * inner
    out["n_outer"] = 2 * inner
    sign = _signs(moved, inner // 2)
    out["gross"] = np.einsum("nk,nk->n", rows, sign)
    out["planned_gross"] = np.einsum("nk,nk->n", moved, sign)
    out["n_gross"] = np.abs(sign).sum(axis=1)
    out["net"] = rows[:, core].sum(axis=1)
    out["planned_net"] = moved[:, core].sum(axis=1)
    running = np.zeros_like(planned)
    running[:, core] = np.cumsum(planned, axis=1)[:, core]
    running[:, core] -= running[:, core].mean(axis=1, keepdims=True)
    part = np.einsum("nk,nk->n", running, planned) / safe
    running -= part[:, np.newaxis] * planned
    out["droop"] = np.einsum("nk,nk->n", rest, running)
    out["droop_energy"] = np.einsum("nk,nk->n", running, running)
    return out, model


def _delays(
    cross: NDArray[np.complex128], omega: Floats, weight: Floats, size: int, search: int
) -> Floats:
    from scipy import fft

    lags = np.arange(-search, search + 1)
    found = np.abs(fft.irfft(cross, size)[:, lags])
    every = np.arange(len(found))
    best = found.argmax(axis=1)
    low = search - NEAR
    near = low + found[:, low : search + NEAR + 1].argmax(axis=1)
    best = np.where(found[every, near] >= NEAR_PART * found[every, best], near, best)
    whole = lags[best].astype(np.float64)
    delay = whole.copy()
    for _ in range(5):
        turned = cross * np.exp(1j * omega * delay[:, np.newaxis])
        slope = -turned.imag @ (weight * omega)
        bend = -turned.real @ (weight * omega**2)
        level = np.sign(turned.real @ weight)
        peak = level * bend < 0  # else no maximum is near
        step = np.where(peak, slope / np.where(peak, bend, 1.0), 0.0)
        delay = np.clip(delay - step, whole - 1, whole + 1)
    out: Floats = delay
    return out


def _signs(planned: Floats, reach: int) -> Floats:
    """Return the sign of the phase that each sample belongs to, 0 far from all."""
    peak = np.abs(planned).max(axis=1, keepdims=True)
    sign = np.sign(planned) * (np.abs(planned) > 0.1 * peak)
    for _ in range(reach):
        wider = sign.copy()
        wider[:, 1:] = np.where(wider[:, 1:] == 0, sign[:, :-1], wider[:, 1:])
        wider[:, :-1] = np.where(wider[:, :-1] == 0, sign[:, 1:], wider[:, :-1])
        sign = wider
    out: Floats = sign
    return out
