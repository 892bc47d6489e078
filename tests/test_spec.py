"""Descriptions: what they accept, what they refuse, and in which words."""

from __future__ import annotations

import dataclasses
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad

import nmes_wave as nw
from nmes_wave.spec.event import PHASE_MEAN, PHASE_MEAN_SQUARE, phase_level

PULSE = nw.Pulse(phase_width_us=250)
SHAPES = list(PHASE_MEAN)


def stage(**changes):
    given = {
        "event": PULSE,
        "train": nw.Train(rate_hz=50),
        "duty_cycle": nw.DutyCycle(on_s=1),
        "amplitude_ma": 40,
    }
    return nw.Stage(**{**given, **changes})


def test_specs_are_frozen_keyword_only_and_comparable():
    with pytest.raises(dataclasses.FrozenInstanceError, match="phase_width_us"):
        PULSE.phase_width_us = 3
    with pytest.raises(TypeError, match="positional"):
        nw.Pulse(250)
    assert nw.Pulse(phase_width_us=250.0) == PULSE
    assert hash(nw.Pulse(phase_width_us=np.float32(250))) == hash(PULSE)
    assert dataclasses.replace(PULSE, polarity=-1).polarity == -1


def test_equivalent_types_are_accepted():
    assert isinstance(nw.Pulse(phase_width_us=np.int64(3)).phase_width_us, float)
    assert nw.DutyCycle(on_s=1, repeats=np.int32(3)).repeats == 3
    shape = nw.CustomPulse(points=np.array([[0, 1], [9, 1], [9, -1], [18, -1]]))
    assert shape.points[1] == (9.0, 1.0)
    assert isinstance(nw.Channel(name="c", stages=[stage()]).stages, tuple)


NOT_A_NUMBER = [float("nan"), float("inf"), -float("inf"), "3", None, True, [1], 1j]


@pytest.mark.parametrize("value", [*NOT_A_NUMBER, 0, -1, 10**400])
def test_a_width_is_a_positive_number(value):
    with pytest.raises(nw.SpecError, match=r"Pulse\.phase_width_us = ") as caught:
        nw.Pulse(phase_width_us=value)
    assert isinstance(caught.value, ValueError)
    assert caught.value.field == "Pulse.phase_width_us"
    assert "greater than 0" in caught.value.allowed
    assert str(caught.value).count("\n") == 0


REFUSED = [
    (lambda: nw.Pulse(phase_width_us=1, recovery_ratio=0.9), "at least 1"),
    (lambda: nw.Pulse(phase_width_us=1, shape="round"), "must be one of 'rectangular'"),
    (lambda: nw.Pulse(phase_width_us=1, polarity=0), r"polarity = 0: must be one of 1"),
    (lambda: nw.Pulse(phase_width_us=1, polarity=True), "polarity"),
    (lambda: nw.Pulse(phase_width_us=1, balanced=1), "true or false"),
    (
        lambda: nw.Pulse(phase_width_us=1, recovery_shape="exponential_decay"),
        r"recovery_ratio = 1\.0: must be at least 5\.17555",
    ),
    (lambda: nw.Burst(carrier_hz=2500, cycles=0), "cycles = 0: must be at least 1"),
    (lambda: nw.Burst(carrier_hz=2500, cycles=2.0), "whole number"),
    (lambda: nw.Burst(carrier_hz=1, cycles=1), "at least 10 Hz"),
    (lambda: nw.Train(rate_hz=0), "rate_hz = 0"),
    (lambda: nw.Train(rate_hz=50, phase_deg=360), "less than 360 degrees"),
    (lambda: nw.Train(rate_hz=50, jitter=0.6), "at most 0.5"),
    (lambda: nw.Train(rate_hz=50, n_let=2), "n_let_interval_ms = None"),
    (lambda: nw.Train(rate_hz=50, n_let_interval_ms=5), "needs n_let of at least 2"),
    (lambda: nw.Train(rate_hz=50, first_interval_ms=21), "at most one period, 20 ms"),
    (
        lambda: nw.Train(rate_hz=50, rate_end_hz=60, first_interval_ms=5),
        "cannot be combined with a sweep",
    ),
    (lambda: nw.Envelope(start_level=1.1), "at most 1"),
    (lambda: nw.DutyCycle(on_s=0), "on_s = 0"),
    (lambda: nw.DutyCycle(on_s=1, repeats=0), "repeats = 0"),
    (lambda: nw.Electrode(area_cm2=0), "area_cm2 = 0"),
    (lambda: nw.Channel(name=" ", stages=[stage()]), "must not be empty"),
    (lambda: nw.Channel(name="c", stages=[]), "at least one stage"),
    (lambda: nw.Channel(name="c", stages=stage()), "must be a sequence"),
    (lambda: nw.Channel(name="c", stages=[PULSE]), "must be a Stage"),
    (lambda: stage(event=nw.Train(rate_hz=1)), "must be one of a Pulse, a Burst"),
    (lambda: stage(amplitude_ma=-1), "amplitude_ma = -1"),
    (lambda: nw.StimProtocol(name="p", channels=[]), "at least one channel"),
    (
        lambda: nw.StimProtocol(
            name="p", channels=[nw.Channel(name="c", stages=[stage()])] * 2
        ),
        r"channels\[1\]\.name = 'c': must be unique",
    ),
]


