"""The eight properties of the waveform mathematics, over random legal protocols."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from strategies import flat_event, plans

from nmes_wave import _core
from nmes_wave._reference import as_pulses, reference_codes, reference_events
from nmes_wave.stream import caps

SLOW = settings(
    deadline=None,
    max_examples=60,
    suppress_health_check=[
        HealthCheck.filter_too_much,
        HealthCheck.too_slow,
        HealthCheck.large_base_example,
        HealthCheck.data_too_large,
    ],
)


def codes_of(plan, samples):
    """Rendered samples as integer codes."""
    if plan.output.dtype != "float32":
        return samples.astype(np.int64)
    codes = samples.astype(np.float64) * 2**23
    assert (codes == np.rint(codes)).all()
    return codes.astype(np.int64)


def rendered(plan):
    return codes_of(plan, plan.render())


@SLOW
@given(plans())
def test_codes_of_a_balanced_channel_sum_to_exactly_zero(plan):
    assert (rendered(plan).sum(axis=0) == 0).all()


@SLOW
@given(plans())
def test_every_separate_event_sums_to_exactly_zero(plan):
    codes = rendered(plan)
    for c in range(plan.n_channels):
        running = np.concatenate([[0], np.cumsum(codes[:, c])])
        onsets = plan.pulses()["frame"][plan.pulses()["channel"] == c]
        # Before each onset's frame all earlier events are over, unless one's
        # moved recovery phase reaches into it.
        ends = [plan.core.event_span(c, k)[1] for k in range(len(onsets))]
        for first, end in zip(np.floor(onsets[1:]).astype(int), ends, strict=False):
            if end <= first:
                assert running[first] == 0


@SLOW
@given(plans(events=flat_event))
def test_rectangular_codes_equal_the_oracle_bit_for_bit(plan):
    truth = reference_codes(plan.protocol, plan.output, plan.pulses(), 0, plan.n_frames)
    np.testing.assert_array_equal(rendered(plan), truth)


@SLOW
@given(plans())
def test_running_charge_stays_within_one_code_frame_of_the_oracle(plan):
    truth = reference_codes(plan.protocol, plan.output, plan.pulses(), 0, plan.n_frames)
    difference = np.cumsum(rendered(plan) - truth, axis=0)
    assert np.abs(difference).max(initial=0) <= 1
    assert (difference[-1:] == 0).all()


@SLOW
@given(plans())
def test_no_code_exceeds_the_level_of_its_event(plan):
    codes = np.abs(rendered(plan))
    scales = plan.output.full_scales_ma(plan.n_channels)
    for c, (channel, scale) in enumerate(
        zip(plan.protocol.channels, scales, strict=True)
    ):
        highest = max(stage.amplitude_ma for stage in channel.stages)
        level = highest / scale * plan.output.max_code * (1 + 1e-12)
        assert codes[:, c].max(initial=0) <= level


@SLOW
@given(plans(), st.data())
def test_pieces_equal_the_whole_bit_for_bit(plan, data):
    whole = plan.render()
    cuts = sorted(
        data.draw(st.lists(st.integers(0, plan.n_frames), min_size=1, max_size=8))
    )
    edges = [0, *cuts, plan.n_frames]
    pieces = [plan.render(a, b) for a, b in itertools.pairwise(edges)]
    np.testing.assert_array_equal(np.concatenate(pieces), whole)
    # and in any order, as seeking does not depend on what was rendered before
    for a, b in reversed(list(itertools.pairwise(edges))):
        np.testing.assert_array_equal(plan.render(a, b), whole[a:b])
    assert not plan.render(plan.n_frames, plan.n_frames + 99).any()


@SLOW
@given(plans(formats=["int16", "int32", "float32"]), st.data())
def test_live_stream_at_full_intensity_equals_the_rendering(plan, data):
    codes, total_ma = caps(plan.limits, plan.output, plan.n_channels)
    engine = _core.Engine(
        plan.core,
        plan.n_frames,
        plan.output.sample_rate_hz,
        packed=False,
        slew_per_s=1.0,
        ramp_s=0.5,
        watchdog_s=0.0,
        trip=True,
        cap_codes=codes,
        ma_per_code=plan.output.ma_per_code(plan.n_channels).tolist(),
        cap_total_ma=total_ma,
    )
    for c in range(plan.n_channels):
        engine.set_initial_intensity(c, 1.0)
    engine.push(0)
    blocks, done = [], 0
    while done < plan.n_frames:
        frames = data.draw(st.integers(0, 5000))
        block = np.ones((frames, plan.n_channels), plan.output.numpy_dtype)
        engine.process(block, frames)
        blocks.append(block)
        done += frames
    live = np.concatenate(blocks)
    np.testing.assert_array_equal(live[: plan.n_frames], plan.render())
    assert not live[plan.n_frames :].any()


@SLOW
@given(plans(edges=["area"]))
def test_events_are_those_of_the_closed_form(plan):
    truth = as_pulses(
        reference_events(
            plan.protocol, plan.output.sample_rate_hz, "area", _core.jitter_uniform
        )
    )
    rows = plan.pulses()
    assert len(rows) == len(truth) == plan.n_pulses
    key = ["channel", "stage", "on_period", "index"]
    order = np.lexsort([rows["frame"], *(rows[k] for k in reversed(key))])
    expected = np.lexsort([truth["frame"], *(truth[k] for k in reversed(key))])
    for name in key:
        np.testing.assert_array_equal(rows[name][order], truth[name][expected])
    frame, exact = rows["frame"][order], truth["frame"][expected].astype(float)
    assert (np.abs(frame - exact) <= np.maximum(1e-6, 2 * np.spacing(exact))).all()
    for name in ("amplitude_ma", "phase_width_us"):
        np.testing.assert_allclose(
            rows[name][order],
            truth[name][expected].astype(float),
            rtol=1e-9,
            atol=1e-9,
        )


@SLOW
@given(plans())
def test_frames_that_no_event_touches_are_zero(plan):
    touched = np.zeros((plan.n_frames, plan.n_channels), bool)
    for c, channel in enumerate(plan.protocol.channels):
        for k in range(channel.n_pulses):
            first, end = plan.core.event_span(c, k)
            assert end <= plan.n_frames
            touched[first:end, c] = True
    assert not plan.render()[~touched].any()


@SLOW
@given(plans())
def test_threads_render_the_same_bytes(plan):
    whole = plan.render()
    middle = plan.n_frames // 2
    with ThreadPoolExecutor(4) as pool:
        for _ in range(3):
            jobs = [
                pool.submit(plan.render, a, b)
                for a, b in (
                    (0, middle),
                    (middle, None),
                    (0, None),
                    (middle // 2, None),
                )
            ]
            first, second, full, tail = [job.result() for job in jobs]
            np.testing.assert_array_equal(np.concatenate([first, second]), whole)
            np.testing.assert_array_equal(full, whole)
            np.testing.assert_array_equal(tail, whole[middle // 2 :])


def random_keys():
    return st.integers(0, 2**63 - 1)


@given(
    random_keys(), st.integers(0, 255), st.integers(0, 9), random_keys(), random_keys()
)
def test_jitter_is_numpys_philox(seed, channel, stage, on_period, k):
    # NumPy's generator counts up before it gives its first output.
    counter = ((k | on_period << 64 | stage << 128) - 1) % 2**256
    words = [(counter >> shift) % 2**64 for shift in (0, 64, 128, 192)]
    philox = np.random.Philox(
        counter=np.array(words, np.uint64), key=np.array([seed, channel], np.uint64)
    )
    expected = float(philox.random_raw() >> 11) * 2.0**-53
    assert _core.jitter_uniform(seed, channel, stage, on_period, k) == expected


@pytest.mark.parametrize("dtype", ["int16", "int24", "int32", "float32"])
def test_negative_polarity_negates_every_code(dtype):
    import nmes_wave as nw

    def render(polarity):
        stage = nw.Stage(
            event=nw.Pulse(phase_width_us=233.3, polarity=polarity, recovery_ratio=2.2),
            train=nw.Train(rate_hz=33.3),
            duty_cycle=nw.DutyCycle(on_s=1),
            amplitude_ma=77.7,
        )
        protocol = nw.StimProtocol(
            name="p", channels=[nw.Channel(name="c", stages=[stage])]
        )
        output = nw.Output(sample_rate_hz=44100, full_scale_ma=100, dtype=dtype)
        return nw.build_plan(protocol, output).render()

    np.testing.assert_array_equal(render(1), -render(-1))
