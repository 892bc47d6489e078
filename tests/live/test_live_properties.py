"""Random commands at random moments: what must hold whatever is asked when.

``NMES_WAVE_LIVE_EXAMPLES=5000`` makes it a soak; ``--hypothesis-seed`` works.
"""

from __future__ import annotations

import math
import os

import numpy as np
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from live import drawn
from live.model import CUT_S, Model
from live.simulated import SimulatedSink, decoded_rendering

import nmes_wave as nw
from nmes_wave import State

EXAMPLES = int(os.environ.get("NMES_WAVE_LIVE_EXAMPLES", "25"))
random_sessions = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)

LEGAL = {
    "start": (),
    "set_intensity": (State.RUNNING, State.PAUSED),
    "pause": (State.RUNNING, State.PAUSED),
    "resume": (State.RUNNING, State.PAUSED),
    "load": (State.RUNNING, State.PAUSED),
}


class Driven:
    """A session and its model, given the same commands."""

    def __init__(self, plans, session, sink, model, trip):
        self.plan, self.others = plans[0], plans
        self.session, self.sink, self.model, self.trip = session, sink, model, trip
        self.underruns = self.loads = 0
        self.stop_unseen = False

    def do(self, name, *arguments):
        if name in ("call", "underrun"):
            self.call(*(arguments or (64,)), underrun=name == "underrun")
            return
        if name == "set_intensity":
            value, channel = arguments
            if channel is not None:
                channel %= self.plan.n_channels
            arguments = (value, channel)
        if name == "load":
            self.loads += 1
            arguments = (self.others[self.loads % len(self.others)],)
            if self.model.waiting is not None:
                return  # one may wait: the table of states has a test for that
        legal = self.model.state in LEGAL.get(name, State)
        if name == "feed":
            legal = self.model.state is not State.FAULT
        if legal:
            getattr(self.session, name)(*arguments)
            self.tell(name, arguments)
        else:
            # in FAULT the reason
            with pytest.raises((nw.StateError, nw.SinkError), match=r"."):
                getattr(self.session, name)(*arguments)
        self.agree()

    def tell(self, name, arguments):
        event(f"{name} while {self.model.state}")
        if name == "emergency_stop":
            self.model.fault()
        elif name != "feed":
            # until a callback sees it, a fault comes before it
            self.stop_unseen |= name == "stop" and self.model.state is State.PAUSED
            getattr(self.model, name)(*arguments)

    def call(self, frames, underrun=False):
        if not self.sink.blocks:
            underrun = False  # of the block before the start: nobody counts it
        self.underruns += underrun
        ended = self.model.state is State.STOPPED and not self.stop_unseen
        if underrun and self.trip and not ended:
            self.model.fault()
        self.stop_unseen = False
        self.sink.call(frames, underrun)
        seen = self.sink.engine.snapshot()
        self.model.call(frames, seen["load"], seen["frame"])
        self.agree()

    def agree(self):
        allowed = self.model.states()
        assert self.session.state in allowed, (self.session.state, allowed)
        self.model.state = self.session.state
        status = self.session.status
        if self.model.state in (State.RUNNING, State.PAUSED) and (
            self.model.waiting is None
        ):
            assert status.frame == self.model.position
        assert all(0 <= x <= 1 for x in status.intensity)

    def finish(self):
        """Stop, and let what is in flight end; then what closing asks for."""
        self.do("stop")
        fs = self.plan.output.sample_rate_hz
        for _ in range(20):
            if self.model.state in (State.STOPPED, State.FAULT):
                break
            self.call(math.ceil(fs / 10))
        assert self.model.state in (State.STOPPED, State.FAULT)
        self.call(math.ceil(fs / 5))
        self.sink.silence()


def check_everything(driven):
    plan, model = driven.plan, driven.model
    codes = driven.sink.codes()
    assert (codes[:, : plan.n_channels].sum(axis=0) == 0).all()
    # every event whole and once, of a level that the slew allows, and nothing else
    got = model.read(codes)
    cap_ma = plan.limits.max_amplitude_ma
    ma = np.abs(codes[:, : plan.n_channels]) * plan.output.ma_per_code(plan.n_channels)
    assert ma.max(initial=0) <= cap_ma
    total_ma = plan.limits.max_total_current_ma
    status = driven.session.status
    if total_ma is not None:
        assert drawn.total_ma(plan, codes).max(initial=0) <= total_ma * (1 + 1e-12)
        check_left_out(plan, got, total_ma)
    n_absent = sum(g.absent for g in got)
    # of an event below one code·frame nobody can see whether it was delivered
    unclear = sum(g.levels[0] == 0 and not g.absent and g.due.high > 0 for g in got)
    assert n_absent <= status.capped <= n_absent + unclear
    present = sum(g.levels[0] > 0 for g in got)
    assert present <= status.pulses <= present + unclear
    if total_ma is None:
        assert n_absent == 0
    event(f"capped: {min(n_absent, 3)}")
    if model.faulted_at is not None:
        check_silence_after(driven, got, codes)


