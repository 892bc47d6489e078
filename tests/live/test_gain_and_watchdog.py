"""The gain after a pause, and the watchdog, on a device that the test calls."""

from __future__ import annotations

import math

import numpy as np
import pytest
from live.model import RAMP_S
from live.simulated import SimulatedSink, decoded_rendering, finish
from live.test_state_table import FS, plan_of

import nmes_wave as nw
from nmes_wave import State


def levels(codes):
    """The intensity of each event of 100 Hz, 40 of 100 mA."""
    whole = codes[: len(codes) // 480 * 480, 0].reshape(-1, 480)
    return whole.max(axis=1) / (0.4 * (2**23 - 1))


def resumed(intensity, ramp_up_s=2.0, script=()):
    """2.1 s, a pause, a resumption, and then what the script asks for."""
    plan = plan_of(on_s=20.0, ramp_up_s=ramp_up_s)
    sink = SimulatedSink(plan)
    with nw.Session(plan, sink=sink, watchdog_s=1000) as session:
        session.start(intensity)
        sink.call(210 * 480)
        session.pause()
        sink.call(480)
        session.resume()
        for value, blocks in script:
            if value is not None:
                session.set_intensity(value)
            sink.call(480 * blocks)
        finish(sink, session)
    return levels(sink.codes()[211 * 480 :])


@pytest.mark.parametrize("ramp_up_s", [0.0, 0.5, 2.0])
def test_after_a_pause_the_gain_rises_over_the_ramp_or_the_slew(ramp_up_s):
    after = resumed(1.0, ramp_up_s, [(None, 300)])[:300]
    rise_s = max(ramp_up_s, 1.0)
    expected = np.minimum(1.0, np.arange(300) * 0.01 / rise_s)
    np.testing.assert_allclose(after, expected, atol=1e-6)


@pytest.mark.parametrize("intensity", [0.01, 0.2])
def test_an_intensity_that_is_raised_after_a_pause_is_reached_in_time(intensity):
    """The gain is back after two seconds, whatever is asked meanwhile."""
    after = resumed(intensity, 2.0, [(None, 5), (0.9, 300)])
    assert after[210:290] == pytest.approx(0.9, abs=1e-6)


@pytest.mark.parametrize("value", [0.0, 0.1])
def test_an_intensity_that_is_lowered_after_a_pause_never_rises_above(value):
    """Asked for less while the gain rises, it does not go on to rise."""
    after = resumed(1.0, 2.0, [(None, 40), (value, 300)])
    assert after[39] == pytest.approx(0.195)
    assert after[41:300].max() <= 0.2 + 1e-6


# -- watchdog -------------------------------------------------------------------


@pytest.mark.parametrize("block", [1, 100, 4801, 30_000])
def test_the_watchdog_counts_frames_and_ramps(block):
    plan = plan_of(on_s=20.0)
    sink = SimulatedSink(plan)
    watchdog_s = 0.75
    with nw.Session(plan, sink=sink, watchdog_s=watchdog_s) as session:
        session.start(1.0)
        while sink.n_frames < 4 * FS:
            sink.call(block)
        assert session.status.fault == "watchdog"
        with pytest.raises(nw.StateError, match="watchdog"):
            session.feed()
        sink.silence()
    codes = sink.codes()
    latest = (watchdog_s + RAMP_S) * FS + 2 * block
    assert not codes[math.ceil(latest) :].any()
    assert (codes.sum(axis=0) == 0).all()
    before = max(0, int(watchdog_s * FS) - block)  # taken at a block's begin
    np.testing.assert_array_equal(codes[:before], decoded_rendering(plan)[:before])
    assert (np.diff(levels(codes)) <= 0).all()


def test_a_paused_session_needs_no_feeding_and_feeding_keeps_one_alive():
    plan = plan_of(on_s=20.0)
    sink = SimulatedSink(plan)
    with nw.Session(plan, sink=sink, watchdog_s=0.5) as session:
        session.start(1.0)
        for _ in range(20):
            sink.call(FS // 5)
            session.feed()
        session.pause()
        sink.call(3 * FS)
        assert session.state is State.PAUSED
        session.resume()
        session.feed()
        sink.call(FS // 5)
        assert session.state is State.RUNNING
        finish(sink, session)
