"""A plan being delivered to a sink, live.

Two drivers, one kernel: *pull* sinks (audio, null) run it on the device's
thread, without the GIL; *push* sinks (file, memory, a DAC) are fed blocks by a
thread of the session. No thread of ours feeds the watchdog: that would hide a
hung program.
"""

from __future__ import annotations

import math
import threading
import time
import warnings
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Self

import numpy as np

from nmes_wave._core import Engine
from nmes_wave.errors import (
    SinkError,
    SinkLostError,
    SinkUnavailableError,
    SpecError,
    StateError,
)
from nmes_wave.limits import Limits
from nmes_wave.plan import Plan
from nmes_wave.pump import Pump
from nmes_wave.sinks import PullSink, Sink, open_sink
from nmes_wave.status import (
    ENGINE_STATES,
    Command,
    Fault,
    State,
    Status,
    percentiles_us,
)

if TYPE_CHECKING:
    from nmes_wave._core import _Snapshot

#: Length of the ramp of `stop` and of the watchdog.
STOP_RAMP_S = 0.5
#: `wait` looks, and feeds, this often at least.
POLL_S = 0.02

Intensity = float | Sequence[float]


class Session:
    """Delivers a plan to a sink.

    Use it in a ``with`` statement: entering opens the device and delivers
    nothing, leaving stops, drains and closes; an exception inside is an
    emergency stop.

    Parameters
    ----------
    plan
        What to deliver.
    sink
        ``"audio"``, ``"null"``, ``"file:PATH"``, or an object with the `Sink`
        protocol.
    device, shared
        Of the audio sink: which device, and whether a shared server may stand
        between it and us (not for electrodes).
    watchdog_s
        Longest time between two calls of `feed` (or `wait`) on sinks that a
        clock paces; then the output ramps to zero and the session faults.
    underrun
        ``"trip"``: an underrun is a fault; ``"count"``: go on.
    slew_per_s
        Largest change of intensity in a second.

    Raises
    ------
    SpecError
        For an argument out of range.
    SinkError
        If the sink does not exist or must not carry this plan.
    """

    # class-level, so that close() works after a failed __init__
    _engine: Engine | None = None
    _sink: Sink | PullSink | None = None
    _pump: Pump | None = None
    _phase = State.CREATED
    _lost: str | None = None

    def __init__(
        self,
        plan: Plan,
        sink: str | Sink = "audio",
        *,
        device: str | int | None = None,
        shared: bool = False,
        watchdog_s: float = 2.0,
        underrun: Literal["trip", "count"] = "trip",
        slew_per_s: float = 1.0,
    ) -> None:
        self.plan = plan
        self._watchdog_s = _positive("watchdog_s", watchdog_s)
        self._slew_per_s = _positive("slew_per_s", slew_per_s)
        if underrun not in ("trip", "count"):
            raise SpecError("underrun", underrun, "must be 'trip' or 'count'")
        self._trip = underrun == "trip"
        self._lock = threading.Lock()
        self._sink = open_sink(sink, device=device, shared=shared)
        if self._sink.hardware and plan.limits == Limits.named("unlimited"):
            raise SinkUnavailableError(
                "this plan was built without limits, for computation only: a hardware "
                "sink refuses it; build it with nw.Limits() or a named set"
            )

    # -- opening and closing ---------------------------------------------------

    def __enter__(self) -> Self:
        """Open the device; nothing is delivered."""
        if self._phase is not State.CREATED:
            raise StateError(f"a session is opened once; it is {self.state}")
        assert self._sink is not None
        plan = self.plan
        self._engine = Engine(
            plan.core,
            plan.n_frames,
            plan.output.sample_rate_hz,
            packed=isinstance(self._sink, PullSink) and plan.output.dtype == "int24",
            slew_per_s=self._slew_per_s,
            ramp_s=STOP_RAMP_S,
            watchdog_s=self._watchdog_s if self._sink.paced else 0.0,
            trip=self._trip,
        )
        try:
            self._sink.open(plan.output, plan.n_channels, plan.n_frames)
            if isinstance(self._sink, PullSink):
                self._sink.begin(self._engine)
        except BaseException:
            self._sink.close()
            self._phase = State.CLOSED
            raise
        self._phase = State.OPEN
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop, drain and close; after an exception, an emergency stop first."""
        if kind is not None:
            self.emergency_stop()
        try:
            self.close()
        except SinkError:
            if kind is None:
                raise

    def close(self) -> None:
        """Stop, let what is queued play out, and close; in bounded time.

        Raises
        ------
        SinkError
            If the sink cannot finish what it was given.
        """
        if self._phase in (State.CREATED, State.CLOSED):
            self._phase = State.CLOSED
            return
        assert self._engine is not None
        assert self._sink is not None
        try:
            self.stop()
            self._drain()
        except BaseException:
            self.emergency_stop()
            raise
        finally:
            self._phase = State.CLOSED
            if self._pump is not None:
                self._pump.join()
            self._sink.close()

    def __del__(self) -> None:
        """Warn of a session that was left open, stop it at once."""
        if self._phase in (State.CREATED, State.CLOSED) or self._engine is None:
            return
        warnings.warn(
            f"unclosed {self!r}: use it in a with statement",
            ResourceWarning,
            stacklevel=2,
        )
        self.emergency_stop()
        self.close()

    def __repr__(self) -> str:
        return f"<Session of {self.plan!r}: {self.state}>"

    def _drain(self) -> None:
        """Wait until the last event has been played, and silence after it."""
        assert self._engine is not None
        assert self._sink is not None
        longest_s = max(
            stage.event.duration_us * 1e-6
            for channel in self.plan.protocol.channels
            for stage in channel.stages
        )
        if not isinstance(self._sink, PullSink):
            if self._pump is not None:
                self._pump.join()
            return
        silence_s = 2 * self._sink.latency_s + 0.1
        silence = silence_s * self.plan.output.sample_rate_hz
        deadline = time.monotonic() + STOP_RAMP_S + longest_s + silence_s + 1.0
        while time.monotonic() < deadline:
            with self._lock:
                now = self._engine.snapshot()
            self._watch_sink()
            ended = ENGINE_STATES[now["state"]] not in (State.RUNNING, State.STOPPING)
            if (ended and now["silent_frames"] >= silence) or self._lost:
                return
            time.sleep(POLL_S / 4)

    # -- calls -----------------------------------------------------------------

    def start(self, intensity: Intensity = 0.0) -> None:
        """Begin to deliver, at this intensity: the only jump there is.

        Parameters
        ----------
        intensity
            0..1 of the planned amplitude, a number or one per channel.

        Raises
        ------
        StateError
            Unless the session is open and has not been started.
        SpecError
            For an intensity out of range.
        """
        self._require("start", State.OPEN)
        assert self._engine is not None
        for channel, value in enumerate(self._intensities(intensity)):
            self._engine.set_initial_intensity(channel, value)
        self._command(Command.START)
        self._phase = State.RUNNING
        if not isinstance(self._sink, PullSink):
            assert self._sink is not None
            self._pump = Pump(self._engine, self._sink, self.plan, self._lock)
            self._pump.start()

    def set_intensity(self, value: float, channel: int | None = None) -> None:
        """Move the intensity, at the limited slew, event by event.

        Parameters
        ----------
        value
            0..1 of the planned amplitude.
        channel
            Number of a channel; None: all.

        Raises
        ------
        StateError
            Unless running or paused, or if 256 commands wait already.
        SpecError
            For a value or channel out of range.
        """
        checked = _intensity("value", value)
        if channel is not None and (
            isinstance(channel, bool)
            or not isinstance(channel, (int, np.integer))
            or not 0 <= channel < self.plan.n_channels
        ):
            raise SpecError(
                "channel", channel, f"must be 0 to {self.plan.n_channels - 1}, or None"
            )
        self._require("set_intensity", State.RUNNING, State.PAUSED)
        self._command(
            Command.SET_INTENSITY, -1 if channel is None else channel, checked
        )

    def pause(self) -> None:
        """Let the events in flight finish and stop the plan's clock."""
        self._require("pause", State.RUNNING, State.PAUSED)
        if self._phase is State.RUNNING:
            self._command(Command.PAUSE)
            self._phase = State.PAUSED

    def resume(self) -> None:
        """Go on where the clock stands; the gain rises again from zero."""
        self._require("resume", State.RUNNING, State.PAUSED)
        if self._phase is State.PAUSED:
            self._command(Command.RESUME)
            self._phase = State.RUNNING

    def stop(self) -> None:
        """Ramp down over half a second, event by event; does not block."""
        if self.state in (State.RUNNING, State.OPEN, State.PAUSED):
            self._command(Command.STOP)
            running = self._phase is State.RUNNING
            self._phase = State.STOPPING if running else State.STOPPED

    def emergency_stop(self) -> None:
        """Start no further event, at once; from any thread; never raises.

        Events in flight complete, so that they are balanced; one with more
        than 20 ms left ends with its carrier cycle. What the device has queued
        still plays: see ``status.worst_stop_ms``.
        """
        if self._engine is None:
            return
        self._engine.trip(Fault.EMERGENCY_STOP)
        if self._pump is None and not isinstance(self._sink, PullSink):
            # nobody asks a push sink for frames before the start
            nothing = np.empty((0, self.plan.n_channels), np.int32)
            self._engine.process(nothing, 0)

    def feed(self) -> None:
        """Tell the watchdog that the program is alive.

        Raises
        ------
        StateError, SinkError
            The fault, if there is one.
        """
        if self._engine is None:
            return
        self._engine.feed()
        self._raise_fault()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for the end, feeding the watchdog.

        Parameters
        ----------
        timeout
            Seconds; None: as long as it takes.

        Returns
        -------
        bool
            True when the plan has ended or was stopped; False on timeout.

        Raises
        ------
        StateError, SinkError
            The fault, if there is one; also before `start`.
        """
        if self._phase in (State.CREATED, State.OPEN):
            raise StateError(f"wait: start the session first; it is {self.state}")
        deadline = math.inf if timeout is None else time.monotonic() + timeout
        while True:
            self._watch_sink()
            self.feed()
            ended = self._pump is None or not self._pump.is_alive()
            if self.state in (State.STOPPED, State.CLOSED) and ended:
                self._raise_fault()
                return True
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            time.sleep(min(POLL_S, self._watchdog_s / 4, left))

    # -- status ----------------------------------------------------------------

    @property
    def state(self) -> State:
        """Where the session is."""
        if self._engine is None or self._phase in (State.CREATED, State.CLOSED):
            return self._phase
        with self._lock:
            return self._state_of(self._engine.snapshot())

    @property
    def status(self) -> Status:
        """What the session is doing now."""
        if self._engine is None:
            nothing = (0,) * self.plan.n_channels
            return Status(
                self._phase,
                0,
                nothing,
                nothing,
                (0.0,) * self.plan.n_channels,
                0,
                0,
                0,
                (0.0, 0.0, 0.0),
                0.0,
                None,
            )
        with self._lock:
            now = self._engine.snapshot()
            longest, counts = self._engine.durations_ns()
        return Status(
            state=self._state_of(now),
            frame=now["frame"],
            stage=now["stage"],
            on_period=now["on_period"],
            intensity=now["intensity"],
            pulses=now["pulses"],
            underruns=now["underruns"],
            capped=0,
            callback_us=percentiles_us(longest, counts),
            worst_stop_ms=self._worst_stop_ms(),
            fault=self._fault_of(now),
        )

    def _fault_of(self, now: _Snapshot) -> str | None:
        fault = now["fault"] or now["tripped"]
        return self._lost or (Fault(fault).describe() if fault else None)

    def _state_of(self, now: _Snapshot) -> State:
        if self._phase is State.CLOSED:
            return State.CLOSED
        if now["tripped"]:
            return State.FAULT
        state = ENGINE_STATES[now["state"]]
        if state in (State.STOPPED, State.FAULT):
            return state
        # A command that waits in the ring counts as obeyed.
        return self._phase

    def _worst_stop_ms(self) -> float:
        stages = [s for c in self.plan.protocol.channels for s in c.stages]
        event_ms = max(min(s.event.duration_us / 1000, 20.0) for s in stages)
        sink = self._sink
        queued_s = sink.latency_s if isinstance(sink, PullSink) else 0.0
        return event_ms + 2 * queued_s * 1000

    # -- inside ----------------------------------------------------------------

    def _require(self, call: str, *states: State) -> None:
        state = self.state
        if state is State.FAULT:
            self._raise_fault()
        if state not in states:
            allowed = " or ".join(states)
            raise StateError(f"{call}: the session is {state}, must be {allowed}")

    def _command(self, kind: int, channel: int = -1, value: float = 0.0) -> None:
        assert self._engine is not None
        with self._lock:
            queued = self._engine.push(kind, channel, value)
        if not queued:
            raise StateError(
                "256 commands wait already: the output is not asking for frames, or "
                "commands come faster than 32 in a block"
            )

    def _intensities(self, value: Intensity) -> list[float]:
        n = self.plan.n_channels
        if isinstance(value, (Sequence, np.ndarray)) and not isinstance(value, str):
            if len(value) != n:
                raise SpecError("intensity", value, f"must be one number or {n}")
            return [_intensity(f"intensity[{i}]", v) for i, v in enumerate(value)]
        return [_intensity("intensity", value)] * n

    def _watch_sink(self) -> None:
        if self._pump is not None:
            self._lost = self._pump.failure
        elif isinstance(self._sink, PullSink) and self._lost is None:
            self._lost = self._sink.lost()
            if self._lost is not None and self._engine is not None:
                self._engine.trip(Fault.SINK)

    def _raise_fault(self) -> None:
        if self._lost is not None:
            raise SinkLostError(self._lost)
        if self._engine is None or self._phase is State.CREATED:
            return
        with self._lock:
            now = self._engine.snapshot()
        fault = now["fault"] or now["tripped"]
        if fault == Fault.UNDERRUN:
            raise SinkError(
                "the output ran dry (underrun) and delivery was stopped; ease the load "
                'on the machine, or go on with underrun="count"'
            )
        if fault == Fault.WATCHDOG:
            raise StateError(
                f"the watchdog stopped delivery: nothing called feed() or wait() for "
                f"{self._watchdog_s:g} s"
            )
        if fault:
            raise StateError(f"delivery was stopped: {Fault(fault).describe()}")


def _positive(name: str, value: float) -> float:
    if not isinstance(value, (int, float)) or not 0 < value < math.inf:
        raise SpecError(name, value, "must be a finite number greater than 0")
    return float(value)


def _intensity(name: str, value: object) -> float:
    if (
        isinstance(value, bool)
        or not isinstance(value, (int, float, np.floating, np.integer))
        or not 0 <= value <= 1
    ):
        raise SpecError(name, value, "must be a number from 0 to 1")
    return float(value)
