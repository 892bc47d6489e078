"""What one channel delivers at worst: published figures, and events one by one."""

from __future__ import annotations

import math
import time
from dataclasses import replace

import numpy as np
import pytest
from exposures import (
    any_second,
    any_stages,
    channels,
    placed_events,
    protocol_of,
    pulses,
)
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from nmes_wave.exposure import ChannelExposure, channel
from nmes_wave.limits import Limits
from nmes_wave.output import Output
from nmes_wave.plan import build_plan
from nmes_wave.spec import (
    Burst,
    Channel,
    CustomPulse,
    DutyCycle,
    Electrode,
    Envelope,
    Pulse,
    Stage,
    Train,
)

SLOW = settings(
    deadline=None,
    max_examples=50,
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow],
)
seeds = st.integers(0, 2**32 - 1)


def stage(event=None, *, rate_hz=50.0, amplitude_ma=100.0, envelope=None, **changes):
    duty = {"on_s": 10.0, "off_s": 20.0, "repeats": 3}
    duty.update((k, changes.pop(k)) for k in duty.keys() & changes.keys())
    return Stage(
        event=event or Pulse(phase_width_us=300.0),
        train=Train(rate_hz=rate_hz, **changes),
        duty_cycle=DutyCycle(**duty),
        amplitude_ma=amplitude_ma,
        envelope=envelope or Envelope(),
    )


def exposure(*stages, area_cm2=25.8, repeats=1):
    electrodes = [Electrode(area_cm2=2 * area_cm2), Electrode(area_cm2=area_cm2)]
    return ChannelExposure(
        Channel(name="one", stages=stages, electrodes=electrodes, repeats=repeats)
    )


def n_in_worst_second(found, width_us=300.0, amplitude_ma=100.0):
    """How many rectangular pulses of two phases make up the r.m.s."""
    return found.rms_ma**2 / (amplitude_ma**2 * 2 * width_us * 1e-6)


# -- published and worked figures ---------------------------------------------


@pytest.mark.parametrize(
    ("width_us", "rate_hz", "charge_uc", "rms_ma", "density", "power"),
    [
        (300.0, 35.0, 30.0, "14.5", "0.56", "0.0041"),
        (500.0, 100.0, 50.0, "31.6", "1.23", "0.0194"),
    ],
)
def test_worked_values_of_the_published_formulas(
    width_us, rate_hz, charge_uc, rms_ma, density, power
):
    found = exposure(stage(Pulse(phase_width_us=width_us), rate_hz=rate_hz))
    assert found.charge_per_phase_uc == pytest.approx(charge_uc, rel=1e-12)
    assert f"{found.rms_ma:.1f}" == rms_ma
    assert f"{found.rms_density_ma_cm2:.2f}" == density
    assert f"{found.power_density_w_cm2:.4f}" == power
    formula = 100 * math.sqrt(2 * width_us * 1e-6 * rate_hz)
    assert found.rms_ma == pytest.approx(formula, rel=1e-12)


def test_russian_current_is_half_its_peak_and_has_the_rate_of_its_bursts():
    # a sine (1/sqrt 2) for half of the time (1/sqrt 2)
    found = exposure(stage(Burst(carrier_hz=2500.0, cycles=25)))
    assert found.rms_ma == pytest.approx(50.0, rel=1e-12)
    assert found.rate_hz == 50.0
    assert found.phase_width_us == pytest.approx(200.0)
    assert found.charge_per_phase_uc == pytest.approx(100 * 0.2 * 2 / math.pi)


@pytest.mark.parametrize(
    ("changes", "n"),
    [
        ({"rate_hz": 50.0}, 50),
        ({"rate_hz": 50.0, "phase_deg": 123.0}, 50),
        # no whole number: the worst second holds one more than the mean
        ({"rate_hz": 33.3}, 34),
        ({"rate_hz": 0.4}, 1),
        ({"rate_hz": 50.0, "on_s": 0.3, "off_s": 1.0}, 15),
        ({"rate_hz": 50.0, "on_s": 0.3, "off_s": 0.2}, 30),
        # 51 events in 1.01 s, and the next on-period at once: 0.01 s apart
        ({"rate_hz": 50.0, "on_s": 1.01, "off_s": 0.0}, 51),
        ({"rate_hz": 50.0, "n_let": 3, "n_let_interval_ms": 5.0}, 150),
        # 1.2 s apart, two of them every 2.5 s
        ({"rate_hz": 0.4, "n_let": 2, "n_let_interval_ms": 1200.0}, 1),
        ({"rate_hz": 50.0, "first_interval_ms": 5.0}, 51),
        ({"rate_hz": 20.0, "rate_end_hz": 80.0}, 77),
        ({"rate_hz": 80.0, "rate_end_hz": 20.0}, 77),
        ({"rate_hz": 50.0, "jitter": 0.1}, 51),
        ({"rate_hz": 50.0, "count": 7}, 7),
        ({"rate_hz": 50.0, "alternate_polarity": True}, 50),
    ],
)
def test_events_in_the_worst_second(changes, n):
    assert n_in_worst_second(exposure(stage(**changes))) == pytest.approx(n, rel=1e-9)


