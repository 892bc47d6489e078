"""The numbers that people write: charges that are whole but for rounding.

Random numbers hardly ever make the ideal charge a whole number of codes at a frame
boundary; 2.5 kHz, 96 kHz and half of full scale do so all the time, and there the
last bit of a float64 decides about a code.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import nmes_wave as nw
from nmes_wave._reference import reference_codes

SLOW = settings(
    deadline=None,
    max_examples=50,
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow],
)


def plan_of(event, rate_hz, sample_rate_hz, dtype, part, ramp_s, on_s=0.6):
    """One channel at `part` of full scale."""
    stage = nw.Stage(
        event=event,
        train=nw.Train(rate_hz=rate_hz),
        duty_cycle=nw.DutyCycle(on_s=on_s),
        envelope=nw.Envelope(ramp_up_s=ramp_s, ramp_down_s=ramp_s),
        amplitude_ma=100.0 * part,
    )
    output = nw.Output(sample_rate_hz=sample_rate_hz, full_scale_ma=100.0, dtype=dtype)
    protocol = nw.StimProtocol(
        name="round", channels=[nw.Channel(name="one", stages=[stage])]
    )
    return nw.build_plan(protocol, output, nw.Limits.named("unlimited"))


def codes_of(plan, samples):
    unit = 2.0**-23 if plan.output.dtype == "float32" else 1
    return np.rint(samples.astype(np.float64) / unit).astype(np.int64)


def hold(plan, part, cuts):
    whole = plan.render()
    codes = codes_of(plan, whole)
    assert codes.sum() == 0
    assert np.abs(codes).max() <= plan.output.max_code * part * (1 + 1e-12)
    for cut in cuts:
        at = int(cut * plan.n_frames)
        pieces = plan.render(0, at), plan.render(at)
        np.testing.assert_array_equal(np.concatenate(pieces), whole)
    truth = reference_codes(plan.protocol, plan.output, plan.pulses(), 0, plan.n_frames)
    return codes, truth


RATES = st.sampled_from([8000.0, 44100.0, 48000.0, 88200.0, 96000.0, 192000.0])
DTYPES = st.sampled_from(["int16", "int24", "int32", "float32"])
PARTS = st.sampled_from([1.0, 0.5, 0.4, 0.25, 0.1])
RAMPS = st.sampled_from([0.0, 0.1, 0.3])
CUTS = st.lists(st.floats(0, 1), min_size=4, max_size=12)


# the oracle takes seconds for each
@settings(SLOW, max_examples=20)
@given(
    st.sampled_from([500.0, 1000.0, 1500.0, 2500.0, 3001.1]),
    st.sampled_from([3, 10, 25, 50, 100, 451]),
    st.sampled_from(["square", "sine", "triangular"]),
    st.sampled_from([1, -1]),
    RATES,
    DTYPES,
    PARTS,
    RAMPS,
    CUTS,
)
@example(2500.0, 25, "square", 1, 96000.0, "int24", 0.4, 0.3, [0.37])
@example(2500.0, 451, "square", -1, 44100.0, "int16", 1.0, 0.0, [0.0411])
@example(2500.0, 25, "square", 1, 48000.0, "int24", 0.4, 0.0, [1000 / 28800])
def test_bursts(carrier_hz, cycles, shape, polarity, rate, dtype, part, ramp_s, cuts):
    if 4 * carrier_hz > rate:
        return
    event = nw.Burst(
        carrier_hz=carrier_hz, cycles=cycles, shape=shape, polarity=polarity
    )
    rate_hz = min(50.0, carrier_hz / cycles / 2)
    plan = plan_of(event, rate_hz, rate, dtype, part, ramp_s)
    codes, truth = hold(plan, part, cuts)
    if shape == "square":
        np.testing.assert_array_equal(codes, truth)
    else:
        assert np.abs(np.cumsum(codes - truth)).max() <= 1


@SLOW
@given(
    st.sampled_from([125.0, 250.0, 300.0, 400.0, 500.0]),
    st.sampled_from([0.0, 100.0, 125.0]),
    st.sampled_from([1.0, 2.0, 4.0, 10.0]),
    st.sampled_from([20.0, 33.3, 50.0, 100.0]),
    RATES,
    DTYPES,
    PARTS,
    RAMPS,
    CUTS,
)
def test_pulses(width_us, gap_us, ratio, rate_hz, rate, dtype, part, ramp_s, cuts):
    event = nw.Pulse(
        phase_width_us=width_us, interphase_gap_us=gap_us, recovery_ratio=ratio
    )
    plan = plan_of(event, rate_hz, rate, dtype, part, ramp_s)
    codes, truth = hold(plan, part, cuts)
    np.testing.assert_array_equal(codes, truth)


@SLOW
@given(
    st.sampled_from(
        [
            ((0, 1), (250, 1), (250, -1), (500, -1)),
            ((0, 1), (200, 1), (200, 0), (300, 0), (300, -0.5), (700, -0.5)),
            ((0, 0), (500, 1), (1000, 0), (1500, -1), (2000, 0)),
            ((0, 1), (400, -1), (800, -1), (1200, 1), (1600, 1)),
        ]
    ),
    RATES,
    DTYPES,
    PARTS,
    RAMPS,
    CUTS,
)
def test_custom_shapes(points, rate, dtype, part, ramp_s, cuts):
    event = nw.CustomPulse(points=points)
    plan = plan_of(event, 50.0, rate, dtype, part, ramp_s)
    codes, truth = hold(plan, part, cuts)
    assert np.abs(np.cumsum(codes - truth)).max() <= 1


@pytest.mark.parametrize("dtype", ["int16", "int24", "int32", "float32"])
def test_events_that_could_add_up_beyond_their_level_are_refused(dtype):
    carrier_hz = 4765.6
    stage = nw.Stage(
        event=nw.Burst(carrier_hz=carrier_hz, cycles=34, shape="square"),
        train=nw.Train(rate_hz=carrier_hz / 34, alternate_polarity=True),
        duty_cycle=nw.DutyCycle(on_s=2.0),
        amplitude_ma=40.0,
    )
    protocol = nw.StimProtocol(
        name="touching", channels=[nw.Channel(name="one", stages=[stage])]
    )
    output = nw.Output(sample_rate_hz=48000, full_scale_ma=40.0, dtype=dtype)
    with pytest.raises(nw.SpecError, match="to the next event"):
        nw.build_plan(protocol, output, nw.Limits.named("unlimited"))
