"""Feeding a push sink: the thread that carries blocks from the engine to it."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from nmes_wave._core import Engine
from nmes_wave.errors import NmesWaveError
from nmes_wave.faults import Fault
from nmes_wave.plan import Plan
from nmes_wave.sinks import Sink
from nmes_wave.status import ENGINE_STATES, State

#: Frames handed over at a time.
BLOCK_FRAMES = 4096
#: So many until the events in flight have ended.
SHORT_FRAMES = 64
#: Time between two looks at a paused engine.
POLL_S = 0.005


class Taken:
    """How much a push sink has taken, for the record of what was delivered.

    Attributes
    ----------
    frames : float
        Of the device's clock; infinite where no pump carries blocks.
    waiting : ndarray
        Records of events that begin later.
    """

    def __init__(self) -> None:
        self.frames = math.inf
        self.waiting: NDArray[np.void] = np.empty(0, np.void)


class Pump(threading.Thread):
    """Runs until the engine has ended, or the sink fails.

    Parameters
    ----------
    engine, sink
        What delivers, and where to.
    plans
        What is delivered: the first, and those that are loaded later.
    lock
        Held while the engine's status is read.
    taken
        Told how many frames the sink has taken.
    has_room
        Whether the records of another block have room; a sink that no clock paces
        waits for it.

    Attributes
    ----------
    failure : str or None
        What the sink raised.
    wrote_at : float
        When the sink last took a block, monotonic.
    """

    def __init__(
        self,
        engine: Engine,
        sink: Sink,
        plans: list[Plan],
        lock: threading.RLock,
        taken: Taken,
        has_room: Callable[[], bool],
    ) -> None:
        super().__init__(name="nmes-wave-pump", daemon=True)
        self.failure: str | None = None
        self.wrote_at = time.monotonic()
        self._engine = engine
        self._sink = sink
        self._plans = plans
        self._lock = lock
        self._taken = taken
        self._has_room = has_room

    def run(self) -> None:
        """Carry blocks; a failing sink faults the engine."""
        try:
            self._carry()
        except NmesWaveError as error:
            self.failure = str(error)
        except BaseException as error:
            # A third party's sink may raise anything, SystemExit too: a thread
            # that ended without a word would leave the session waiting.
            self.failure = f"{type(error).__name__}: {error}"
        if self.failure is not None:
            self._engine.trip(Fault.DEVICE_LOST)

    def _carry(self) -> None:
        first = self._plans[0]
        block = np.empty((BLOCK_FRAMES, first.n_columns), first.output.numpy_dtype)
        while True:
            with self._lock:
                now = self._engine.snapshot()
            state = ENGINE_STATES[now["state"]]
            if state in (State.STOPPED, State.FAULT) and not now["in_flight"]:
                return
            frames = BLOCK_FRAMES
            if state in (State.OPEN, State.RUNNING, State.STOPPING):
                left = self._plans[now["load"]].n_frames - now["frame"]
                frames = min(frames, max(left, 1))
            elif state is State.PAUSED and not self._sink.paced:
                # In a file time stands still while the plan's clock does.
                frames = SHORT_FRAMES if now["in_flight"] else 0
            while not (self._sink.paced or self._has_room()):
                time.sleep(POLL_S)
            self._engine.process(block, frames)
            if frames:
                self._sink.write(block[:frames])
                self.wrote_at = time.monotonic()
                self._taken.frames += frames
            else:
                time.sleep(POLL_S)
