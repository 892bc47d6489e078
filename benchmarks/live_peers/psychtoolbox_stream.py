"""psychtoolbox: its C engine repeats a buffer for ever."""

from __future__ import annotations

import numpy as np
from measuring import answer, measure, period, work
from psychtoolbox import audio

asked = work()
data = np.tile(period(asked), (50, 1)).astype(float)  # a second
stream = audio.Stream(
    freq=asked["sample_rate_hz"],
    channels=asked["channels"],
    latency_class=[1],
    buffer_size=[asked["block_frames"]],
)
stream.fill_buffer(data)
stream.start(repetitions=0)


def counted():
    status = stream.status
    return int(status["TotalCalls"]), int(status["XRuns"])


found = measure(asked, counted)
stream.stop()
stream.close()
answer(found, "psychtoolbox", "numpy")
