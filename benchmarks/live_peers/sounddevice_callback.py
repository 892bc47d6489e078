"""sounddevice: a Python callback that copies from an array, as its examples do."""

from __future__ import annotations

import numpy as np
import sounddevice as sd
from measuring import answer, measure, period, work

asked = work()
data = np.tile(period(asked), (50, 1))  # a second
blocks = underruns = position = 0


def callback(outdata, frames, time, status):
    global blocks, underruns, position
    blocks += 1
    underruns += status.output_underflow
    chunk = data[position : position + frames]
    outdata[: len(chunk)] = chunk
    if len(chunk) < frames:
        outdata[len(chunk) :] = data[: frames - len(chunk)]
    position = (position + frames) % len(data)


with sd.OutputStream(
    samplerate=asked["sample_rate_hz"],
    blocksize=asked["block_frames"],
    channels=asked["channels"],
    latency="low",
    callback=callback,
):
    found = measure(asked, lambda: (blocks, underruns))
answer(found, "sounddevice", "numpy")
