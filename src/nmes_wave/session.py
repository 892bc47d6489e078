"""A plan being delivered to a sink, live.

Two drivers, one kernel: *pull* sinks (audio, null) run it on the device's
thread, without the GIL; *push* sinks (file, memory, a DAC) are fed blocks by a
thread of the session. No thread of ours feeds the watchdog: that would hide a
hung program.
"""

from __future__ import annotations

import math
import os
import threading
import time
import warnings
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from numbers import Real
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Self

import numpy as np

from nmes_wave.errors import (
    LimitError,
    SinkError,
    SinkUnavailableError,
    SpecError,
    StateError,
)
from nmes_wave.faults import Fault, fault_error
from nmes_wave.files import file_path
from nmes_wave.limits import Limits, check
from nmes_wave.plan import Plan
from nmes_wave.sinks import PullSink, Sink, open_sink
from nmes_wave.spec._fields import is_number
from nmes_wave.status import ENGINE_STATES, Command, State, Status, percentiles_us
from nmes_wave.stream import Stream

if TYPE_CHECKING:
    from nmes_wave._core import _Snapshot

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
    log
        Where to write the delivered record, a new ``.tsv`` file; its sidecar
        stands beside it. None: nowhere.
    note
        What the operator says about the session; it stands in the sidecar.

    Raises
    ------
    SpecError
        For an argument out of range.
    SinkError
        If the sink does not exist or must not carry this plan.
    """

    # class-level, so that close() works after a failed __init__
    _stream: Stream | None = None
    _phase = State.CREATED
    _refused = False

    def __init__(
        self,
        plan: Plan,
        sink: str | Sink | PullSink = "audio",
        *,
        device: str | int | None = None,
        shared: bool = False,
        watchdog_s: float = 2.0,
        underrun: Literal["trip", "count"] = "trip",
        slew_per_s: float = 1.0,
        log: str | Path | None = None,
        note: str = "",
    ) -> None:
        if not isinstance(plan, Plan):
            raise SpecError("plan", plan, "must be a plan, made by nw.build_plan")
        self._watchdog_s = _positive("watchdog_s", watchdog_s)
        self._slew_per_s = _positive("slew_per_s", slew_per_s)
        if underrun not in ("trip", "count"):
            raise SpecError("underrun", underrun, "must be 'trip' or 'count'")
        self._trip = underrun == "trip"
        if not isinstance(note, str):
            raise SpecError("note", note, "must be text")
        self._log = None if log is None else file_path(log).absolute()
        self._note = note
        self._first_plan = plan
        # what a call finds must still be so when it acts
        self._calls = threading.RLock()
        _sessions.add(self)
        self._sink = open_sink(sink, device=device, shared=shared)
        if self._sink.hardware:
            _refuse_unbounded(plan.limits)

    # -- opening and closing ---------------------------------------------------

    def __enter__(self) -> Self:
        """Open the device; nothing is delivered."""
        if self._phase is not State.CREATED:
            raise StateError(f"a session is opened once; it is {self.state}")
        if self._refused:
            raise StateError("an emergency stop was made: it cannot be opened")
        stream = Stream(
            self._first_plan,
            self._sink,
            slew_per_s=self._slew_per_s,
            watchdog_s=self._watchdog_s,
            trip=self._trip,
            log=self._log,
            note=self._note,
        )
        try:
            stream.open()
        except BaseException:
            self._phase = State.CLOSED
            raise
        self._stream = stream
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
        assert self._stream is not None
        try:
            self.stop()
            # Closing drains as well; it must, after this has been interrupted.
            self._stream.drain()
        except BaseException:
            self.emergency_stop()
            raise
        finally:
            self._phase = State.CLOSED
            self._stream.close()

    def __del__(self) -> None:
        """Warn of a session that was left open, stop it at once."""
        if self._phase in (State.CREATED, State.CLOSED) or self._stream is None:
            return
        if self._stream.forked:
            return
        unclosed = f"unclosed {self!r}: use it in a with statement"
        self._phase = State.CLOSED
        # Before the warning, which may be an error: then nothing after it is run.
        self._stream.abandon()
        warnings.warn(unclosed, ResourceWarning, stacklevel=2)

    def __repr__(self) -> str:
        return f"<Session of {self.plan!r}: {self.state}>"

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
        values = self._intensities(intensity)
        with self._calls:
            stream = self._require("start", State.OPEN)
            stream.prepare(values)
            self._command(Command.START)
            self._phase = State.RUNNING
            stream.begin_pump()

    def set_intensity(self, intensity: float, channel: int | None = None) -> None:
        """Move the intensity, at the limited slew, event by event.

        Parameters
        ----------
        intensity
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
        checked = _intensity("intensity", intensity)
        n = self._first_plan.n_channels
        if channel is not None and (
            isinstance(channel, bool)
            or not isinstance(channel, (int, np.integer))
            or not 0 <= channel < n
        ):
            raise SpecError("channel", channel, f"must be 0 to {n - 1}, or None")
        with self._calls:
            self._require("set_intensity", State.RUNNING, State.PAUSED)
            self._command(
                Command.SET_INTENSITY, -1 if channel is None else int(channel), checked
            )

    def pause(self) -> None:
        """Let the events in flight finish and stop the plan's clock."""
        with self._calls:
            self._require("pause", State.RUNNING, State.PAUSED)
            if self._phase is State.RUNNING:
                self._command(Command.PAUSE)
                self._phase = State.PAUSED

    def resume(self) -> None:
        """Go on where the clock stands; the gain rises again from zero."""
        with self._calls:
            self._require("resume", State.RUNNING, State.PAUSED)
            if self._phase is State.PAUSED:
                self._command(Command.RESUME)
                self._phase = State.RUNNING

    def load(self, plan: Plan) -> None:
        """Hand over another plan: the old one's last event, then the new one's first.

        At one instant for all channels no further event of the old plan begins;
        when the last one has ended, the new plan begins at its frame 0. The
        intensity stays as asked for, and rises to it from zero, over the first
        stage's ramp-up or at the slew, whichever is slower. In OPEN the new plan
        takes the old one's place; while paused, the session stays paused.

        Parameters
        ----------
        plan
            With the rate, format, full scale, channels and trigger of the
            session's plan. It is checked against the limits of that one.

        Raises
        ------
        SpecError
            For another grid or number of channels.
        LimitError
            If it does not keep the limits that the session was opened with.
        StateError
            Unless open, running or paused, or while another plan waits.
        """
        if not isinstance(plan, Plan):
            raise SpecError("plan", plan, "must be a plan, made by nw.build_plan")
        first = self._first_plan
        if plan.n_channels != first.n_channels:
            raise SpecError(
                "plan.n_channels", plan.n_channels, f"must be {first.n_channels}"
            )
        for name in ("sample_rate_hz", "dtype", "full_scale_ma", "trigger"):
            given, allowed = (getattr(p.output, name) for p in (plan, first))
            if given != allowed:
                raise SpecError(f"plan.output.{name}", given, f"must be {allowed}")
        if plan.limits != first.limits:
            report = check(plan.protocol, first.limits)
            if not report.passed:
                raise LimitError(report)
        with self._calls:
            stream = self._require("load", State.OPEN, State.RUNNING, State.PAUSED)
            if not stream.load(plan):
                raise StateError(
                    "load: another plan waits to begin, or 256 commands wait already"
                )
            stream.attend()

    def stop(self) -> None:
        """Ramp down over half a second, event by event; does not block."""
        with self._calls:
            if self.state in (State.RUNNING, State.OPEN, State.PAUSED):
                assert self._stream is not None
                if not self._stream.command(Command.STOP):
                    self._stream.engine.ask_stop()  # whatever else waits
                running = self._phase is State.RUNNING
                self._phase = State.STOPPING if running else State.STOPPED

    def emergency_stop(self) -> None:
        """Start no further event, at once; from any thread; never raises.

        Events in flight complete, so that they are balanced; one with more
        than 20 ms left ends at its next instant of zero charge (a burst, with
        its carrier cycle). What the device has queued still plays: see
        ``status.worst_stop_ms``.
        """
        if self._phase is State.CLOSED:
            return
        self._refused = True
        if self._stream is not None and not self._stream.forked:
            self._stream.trip(Fault.EMERGENCY_STOP)

    @contextmanager
    def emergency_stop_on(self, *signals: int) -> Iterator[None]:
        """Let signals stop it from C, within a block, before Python sees them.

        Python runs signal handlers between its own instructions: late, while a
        call holds the GIL. Here the emergency stop is made by the signal itself;
        the handler that Python has for it then runs as ever.

        Parameters
        ----------
        *signals
            Numbers, such as ``signal.SIGINT``. Each needs a handler in Python,
            which `signal.signal` installs; SIGINT has one. One session at a time
            has a signal. Call this from the main thread.

        Raises
        ------
        StateError
            Unless the session is open, or if a signal cannot be caught.
        """
        stream = self._stream
        if stream is None or self._phase is State.CLOSED:
            raise StateError("emergency_stop_on: open the session first")
        caught: list[int] = []
        try:
            for number in signals:
                if not stream.catch_signal(number):
                    raise StateError(
                        f"emergency_stop_on: signal {number} cannot be caught: it has "
                        "no handler in Python, or a session has it already"
                    )
                caught.append(number)
            yield
        finally:
            for number in caught:
                stream.release_signal(number)

    def feed(self) -> None:
        """Tell the watchdog that the program is alive.

        Raises
        ------
        StateError, SinkError
            The fault, if there is one.
        """
        if self._stream is None:
            return
        self._stream.engine.feed()
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
        if self._stream is not None and self._stream.forked:
            self._require("wait")
        if self._stream is None or self._phase is State.OPEN:
            raise StateError(f"wait: start the session first; it is {self.state}")
        if timeout is None:
            deadline = math.inf
        elif (
            isinstance(timeout, bool)
            or not isinstance(timeout, Real)
            or math.isnan(timeout)
        ):
            raise SpecError("timeout", timeout, "must be seconds, or None")
        else:
            deadline = time.monotonic() + float(timeout)
        while True:
            self.feed()
            if self.state in (State.STOPPED, State.CLOSED) and (
                not self._stream.delivers
            ):
                self._raise_fault()
                return True
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            time.sleep(min(POLL_S, self._watchdog_s / 4, left))

    # -- status ----------------------------------------------------------------

    @property
    def plan(self) -> Plan:
        """The plan being delivered: the session's, or the one loaded last."""
        if self._stream is None:
            return self._first_plan
        return self._stream.plans[self._stream.snapshot()["load"]]

    @property
    def state(self) -> State:
        """Where the session is."""
        if self._phase is State.CREATED and self._refused:
            return State.FAULT
        if self._stream is None or self._phase in (State.CREATED, State.CLOSED):
            return self._phase
        return self._state_of(self._stream.snapshot())

    @property
    def status(self) -> Status:
        """What the session is doing now."""
        if self._stream is None:
            stopped = Fault.EMERGENCY_STOP.describe() if self._refused else None
            return Status.of_nothing(self.state, self._first_plan.n_channels, stopped)
        now = self._stream.snapshot()
        longest, counts = self._stream.engine.durations_ns()
        return Status(
            state=self._state_of(now),
            frame=now["frame"],
            stage=now["stage"],
            on_period=now["on_period"],
            intensity=now["intensity"],
            pulses=now["pulses"],
            underruns=now["underruns"],
            capped=now["capped"],
            load=now["load"],
            records_lost=self._stream.engine.records_lost,
            callback_us=percentiles_us(longest, counts),
            worst_stop_ms=self._worst_stop_ms(),
            fault=self._fault_of(now),
        )

    def _fault_of(self, now: _Snapshot) -> str | None:
        assert self._stream is not None
        self._stream.check()
        fault = now["fault"] or now["tripped"]
        if fault in (Fault.DEVICE_LOST, Fault.LOG) and self._stream.lost:
            return f"{Fault(fault).describe()}: {self._stream.lost}"
        return Fault(fault).describe() if fault else None

    def _state_of(self, now: _Snapshot) -> State:
        assert self._stream is not None
        if self._phase is State.CLOSED or self._stream.forked:
            return State.CLOSED
        if now["tripped"]:
            return State.FAULT
        state = ENGINE_STATES[now["state"]]
        if state in (State.STOPPED, State.FAULT):
            return state
        if state is State.STOPPING:
            # by itself: the watchdog, or a log that cannot be written
            return state
        # A command that waits in the ring counts as obeyed.
        return self._phase

    def _worst_stop_ms(self) -> float:
        assert self._stream is not None
        stages = [s for c in self.plan.protocol.channels for s in c.stages]
        event_ms = max(min(s.event.duration_us / 1000, 20.0) for s in stages)
        return event_ms + 2 * self._stream.latency_s * 1000

    # -- inside ----------------------------------------------------------------

    def _require(self, call: str, *states: State) -> Stream:
        state = self.state
        if self._stream is not None and self._stream.forked:
            raise StateError(
                f"{call}: this process was forked from the one that has the session"
            )
        if state is State.FAULT and self._stream is None:
            raise StateError(f"{call}: an emergency stop was made before it was opened")
        if state is State.FAULT:
            try:
                self._raise_fault()
            except SinkError as error:
                raise StateError(f"{call}: {error}") from None
        if state not in states or self._stream is None:
            allowed = " or ".join(states)
            raise StateError(f"{call}: the session is {state}, must be {allowed}")
        return self._stream

    def _command(self, kind: int, channel: int = -1, value: float = 0.0) -> None:
        assert self._stream is not None
        if not self._stream.command(kind, channel, value):
            raise StateError(
                "256 commands wait already: the output is not asking for frames, or "
                "commands come faster than 32 in a block"
            )

    def _intensities(self, value: Intensity) -> list[float]:
        n = self._first_plan.n_channels
        if isinstance(value, np.ndarray):
            value = value.tolist()
        if isinstance(value, (list, tuple)):
            if len(value) != n:
                raise SpecError("intensity", value, f"must be one number or {n}")
            return [_intensity(f"intensity[{i}]", v) for i, v in enumerate(value)]
        return [_intensity("intensity", value)] * n

    def _raise_fault(self) -> None:
        assert self._stream is not None
        if self._stream.forked:
            return
        now = self._stream.snapshot()
        self._stream.check()
        fault = now["fault"] or now["tripped"]
        if fault:
            raise fault_error(
                fault, watchdog_s=self._watchdog_s, reason=self._stream.lost
            )


_sessions: weakref.WeakSet[Session] = weakref.WeakSet()


def _free_calls() -> None:
    # A thread that was in the middle of a call did not come along to end it.
    for session in list(_sessions):
        session._calls = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_free_calls)


def _refuse_unbounded(limits: Limits) -> None:
    """Refuse for hardware what leaves full scale as the only bound of a channel."""
    if limits.max_amplitude_ma is None:
        raise SinkUnavailableError(
            "this plan was built without limits on max_amplitude_ma, for computation "
            "only: a hardware sink refuses it; build it with nw.Limits(), a named set, "
            "or a number for it"
        )


def _positive(name: str, value: float) -> float:
    if not is_number(value) or not 0 < value < 1e9:
        raise SpecError(name, value, "must be a number greater than 0, below 1e9")
    return float(value)


def _intensity(name: str, value: object) -> float:
    if not is_number(value) or not 0 <= value <= 1:
        raise SpecError(name, value, "must be a number from 0 to 1")
    return float(value)
