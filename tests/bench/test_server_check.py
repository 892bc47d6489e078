"""What `check` says of rendered frames, ours and the peers' alike."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmes_wave.bench.peers.server import check

WORK = {"sample_rate_hz": 48_000, "rate_hz": 50.0, "ramp_up_s": 1.0, "ramp_down_s": 0.5}
TOTALS = ("net", "worst_pulse", "rate_error_ppm")


def train(period, first=14, second=14, n=200, channels=2):
    """Return pulses of so many frames of +1 and -1, a period of frames apart."""
    one = np.zeros((period, channels), np.int32)
    one[:first], one[first : first + second] = 1, -1
    return np.tile(one, (n, 1))


def test_a_balanced_train_at_its_rate_has_no_error():
    found = check(train(960), WORK)
    assert [found[name] for name in TOTALS] == [0, 0, 0]
    # 4 s less the ramps
    assert found["events"] == 125
    assert found["rate_resolution_ppm"] == pytest.approx(1e6 / (124 * 960))


@given(st.integers(800, 1200), st.floats(20, 200))
def test_the_rate_error_is_that_of_the_period(period, rate_hz):
    found = check(train(period), {**WORK, "rate_hz": rate_hz})
    expected = 48_000 / period / rate_hz - 1
    assert found["rate_error_ppm"] == pytest.approx(expected * 1e6, abs=1e-3)


def test_a_period_cut_to_frames_at_35_hz():
    found = check(train(1371), {**WORK, "rate_hz": 35.0})
    assert found["rate_error_ppm"] == pytest.approx(312.6, abs=0.1)


@given(st.integers(1, 40), st.integers(1, 40))
def test_phases_that_differ_are_net_charge(first, second):
    found = check(train(960, first, second), WORK)
    expected = abs(first - second) / (first + second)
    assert found["net"] == pytest.approx(expected)
    assert found["worst_pulse"] == pytest.approx(expected)


def test_one_bad_pulse_of_one_channel_is_the_worst():
    codes = train(960)
    codes[100 * 960 + 14, 1] = 0
    found = check(codes, WORK)
    assert found["worst_pulse"] == pytest.approx(1 / 27)
    assert found["net"] == pytest.approx(1 / (200 * 28 - 1))


def test_pulses_that_cancel_are_seen_one_by_one():
    codes = train(960, 15, 14)
    codes.reshape(-1, 960, 2)[::2] *= -1
    found = check(codes, WORK)
    assert found["net"] == 0
    assert found["worst_pulse"] == pytest.approx(1 / 29)


def test_balanced_pulses_of_unequal_size_are_balanced_each():
    codes = train(960)
    codes.reshape(-1, 960, 2)[::2] *= 3
    assert check(codes, WORK)["worst_pulse"] == 0


def test_bursts_of_a_sine_are_one_event_each():
    t = np.arange(4 * 48_000) % 960 / 48_000
    burst = np.sin(2 * np.pi * 2500 * t) * (t < 0.01)
    found = check(burst[:, None], WORK)
    assert found["events"] == 125
    assert found["rate_error_ppm"] == 0


@pytest.mark.parametrize(
    ("codes", "words"),
    [
        (np.zeros((96_000, 1)), "a channel is silent"),
        (train(960, n=77), "2 events found"),
    ],
)
def test_nothing_to_check_is_an_error(codes, words):
    with pytest.raises(ValueError, match=words):
        check(codes, WORK)