def test_the_worst_second_lies_on_the_plateau_where_there_is_one():
    ramps = Envelope(ramp_up_s=3.0, ramp_down_s=2.0)
    assert n_in_worst_second(exposure(stage(envelope=ramps))) == pytest.approx(50)


def test_ramps_count_event_by_event_where_there_is_no_plateau():
    ramps = Envelope(ramp_up_s=5.0, ramp_down_s=5.0)
    # a triangle: squares of 1 - |k - 250| / 250, for 50 k around the middle
    triangle = sum((1 - abs(k) / 250) ** 2 for k in range(-25, 25))
    found = exposure(stage(envelope=ramps))
    assert n_in_worst_second(found) == pytest.approx(triangle, rel=1e-9)


def test_a_second_sees_two_stages():
    # 25 events of one stage, 25 of the next: with twice the square
    first = stage(on_s=0.5, off_s=0.0, repeats=1)
    second = stage(on_s=0.5, off_s=10.0, repeats=1, amplitude_ma=math.sqrt(2) * 100)
    both = n_in_worst_second(exposure(first, second))
    assert both == pytest.approx(25 + 2 * 25, rel=1e-9)
    # and with repeats, the border of the list with itself
    again = n_in_worst_second(
        exposure(replace(second, duty_cycle=DutyCycle(on_s=0.5)), first, repeats=2)
    )
    assert again == pytest.approx(75, rel=1e-9)


def test_a_burst_of_many_seconds_has_the_rms_of_its_carrier():
    long = Burst(carrier_hz=4000.0, cycles=4000 * 60)
    found = exposure(stage(long, rate_hz=0.01, on_s=100.0, repeats=1))
    assert found.rms_ma == pytest.approx(100 / math.sqrt(2), rel=1e-12)


def test_more_events_than_can_be_laid_out_count_as_direct_current():
    tiny = Pulse(phase_width_us=1e-3)
    assert exposure(stage(tiny, rate_hz=4e8)).rms_ma == 100.0


def test_quantities_are_the_largest_of_the_stages():
    found = exposure(
        stage(Pulse(phase_width_us=500.0), amplitude_ma=10.0),
        stage(Pulse(phase_width_us=100.0), rate_hz=4.0, rate_end_hz=120.0),
    )
    assert found.amplitude_ma == 100.0
    assert found.phase_width_us == 500.0
    assert found.charge_per_phase_uc == pytest.approx(10.0)
    assert found.rate_hz == 120.0


def test_densities_need_an_electrode():
    bare = ChannelExposure(Channel(name="one", stages=[stage()]))
    assert bare.rms_density_ma_cm2 is None
    assert bare.power_density_w_cm2 is None


# -- direct current -----------------------------------------------------------


@pytest.mark.parametrize(
    "event",
    [
        Pulse(phase_width_us=300.0, recovery_ratio=3.0),
        Burst(carrier_hz=2500.0, cycles=3),
        CustomPulse(points=[(0, 1), (200, 1), (200, -0.5), (600, -0.5)]),
    ],
)
def test_balanced_events_have_no_net_current(event):
    assert exposure(stage(event)).net_dc_ua == 0.0


@pytest.mark.parametrize(
    ("changes", "n"),
    [
        ({}, 50),
        ({"rate_hz": 33.3}, 34),
        ({"n_let": 2, "n_let_interval_ms": 5.0}, 100),
        ({"alternate_polarity": True}, 1),
        ({"alternate_polarity": True, "n_let": 2, "n_let_interval_ms": 5.0}, 2),
        ({"alternate_polarity": True, "jitter": 0.1}, 1),
        # each on-period begins positive again: 3 events of it do not cancel
        ({"alternate_polarity": True, "on_s": 0.06, "off_s": 0.04, "repeats": 30}, 10),
        # ... and the last of one, late, comes within a second of the tenth after it
        (
            {"alternate_polarity": True, "on_s": 0.06, "off_s": 0.04, "repeats": 30}
            | {"jitter": 0.1},
            11,
        ),
    ],
)
@pytest.mark.parametrize("polarity", [1, -1])
def test_net_current_of_monophasic_trains(changes, n, polarity):
    event = Pulse(phase_width_us=300.0, balanced=False, polarity=polarity)
    # 100 mA for 300 µs are 30 µC; 30 µC in one second are 30 µA
    found = exposure(stage(event, **changes))
    assert found.net_dc_ua == pytest.approx(30 * n, rel=1e-9)


