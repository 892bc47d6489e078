"""pyo: one period in a table for each voice, played by an oscillator.

Its offline server writes a file; fetching the array is reading that.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyo

DISTRIBUTION = "pyo"


def voices(work: dict[str, Any]) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """Return what renders, and what returns the array."""
    fs, seconds, n_channels = work["sample_rate_hz"], work["seconds"], work["channels"]
    period = round(fs / work["rate_hz"])
    shape = [0.0] * period
    if work["carrier_hz"]:
        n = round(work["cycles"] / work["carrier_hz"] * fs)
        turn = 2 * math.pi * work["carrier_hz"] / fs
        shape[:n] = [math.sin(turn * i) for i in range(n)]
    else:
        n = round(work["phase_width_us"] * 1e-6 * fs)
        shape[: 2 * n] = [1.0] * n + [-1.0] * n
    shape = [work["level"] * value for value in shape]
    up, down = work["ramp_up_s"], seconds - work["ramp_down_s"]
    folder = tempfile.TemporaryDirectory()
    path = Path(folder.name) / "voices.wav"

    def render() -> None:
        server = pyo.Server(
            sr=fs, nchnls=n_channels, buffersize=512, duplex=0, audio="offline"
        )
        server.setVerbosity(0)
        server.boot()
        server.recordOptions(
            dur=seconds, filename=str(path), fileformat=0, sampletype=3
        )
        playing = []
        for channel in range(n_channels):
            table = pyo.DataTable(period, init=shape)
            ramp = pyo.Linseg([(0, 0), (up, 1), (down, 1), (seconds, 0)]).play()
            oscillator = pyo.Osc(table, freq=work["rate_hz"], mul=ramp)
            playing.append(oscillator.out(channel))
        server.start()
        server.shutdown()

    def fetch(folder: Any = folder) -> Any:  # which goes when nobody holds it
        with path.open("rb") as file:
            file.seek(12)
            while (name := file.read(4)) != b"data":
                if not name:
                    raise OSError("the file has no samples")
                file.seek(int.from_bytes(file.read(4), "little"), 1)
            n_bytes = int.from_bytes(file.read(4), "little")
            return np.fromfile(file, "<f4", n_bytes // 4).reshape(-1, n_channels)

    return render, fetch