@pytest.mark.parametrize(("make", "match"), REFUSED)
def test_what_cannot_be_is_refused_in_words(make, match):
    with pytest.raises(nw.SpecError, match=match):
        make()


CUSTOM = [
    ([(0, 1)], "two points"),
    ([(0, 1), (0, -1)], "last some time"),
    ([(1, 1), (2, -1)], "begin at time 0"),
    ([(0, 1), (5, 1), (4, -1)], r"points\[2\] is at 4 µs after 5 µs"),
    ([(0, 0), (5, 0)], "leave zero"),
    ([(0, 1.5), (5, -1)], "at most 1"),
    ([(0, 1), (5, 1), (5, -1), (9, -1)], "net area 1 µs is 0.111 of the gross"),
    ([(0, 1, 2)], "must have 2 items"),
    ("ab", "must be a sequence"),
]


@pytest.mark.parametrize(("points", "match"), CUSTOM)
def test_custom_shapes_that_cannot_be_are_refused(points, match):
    with pytest.raises(nw.SpecError, match=match):
        nw.CustomPulse(points=points)


def test_a_custom_shape_may_be_monophasic_if_it_says_so():
    shape = nw.CustomPulse(points=[(0, 1), (10, 1)], balanced=False, polarity=-1)
    assert shape.net_area_us == -10


OVERLAPS = [
    ({"train": nw.Train(rate_hz=2100)}, "0.5 ms long.*at most 0.47619 ms"),
    ({"train": nw.Train(rate_hz=50, rate_end_hz=2100)}, r"2100 Hz"),
    (
        {"train": nw.Train(rate_hz=50, n_let=2, n_let_interval_ms=0.4)},
        "n_let_interval_ms = 0.4: must be at least the event's duration, 0.5 ms",
    ),
    (
        {"train": nw.Train(rate_hz=50, n_let=5, n_let_interval_ms=5)},
        "20.5 ms long.*at most 20 ms",
    ),
    ({"train": nw.Train(rate_hz=50, first_interval_ms=0.4)}, "0.4 ms.*first interval"),
    ({"train": nw.Train(rate_hz=1100, jitter=0.5)}, "jitter 0.5"),
    ({"train": nw.Train(rate_hz=50, count=51)}, "count = 51: must be at most 50"),
    ({"train": nw.Train(rate_hz=0.5, phase_deg=270)}, "has no event"),
    (
        {"train": nw.Train(rate_hz=100, rate_end_hz=0.1, jitter=0.5)},
        "past the end of the sweep",
    ),
    ({"envelope": nw.Envelope(ramp_up_s=0.6, ramp_down_s=0.5)}, "ramps of 1.1 s"),
    (
        {"envelope": nw.Envelope(ramp_up_s=0.5, modulates="width")},
        "start_level = 0.0: must be greater than 0",
    ),
    (
        {
            "event": nw.Burst(carrier_hz=2500, cycles=1),
            "envelope": nw.Envelope(modulates="width", start_level=1),
        },
        "works on a Pulse",
    ),
    (
        {
            "train": nw.Train(rate_hz=10.0),
            "duty_cycle": nw.DutyCycle(on_s=0.1003, repeats=2),
        },
        r"ends 0\.1005 s after its begin.*leave more time off",
    ),
]


@pytest.mark.parametrize(("changes", "match"), OVERLAPS)
def test_events_that_would_overlap_are_refused(changes, match):
    with pytest.raises(nw.SpecError, match=match):
        stage(**changes)


def test_events_may_touch():
    assert stage(train=nw.Train(rate_hz=2000)).n_events == 2000
    touching = nw.DutyCycle(on_s=0.1005, repeats=2)
    assert stage(train=nw.Train(rate_hz=10.0), duty_cycle=touching).n_events == 2


