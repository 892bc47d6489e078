"""A virtual oscilloscope: what pulses a recording holds."""

from __future__ import annotations

from nmes_wave.measuring.measurement import Measurement
from nmes_wave.measuring.measuring import measure
from nmes_wave.measuring.result import ChannelMeasurement, Uncertainty

__all__ = ["ChannelMeasurement", "Measurement", "Uncertainty", "measure"]
