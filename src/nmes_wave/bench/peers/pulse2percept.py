"""pulse2percept: a stimulus of one pulse train for each electrode, sampled.

Its stimuli are exact breakpoints in time, with edges of 1 us; an output needs
samples, which `np.interp` takes of them. It has no ramps: the breakpoints are
multiplied by one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from pulse2percept.stimuli import BiphasicPulseTrain, Stimulus

DISTRIBUTION = "pulse2percept"


def voices(work: dict[str, Any]) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """Return what renders, and what returns the array."""
    if work["carrier_hz"]:
        raise NotImplementedError("pulse2percept has no bursts of a carrier")
    stimulus: Any = None

    def render() -> None:
        nonlocal stimulus
        trains = {
            f"{channel}": BiphasicPulseTrain(
                work["rate_hz"],
                work["level"],
                work["phase_width_us"] / 1000,
                stim_dur=work["seconds"] * 1000,
                cathodic_first=False,
            )
            for channel in range(work["channels"])
        }
        merged = Stimulus(trains)
        t = merged.time / 1000
        up = np.minimum(t / work["ramp_up_s"], 1.0)
        down = np.minimum((work["seconds"] - t) / work["ramp_down_s"], 1.0)
        stimulus = Stimulus(merged.data * np.minimum(up, down), time=merged.time)

    def fetch() -> Any:
        n_frames = round(work["seconds"] * work["sample_rate_hz"])
        at_ms = np.arange(n_frames) * (1000 / work["sample_rate_hz"])
        rows = [np.interp(at_ms, stimulus.time, row) for row in stimulus.data]
        return np.stack(rows, axis=1)

    return render, fetch
