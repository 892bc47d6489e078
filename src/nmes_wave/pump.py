"""Feeding a push sink: the thread that carries blocks from the engine to it."""

from __future__ import annotations

import threading
import time

import numpy as np

from nmes_wave._core import Engine
from nmes_wave.errors import NmesWaveError
from nmes_wave.plan import Plan
from nmes_wave.sinks import Sink
from nmes_wave.status import ENGINE_STATES, Fault, State

#: Frames handed over at a time.
BLOCK_FRAMES = 4096
#: Time between two looks at a paused engine.
POLL_S = 0.005


class Pump(threading.Thread):
    """Runs until the engine has ended, or the sink fails.

    Parameters
    ----------
    engine, sink, plan
        What delivers, where to, and what.
    lock
        Held while the engine's status is read.

    Attributes
    ----------
    failure : str or None
        What the sink raised.
    """

    def __init__(
        self, engine: Engine, sink: Sink, plan: Plan, lock: threading.Lock
    ) -> None:
        super().__init__(name="nmes-wave-pump", daemon=True)
        self.failure: str | None = None
        self._engine = engine
        self._sink = sink
        self._plan = plan
        self._lock = lock

    def run(self) -> None:
        """Carry blocks; a failing sink faults the engine."""
        try:
            self._carry()
        except NmesWaveError as error:
            self.failure = str(error)
        except Exception as error:
            # a third party's sink may raise anything
            self.failure = f"{type(error).__name__}: {error}"
        if self.failure is not None:
            self._engine.trip(Fault.SINK)

    def _carry(self) -> None:
        plan = self._plan
        block = np.empty((BLOCK_FRAMES, plan.n_channels), plan.output.numpy_dtype)
        while True:
            with self._lock:
                now = self._engine.snapshot()
            state = ENGINE_STATES[now["state"]]
            if state is State.STOPPED or (
                state is State.FAULT and now["silent_frames"] > 0
            ):
                return
            frames = BLOCK_FRAMES
            if state in (State.OPEN, State.RUNNING, State.STOPPING):
                frames = min(frames, plan.n_frames - now["frame"])
            elif state is State.PAUSED and not self._sink.paced:
                # In a file time stands still while the plan's clock does.
                self._engine.process(block, 0)
                time.sleep(POLL_S)
                continue
            self._engine.process(block, frames)
            self._sink.write(block[:frames])
