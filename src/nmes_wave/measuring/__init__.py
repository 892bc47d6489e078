"""A virtual oscilloscope: what pulses a recording holds."""

from __future__ import annotations

from nmes_wave.measuring.measuring import measure
from nmes_wave.measuring.result import ChannelMeasurement, Measurement, Uncertainty

__all__ = ["ChannelMeasurement", "Measurement", "Uncertainty", "measure"]
