"""The table of states, call by call; loads; what is no number; no frames."""

from __future__ import annotations

import contextlib
import dataclasses
import math

import numpy as np
import pytest
from live.simulated import SimulatedSink, decoded_rendering, finish

import nmes_wave as nw
from nmes_wave import State

FS = 48_000


def plan_of(
    amplitude_ma=40.0,
    rate_hz=100.0,
    on_s=3.0,
    ramp_up_s=0.0,
    event=None,
    channels=2,
    limits=None,
    **output,
):
    stage = nw.Stage(
        event=event or nw.Pulse(phase_width_us=250.0),
        train=nw.Train(rate_hz=rate_hz),
        duty_cycle=nw.DutyCycle(on_s=on_s),
        envelope=nw.Envelope(ramp_up_s=ramp_up_s),
        amplitude_ma=amplitude_ma,
    )
    output = {"sample_rate_hz": FS, "full_scale_ma": 100.0, **output}
    many = [nw.Channel(name=f"{i}", stages=[stage]) for i in range(channels)]
    protocol = nw.StimProtocol(name="table", channels=many)
    return nw.build_plan(protocol, nw.Output(**output), limits)


@contextlib.contextmanager
def session_in(state, underrun="trip"):
    """A session on a simulated device, brought to a state."""
    plan = plan_of()
    sink = SimulatedSink(plan)
    session = nw.Session(plan, sink=sink, watchdog_s=1000, underrun=underrun)
    if state is State.CREATED:
        yield session, sink
        return
    with session:
        if state is not State.OPEN:
            session.start(1.0)
            sink.call(1000)
        if state is State.PAUSED:
            session.pause()
            sink.call(1000)
        elif state in (State.STOPPING, State.STOPPED):
            session.stop()
            sink.call(1000)
            if state is State.STOPPED:
                sink.call(FS)
        elif state is State.FAULT:
            session.emergency_stop()
            sink.call(1000)
        elif state is State.CLOSED:
            finish(sink, session)
            session.close()
        assert session.state is state
        yield session, sink
        if session.state is not State.CLOSED:
            finish(sink, session)


#: What a call makes of a state; StateError where the table has none.
TABLE = {
    "start": {State.OPEN: State.RUNNING},
    "set_intensity": {State.RUNNING: State.RUNNING, State.PAUSED: State.PAUSED},
    "pause": {State.RUNNING: State.PAUSED, State.PAUSED: State.PAUSED},
    "resume": {State.RUNNING: State.RUNNING, State.PAUSED: State.RUNNING},
    "load": {s: s for s in (State.OPEN, State.RUNNING, State.PAUSED)},
    "stop": {
        State.RUNNING: State.STOPPING,
        State.OPEN: State.STOPPED,
        State.PAUSED: State.STOPPED,
        **{s: s for s in State if s not in (State.RUNNING, State.OPEN, State.PAUSED)},
    },
    "feed": {s: s for s in State if s is not State.FAULT},
}
ARGUMENTS = {"set_intensity": (0.5,), "load": (plan_of(60.0),)}


@pytest.mark.parametrize("state", list(State))
@pytest.mark.parametrize("call", list(TABLE))
def test_every_call_in_every_state(call, state):
    with session_in(state) as (session, sink):
        expected = TABLE[call].get(state)
        if expected is None:
            with pytest.raises(nw.StateError, match=r"."):
                getattr(session, call)(*ARGUMENTS.get(call, ()))
            expected = state
        else:
            getattr(session, call)(*ARGUMENTS.get(call, ()))
        assert session.state is expected
        if state not in (State.CREATED, State.CLOSED):
            sink.call(480)
            assert session.state is expected
        assert session.status.state is expected


@pytest.mark.parametrize("state", list(State))
def test_an_emergency_stop_never_raises_and_latches(state):
    with session_in(state) as (session, sink):
        session.emergency_stop()
        session.emergency_stop()
        if state in (State.CREATED, State.CLOSED):
            return
        assert session.state is State.FAULT
        sink.call(9600)
        assert not sink.call(FS).any()
        assert session.status.fault == "emergency stop"
        for call in ("start", "pause", "resume", "feed"):
            with pytest.raises(nw.StateError, match="emergency stop"):
                getattr(session, call)()


@pytest.mark.parametrize("state", list(State))
def test_waiting(state):
    with session_in(state) as (session, _):
        if state in (State.CREATED, State.OPEN):
            with pytest.raises(nw.StateError, match=str(state)):
                session.wait(timeout=0.0)
        elif state is State.FAULT:
            with pytest.raises(nw.StateError, match="emergency stop"):
                session.wait(timeout=0.0)
        elif state is not State.CLOSED:
            assert session.wait(timeout=0.0) is (state is State.STOPPED)


@pytest.mark.parametrize("call", ["set_intensity", "pause", "resume", "load", "start"])
def test_calls_after_an_underrun_raise_a_state_error(call):
    """The table: otherwise StateError; only `wait` raises a SinkError."""
    with session_in(State.RUNNING) as (session, sink):
        sink.call(480, underrun=True)
        assert session.state is State.FAULT
        with pytest.raises(nw.StateError, match="underrun"):
            getattr(session, call)(*ARGUMENTS.get(call, ()))


def test_the_first_reason_stays():
    with session_in(State.RUNNING) as (session, sink):
        sink.call(480, underrun=True)
        session.emergency_stop()
        sink.call(480)
        assert session.status.fault == "underrun"
        with pytest.raises(nw.SinkError, match="underrun"):
            session.wait(timeout=0.0)