def test_a_stage_may_not_run_into_the_next():
    first = stage(train=nw.Train(rate_hz=10.0), duty_cycle=nw.DutyCycle(on_s=0.1003))
    with pytest.raises(nw.SpecError, match=r"Channel\.stages\[0\]\.duty_cycle"):
        nw.Channel(name="c", stages=[first, stage()])
    with pytest.raises(nw.SpecError, match=r"Channel\.stages\[0\]"):
        nw.Channel(name="c", stages=[first], repeats=2)
    late = stage(train=nw.Train(rate_hz=50, phase_deg=180))
    nw.Channel(name="c", stages=[first, late])


def test_ramps_may_lie_outside_the_on_time():
    envelope = nw.Envelope(ramp_up_s=3, ramp_down_s=2)
    duty_cycle = nw.DutyCycle(on_s=10, off_s=5, repeats=3, ramps_count_as_on=False)
    made = stage(envelope=envelope, duty_cycle=duty_cycle)
    assert made.on_period_s == 15
    assert made.duration_s == 60
    assert made.n_events == 750


@pytest.mark.parametrize("shape", SHAPES)
def test_means_of_phase_shapes_are_their_integrals(shape):
    def level(u):
        return float(phase_level(shape, np.array(u)))

    mean = quad(level, 0, 0.5)[0] + quad(level, 0.5, 1)[0]
    square = quad(lambda u: level(u) ** 2, 0, 0.5)[0]
    square += quad(lambda u: level(u) ** 2, 0.5, 1)[0]
    assert PHASE_MEAN[shape] == pytest.approx(mean, rel=1e-12)
    assert PHASE_MEAN_SQUARE[shape] == pytest.approx(square, rel=1e-12)


@pytest.mark.parametrize(
    "event",
    [
        nw.Pulse(phase_width_us=100, interphase_gap_us=30, recovery_ratio=3),
        nw.Pulse(phase_width_us=100, recovery_shape="exponential_decay",
                 recovery_ratio=6, polarity=-1),
        nw.Pulse(phase_width_us=100, shape="half_sine", recovery_shape="triangular",
                 recovery_ratio=2),
        nw.Burst(carrier_hz=2500, cycles=3, shape="triangular"),
        nw.Burst(carrier_hz=2500, cycles=3),
        nw.CustomPulse(points=[(0, 0), (50, 1), (100, 0), (150, -1), (200, 0)]),
    ],
)  # fmt: skip
def test_a_balanced_events_curve_has_no_net_area(event):
    t = (np.arange(200_000) + 0.5) * event.duration_us / 200_000
    levels = event.levels(t)
    width = event.duration_us / 200_000
    assert abs(levels.sum() * width) < 1e-3 * event.phase_area_us
    assert (levels**2).sum() * width == pytest.approx(event.square_area_us, rel=1e-3)
    assert event.levels([-1.0, event.duration_us + 1]).tolist() == [0, 0]


def test_envelopes_rise_from_the_start_level_to_one():
    for shape in ("linear", "cosine", "exponential"):
        envelope = nw.Envelope(
            ramp_up_s=2, ramp_down_s=1, start_level=0.25, shape=shape
        )
        assert envelope.level(0, 10) == 0.25
        assert envelope.level(2, 10) == envelope.level(8.9, 10) == 1
        assert envelope.level(1, 10) == pytest.approx(envelope.level(9.5, 10))
    assert nw.Envelope().level(99, 10) == 1
    half = nw.Envelope(ramp_up_s=2, shape="exponential").level(1, 10)
    assert half == pytest.approx((math.e**2.5 - 1) / (math.e**5 - 1))


@given(st.floats(0.5, 200), st.floats(0.5, 200), st.floats(0, 359), st.floats(0.05, 30))
def test_onsets_are_where_the_phase_of_the_train_says(f0, f1, phase_deg, on_s):
    train = nw.Train(rate_hz=f0, rate_end_hz=f1, phase_deg=phase_deg)
    fitting = train.n_events_fitting(Fraction(repr(on_s)))
    for k in range(min(fitting, 50)):
        t = train.onset_s(k, on_s)
        phase = f0 * t + (f1 - f0) * t * t / (2 * on_s)
        assert phase == pytest.approx(k + phase_deg / 360, abs=1e-6)
        assert -1e-12 <= t <= on_s * (1 + 1e-9)
