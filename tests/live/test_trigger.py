"""The trigger's column against marks that are reckoned from ``plan.pulses()``."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from live.drawn import plans
from live.expected import level_at
from live.simulated import SimulatedSink, decoded_rendering, finish
from live.test_live_properties import random_sessions

import nmes_wave as nw

FORMATS = ["int16", "int24", "int32", "float32"]


def chosen(plan, rows):
    """The rows that are marked at full intensity."""
    trigger = plan.output.trigger
    if trigger.channel is not None:
        rows = rows[rows["channel"] == trigger.channel]
    if trigger.at == "event":
        return [row for row in rows if level_at(plan, row, 1.0) > 0]
    seen, firsts = set(), []
    last_stage = {}
    for row in rows:
        key = tuple(int(row[name]) for name in ("channel", "stage", "on_period"))
        begins_stage = last_stage.get(key[0]) != _run(plan, row)
        last_stage[key[0]] = _run(plan, row)
        begins = begins_stage if trigger.at == "stage" else key not in seen
        seen.add(key)
        if begins:
            firsts.append(row)
    return firsts


def _run(plan, row):
    """Which passage through a stage: channels repeat their stages."""
    stage = plan.protocol.channels[row["channel"]].stages[row["stage"]]
    return int(row["stage"]), int(row["on_period"]) // stage.duty_cycle.repeats


def column(plan, begins, n_frames):
    """Markers of the trigger's width, merged."""
    trigger = plan.output.trigger
    marks = np.zeros(n_frames, np.int64)
    width = math.floor(trigger.width_us * plan.output.sample_rate_hz / 1e6 + 0.5)
    for begin in begins:
        marks[begin : begin + width] = math.floor(
            trigger.level * plan.output.max_code * (1 + 1e-12)
        )
    return marks


def begins_of(plan, rows):
    return [math.floor(row["frame"]) for row in chosen(plan, rows)]


def plan_of(at="event", channel=None, dtype="int24", ramp_up_s=0.1, **trigger):
    """Two channels, stages that repeat, N-lets, and a ramp that begins at zero."""

    def stage(rate_hz, width_us, n_let=1, repeats=2):
        return nw.Stage(
            event=nw.Pulse(phase_width_us=width_us, interphase_gap_us=50.0),
            train=nw.Train(
                rate_hz=rate_hz,
                n_let=n_let,
                n_let_interval_ms=3.0 if n_let > 1 else None,
            ),
            duty_cycle=nw.DutyCycle(on_s=0.25, off_s=0.1, repeats=repeats),
            envelope=nw.Envelope(ramp_up_s=ramp_up_s),
            amplitude_ma=40.0,
        )

    channels = [
        nw.Channel(
            name="a", stages=[stage(37.3, 250.0, 2), stage(11.1, 300.0)], repeats=2
        ),
        nw.Channel(
            name="b", stages=[stage(23.7, 211.0, 1, 1)], repeats=4, start_s=0.0123
        ),
    ]
    return nw.build_plan(
        nw.StimProtocol(name="marked", channels=channels),
        nw.Output(
            sample_rate_hz=48_000,
            full_scale_ma=100.0,
            dtype=dtype,
            trigger=nw.Trigger(at=at, channel=channel, **trigger),
        ),
    )


@pytest.mark.parametrize("at", ["event", "on_period", "stage"])
@pytest.mark.parametrize("channel", [None, 0, 1])
@pytest.mark.parametrize(
    ("width_us", "level"), [(21.0, 1.0), (1000.0, 0.5), (3e4, 0.2)]
)
def test_markers_begin_with_the_events_that_were_chosen(at, channel, width_us, level):
    plan = plan_of(at=at, channel=channel, width_us=width_us, level=level)
    codes = decoded_rendering(plan)
    expected = column(plan, begins_of(plan, plan.pulses()), plan.n_frames)
    assert expected.any()
    np.testing.assert_array_equal(codes[:, -1], expected)


