"""Sinks that ask for frames themselves: the kernel runs on the device's thread."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from nmes_wave._core import Engine
from nmes_wave.output import Output


@runtime_checkable
class PullSink(Protocol):
    """A sink that calls the engine, at its own pace and without the GIL.

    Internal: the engine's C entry points are no public interface. Third-party
    sinks are push sinks (`nmes_wave.sinks.Sink`).
    """

    paced: bool
    hardware: bool
    latency_s: float
    device_name: str

    def open(self, output: Output, n_channels: int, n_frames: int) -> None:
        """Check that the plan's frames can be taken."""

    def begin(self, engine: Engine) -> None:
        """Begin to ask for frames; the engine delivers silence until started."""

    def lost(self) -> str | None:
        """Return why it no longer asks for frames, None while it does."""

    def close(self) -> None:
        """End; what is queued may be cut. Safe to call at any time."""
