"""SignalFlow: a buffer with one pulse for each voice, started by a clock.

A loop over one period takes as long, and its rate is wrong unless the period is
a whole number of frames.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from signalflow import (
    ASREnvelope,
    AudioGraph,
    AudioOut_Dummy,
    Buffer,
    BufferPlayer,
    ChannelArray,
    Impulse,
)

DISTRIBUTION = "signalflow"


def voices(work: dict[str, Any]) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """Return what renders, and what returns the array."""
    fs = work["sample_rate_hz"]
    if work["carrier_hz"]:
        n = round(work["cycles"] / work["carrier_hz"] * fs)
        shape = np.sin(2 * np.pi * work["carrier_hz"] * np.arange(n) / fs)
    else:
        n = round(work["phase_width_us"] * 1e-6 * fs)
        shape = np.repeat([1.0, -1.0, 0.0], n)
    shape = (shape * work["level"]).astype(np.float32)
    up, down = work["ramp_up_s"], work["ramp_down_s"]
    graph: Any = None
    rendered: Any = None

    def render() -> None:
        nonlocal graph, rendered
        if graph is not None:
            graph.destroy()
        device = AudioOut_Dummy(work["channels"], round(fs))
        graph = AudioGraph(output_device=device, start=False)
        players = []
        for _ in range(work["channels"]):
            buffer = Buffer(shape[None, :])
            buffer.sample_rate = fs
            player = BufferPlayer(buffer, clock=Impulse(work["rate_hz"]))
            players.append(player * ASREnvelope(up, work["seconds"] - up - down, down))
        ChannelArray(players).play()
        rendered = graph.render_to_new_buffer(round(work["seconds"] * fs))

    return render, lambda: np.array(rendered.data).T
