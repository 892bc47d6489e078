"""What `measure` found."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmes_wave.measuring.report import lines
from nmes_wave.measuring.result import ChannelMeasurement


@dataclass(frozen=True, kw_only=True, repr=False)
class Measurement:
    """What is in a recording; made by `measure`, prints as a report.

    Attributes
    ----------
    channels
        See `ChannelMeasurement`.
    sample_rate_hz, n_frames
        Of the recording.
    calibrated
        False: ``ma`` means parts of the recording's full scale, and ``uc`` those
        times a millisecond. Only files that tell no calibration are read so.
    """

    channels: tuple[ChannelMeasurement, ...]
    sample_rate_hz: float
    n_frames: int
    calibrated: bool = True

    @property
    def duration_s(self) -> float:
        """Length of the recording."""
        return self.n_frames / self.sample_rate_hz

    def to_dict(self, *, pulses: bool = False) -> dict[str, Any]:
        """Return the figures as plain data, on request with every pulse."""
        channels = []
        for channel in self.channels:
            row = dict(vars(channel))
            row["uncertainty"] = dict(vars(channel.uncertainty))
            row["on_periods"] = _records(channel.on_periods)
            if pulses:
                row["pulses"] = _records(channel.pulses)
            else:
                del row["pulses"]
            channels.append(row)
        plain: dict[str, Any] = _plain(
            {
                "sample_rate_hz": self.sample_rate_hz,
                "n_frames": self.n_frames,
                "duration_s": self.duration_s,
                "calibrated": self.calibrated,
                "channels": channels,
            }
        )
        return plain

    def to_json(self, *, pulses: bool = False) -> str:
        """Return `to_dict` as JSON text; a NaN is null."""
        return json.dumps(self.to_dict(pulses=pulses), indent=2, ensure_ascii=False)

    def __repr__(self) -> str:
        return f"<Measurement {self._headline()}>"

    def __str__(self) -> str:
        return "\n".join([self._headline(), *lines(self.channels, self.calibrated)])

    def _headline(self) -> str:
        n = len(self.channels)
        pulses = sum(channel.n_pulses for channel in self.channels)
        return (
            f"{self.duration_s:.6g} s of {n} channel{'s' * (n > 1)} at "
            f"{self.sample_rate_hz:g} Hz: {pulses} pulses"
        )


def _records(rows: NDArray[np.void]) -> list[dict[str, Any]]:
    names = rows.dtype.names or ()
    return [dict(zip(names, row, strict=True)) for row in rows.tolist()]


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
