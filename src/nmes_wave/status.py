"""What a session is doing: its state, a frozen snapshot.

The engine in `_core` counts states and commands in the order given here.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum

import numpy as np


class State(StrEnum):
    """Where a session is; the values are lower-case names."""

    CREATED = "created"
    OPEN = "open"
    RUNNING = "running"
    PAUSED = "paused"
    STOPPING = "stopping"
    STOPPED = "stopped"
    CLOSED = "closed"
    FAULT = "fault"


#: In the order in which the engine numbers its states.
ENGINE_STATES = (
    State.OPEN,
    State.RUNNING,
    State.PAUSED,
    State.STOPPING,
    State.STOPPED,
    State.FAULT,
)


class Command(IntEnum):
    """What Python asks of the engine, by the ring."""

    START = 0
    SET_INTENSITY = 1
    PAUSE = 2
    RESUME = 3
    STOP = 4
    LOAD = 5


@dataclass(frozen=True)
class Status:
    """What a session is doing; one moment, frozen.

    Attributes
    ----------
    state : State
    frame : int
        Position in the plan; stands still while paused.
    stage, on_period : tuple of int
        Of the last event begun, per channel.
    intensity : tuple of float
        Per channel, as delivered now.
    pulses : int
        Events delivered.
    underruns : int
        Counted from the start on.
    capped : int
        Events lowered or left out by a cap.
    load : int
        Number of the plan being delivered: 0 for the session's own.
    records_lost : int
        Rows that the delivered record lacks, as nobody took them in time.
    callback_us : tuple of float
        Time spent in one block: median, 99.9th percentile, longest.
    worst_stop_ms : float
        Longest time from an emergency stop to silence: the longest event, a
        block, and what the device has queued.
    fault : str or None
        Why nothing is delivered any more.
    """

    state: State
    frame: int
    stage: tuple[int, ...]
    on_period: tuple[int, ...]
    intensity: tuple[float, ...]
    pulses: int
    underruns: int
    capped: int
    load: int
    records_lost: int
    callback_us: tuple[float, float, float]
    worst_stop_ms: float
    fault: str | None

    @classmethod
    def of_nothing(
        cls, state: State, n_channels: int, fault: str | None = None
    ) -> Status:
        """Return the status of a session that has not been opened."""
        return cls(
            state=state,
            frame=0,
            stage=(0,) * n_channels,
            on_period=(0,) * n_channels,
            intensity=(0.0,) * n_channels,
            pulses=0,
            underruns=0,
            capped=0,
            load=0,
            records_lost=0,
            callback_us=(0.0, 0.0, 0.0),
            worst_stop_ms=0.0,
            fault=fault,
        )


def percentiles_us(longest: int, counts: list[int]) -> tuple[float, float, float]:
    """Return median, 99.9th percentile and longest callback, in µs.

    `counts` are those of `Engine.durations_ns`, `longest` is in ns.
    """
    cumulated = np.cumsum(counts)
    total = int(cumulated[-1])
    if total == 0:
        return (0.0, 0.0, 0.0)

    def at(share: float) -> float:
        i = int(np.searchsorted(cumulated, share * total))
        # the upper edge of the bucket
        return min((9 + i % 8) * 2.0 ** (i // 8), longest) / 1000

    return (at(0.5), at(0.999), longest / 1000)