def check_left_out(plan, got, total_ma):
    """An event is left out only where the sum might have been too much."""
    ma = plan.output.ma_per_code(plan.n_channels)
    for g in got:
        if not g.absent:
            continue
        others = [
            max(
                (
                    o.levels[1] * ma[c]
                    for o in got
                    if o.due.channel == c
                    and not o.absent
                    and o.due.begin < g.due.end
                    and g.due.begin < o.due.end
                ),
                default=0.0,
            )
            for c in range(plan.n_channels)
            if c != g.due.channel
        ]
        own = g.due.levels()[1] * ma[g.due.channel]
        assert own + sum(others) > total_ma * (1 - 1e-9), (own, others, g)


def check_silence_after(driven, got, codes):
    """Events in flight end, those with more than 20 ms left at zero charge."""
    at, fs = driven.model.faulted_at, driven.plan.output.sample_rate_hz
    silent = at
    for g in got:
        left = g.due.end - at
        if left > CUT_S * fs + 1:
            stage = g.due.plan.protocol.channels[g.due.channel].stages[
                g.due.row["stage"]
            ]
            if isinstance(stage.event, nw.Burst):
                left = math.ceil(fs / stage.event.carrier_hz) + 1
        silent = max(silent, at + left)
    assert not codes[silent:, : driven.plan.n_channels].any()
    event("fault with events in flight" if silent > at else "fault in silence")


@random_sessions
@given(st.data())
def test_random_commands_at_random_moments(data):
    plans = data.draw(drawn.plans(n=data.draw(st.integers(1, 2))))
    slew = data.draw(st.one_of(st.just(1.0), st.floats(0.2, 20)))
    begin = data.draw(drawn.intensities(plans[0].n_channels))
    trip = data.draw(st.booleans())
    actions = data.draw(drawn.ACTIONS)
    sink = SimulatedSink(plans[0])
    with nw.Session(
        plans[0],
        sink=sink,
        slew_per_s=slew,
        watchdog_s=1000,
        underrun="trip" if trip else "count",
    ) as session:
        session.start(begin)
        driven = Driven(plans, session, sink, Model(plans[0], slew, begin), trip)
        driven.agree()
        for action in actions:
            driven.do(*action)
        driven.finish()
        check_everything(driven)
        assert session.status.underruns == driven.underruns


@random_sessions
@given(st.data())
def test_block_sizes_change_nothing(data):
    """The same commands at the same frames: the same bytes."""
    plans = data.draw(drawn.plans(n=2, triggers=True))
    slew = data.draw(st.floats(0.2, 20))
    begin = data.draw(drawn.intensities(plans[0].n_channels))
    script = data.draw(
        st.lists(st.tuples(drawn.COMMANDS, st.integers(1, 15_000)), max_size=12)
    )
    sizes = data.draw(st.lists(st.integers(0, 6000).filter(bool), min_size=1))

    def run(blocks_of):
        sink = SimulatedSink(plans[0])
        with nw.Session(
            plans[0], sink=sink, slew_per_s=slew, watchdog_s=1000, underrun="count"
        ) as session:
            session.start(begin)
            for (name, *arguments), frames in [*script, (("stop",), 150_000)]:
                if name == "set_intensity" and arguments[1] is not None:
                    arguments[1] %= plans[0].n_channels
                if name == "load":
                    arguments = [plans[1]]
                try:
                    if name != "underrun":
                        getattr(session, name)(*arguments)
                except (nw.StateError, nw.SinkError):
                    pass
                for n in blocks_of(frames):
                    sink.call(n)
            sink.silence()
            status = session.status
            counts = (status.pulses, status.capped, status.state)
        return sink.codes(), counts

    def at_once(frames):
        return [frames]

    def cut(frames):
        i = 0
        while frames > 0:
            size = sizes[i % len(sizes)]
            n = min(frames, size if i < 100 else max(size, 700))  # in time
            yield n
            if i % 3 == 0:
                yield 0
            frames -= n
            i += 1

    codes, counts = run(at_once)
    others, other_counts = run(cut)
    # The trigger's column after the ramp of a stop has a test of its own.
    n = plans[0].n_channels
    np.testing.assert_array_equal(codes[:, :n], others[:, :n])
    assert counts == other_counts


@random_sessions
@given(st.data())
def test_full_intensity_is_the_rendering_bit_for_bit(data):
    (plan,) = data.draw(drawn.plans(triggers=True, totals=False))
    sizes = data.draw(st.lists(drawn.BLOCKS.filter(bool), min_size=1, max_size=5))
    lead = data.draw(drawn.BLOCKS)
    sink = SimulatedSink(plan)
    with nw.Session(plan, sink=sink, watchdog_s=1000) as session:
        assert not sink.call(lead).any()
        session.start(1.0)
        i = 0
        while sink.n_frames < lead + plan.n_frames:
            assert session.state is State.RUNNING
            sink.call(sizes[i % len(sizes)])
            i += 1
        assert session.state is State.STOPPED
        sink.silence()
        assert session.status.pulses <= plan.n_pulses
    got = sink.codes()[lead:]
    np.testing.assert_array_equal(got[: plan.n_frames], decoded_rendering(plan))
    assert not got[plan.n_frames :].any()