# -- against events one by one ------------------------------------------------

#: What the oracle's short pieces may miss: of the whole, and of one event.
ROUGH, ROUGH_EVENT = 5e-4, 3e-3


@SLOW
@given(channels(), seeds)
def test_rms_is_a_bound_and_close(described, seed):
    events = placed_events(described, np.random.default_rng(seed))
    truth = any_second(events, np.square).max()
    one = max(e.amplitude_ma**2 * e.event.square_area_us * 1e-6 for e in events)
    bound = ChannelExposure(described).rms_ma ** 2
    assert bound >= truth * (1 - ROUGH) - one * ROUGH_EVENT
    if not any(s.train.jitter for s in described.stages):
        assert bound <= truth * (1 + ROUGH) + one * (1 + ROUGH_EVENT)


monophasic = any_stages(events=pulses(balanced=False))


@SLOW
@given(channels(stages=monophasic), seeds)
def test_net_current_is_a_bound_and_close(described, seed):
    events = placed_events(described, np.random.default_rng(seed))
    truth = np.abs(any_second(events, lambda current: current)).max() * 1000
    one = max(abs(e.amplitude_ma * e.event.net_area_us) for e in events) / 1000
    bound = ChannelExposure(described).net_dc_ua
    assert bound >= truth * (1 - ROUGH) - one * ROUGH_EVENT
    if not any(s.train.jitter for s in described.stages):
        assert bound <= truth * (1 + ROUGH) + 2 * one * (1 + ROUGH_EVENT)


def worst_and_bound(*stages, of):
    described = Channel(name="one", stages=stages)
    events = placed_events(described, np.random.default_rng(0))
    return np.abs(any_second(events, of)).max(), ChannelExposure(described)


#: Nearly all of its area comes late.
LATE = CustomPulse(
    points=[(0, 0.01), (4000, 0.01), (4000, 1), (4400, 1)], balanced=False
)


def test_events_of_two_shapes_can_both_be_in_one_second():
    # 1.001 s apart: the end of the one and the begin of the other
    first = stage(LATE, rate_hz=0.9, on_s=1.0, off_s=0.001, repeats=1)
    second = stage(rate_hz=10.0, on_s=0.1, repeats=1)
    truth, found = worst_and_bound(first, second, of=np.square)
    assert truth > 9.9
    assert truth <= found.rms_ma**2 <= 1.01 * truth
    # the same of charges that have two signs
    mono = Pulse(phase_width_us=300.0, balanced=False)
    second = stage(mono, rate_hz=10.0, on_s=0.2, repeats=1, alternate_polarity=True)
    truth, found = worst_and_bound(first, second, of=lambda current: current)
    assert truth * 1000 > 69
    assert truth * 1000 <= found.net_dc_ua <= 1.3 * truth * 1000


def test_events_of_two_widths_can_both_be_in_one_second_in_part():
    # 1 s apart, the second 3/4 as wide, and both are highest at their end
    late = Pulse(phase_width_us=1000.0, shape="exponential_rise", balanced=False)
    narrowing = Envelope(ramp_down_s=2.0, start_level=0.5, modulates="width")
    falling = stage(late, rate_hz=1.0, on_s=2.0, repeats=1, envelope=narrowing)
    truth, found = worst_and_bound(falling, of=np.square)
    one = 100.0**2 * late.square_area_us * 1e-6
    assert truth > 1.5 * one
    assert truth * (1 - ROUGH) <= found.rms_ma**2 <= 2 * one


@given(
    st.lists(
        st.tuples(st.integers(1, 30), st.integers(-3, 3)), min_size=1, max_size=12
    ),
)
def test_the_net_of_any_second_is_found_exactly(gaps_and_charges):
    gaps, charges = zip(*gaps_and_charges, strict=True)
    events = np.zeros(len(gaps), channel._EVENT)
    ticks = np.cumsum(gaps)  # of 1/20 s
    events["onset_s"] = events["latest_s"] = ticks / 20
    events["charge_s"] = charges
    runs = [
        sum(c for t, c in zip(ticks, charges, strict=True) if s <= t < s + 20)
        for s in np.arange(-20, ticks[-1] + 1, 0.5)
    ]
    assert channel._highest_net(events) == pytest.approx(max(map(abs, runs)))


