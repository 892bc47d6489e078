"""The band in which plan and recording are compared, and the plan between frames.

What a converter does near half its rate is no error of a stimulus, and it would
spoil every fit. So both sides go through the same linear-phase low-pass, up to
0.4 of the lower of the two rates, which every converter passes.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: Edge of the band, relative to the lower rate.
EDGE = 0.4
#: Half the length of the low-pass, in frames of the lower rate; with `BETA`: the
#: stop band, 80 dB down, begins at 0.48 of that rate.
HALF = 32
BETA = 7.857
#: Positions between two frames that the kernel is tabled at; the nearest one is
#: off by 1.2e-4 frame at most.
PHASES = 4096
#: Noise of the band in a matched filter, over its r.m.s.: sqrt(1 / (2 × EDGE)).
IN_BAND = math.sqrt(0.5 / EDGE)


class Band:
    """A low-pass for recordings, and the same for plans at any instant."""

    def __init__(self, plan_rate_hz: float, rate_hz: float) -> None:
        lower = min(plan_rate_hz, rate_hz)
        self.plan_rate_hz, self.rate_hz = plan_rate_hz, rate_hz
        self.edge_hz = EDGE * lower
        self.half_s = HALF / lower
        #: Half lengths in frames of the recording and of the plan.
        self.half = math.floor(self.half_s * rate_hz)
        self.plan_half = math.ceil(self.half_s * plan_rate_hz)
        n = np.arange(-self.half, self.half + 1)
        self.fir = self._kernel(n / rate_hz) / rate_hz
        taps = np.arange(-self.plan_half + 1, self.plan_half + 1)
        phases = np.arange(PHASES + 1) / PHASES
        at = (phases[:, np.newaxis] - taps) / plan_rate_hz
        self.table = self._kernel(at) / plan_rate_hz

    def _kernel(self, t_s: Floats) -> Floats:
        u = np.clip(1 - (t_s / self.half_s) ** 2, 0, None)
        window = np.i0(BETA * np.sqrt(u)) / np.i0(BETA) * (u > 0)
        out: Floats = 2 * self.edge_hz * np.sinc(2 * self.edge_hz * t_s) * window
        return out

    def low_pass(self, block: Floats) -> Floats:
        """Return ``(channels, frames)`` without `half` frames at either end."""
        from scipy.signal import fftconvolve

        out: Floats = fftconvolve(block, self.fir[np.newaxis], "valid", axes=1)
        return out

    def between(self, plan_ma: Floats, at: Floats) -> Floats:
        """Return one channel of a plan at instants, in its frames, any shape."""
        flat = at.ravel()
        out = np.empty(flat.size)
        width = 2 * self.plan_half
        views = np.lib.stride_tricks.sliding_window_view(plan_ma, width)
        step = max(1, 2_000_000 // width)
        for i in range(0, flat.size, step):
            t = flat[i : i + step]
            whole = np.floor(t)
            phase = np.rint((t - whole) * PHASES).astype(np.intp)
            first = whole.astype(np.intp) - self.plan_half + 1
            out[i : i + step] = np.einsum("nk,nk->n", views[first], self.table[phase])
        return out.reshape(at.shape)
