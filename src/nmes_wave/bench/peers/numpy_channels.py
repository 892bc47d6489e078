"""NumPy as one would write it: each channel computed, then rounded to codes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

DISTRIBUTION = "numpy"
MAX_CODE = 8388607


def voices(work: dict[str, Any]) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """Return what renders, and what returns the array."""
    seconds = work["seconds"]
    n_frames = round(seconds * work["sample_rate_hz"])
    codes = np.empty((0, 0), np.int32)

    def shape(within: Any) -> Any:
        if work["carrier_hz"]:
            on = within < work["cycles"] / work["carrier_hz"]
            return np.sin(2 * np.pi * work["carrier_hz"] * within) * on
        width_s = work["phase_width_us"] * 1e-6
        first = within < width_s
        return first * 1.0 - ((within < 2 * width_s) & ~first)

    def render() -> None:
        nonlocal codes
        codes = np.empty((n_frames, work["channels"]), np.int32)
        for channel in range(work["channels"]):
            t = np.arange(n_frames) / work["sample_rate_hz"]
            up = np.minimum(t / work["ramp_up_s"], 1.0)
            down = np.minimum((seconds - t) / work["ramp_down_s"], 1.0)
            level = work["level"] * np.minimum(up, down) * MAX_CODE
            codes[:, channel] = np.rint(level * shape(t % (1 / work["rate_hz"])))

    return render, lambda: codes
