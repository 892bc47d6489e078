"""The null sink: paced by the clock, no hardware."""

from __future__ import annotations

from nmes_wave._core import Engine
from nmes_wave.output import Output


class NullSink:
    """Delivers into nothing, at the rate of the clock.

    A native thread with absolute deadlines calls the kernel, without the GIL.
    Behind by more than 0.1 s it begins anew and counts an underrun: it never
    catches up in a burst.
    """

    paced = True
    hardware = False
    block_frames = 64
    latency_s = 0.0
    device_name = "null"

    def __init__(self) -> None:
        self._engine: Engine | None = None

    def open(self, output: Output, n_channels: int, n_frames: int) -> None:
        """Nothing to open."""

    def begin(self, engine: Engine) -> None:
        """Start the clock."""
        engine.begin_clock(self.block_frames)
        self._engine = engine

    def lost(self) -> str | None:
        """Return None: it cannot be lost."""
        return None

    def close(self) -> None:
        """Stop the clock and join its thread."""
        if self._engine is not None:
            self._engine.end_clock()
            self._engine = None