@pytest.mark.parametrize("dtype", FORMATS)
def test_a_trigger_changes_no_channel_and_is_in_the_format_s_codes(dtype):
    plan = plan_of(dtype=dtype)
    bare = nw.build_plan(
        plan.protocol,
        nw.Output(sample_rate_hz=48_000, full_scale_ma=100.0, dtype=dtype),
    )
    assert (plan.n_columns, bare.n_columns, plan.n_channels) == (3, 2, 2)
    marked, unmarked = decoded_rendering(plan), decoded_rendering(bare)
    np.testing.assert_array_equal(marked[: len(unmarked), :2], unmarked)
    assert set(np.unique(marked[:, 2])) == {0, plan.output.max_code // 2}
    assert plan.to_ma(plan.render()).shape == (plan.n_frames, 2)


@random_sessions
@given(st.data())
def test_any_range_of_any_plan_has_its_markers(data):
    (plan,) = data.draw(plans(triggers=True, totals=False).filter(_has_trigger))
    expected = column(plan, begins_of(plan, plan.pulses()), plan.n_frames)
    cuts = data.draw(st.lists(st.integers(0, plan.n_frames), max_size=6))
    cuts = sorted({0, plan.n_frames, *cuts})
    unit = 2.0**23 if plan.output.dtype == "float32" else 1
    parts = [plan.render(a, b)[:, -1] * unit for a, b in itertools.pairwise(cuts)]
    np.testing.assert_array_equal(np.concatenate(parts), expected)


def _has_trigger(many):
    return many[0].output.trigger is not None


def deliver(plan, script, intensity=1.0, block=377):
    """Deliver; the script is calls of the session, and frames between them."""
    sink = SimulatedSink(plan)
    with nw.Session(plan, sink=sink, watchdog_s=1000) as session:
        session.start(intensity)
        for step in script:
            if callable(step):
                step(session)
                continue
            for frames in [block] * (step // block) + [step % block]:
                sink.call(frames)
        finish(sink, session)
    return sink.codes()


@pytest.mark.parametrize("at", ["event", "on_period", "stage"])
@pytest.mark.parametrize("pause_at", [9_605, 17_000, 33_601])
def test_a_pause_moves_later_markers_and_repeats_none(at, pause_at):
    plan = plan_of(at=at, width_us=700.0, ramp_up_s=0.0)
    rows = plan.pulses()
    away = 12_345
    rest = plan.n_frames - pause_at
    codes = deliver(
        plan,
        [pause_at, lambda s: s.pause(), away, lambda s: s.resume(), rest],
    )
    # At the instant of the resumption the gain is 0: such an event delivers nothing.
    moved = [
        math.floor(row["frame"]) + (away if row["frame"] >= pause_at else 0)
        for row in chosen(plan, rows)
        if at != "event" or row["frame"] != pause_at
    ]
    expected = column(plan, moved, len(codes))
    np.testing.assert_array_equal(codes[:, -1], expected)


@pytest.mark.parametrize(
    ("at", "marked"), [("event", False), ("on_period", True), ("stage", True)]
)
def test_at_intensity_zero_begins_are_marked_and_events_are_not(at, marked):
    plan = plan_of(at=at, ramp_up_s=0.0)
    codes = deliver(plan, [plan.n_frames], intensity=0.0)
    assert not codes[:, :2].any()
    begins = begins_of(plan, plan.pulses()) if marked else []
    np.testing.assert_array_equal(codes[:, -1], column(plan, begins, len(codes)))


@pytest.mark.parametrize("at", ["event", "on_period", "stage"])
def test_nothing_is_marked_after_an_emergency_stop(at):
    plan = plan_of(at=at, width_us=500.0)
    at_frame = 20_000
    codes = deliver(plan, [at_frame, lambda s: s.emergency_stop(), 30_000])
    width = plan.output.trigger_frames
    assert codes[:at_frame, -1].any()
    assert not codes[at_frame + width :, -1].any()


@pytest.mark.parametrize("at", ["event", "on_period", "stage"])
@pytest.mark.parametrize("block", [10, 700, 25_000, 60_000])
def test_nothing_is_marked_after_the_ramp_of_a_stop(at, block):
    """Whatever the blocks are: a stage begins 310 frames after the ramp's end."""
    plan = plan_of(at=at, width_us=500.0)
    stop_at = 9290
    assert 33_600 in begins_of(plan, plan.pulses()) or at == "event"
    codes = deliver(plan, [stop_at, lambda s: s.stop(), 72_000], block=block)
    over = stop_at + 24_000
    begins = [b for b in begins_of(plan, plan.pulses()) if b < over]
    expected = column(plan, begins, len(codes))
    np.testing.assert_array_equal(codes[:, -1], expected)
    assert not codes[over:].any()
