"""Plans: what a user asks of one, and what an output's grid refuses."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

import nmes_wave as nw

OUTPUT = nw.Output(sample_rate_hz=48_000, full_scale_ma=100)


def protocol(event=None, n_channels=1, amplitude_ma=50.0, **parts):
    given = {
        "train": nw.Train(rate_hz=50),
        "duty_cycle": nw.DutyCycle(on_s=1),
        "event": event or nw.Pulse(phase_width_us=250),
        "amplitude_ma": amplitude_ma,
        **parts,
    }
    return nw.StimProtocol(
        name="test",
        channels=[
            nw.Channel(name=f"{i}", stages=[nw.Stage(**given)])
            for i in range(n_channels)
        ],
    )


def plan(*args, output=OUTPUT, limits=None, **keywords):
    return nw.build_plan(protocol(*args, **keywords), output, limits)


def test_a_plan_tells_its_size():
    made = plan(n_channels=2)
    assert (made.n_frames, made.n_channels, made.n_pulses) == (48_000, 2, 100)
    assert made.duration_s == 1.0
    assert made.limits == nw.Limits()
    assert made.output is OUTPUT
    assert "2 ch, 1 s at 48000 Hz, int24, 100 pulses" in repr(made)


def test_the_published_250_us_pulse_at_48_khz():
    codes = plan(amplitude_ma=50.0).render(0, 26)[:, 0]
    level = 8388607 // 2
    assert codes.tolist() == [level] * 12 + [-level] * 12 + [0, 0]


def test_charge_is_exact_off_the_grid_and_edges_are_spread_over_one_frame():
    made = plan(nw.Pulse(phase_width_us=300), train=nw.Train(rate_hz=50, phase_deg=1))
    row = made.pulses()[0]
    assert row["frame"] == pytest.approx(960 / 360)
    codes = made.render(0, 40)[:, 0].astype(int)
    level = 8388607 // 2
    assert codes[:2].tolist() == [0, 0]
    assert 0 < codes[2] < level  # a third of the first frame
    assert codes[3:17].tolist() == [level] * 14
    first = codes[codes > 0].sum()
    assert first == int(level * 14.4)  # 300 µs at 48 kHz
    assert codes.sum() == 0


@pytest.mark.parametrize(
    ("dtype", "numpy_dtype", "peak"),
    [
        ("int16", np.int16, 32767),
        ("int24", np.int32, 8388607),
        ("int32", np.int32, 2147483647),
        ("float32", np.float32, 8388607 / 2**23),
    ],
)
def test_formats_and_milliamperes(dtype, numpy_dtype, peak):
    output = nw.Output(sample_rate_hz=48_000, full_scale_ma=80, dtype=dtype)
    made = plan(amplitude_ma=80.0, output=output)
    block = made.render()
    assert block.dtype == numpy_dtype
    assert block.max() == peak
    assert block.min() == -peak
    ma = made.to_ma(block)
    assert ma.dtype == np.float64
    assert ma.max() == pytest.approx(80, rel=1e-12)


def test_each_channel_may_have_its_own_full_scale():
    output = nw.Output(sample_rate_hz=48_000, full_scale_ma=[50, 200])
    made = plan(n_channels=2, output=output)
    block = made.render()
    assert block.max(axis=0).tolist() == [8388607, 2097151]
    assert made.to_ma(block).max(axis=0) == pytest.approx([50, 50], rel=1e-6)
    with pytest.raises(nw.SpecError, match="one number, or 3 for 3 channels"):
        plan(n_channels=3, output=output)


def test_blocks_and_render_into_give_the_rendering():
    made = plan(n_channels=3)
    whole = made.render()
    blocks = list(made.blocks(4096))
    assert [len(b) for b in blocks] == [4096] * 11 + [2944]
    np.testing.assert_array_equal(np.concatenate(blocks), whole)
    block = np.full((1000, 3), 7, np.int32)
    assert made.render_into(block, 500) is None
    np.testing.assert_array_equal(block, whole[500:1500])
    assert made.render(5, 5).shape == (0, 3)
    assert not made.render(48_000, 49_000).any()


@pytest.mark.parametrize(
    "block",
    [
        np.zeros((10, 2), np.int32),
        np.zeros((10, 1), np.int64),
        np.zeros(10, np.int32),
        np.zeros((20, 1), np.int32)[::2],
    ],
)
def test_a_block_that_does_not_fit_is_refused_untouched(block):
    with pytest.raises(nw.SpecError, match=r"shape \(frames, 1\)"):
        plan().render_into(block, 0)
    assert not block.any()


def test_read_only_blocks_are_refused():
    block = np.zeros((4, 1), np.int32)
    block.flags.writeable = False
    with pytest.raises(nw.SpecError, match="writable"):
        plan().render_into(block, 0)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ((-1,), "start = -1"),
        ((5, 4), "stop = 4"),
        ((0.5,), "whole"),
        ((True,), "whole"),
    ],
)
def test_ranges_that_are_none_are_refused(arguments, match):
    with pytest.raises(nw.SpecError, match=match):
        plan().render(*arguments)
    with pytest.raises(nw.SpecError, match="at least"):
        list(plan().blocks(0))


def test_pulses_list_every_event_in_the_order_of_onset():
    train = nw.Train(rate_hz=50, n_let=2, n_let_interval_ms=5)
    made = plan(n_channels=2, train=train)
    rows = made.pulses()
    assert len(rows) == made.n_pulses == 200
    assert (np.diff(rows["frame"]) >= 0).all()
    one = rows[rows["channel"] == 1]
    assert one["frame"][:4].tolist() == [0, 240, 960, 1200]
    assert one["index"][:4].tolist() == [0, 0, 1, 1]
    some = made.pulses(240, 1200)
    assert some["frame"].tolist() == [240, 240, 960, 960]
    assert len(made.pulses(48_000)) == 0


def test_an_event_past_the_end_of_its_stage_is_whole():
    made = plan(
        train=nw.Train(rate_hz=10),
        duty_cycle=nw.DutyCycle(on_s=0.1002),
    )
    assert made.n_pulses == 2
    assert made.n_frames == 4800 + 24
    assert made.render().sum() == 0


GRID = [
    (
        {"amplitude_ma": 100.5, "limits": nw.Limits(max_amplitude_ma=200)},
        {},
        r"amplitude_ma = 100\.5: must be at most the output's full_scale_ma, 100 mA",
    ),
    (
        {"event": nw.Pulse(phase_width_us=20)},
        {},
        r"a phase of 20 µs.*at least one frame, 20\.8333 µs",
    ),
    (
        {"event": nw.Burst(carrier_hz=30_000, cycles=9)},
        {},
        "a phase of 16.6667 µs",
    ),
    (
        {"event": nw.CustomPulse(points=[(0, 1), (10, 1), (10, -0.5), (30, -0.5)])},
        {},
        "a phase of 10 µs",
    ),
    (
        {
            "event": nw.Pulse(phase_width_us=100),
            "envelope": nw.Envelope(ramp_up_s=1, start_level=0.1, modulates="width"),
        },
        {},
        "a phase of 10 µs",
    ),
    (
        {"event": nw.Pulse(phase_width_us=100, balanced=False)},
        {},
        "monophasic",
    ),
    (
        {
            "event": nw.Pulse(phase_width_us=250.125),
            "train": nw.Train(rate_hz=1e6 / 500.26, alternate_polarity=True),
            "limits": nw.Limits.named("unlimited"),
        },
        {},
        "to the next event",
    ),
    (
        {
            "event": nw.Pulse(phase_width_us=250.125),
            "train": nw.Train(rate_hz=1e6 / 500.26),
            "limits": nw.Limits.named("unlimited"),
        },
        {"edges": "snap"},
        "to the next event",
    ),
]


@pytest.mark.parametrize(("parts", "output", "match"), GRID)
def test_what_the_sample_grid_cannot_hold_is_refused(parts, output, match):
    made = nw.Output(sample_rate_hz=48_000, full_scale_ma=100, **output)
    with pytest.raises(nw.SpecError, match=match):
        plan(output=made, **parts)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"sample_rate_hz": 7999}, "at least 8000"),
        ({"sample_rate_hz": 768_001}, "at most 768000"),
        ({"full_scale_ma": 0}, "greater than 0 mA"),
        ({"full_scale_ma": [50, float("nan")]}, r"full_scale_ma\[1\]"),
        ({"dtype": "int8"}, "must be one of 'int16'"),
        ({"edges": "round"}, "edges = 'round'"),
        ({"coupling": "none"}, "coupling"),
    ],
)
def test_outputs_out_of_range_are_refused(arguments, match):
    with pytest.raises(nw.SpecError, match=match):
        nw.Output(**{"sample_rate_hz": 48_000, "full_scale_ma": 100, **arguments})


def test_limits_refuse_with_the_whole_report():
    with pytest.raises(nw.LimitError, match="amplitude_ma") as caught:
        plan(
            amplitude_ma=120.0, output=nw.Output(sample_rate_hz=48e3, full_scale_ma=200)
        )
    assert not isinstance(caught.value, ValueError)
    assert not caught.value.report.passed
    assert len(caught.value.report.findings) == 9


def test_monophasic_events_need_a_dc_coupled_output_and_the_limits():
    event = nw.Pulse(phase_width_us=100, balanced=False)
    output = nw.Output(sample_rate_hz=48_000, full_scale_ma=100, coupling="dc")
    with pytest.raises(nw.LimitError, match="net_dc_ua"):
        plan(event, output=output)
    limits = nw.Limits(max_net_dc_ua=300)
    codes = plan(event, output=output, limits=limits).render()[:, 0].astype(int)
    level = 8388607 // 2
    assert codes[codes != 0].tolist()[:5] == [level, level, level, level, 3355442]
    assert codes.sum() == 50 * int(level * 4.8)


def test_alternate_polarity_negates_every_second_event():
    train = nw.Train(rate_hz=50, alternate_polarity=True)
    codes = plan(train=train).render()[:, 0].reshape(-1, 960)
    np.testing.assert_array_equal(codes[1], -codes[0])
    np.testing.assert_array_equal(codes[2], codes[0])


def test_snap_puts_every_edge_on_the_grid():
    output = nw.Output(sample_rate_hz=44_100, full_scale_ma=100, edges="snap")
    event = nw.Pulse(phase_width_us=300, interphase_gap_us=100)
    made = plan(event, output=output, train=nw.Train(rate_hz=33.3))
    codes = made.render()[:, 0].astype(int)
    assert set(np.unique(codes)) == {-(8388607 // 2), 0, 8388607 // 2}
    frames = made.pulses()["frame"]
    assert (frames == np.rint(frames)).all()
    first = int(frames[1])
    pulse = codes[first : first + 31]
    assert (pulse > 0).sum() == (pulse < 0).sum() == 13  # 13.23 frames
    assert (pulse[13:17] == 0).all()  # 4.41 frames


@pytest.mark.parametrize(
    ("rate_hz", "phase_deg"), [(100, 36), (12.5, 72), (20, 144), (60, 54)]
)
def test_onsets_on_the_grid_give_identical_pulses(rate_hz, phase_deg):
    """In float64 a tenth of these would lie a hair above their frame."""
    train = nw.Train(rate_hz=rate_hz, phase_deg=phase_deg)
    made = plan(train=train, duty_cycle=nw.DutyCycle(on_s=100))
    frames = made.pulses()["frame"]
    assert (frames == np.rint(frames)).all()
    codes = made.render()[:, 0]
    first = frames.astype(int)[:, None] + np.arange(30)
    assert (codes[first] == codes[first[0]]).all()


def test_a_width_of_whole_frames_but_for_its_last_digit_adds_no_gap():
    made = plan(nw.Pulse(phase_width_us=83.33333333333334))
    level = 8388607 // 2
    assert made.render(0, 9)[:, 0].tolist() == [level] * 4 + [-level] * 4 + [0]


def test_plans_travel_between_processes():
    made = plan(n_channels=2)
    copy = pickle.loads(pickle.dumps(made))
    np.testing.assert_array_equal(copy.render(), made.render())