@SLOW
@given(
    rate_hz=st.sampled_from([5.0, 6.0, 7.3]),
    ramps=st.sampled_from(
        [(0.0, 0.0), (9.0, 8.0), (30.0, 29.9), (0.0, 59.0), (50.0, 1.0)]
    ),
    shape=st.sampled_from(["linear", "cosine"]),
    train=st.sampled_from(
        [
            {},
            {"first_interval_ms": 10.0},
            {"n_let": 2, "n_let_interval_ms": 6.0},
            {"rate_end_hz": 3.0},
            {"jitter": 0.3},
            {"alternate_polarity": True},
        ]
    ),
    balanced=st.booleans(),
)
# The worst second lies inside a ramp, where nothing is laid out.
@example(5.0, (0.0, 59.0), "linear", {"rate_end_hz": 30.0}, True)
def test_a_long_on_period_is_as_if_it_were_laid_out_whole(
    rate_hz, ramps, shape, train, balanced
):
    envelope = Envelope(ramp_up_s=ramps[0], ramp_down_s=ramps[1], shape=shape)
    event = Pulse(phase_width_us=300.0, balanced=balanced)
    long = stage(event, rate_hz=rate_hz, on_s=60.0, envelope=envelope, **train)
    whole = exposure(long)
    values = whole.rms_ma, whole.net_dc_ua
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(channel, "MAX_WHOLE", 10)
        part = exposure(long)
        if "rate_end_hz" in train or "alternate_polarity" in train:
            # bounds of their own: the fast end, and one event left over
            fast_end = 100 * math.sqrt(600e-6 * math.ceil(long.train.highest_rate_hz))
            assert values[0] <= part.rms_ma * (1 + 1e-12) <= fast_end * (1 + 1e-9)
            assert values[1] <= part.net_dc_ua * (1 + 1e-12)
        else:
            assert (part.rms_ma, part.net_dc_ua) == pytest.approx(values, rel=1e-12)


def test_of_a_long_on_period_little_is_laid_out():
    day = stage(on_s=86400.0, repeats=1, envelope=Envelope(ramp_up_s=600.0))
    assert len(channel._kept(day)) < 1000 < day.n_events


def test_repeats_beyond_one_second_change_nothing():
    few = stage(on_s=0.03, off_s=0.04, repeats=40, envelope=Envelope(ramp_up_s=0.02))
    many = replace(few, duty_cycle=replace(few.duty_cycle, repeats=10**6))
    assert exposure(few).rms_ma == exposure(many).rms_ma
    assert exposure(few, repeats=3).rms_ma == exposure(many, repeats=10**6).rms_ma
    pair = (stage(on_s=0.03, off_s=0.01), stage(on_s=0.05, off_s=0.02, rate_hz=90.0))
    assert exposure(*pair, repeats=40).rms_ma == exposure(*pair, repeats=10**6).rms_ma


@pytest.mark.parametrize("sample_rate_hz", [8000.0, 48000.0])
@pytest.mark.parametrize(
    "changes",
    [
        {"on_s": 1.3, "off_s": 0.4, "rate_hz": 33.3},
        {"on_s": 0.35, "off_s": 0.0, "n_let": 2, "n_let_interval_ms": 4.1},
        {"on_s": 1.5, "jitter": 0.4, "rate_hz": 40.0},
    ],
)
def test_rendered_samples_stay_below_the_bound(changes, sample_rate_hz):
    described = Channel(
        name="one", stages=[stage(**{"off_s": 0.2, "repeats": 4, **changes})]
    )
    output = Output(sample_rate_hz=sample_rate_hz, full_scale_ma=120.0)
    plan = build_plan(protocol_of(described), output, Limits.named("unlimited"))
    squares = np.cumsum(plan.to_ma(plan.render())[:, 0] ** 2) / sample_rate_hz
    n = int(sample_rate_hz)
    highest = (squares[n:] - squares[:-n]).max()
    bound = ChannelExposure(described).rms_ma ** 2
    # partly filled samples have smaller squares
    assert 0.85 * bound < highest <= bound + 100.0**2 / sample_rate_hz


def test_a_day_costs_what_a_minute_does():
    ramps = Envelope(ramp_up_s=3.0, ramp_down_s=2.0)
    days = [
        stage(on_s=86400.0, repeats=1, rate_hz=33.3, envelope=ramps),
        stage(on_s=0.3, off_s=0.2, repeats=2 * 86400),
        stage(on_s=86400.0, repeats=1, rate_end_hz=20.0),
    ]
    begin = time.perf_counter()
    assert [exposure(day).rms_ma > 10 for day in days] == [True] * 3
    assert time.perf_counter() - begin < 1.0
