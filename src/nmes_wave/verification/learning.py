"""What lies between plan and recording, from the first events: gain, droop, more."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from nmes_wave.verification.clock import Clock
from nmes_wave.verification.observing import Chain, Observation, Observer

Floats = NDArray[np.float64]

#: So much of the recording tells them, in pieces.
LEARN_S, PIECE_S = 12.0, 2.0
#: A corner below this is no droop, Hz.
LEAST_DROOP_HZ = 0.02
#: Channels more alike than this cannot be told apart by their cross-talk.
ALIKE = 0.9


def learn_chain(observer: Observer, clock: Clock, start: int, chain: Chain) -> None:
    """Set gain, droop and cross-talk of `chain`.

    Droop and cross-talk change the fitted amplitudes, so it goes round three
    times; the last round sees the residual of the others.
    """
    for turn in range(3):
        total = _Sums(observer.plan.n_channels)
        rows, fits = [], []
        stop = min(
            start + round(LEARN_S * observer.rate_hz), observer.recording.n_frames
        )
        piece = round(PIECE_S * observer.rate_hz)
        for begin in range(start, stop, piece):
            end = min(begin + piece, stop)
            expected = observer.expected(clock.at(begin), clock.at(end))
            seen = observer.observe(begin, end, clock, expected, chain)
            if _is_clean(seen, chain, expected["channel"]):
                total.add(seen)
            rows.append(expected[seen.covered])
            fits.append(seen.fits[seen.covered])
        every, fitted = np.concatenate(rows), np.concatenate(fits)
        for c in range(observer.plan.n_channels):
            mine = every["channel"] == c
            _learn_channel(chain, c, fitted[mine], total.noise[c], observer.rate_hz)
        if turn > 0:
            chain.crosstalk += total.crosstalk()


def _is_clean(seen: Observation, chain: Chain, channel: NDArray[np.int64]) -> bool:
    """Whether nearly all events are there: others leave a residual of their own."""
    ratio = seen.fits["ratio"] / chain.gain[channel]
    there = np.abs(ratio - 1)[seen.covered] < 0.3
    return bool(there.mean() > 0.9) if len(there) else True


def _learn_channel(
    chain: Chain, c: int, fits: NDArray[np.void], noise: float, rate_hz: float
) -> None:
    gain = typical_gain(fits)
    if not gain:  # no events, or a channel that is digitally silent
        return
    strong = abs(gain) * math.sqrt(float(fits["energy"].sum()))
    if strong < 10 * noise:
        return
    chain.gain[c] = gain
    near = np.abs(fits["ratio"] / gain - 1) < 0.3
    weight = float(fits["droop_energy"][near].sum())
    if weight > 0:
        slope = -float(fits["droop"][near].sum()) / weight / gain
        error = noise / math.sqrt(weight) / abs(gain)
        corner = chain.droop_hz[c] + slope * rate_hz / (2 * math.pi)
        least = max(LEAST_DROOP_HZ, 5 * error * rate_hz / (2 * math.pi))
        chain.droop_hz[c] = corner if corner > least else 0.0


def typical_gain(fits: NDArray[np.void]) -> float | None:
    """Return the ratio of the strong events that are there, signed.

    None without events.
    """
    fits = fits[fits["energy"] > 0]
    if not len(fits):
        return None
    strong = fits["energy"] >= 0.25 * fits["energy"].max()
    ratio = fits["ratio"][strong]
    # nine in ten may be missing, as after a jump
    most = float(np.quantile(np.abs(ratio), 0.9))
    ratio = ratio[np.abs(ratio) >= 0.5 * most]
    sign = 1.0 if float(np.median(np.sign(ratio))) >= 0 else -1.0
    return sign * float(np.median(np.abs(ratio)))


class _Sums:
    """Normal equations of what all channels have left on all plans."""

    def __init__(self, n: int) -> None:
        self.gram, self.cross = np.zeros((n, n)), np.zeros((n, n))
        self.noise = np.zeros(n)

    def add(self, seen: Observation) -> None:
        self.gram += seen.planned @ seen.planned.T
        self.cross += seen.residual @ seen.planned.T
        self.noise = np.maximum(self.noise, seen.noise)

    def crosstalk(self) -> Floats:
        n = len(self.gram)
        out = np.zeros((n, n))
        norm = np.sqrt(np.diag(self.gram))
        safe = np.where(norm > 0, norm, 1.0)
        alike = np.abs(self.gram) / safe[:, None] / safe[None, :]
        for i in range(n):
            used = [
                j for j in range(n) if j == i or (norm[j] > 0 and alike[i, j] < ALIKE)
            ]
            if norm[i] == 0 or len(used) < 2:
                continue
            found = np.linalg.lstsq(
                self.gram[np.ix_(used, used)], self.cross[i, used], rcond=1e-6
            )[0]
            error = self.noise[i] / safe[used]
            found[np.abs(found) < 5 * error] = 0.0
            out[i, used] = found
            out[i, i] = 0.0
        return out
