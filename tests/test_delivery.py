"""What `plan.delivery` states holds for the samples, and is not vacuous.

Every figure is measured in rendered codes, at hundreds of positions in a frame.
"""

from __future__ import annotations

import json
import re
from dataclasses import FrozenInstanceError
from itertools import pairwise

import numpy as np
import pytest
from delivered import (
    FULL_SCALE_MA,
    N,
    amplitudes_ma,
    codes_of,
    field,
    level_of,
    lowest_highest,
    make_plan,
    uc_per_code_frame,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import plans

from nmes_wave.delivery import DeliveryVerdict, delivery_of
from nmes_wave.output import Output
from nmes_wave.spec import (
    Burst,
    Channel,
    CustomPulse,
    DutyCycle,
    Envelope,
    Pulse,
    Stage,
    StimProtocol,
    Train,
)

SLOW = settings(deadline=None, max_examples=40)
sample_rates_hz = st.sampled_from([44100.0, 48000.0, 96000.0])


def separate_events(plan):
    """Codes of each event, and its first frame."""
    codes = codes_of(plan)
    spans = [plan.core.event_span(0, k) for k in range(plan.n_pulses)]
    assert all(end <= first for (_, end), (first, _) in pairwise(spans))
    return [(first, codes[first:end]) for first, end in spans]


def measured_gaps(plan):
    """Gap of each symmetric rectangular pulse in frames, good to 2 / level."""
    level = level_of(plan)
    gaps = []
    for _, codes in separate_events(plan):
        last = np.flatnonzero(codes > 0)[-1]
        begin = np.flatnonzero(codes < 0)[0]
        gaps.append(begin + 1 + codes[begin] / level - (last + codes[last] / level))
    return np.array(gaps)


# -- pulses -------------------------------------------------------------------


@SLOW
@given(st.floats(1.05, 20), st.floats(0, 2), amplitudes_ma, sample_rates_hz)
def test_gap_moves_within_and_throughout_what_is_stated(
    width, gap, amplitude_ma, sample_rate_hz
):
    frame_us = 1e6 / sample_rate_hz
    event = Pulse(phase_width_us=width * frame_us, interphase_gap_us=gap * frame_us)
    plan = make_plan(event, amplitude_ma, sample_rate_hz)
    low, high = lowest_highest(field(plan, "interphase_gap_us").delivered)
    gaps_us = measured_gaps(plan) * frame_us
    slack_us = 3 / level_of(plan) * frame_us
    assert gaps_us.min() >= low - slack_us
    assert gaps_us.max() <= high + slack_us
    assert gaps_us.min() <= low + 0.05 * frame_us
    assert gaps_us.max() >= high - 0.05 * frame_us


@SLOW
@given(st.floats(1.05, 20), st.floats(0, 2), st.sampled_from([0.0, 45.0, 90.0, 270.0]))
def test_gap_of_pulses_that_begin_on_frames_is_stated_exactly(width, gap, phase_deg):
    frame_us = 1e6 / 48000
    event = Pulse(phase_width_us=width * frame_us, interphase_gap_us=gap * frame_us)
    train = Train(rate_hz=50, phase_deg=phase_deg, count=3)
    plan = make_plan(event, train=train)
    row = field(plan, "interphase_gap_us")
    assert isinstance(row.delivered, float)
    assert measured_gaps(plan) * frame_us == pytest.approx(row.delivered, abs=1e-4)


@SLOW
@given(
    st.floats(1.05, 20),
    st.sampled_from(["rectangular", "half_sine", "triangular", "exponential_decay"]),
    st.floats(1, 4),
    amplitudes_ma,
    st.sampled_from(["int16", "int24", "int32"]),
    st.sampled_from(["area", "snap"]),
)
def test_charge_of_both_phases_is_stated_to_the_code(
    width, shape, ratio, amplitude_ma, dtype, edges
):
    event = Pulse(phase_width_us=width * 1e6 / 48000, shape=shape, recovery_ratio=ratio)
    plan = make_plan(event, amplitude_ma, dtype=dtype, edges=edges)
    stated = field(plan, "charge_per_phase_uc").delivered / uc_per_code_frame(plan)
    assert stated == pytest.approx(round(stated), rel=1e-12)
    for _, codes in separate_events(plan):
        assert codes[codes > 0].sum() == round(stated) == -codes[codes < 0].sum()
    assert field(plan, "net_charge_uc").delivered == 0.0


@SLOW
@given(st.floats(1.05, 20), st.floats(0, 3), st.floats(1, 4), amplitudes_ma)
def test_snapped_widths_gap_and_recovery_level_are_stated_exactly(
    width, gap, ratio, amplitude_ma
):
    frame_us = 1e6 / 48000
    event = Pulse(
        phase_width_us=width * frame_us,
        interphase_gap_us=gap * frame_us,
        recovery_ratio=ratio,
    )
    plan = make_plan(event, amplitude_ma, edges="snap")
    stated = {row.field: row.delivered for row in plan.delivery}
    for _, codes in separate_events(plan):
        positive, negative = np.flatnonzero(codes > 0), np.flatnonzero(codes < 0)
        assert len(positive) * frame_us == pytest.approx(stated["phase_width_us"])
        gap_us = (negative[0] - positive[-1] - 1) * frame_us
        assert gap_us == pytest.approx(stated["interphase_gap_us"], abs=1e-9)
        if ratio > 1:
            recovery_us = stated["recovery_width_us"]
            assert len(negative) * frame_us == pytest.approx(recovery_us)
            mean_ma = -plan.to_ma(codes[negative, None]).mean()
            assert mean_ma == pytest.approx(stated["recovery_level_ma"], rel=1e-9)


def test_snapped_onsets_are_off_by_up_to_what_is_stated():
    train = Train(rate_hz=33.3, count=N)
    plan = make_plan(Pulse(phase_width_us=250), train=train, edges="snap")
    low_us, high_us = field(plan, "onset_us").error
    asked = np.arange(N) / 33.3 * 48000
    errors_us = (plan.pulses()["frame"] - asked) * 1e6 / 48000
    assert low_us <= errors_us.min() < 0.98 * low_us
    assert 0.98 * high_us < errors_us.max() <= high_us


def test_snapped_intervals_are_the_whole_frames_around_what_was_asked():
    train = Train(
        rate_hz=33.3, count=N, n_let=2, n_let_interval_ms=2.51, first_interval_ms=20
    )
    plan = make_plan(Pulse(phase_width_us=250), train=train, edges="snap")
    frames = plan.pulses()["frame"]
    measured_ms = {(b - a) / 48 for a, b in zip(frames[::2], frames[1::2], strict=True)}
    stated = field(plan, "n_let_interval_ms")
    assert sorted(measured_ms) == pytest.approx(stated.delivered)
    assert stated.delivered[0] < 2.51 < stated.delivered[1]
    assert field(plan, "first_interval_ms").verdict == DeliveryVerdict.EXACT


@pytest.mark.parametrize(
    ("shape", "width_us"),
    [("half_sine", 90), ("triangular", 150), ("exponential_rise", 250)],
)
def test_highest_sample_of_a_shaped_phase_is_as_stated(shape, width_us):
    plan = make_plan(Pulse(phase_width_us=width_us, shape=shape))
    note = field(plan, "amplitude_ma").note
    stated_ma = float(re.search(r"samples reach ([\d.]+) mA", note)[1])
    highest_ma = plan.to_ma(plan.render()).max()
    assert 0.995 * stated_ma < highest_ma < stated_ma * 1.0001
    assert stated_ma < 39.8


@pytest.mark.parametrize("polarity", [1, -1])
def test_net_charge_of_monophasic_events_is_stated_to_the_code(polarity):
    points = ((0, 0.3), (117, 1.0), (301, -0.1), (333, -0.2))
    for event in (
        Pulse(phase_width_us=317, polarity=polarity, balanced=False),
        CustomPulse(points=points, polarity=polarity, balanced=False),
    ):
        plan = make_plan(event, dtype="int16")
        stated = field(plan, "net_charge_uc").delivered / uc_per_code_frame(plan)
        for _, codes in separate_events(plan):
            assert codes.sum() == pytest.approx(stated, rel=1e-9)


# -- statements about the whole -----------------------------------------------


ON_FRAMES = "every event begins on a frame boundary"


@SLOW
@given(
    st.sampled_from([0.1, 12.5, 20.0, 25.0, 33.0, 40.0, 50.0, 100.0]),
    st.sampled_from([0.0, 30.0, 36.0, 45.0, 72.0, 90.0, 120.0, 144.0]),
    st.sampled_from([1, 2]),
)
def test_events_said_to_begin_on_frames_do(rate_hz, phase_deg, n_let):
    train = Train(
        rate_hz=rate_hz,
        phase_deg=phase_deg,
        count=1000,
        n_let=n_let,
        n_let_interval_ms=2.5 if n_let > 1 else None,
    )
    plan = make_plan(Pulse(phase_width_us=250), train=train)
    frames = plan.pulses()["frame"]
    if field(plan, "rate_hz").note == ON_FRAMES:
        np.testing.assert_array_equal(frames, np.rint(frames))


@pytest.mark.parametrize(
    ("said", "train"),
    [
        (True, Train(rate_hz=12.5, phase_deg=45)),
        (True, Train(rate_hz=50, first_interval_ms=5, n_let=2, n_let_interval_ms=2)),
        (False, Train(rate_hz=33)),
        (False, Train(rate_hz=50, phase_deg=1)),
        (False, Train(rate_hz=50, jitter=0.1)),
        (False, Train(rate_hz=50, rate_end_hz=40)),
        (False, Train(rate_hz=50, first_interval_ms=5.01)),
        (False, Train(rate_hz=50, n_let=2, n_let_interval_ms=2.01)),
    ],
)
def test_trains_on_the_frame_grid_are_said_to_be(said, train):
    plan = make_plan(Pulse(phase_width_us=250), train=train)
    assert (field(plan, "rate_hz").note == ON_FRAMES) == said
    frames = plan.pulses()["frame"]
    assert (frames == np.rint(frames)).all() == said


@pytest.mark.parametrize(
    ("name", "event", "changes"),
    [
        ("amplitude_ma", Pulse(phase_width_us=250), {"amplitude_ma": 88.0}),
        ("amplitude_ma", Pulse(phase_width_us=250), {"amplitude_ma": 1e-6}),
        ("phase_width_us", Pulse(phase_width_us=83), {}),
        ("carrier_hz", Burst(carrier_hz=4801, cycles=9), {}),
        ("charge_per_phase_uc", Pulse(phase_width_us=115), {"edges": "snap"}),
        ("charge_per_phase_uc", Burst(carrier_hz=4500, cycles=9, shape="square"), {}),
        (
            "phase_width_us",
            Pulse(phase_width_us=200),
            {
                "envelope": Envelope(
                    ramp_up_s=0.05, start_level=0.4, modulates="width"
                )
            },
        ),
    ],
)  # fmt: skip
def test_what_an_output_can_barely_do_is_a_caution(name, event, changes):
    assert field(make_plan(event, **changes), name).verdict == DeliveryVerdict.CAUTION


def test_what_an_output_does_well_is_no_caution():
    for event in (Pulse(phase_width_us=84), Burst(carrier_hz=4799, cycles=9)):
        plan = make_plan(event, amplitude_ma=87.0)
        assert not [r for r in plan.delivery if r.verdict == DeliveryVerdict.CAUTION]


def test_pulses_so_close_that_their_codes_add_up_are_a_caution():
    pulse = Pulse(phase_width_us=255)  # 24.48 frames with the recovery phase
    for frames, verdict in ((24.4801, "CAUTION"), (25.781, "CAUTION"), (26.6, "EXACT")):
        plan = make_plan(pulse, train=Train(rate_hz=48000 / frames, count=N))
        assert field(plan, "rate_hz").verdict == verdict
        spans = [plan.core.event_span(0, k) for k in range(N)]
        overlap = any(end > first for (_, end), (first, _) in pairwise(spans))
        assert overlap == (verdict == "CAUTION")


def test_amplitude_of_whole_codes_is_exact_and_others_are_below_by_under_one_code():
    pulse = Pulse(phase_width_us=250)
    full = field(make_plan(pulse, full_scale_ma=40.0), "amplitude_ma")
    assert (full.delivered, full.error) == (40.0, 0.0)
    row = field(make_plan(pulse, amplitude_ma=33.3, dtype="int16"), "amplitude_ma")
    assert row.verdict == DeliveryVerdict.QUANTIZED
    assert -FULL_SCALE_MA / 32767 < row.error < 0
    assert "1 LSB = 3.05 µA (int16)" in row.note


def eight_channels():
    days = DutyCycle(on_s=15.0, off_s=45.0, repeats=10**6)
    stages = [
        Stage(event=event, train=Train(rate_hz=50), amplitude_ma=40, duty_cycle=days)
        for event in (Pulse(phase_width_us=250), Burst(carrier_hz=2500, cycles=25))
    ]
    return StimProtocol(
        name="p", channels=[Channel(name=f"ch {i}", stages=stages) for i in range(8)]
    )


def test_a_table_of_eight_like_channels_and_years_says_everything_once():
    delivery = delivery_of(
        eight_channels(), Output(sample_rate_hz=48000, full_scale_ma=100)
    )
    text = str(delivery)
    assert text.count("ch 0, ch 1, ch 2 and 5 more channels, stage") == 2
    assert text.count("rate_hz") == 2
    assert "750 events in each of 1000000 on-periods" in text
    assert all(len(line) <= 150 for line in text.splitlines())
    one_scale = tuple(100.0 + (i == 7) for i in range(8))
    other = delivery_of(
        eight_channels(), Output(sample_rate_hz=48000, full_scale_ma=one_scale)
    )
    assert str(other).count("\nch 7, stage") == 2


def test_delivery_is_an_immutable_sequence_with_a_json_form():
    plan = make_plan(Pulse(phase_width_us=250))
    delivery = plan.delivery
    rows = list(delivery)
    assert len(delivery) == len(rows)
    assert (delivery[0], delivery[-1]) == (rows[0], rows[-1])
    assert delivery[1:3] == tuple(rows[1:3])
    assert delivery == plan.delivery
    assert repr(delivery) == f"<Delivery: {len(rows)} rows, 0 cautions>"
    with pytest.raises(FrozenInstanceError, match="asked"):
        rows[0].asked = 1.0
    data = json.loads(delivery.to_json())
    assert data == delivery.to_dict()
    (gap,) = (r for r in data["rows"] if r["field"] == "interphase_gap_us")
    assert gap["delivered"] == [0.0, pytest.approx(1e6 / 48000)]
    assert (gap["unit"], gap["verdict"]) == ("µs", "QUANTIZED")
    assert (gap["channel"], gap["stage"], gap["asked"]) == ("c", 0, 0.0)


@SLOW
@given(plans())
def test_every_legal_plan_has_a_finite_printable_delivery(plan):
    delivery = plan.delivery
    data = json.loads(delivery.to_json())
    for row in data["rows"]:
        assert np.isfinite(row["error"]).all()
    lines = str(delivery).splitlines()
    headings = [line for line in lines[2:] if not line.startswith(" ")]
    n_stages = sum(len(channel.stages) for channel in plan.protocol.channels)
    assert 0 < len(headings) <= n_stages
    stages = {(row.channel, row.stage) for row in delivery}
    assert len(stages) == n_stages
