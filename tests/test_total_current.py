"""The sum over channels: against waveforms added up one by one."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
from exposures import (
    channels,
    placed_events,
    protocol_of,
    protocols_of_equal_rates,
    pulses,
    scaled,
)
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from nmes_wave.errors import SpecError
from nmes_wave.exposure import total, total_current
from nmes_wave.exposure.waveforms import FRAME_S, Waveforms
from nmes_wave.limits import Limits
from nmes_wave.output import Output
from nmes_wave.plan import build_plan
from nmes_wave.spec import (
    Burst,
    Channel,
    DutyCycle,
    Envelope,
    Pulse,
    Stage,
    Train,
)

SLOW = settings(
    deadline=None,
    max_examples=30,
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow],
)
RAMPS = Envelope(ramp_up_s=3.0, ramp_down_s=2.0)
NARROWING = Envelope(ramp_up_s=3.0, ramp_down_s=2.0, start_level=0.3, modulates="width")


def channel(name, event=None, *, amplitude_ma=40.0, start_s=0.0, **changes):
    duty = {"on_s": 10.0, "off_s": 10.0, "repeats": 6}
    duty.update((k, changes.pop(k)) for k in duty.keys() & changes.keys())
    stage = Stage(
        event=event or Pulse(phase_width_us=300.0, interphase_gap_us=100.0),
        envelope=changes.pop("envelope", RAMPS),
        train=Train(**{"rate_hz": 50.0, **changes}),
        duty_cycle=DutyCycle(**duty),
        amplitude_ma=amplitude_ma,
    )
    return Channel(name=name, stages=[stage], start_s=start_s)


def four(phases, **changes):
    return protocol_of(
        *(channel(f"{i}", phase_deg=phase, **changes) for i, phase in enumerate(phases))
    )


def both(protocol):
    found = total_current(protocol)
    return found.reached_ma, found.bound_ma


# -- worked cases -------------------------------------------------------------


def test_pulses_in_phase_add():
    assert both(four([0.0] * 4)) == pytest.approx((160.0, 160.0))


@pytest.mark.parametrize("envelope", [Envelope(), RAMPS, NARROWING])
@pytest.mark.parametrize(
    "train", [{}, {"first_interval_ms": 4.0}, {"n_let": 2, "n_let_interval_ms": 2.0}]
)
def test_distributed_pulses_do_not_add(envelope, train):
    assert both(four([0, 90, 180, 270], envelope=envelope, **train)) == (40.0, 40.0)


def test_pulses_that_overlap_in_part_add_there():
    # channel 2 begins 500 µs later (9 degrees of 20 ms), in the recovery phase of
    # channel 1, which has a quarter of the level
    event = Pulse(phase_width_us=300.0, interphase_gap_us=100.0, recovery_ratio=4.0)
    late = protocol_of(
        channel("1", event),
        channel("2", event, phase_deg=9.0, amplitude_ma=60.0),
    )
    assert both(late) == pytest.approx((70.0, 70.0))


def test_bursts_in_phase_and_in_turn():
    burst = Burst(carrier_hz=2500.0, cycles=25)
    assert both(four([0.0, 0.0], event=burst)) == pytest.approx((80.0, 80.0))
    assert both(four([0.0, 180.0], event=burst)) == pytest.approx((40.0, 40.0))
    # a quarter of a cycle apart: sin + cos
    reached, bound = both(four([0.0, 1.8], event=burst))
    assert reached == pytest.approx(40 * 2**0.5, rel=2e-3)
    assert reached <= bound <= reached * 1.003


def test_channels_that_take_turns_do_not_add():
    agonist = channel("1", amplitude_ma=60.0)
    antagonist = channel("2", start_s=10.0, rate_hz=33.0)
    assert both(protocol_of(agonist, antagonist)) == (60.0, 60.0)


def test_ramps_that_cross_add_event_by_event():
    # 1 falls from 40 to 0 while 2 rises from 0 to 40, linearly and together
    ramps = Envelope(ramp_up_s=2.0, ramp_down_s=2.0)
    crossing = protocol_of(
        channel("1", envelope=ramps, on_s=4.0, off_s=0.0, repeats=1),
        channel("2", envelope=ramps, on_s=4.0, off_s=0.0, repeats=1, start_s=2.0),
    )
    assert both(crossing) == pytest.approx((40.0, 40.0))


@pytest.mark.parametrize(
    "train", [{"rate_hz": 49.0}, {"jitter": 0.1}, {"rate_end_hz": 40.0}]
)
def test_other_trains_are_bounded_by_the_sum(train):
    mixed = protocol_of(channel("1"), channel("2", phase_deg=180.0, **train))
    assert both(mixed) == pytest.approx((40.0, 80.0))


def test_channels_of_one_timeline_add_and_jitter_is_drawn_for_each():
    sweep = {"rate_end_hz": 40.0}
    assert both(protocol_of(channel("a", **sweep), channel("b", **sweep))) == (80, 80)
    louder = channel("b", amplitude_ma=50.0, **sweep)
    assert both(protocol_of(channel("a", **sweep), louder)) == (90, 90)
    loose = {"jitter": 0.1}
    assert both(protocol_of(channel("a", **loose), channel("b", **loose))) == (40, 80)


def test_events_within_a_frame_of_each_other_are_bounded_by_the_sum():
    # 700 µs long; the next begins at their end, or 100 µs or 200 µs later
    for degrees, bound in [(12.6, 80.0), (14.4, 80.0), (16.2, 40.0)]:
        close = four([0.0, degrees])
        assert both(close) == pytest.approx((40.0, bound))


def test_the_first_event_after_an_on_period_may_share_its_last_frame():
    # The last event of 1 ends 80.7 ms after the start.
    for start_s, bound in [(0.0807, 80.0), (0.0808, 80.0), (0.0809, 40.0)]:
        one, two = (
            channel(
                f"{i}", on_s=0.1, repeats=1, envelope=Envelope(), start_s=i * start_s
            )
            for i in range(2)
        )
        assert both(protocol_of(one, two)) == pytest.approx((40.0, bound))


def test_events_that_meet_but_once_count():
    # A first interval: event 0 alone meets events of 2, at 80 % on its ramp.
    ramp = Envelope(ramp_up_s=3.0, start_level=0.8)
    one = channel("1", first_interval_ms=10.0, envelope=ramp)
    two = channel("2", envelope=Envelope())
    assert both(protocol_of(one, two)) == pytest.approx((72.0, 72.0))


def test_narrow_events_of_a_ramp_can_meet_what_wide_ones_do_not():
    # The recovery phase of 1 begins after 1.3 ms at first, after 2 ms in the end.
    event = Pulse(phase_width_us=1000.0, interphase_gap_us=1000.0)
    one = channel("1", event, envelope=NARROWING)
    spike = Pulse(phase_width_us=100.0, balanced=False)
    two = channel("2", spike, phase_deg=1.45e-3 * 50 * 360, envelope=Envelope())
    assert both(protocol_of(one, two)) == pytest.approx((80.0, 80.0))


def test_narrow_phases_keep_their_shape():
    # Its peak comes 150 µs after the onset at first, 500 µs in the end.
    event = Pulse(phase_width_us=1000.0, shape="triangular")
    one = channel("1", event, envelope=NARROWING)
    spike = Pulse(phase_width_us=100.0, balanced=False)
    two = channel("2", spike, phase_deg=0.1e-3 * 50 * 360, envelope=Envelope())
    assert both(protocol_of(one, two)) == pytest.approx((80.0, 80.0))


@pytest.mark.parametrize("degrees", [3.0, 7.7, 15.5, 41.0, 80.0])
def test_carriers_out_of_phase(degrees):
    burst = Burst(carrier_hz=2500.0, cycles=20)
    # 50 bursts in a second: one degree of the train is 50 of the carrier
    reached, bound = both(four([0.0, degrees / 50], event=burst))
    truth = 80.0 * np.cos(np.deg2rad(degrees / 2))
    assert truth * (1 - 2e-3) <= reached <= truth <= bound <= truth * (1 + 2e-3)


@pytest.mark.parametrize(("shape", "level"), [("linear", 0.99), ("cosine", 0.99975)])
def test_a_ramp_that_ends_with_the_other_channel(shape, level):
    # 1 is on for as long as 2 rises; its last event comes 20 ms before the end.
    one = channel("1", on_s=2.0, repeats=1, envelope=Envelope())
    rising = Envelope(ramp_up_s=2.0, shape=shape)
    two = channel("2", on_s=4.0, repeats=1, envelope=rising)
    expected = 40.0 * (1 + level)
    assert both(protocol_of(one, two)) == pytest.approx((expected, expected), rel=1e-5)


def test_an_event_keeps_the_level_of_its_onset():
    # 1 falls from its begin: an event of 80 % at 20 ms lasts till 29 ms ...
    long = Pulse(phase_width_us=9000.0, balanced=False)
    falling = Envelope(ramp_down_s=0.1)
    one = channel("1", long, on_s=0.1, repeats=1, envelope=falling)
    # ... and 2 begins at 25 ms.
    for rate_hz in (50.0, 51.0):
        two = channel("2", long, rate_hz=rate_hz, start_s=0.025, envelope=Envelope())
        found = total_current(protocol_of(one, two))
        assert found.bound_ma == pytest.approx(72.0, abs=2.0)
        assert found.bound_ma >= 72.0 * (1 - 1e-12)


def test_the_second_event_after_a_ramp_is_the_first_at_full_level():
    # Ramps end at 40.3 ms, inside an event of 1 that met 2 in its last 100 µs only.
    event = Pulse(phase_width_us=300.0)
    envelope = Envelope(ramp_up_s=0.0403)
    changes = {"on_s": 10.0, "repeats": 1, "envelope": envelope}
    one = channel("1", event, **changes)
    two = channel("2", event, phase_deg=0.5e-3 * 50 * 360, **changes)
    assert both(protocol_of(one, two)) == pytest.approx((80.0, 80.0))


@pytest.mark.parametrize(
    ("event", "sample_rate_hz"),
    [(Pulse(phase_width_us=300.0), 8000.0), (Pulse(phase_width_us=330.0), 11025.0)],
)
def test_rendered_touching_pulses_share_a_frame(event, sample_rate_hz):
    # Why: the second phase begins on a frame boundary, so it ends late.
    degrees = event.duration_us * 1e-6 * 50 * 360
    touching = four(
        [0.0, degrees], event=event, on_s=1.0, repeats=1, envelope=Envelope()
    )
    reached, bound = both(touching)
    rendered = highest_rendered(touching, sample_rate_hz)
    assert reached * 1.05 < rendered <= bound


# -- against waveforms added up -----------------------------------------------


def edges_of(event):
    begin, length, _ = event.pieces(8)
    return np.append(begin, begin[-1] + length[-1])


def highest_sum(by_channel):
    """Highest sum of magnitudes on either side of edges, and in between."""
    edges = np.unique(np.concatenate([edges_of(e) for es in by_channel for e in es]))
    edges = edges[np.append(True, np.diff(edges) > 1e-9)]
    between = (edges[1:] + edges[:-1]) / 2
    t = np.sort(np.concatenate([edges - 1e-10, edges + 1e-10, between]))
    total = np.zeros(len(t))
    for events in by_channel:
        for event in events:
            near = slice(*np.searchsorted(t, [event.onset_s, event.end_s]))
            level = event.event.levels((t[near] - event.onset_s) * 1e6)
            total[near] += np.abs(event.amplitude_ma * level)
    return total.max()


def highest_rendered(protocol, sample_rate_hz):
    output = Output(sample_rate_hz=sample_rate_hz, full_scale_ma=100.0, coupling="dc")
    plan = build_plan(protocol, output, Limits.named("unlimited"))
    return np.abs(plan.to_ma(plan.render())).sum(axis=1).max()


def highest_amplitude(protocol):
    return max(s.amplitude_ma for c in protocol.channels for s in c.stages)


@SLOW
@given(protocols_of_equal_rates())
def test_equal_rates_are_exact(protocol):
    rng = np.random.default_rng(0)
    truth = highest_sum([placed_events(c, rng) for c in protocol.channels])
    found = total_current(protocol)
    assert found.bound_ma >= truth * (1 - 1e-9)
    # 40 mA of an event whose envelope never gets to 1 still count as 40 mA
    truth = max(truth, highest_amplitude(protocol))
    assert found.reached_ma == pytest.approx(truth, rel=3e-3)


@SLOW
@given(protocols_of_equal_rates(), st.sampled_from([8000.0, 11025.0, 48000.0]))
def test_no_rendered_sample_exceeds_the_bound(protocol, sample_rate_hz):
    try:
        rendered = highest_rendered(protocol, sample_rate_hz)
    except SpecError:
        assume(False)
    assert rendered <= total_current(protocol).bound_ma * (1 + 1e-9)


@SLOW
@given(channels(), channels(name="two"), st.integers(0, 2**32 - 1))
def test_other_trains_are_bounded(one, two, seed):
    rng = np.random.default_rng(seed)
    truth = highest_sum([placed_events(one, rng), placed_events(two, rng)])
    found = total_current(protocol_of(one, two))
    assert truth * (1 - 1e-9) <= found.bound_ma
    assert found.reached_ma <= found.bound_ma


@SLOW
@given(
    pulses(balanced=True),
    st.sampled_from([0.3, 0.7, 1.0]),
    st.sampled_from([0.0, 40e-6, FRAME_S]),
)
def test_a_late_recovery_phase_is_covered_whenever_it_comes(pulse, width, late_s):
    narrow = Envelope(ramp_up_s=0.1, start_level=width, modulates="width")
    stage = channel("1", pulse, envelope=narrow, rate_hz=10.0).stages[0]
    track = Waveforms(0, stage, 0.0, 0.01)  # the first event is `width` as wide
    corners = np.unique(track.corners_s(late_s))
    corners = corners[corners < 0.05]
    begin, length = corners[:-1], np.diff(corners)
    parts = np.linspace(0.001, 0.999, 30)
    t = (begin + length * parts[:, None])[:, length > 1e-8]
    covered = track.magnitude_ma(t.ravel(), t.ravel(), late_s).reshape(t.shape)
    steps = np.diff(covered, axis=0)
    rises, falls = (steps > 1e-9).any(axis=0), (steps < -1e-9).any(axis=0)
    assert not (rises & falls).any()
    for part in (0.0, 0.37, 1.0):
        gap_us = pulse.interphase_gap_us + part * late_s * 1e6
        late = scaled(replace(pulse, interphase_gap_us=gap_us), width)
        magnitude = 40.0 * np.abs(late.levels(t * 1e6))
        assert (magnitude <= covered + 1e-6).all()


# -- cost ---------------------------------------------------------------------


def timed(protocol):
    begin = time.perf_counter()
    found = both(protocol)
    return found, time.perf_counter() - begin


@pytest.mark.parametrize(
    "duty",
    [
        {"on_s": 86400.0, "off_s": 0.0, "repeats": 1},
        {"on_s": 15.0, "off_s": 45.0, "repeats": 1440},
        {"on_s": 0.3, "off_s": 0.2, "repeats": 2 * 86400, "envelope": Envelope()},
    ],
)
def test_a_day_of_eight_channels_costs_what_a_minute_does(duty):
    distributed = four([45.0 * i for i in range(8)], **duty)
    found, seconds = timed(distributed)
    assert found == (40.0, 40.0)
    assert seconds < 1.0


def test_one_continuous_channel_among_others_that_repeat():
    continuous = channel("0", on_s=3600.0, off_s=0.0, repeats=1)
    others = [channel(f"{i}", phase_deg=90.0 * i, repeats=180) for i in (1, 2, 3)]
    found, seconds = timed(protocol_of(continuous, *others))
    assert found == (40.0, 40.0)
    assert seconds < 1.0


def test_cycles_without_a_common_one_are_bounded_in_time():
    phases = [40.0 * i for i in range(8)]
    odd = protocol_of(
        *(
            channel(f"{i}", phase_deg=phase, off_s=10 + 0.0137 * i, repeats=3000)
            for i, phase in enumerate(phases)
        )
    )
    (reached, bound), seconds = timed(odd)
    assert 40.0 <= reached <= bound <= 320.0
    assert seconds < 4.0


@SLOW
@given(protocols_of_equal_rates(), st.sampled_from([1, 20, 100]))
def test_with_a_small_budget_it_is_still_a_bound(protocol, budget):
    full = total_current(protocol)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(total, "BUDGET", budget)
        small = total_current(protocol)
    assert small.bound_ma >= full.reached_ma * (1 - 1e-12)
    assert small.reached_ma <= full.reached_ma * (1 + 1e-12)
