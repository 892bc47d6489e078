"""NumPy at its fastest: one period of all channels, repeated by `np.tile`.

Only the periods within the ramps are computed. The period is a whole number of
frames, so the rate is wrong unless it divides the sample rate.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

DISTRIBUTION = "numpy"
MAX_CODE = 8388607


def voices(work: dict[str, Any]) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """Return what renders, and what returns the array."""
    fs, n_channels = work["sample_rate_hz"], work["channels"]
    period = round(fs / work["rate_hz"])
    n_periods = round(work["seconds"] * work["rate_hz"])
    n_up = round(work["ramp_up_s"] * work["rate_hz"])
    n_down = round(work["ramp_down_s"] * work["rate_hz"])
    shape = np.zeros(period)
    if work["carrier_hz"]:
        n = round(work["cycles"] / work["carrier_hz"] * fs)
        shape[:n] = np.sin(2 * np.pi * work["carrier_hz"] * np.arange(n) / fs)
    else:
        n = round(work["phase_width_us"] * 1e-6 * fs)
        shape[:n], shape[n : 2 * n] = 1.0, -1.0
    shape *= work["level"] * MAX_CODE
    columns = np.repeat(shape[:, None], n_channels, axis=1)
    codes = np.empty((0, 0), np.int32)

    def render() -> None:
        nonlocal codes
        codes = np.tile(np.rint(columns).astype(np.int32), (n_periods, 1))
        up = np.arange(n_up)[:, None, None] / n_up
        down = np.arange(n_down, 0, -1)[:, None, None] / n_down
        codes[: n_up * period] = np.rint(up * columns).reshape(-1, n_channels)
        codes[-n_down * period :] = np.rint(down * columns).reshape(-1, n_channels)

    return render, lambda: codes
