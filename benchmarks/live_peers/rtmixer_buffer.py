"""rtmixer: one buffer of the whole length; it has no loop."""

from __future__ import annotations

import numpy as np
import rtmixer
from measuring import SETTLE_S, answer, measure, period, work

asked = work()
longest_s = sum(2 * seconds + 1 for _, seconds in asked["phases"]) + SETTLE_S
data = np.tile(period(asked), (round(50 * longest_s), 1))
blocks = underruns = 0


def counted():
    global blocks, underruns
    action = mixer.fetch_and_reset_stats()
    mixer.wait(action, sleeptime=1)
    blocks += action.stats.blocks
    underruns += action.stats.output_underflows
    return blocks, underruns


mixer = rtmixer.Mixer(
    channels=asked["channels"],
    samplerate=asked["sample_rate_hz"],
    blocksize=asked["block_frames"],
    latency="low",
)
with mixer:
    playing = mixer.play_buffer(data.ravel(), asked["channels"])
    found = measure(asked, counted)
    assert playing in mixer.actions, "the buffer ended before the measurement"
    mixer.wait(mixer.cancel(playing))
answer(found, "rtmixer", "sounddevice", "numpy")
