"""Descriptions of a stimulus: frozen, validated when made, readable as TOML."""

from nmes_wave.spec.event import Burst, CustomPulse, Event, Pulse
from nmes_wave.spec.protocol import (
    Channel,
    Electrode,
    Stage,
    StimProtocol,
    protocol_schema,
)
from nmes_wave.spec.train import DutyCycle, Envelope, Train

__all__ = [
    "Burst",
    "Channel",
    "CustomPulse",
    "DutyCycle",
    "Electrode",
    "Envelope",
    "Event",
    "Pulse",
    "Stage",
    "StimProtocol",
    "Train",
    "protocol_schema",
]
