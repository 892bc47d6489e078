"""Why nothing is delivered any more, and the error that says so."""

from __future__ import annotations

from enum import IntEnum

from nmes_wave.errors import NmesWaveError, SinkError, SinkLostError, StateError


class Fault(IntEnum):
    """Faults in the numbering of the engine."""

    EMERGENCY_STOP = 1
    WATCHDOG = 2
    UNDERRUN = 3
    DEVICE_LOST = 4
    ENGINE = 5
    GUARD = 6
    LOG = 7

    def describe(self) -> str:
        """Return the reason as `Status.fault` shows it."""
        return self.name.lower().replace("_", " ")


def fault_error(fault: int, *, watchdog_s: float, reason: str | None) -> NmesWaveError:
    """Return the error that `Session.wait` raises for a fault.

    Parameters
    ----------
    fault
        Its number.
    watchdog_s
        The session's.
    reason
        What a lost device or a log that cannot be written said.
    """
    if fault == Fault.DEVICE_LOST:
        return SinkLostError(reason or "the device was lost")
    if fault == Fault.LOG:
        return SinkError(f"delivery was stopped: the log: {reason}")
    if fault == Fault.UNDERRUN:
        return SinkError(
            "the output ran dry (underrun) and delivery was stopped; ease the load "
            'on the machine, or go on with underrun="count"'
        )
    if fault == Fault.WATCHDOG:
        return StateError(
            "the watchdog stopped delivery: nothing called feed() or wait() for "
            f"{watchdog_s:g} s"
        )
    if fault == Fault.GUARD:
        return StateError(
            "the guard stopped delivery: a sample was above its cap, which must never "
            "happen; please report it, with the protocol"
        )
    return StateError(f"delivery was stopped: {Fault(fault).describe()}")