@pytest.mark.parametrize(
    "state", [State.RUNNING, State.PAUSED, State.STOPPING, State.OPEN]
)
def test_underruns_count_from_the_start_and_trip_if_asked(state):
    for policy in ("trip", "count"):
        with session_in(state, policy) as (session, sink):
            for flags in (True, False, True):
                sink.call(100, underrun=flags)
            tripped = policy == "trip" and state is not State.OPEN
            assert session.state is (State.FAULT if tripped else state)
            if policy == "count":
                assert session.status.underruns == (0 if state is State.OPEN else 2)


def test_zero_frames_take_commands_and_touch_nothing():
    with session_in(State.OPEN) as (session, sink):
        session.start(1.0)
        for _ in range(3):
            assert len(sink.call(0)) == 0
        assert session.status.frame == 0
        codes = sink.call(1000)
        np.testing.assert_array_equal(codes, decoded_rendering(session.plan)[:1000])
        session.pause()
        sink.call(0)
        assert session.status.frame == 1000
        assert session.status.intensity == (0.0, 0.0)


@pytest.mark.parametrize(
    "value",
    [math.nan, math.inf, -math.inf, True, False, "0.5", None, -1e-9, 1.0000001, [0.5],
     b"1", 1j, np.float64(2), np.bool_(True)],
)  # fmt: skip
def test_what_is_no_intensity_is_refused_and_changes_nothing(value):
    with session_in(State.RUNNING) as (session, sink):
        with pytest.raises(nw.SpecError, match="0 to 1"):
            session.set_intensity(value)
        with pytest.raises(nw.SpecError, match="0 to 1"):
            session.set_intensity(value, channel=1)
        sink.call(FS)
        assert session.status.intensity == (1.0, 1.0)
        assert session.state is State.RUNNING


@pytest.mark.parametrize("channel", [-1, 2, 0.5, 1.0, "0", True, math.nan, 2**70])
def test_what_is_no_channel_is_refused(channel):
    with session_in(State.RUNNING) as (session, sink):
        with pytest.raises(nw.SpecError, match="channel"):
            session.set_intensity(0.5, channel=channel)
        sink.call(FS)
        assert session.status.intensity == (1.0, 1.0)


@pytest.mark.parametrize(
    "value", [math.nan, True, [0.5], [0.5, math.nan], "11", [1, 1, 1]]
)
def test_what_is_no_intensity_starts_nothing(value):
    with session_in(State.OPEN) as (session, sink):
        with pytest.raises(nw.SpecError, match=r"0 to 1|intensit"):
            session.start(value)
        assert session.state is State.OPEN
        assert not sink.call(4800).any()


# -- load ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "other",
    [
        {"sample_rate_hz": 44_100},
        {"dtype": "int16"},
        {"full_scale_ma": 99.0},
        {"channels": 1},
        {"trigger": nw.Trigger()},
    ],
)
def test_a_plan_of_another_output_is_refused(other):
    with session_in(State.RUNNING) as (session, sink):
        with pytest.raises(nw.SpecError, match=r"."):
            session.load(plan_of(**other))
        sink.call(480)
        assert session.status.frame == 1480


@pytest.mark.parametrize("value", [None, "plan", 1])
def test_what_is_no_plan_is_refused(value):
    with session_in(State.RUNNING) as (session, _):
        with pytest.raises((nw.SpecError, TypeError), match=r"."):
            session.load(value)
        assert session.state is State.RUNNING


def test_a_plan_is_held_against_the_limits_of_the_session():
    limits = dataclasses.replace(nw.Limits(), max_amplitude_ma=50.0)
    plan = plan_of(limits=limits)
    sink = SimulatedSink(plan)
    with nw.Session(plan, sink=sink, watchdog_s=1000) as session:
        session.start(1.0)
        sink.call(1000)
        with pytest.raises(nw.LimitError, match="amplitude_ma"):
            session.load(plan_of(51.0))
        sink.call(1000)
        assert session.plan is plan
        finish(sink, session)
    cap = 50.0 / 100 * plan.output.max_code
    assert np.abs(sink.codes()).max() <= cap


def test_one_plan_may_wait():
    with session_in(State.RUNNING) as (session, sink):
        other = plan_of(30.0)
        session.load(other)
        with pytest.raises(nw.StateError, match="waits"):
            session.load(plan_of(20.0))
        sink.call(1000)
        assert session.plan is other
        session.load(plan_of(20.0))


def test_a_plan_loaded_before_the_start_is_the_one_that_is_delivered():
    with session_in(State.OPEN) as (session, sink):
        other = plan_of(25.0, rate_hz=77.7)
        session.load(other)
        sink.call(480)
        session.start(1.0)
        codes = sink.call(other.n_frames)
        assert session.plan is other
        np.testing.assert_array_equal(codes, decoded_rendering(other))


def test_the_new_plan_begins_when_the_last_old_event_has_ended():
    long = nw.Burst(carrier_hz=500.0, cycles=10)  # 20 ms, every 40 ms
    plan = plan_of(event=long, rate_hz=25.0)
    sink = SimulatedSink(plan)
    with nw.Session(plan, sink=sink, watchdog_s=1000, slew_per_s=1000) as session:
        session.start(1.0)
        sink.call(1920 * 3 + 100)
        new = plan_of(20.0, rate_hz=125.0, on_s=1.0)
        session.load(new)
        assert session.plan in (plan, new)
        sink.call(860)
        sink.call(5000)
        assert session.status.frame == 5000
        finish(sink, session)
    codes = sink.codes()
    begin = 1920 * 3 + 960
    np.testing.assert_array_equal(codes[:begin], decoded_rendering(plan)[:begin])
    got, full = codes[begin : begin + 5000], decoded_rendering(new)[:5000]
    assert not got[:384].any()  # its first event, at gain 0
    np.testing.assert_array_equal(got[384:], full[384:])
