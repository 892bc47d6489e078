"""Stimulation waveforms, exact on the integers that the DAC receives.

``nmes_wave`` compiles a description of biphasic pulse trains (a
`StimProtocol`) for an output's sample grid, renders it, and delivers it live.
Engineering and research software for test loads and electrodes; not a medical
device.

Describing is loaded at once, what else a name needs when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

try:
    from nmes_wave import _core as _core
except ImportError as _error:
    raise ImportError(
        "the compiled kernel nmes_wave._core is missing or does not fit this Python "
        f"({_error}); install the package with `pip install .`, which needs a C "
        "compiler. There is no slower substitute on purpose: codes must be exact"
    ) from _error

from nmes_wave.errors import (
    FormatError,
    LimitError,
    NmesWaveError,
    PresetError,
    SinkError,
    SinkLostError,
    SinkOpenError,
    SinkUnavailableError,
    SpecError,
    StateError,
)
from nmes_wave.output import Output, Trigger
from nmes_wave.spec import (
    Burst,
    Channel,
    CustomPulse,
    DutyCycle,
    Electrode,
    Envelope,
    Pulse,
    Stage,
    StimProtocol,
    Train,
    protocol_schema,
)

if TYPE_CHECKING:
    from nmes_wave import presets as presets
    from nmes_wave.calibration import Calibration as Calibration
    from nmes_wave.device_report import DeviceReport as DeviceReport
    from nmes_wave.limits import Limits as Limits
    from nmes_wave.limits import check as check
    from nmes_wave.loads import ConstantPhase as ConstantPhase
    from nmes_wave.loads import Load as Load
    from nmes_wave.loads import Resistor as Resistor
    from nmes_wave.loads import SeriesRC as SeriesRC
    from nmes_wave.measuring import Measurement as Measurement
    from nmes_wave.measuring import measure as measure
    from nmes_wave.output_chain import OutputChain as OutputChain
    from nmes_wave.plan import Plan as Plan
    from nmes_wave.plan import build_plan as build_plan
    from nmes_wave.plot import plot_plan as plot_plan
    from nmes_wave.record import Comparison as Comparison
    from nmes_wave.record import EventRecord as EventRecord
    from nmes_wave.record import compare as compare
    from nmes_wave.record import read_events as read_events
    from nmes_wave.recordings import open_recording as open_recording
    from nmes_wave.report import Finding as Finding
    from nmes_wave.report import Report as Report
    from nmes_wave.report import Verdict as Verdict
    from nmes_wave.session import Session as Session
    from nmes_wave.simulation import Simulation as Simulation
    from nmes_wave.simulation import simulate as simulate
    from nmes_wave.sinks import MemorySink as MemorySink
    from nmes_wave.sinks import Sink as Sink
    from nmes_wave.status import State as State
    from nmes_wave.status import Status as Status
    from nmes_wave.verification import Tolerance as Tolerance
    from nmes_wave.verification import Verification as Verification
    from nmes_wave.verification import verify as verify

_LAZY = {
    "Calibration": "nmes_wave.calibration",
    "Comparison": "nmes_wave.record",
    "ConstantPhase": "nmes_wave.loads",
    "DeviceReport": "nmes_wave.device_report",
    "EventRecord": "nmes_wave.record",
    "Finding": "nmes_wave.report",
    "Limits": "nmes_wave.limits",
    "Load": "nmes_wave.loads",
    "Measurement": "nmes_wave.measuring",
    "MemorySink": "nmes_wave.sinks",
    "OutputChain": "nmes_wave.output_chain",
    "Plan": "nmes_wave.plan",
    "Report": "nmes_wave.report",
    "Resistor": "nmes_wave.loads",
    "SeriesRC": "nmes_wave.loads",
    "Session": "nmes_wave.session",
    "Simulation": "nmes_wave.simulation",
    "Sink": "nmes_wave.sinks",
    "State": "nmes_wave.status",
    "Status": "nmes_wave.status",
    "Tolerance": "nmes_wave.verification",
    "Verdict": "nmes_wave.report",
    "Verification": "nmes_wave.verification",
    "build_plan": "nmes_wave.plan",
    "check": "nmes_wave.limits",
    "compare": "nmes_wave.record",
    "measure": "nmes_wave.measuring",
    "open_recording": "nmes_wave.recordings",
    "plot_plan": "nmes_wave.plot",
    "read_events": "nmes_wave.record",
    "simulate": "nmes_wave.simulation",
    "verify": "nmes_wave.verification",
}

__all__ = [
    "Burst",
    "Calibration",
    "Channel",
    "Comparison",
    "ConstantPhase",
    "CustomPulse",
    "DeviceReport",
    "DutyCycle",
    "Electrode",
    "Envelope",
    "EventRecord",
    "Finding",
    "FormatError",
    "LimitError",
    "Limits",
    "Load",
    "Measurement",
    "MemorySink",
    "NmesWaveError",
    "Output",
    "OutputChain",
    "Plan",
    "PresetError",
    "Pulse",
    "Report",
    "Resistor",
    "SeriesRC",
    "Session",
    "Simulation",
    "Sink",
    "SinkError",
    "SinkLostError",
    "SinkOpenError",
    "SinkUnavailableError",
    "SpecError",
    "Stage",
    "State",
    "StateError",
    "Status",
    "StimProtocol",
    "Tolerance",
    "Train",
    "Trigger",
    "Verdict",
    "Verification",
    "__version__",
    "build_plan",
    "check",
    "compare",
    "measure",
    "open_recording",
    "plot_plan",
    "presets",
    "protocol_schema",
    "read_events",
    "simulate",
    "verify",
]


def __getattr__(name: str) -> Any:
    if name == "presets":
        return import_module("nmes_wave.presets")
    if name == "__version__":
        from importlib.metadata import version

        return version("nmes-wave")
    if name in _LAZY:
        value = getattr(import_module(_LAZY[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'nmes_wave' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
