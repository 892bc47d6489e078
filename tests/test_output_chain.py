"""AC coupling and reconstruction: published figures, and no charge lost."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import nmes_wave as nw

KAISER = nw.OutputChain(reconstruction="kaiser")
LOAD = nw.Load.named("500 ohm")


def plan_of(pulse, edges="snap", sample_rate_hz=48_000.0):
    stage = nw.Stage(
        event=pulse,
        train=nw.Train(rate_hz=2.0, phase_deg=30.0),
        duty_cycle=nw.DutyCycle(on_s=1.0),
        amplitude_ma=100.0,
    )
    channel = nw.Channel(name="one", stages=[stage])
    output = nw.Output(sample_rate_hz=sample_rate_hz, full_scale_ma=100.0, edges=edges)
    protocol = nw.StimProtocol(name="chain", channels=[channel])
    return nw.build_plan(protocol, output, nw.Limits.named("unlimited"))


@pytest.mark.parametrize(
    ("corner_hz", "droop_percent", "digits"),
    # arithmetic for a phase of 300 µs: 1 - exp(-2π f t)
    [(1.0, 0.19, 2), (3.4, 0.64, 2), (5.0, 0.94, 2), (10.0, 1.87, 2), (16.0, 2.97, 2),
     (20.0, 3.7, 1)],
)  # fmt: skip
def test_a_phase_droops(corner_hz, droop_percent, digits):
    # 300 µs are 15 samples of 50 kHz
    plan = plan_of(nw.Pulse(phase_width_us=300.0), sample_rate_hz=50_000.0)
    chain = nw.OutputChain(ac_corner_hz=corner_hz)
    found = nw.simulate(plan, LOAD, chain=chain)
    onset = int(found.pulses["frame"][0])
    planned = plan.to_ma(plan.render())[onset, 0]
    droop = 1 - found.voltage_v[onset + 14, 0] / (0.5 * planned)
    assert 100 * droop == pytest.approx(droop_percent, abs=0.6 * 10**-digits)
    phase = found.current_ma[onset - 1 : onset + 15, 0]
    assert phase[0] == 0
    assert np.all(np.diff(phase[1:]) < 0)


def test_the_tail_of_a_pulse_has_the_area_that_was_lost():
    plan = plan_of(nw.Pulse(phase_width_us=300.0), sample_rate_hz=50_000.0)
    chain = nw.OutputChain(ac_corner_hz=10.0)
    found = nw.simulate(plan, LOAD, chain=chain)
    charge = found.current_ma[:, 0] / 50  # µC
    onset, second = map(int, found.pulses["frame"])
    tail = charge[onset + 30 : second].sum()
    assert tail == pytest.approx(0.0185 * 30, abs=0.005)  # 0.56 µC of 30 µC
    assert found.pulses["net_charge_uc"] == pytest.approx(0, abs=1e-6)
    assert found.pulses["charge_uc"][0] == pytest.approx(30 * (1 - 0.0094), rel=1e-3)


def test_a_snapped_step_overshoots_as_published():
    step = np.concatenate([np.zeros(200), np.ones(200)])
    fine = KAISER.reconstruct(step)
    # far from the ends of the given samples
    fine = fine[(100 - 32) * 8 : (300 - 32) * 8]
    t_us = (np.arange(len(fine)) + 0.5) / 8 / 0.048
    assert fine.max() - 1 == pytest.approx(0.139, abs=0.002)
    assert -fine.min() == pytest.approx(0.139, abs=0.002)
    # The 13 µs are the samples of this grid between 10 and 90 %; the curve
    # itself takes 15.6 µs.
    middle = np.flatnonzero((fine[1:] >= 0.5) & (fine[:-1] < 0.5))[0]
    edge = slice(middle - 3, middle + 5)  # monotone
    inside = t_us[edge][(fine[edge] >= 0.1) & (fine[edge] <= 0.9)]
    assert np.ptp(inside) == pytest.approx(13, abs=0.1)
    low_us, half_us, high_us = np.interp([0.1, 0.5, 0.9], fine[edge], t_us[edge])
    assert high_us - low_us == pytest.approx(15.6, abs=0.2)
    assert half_us == pytest.approx(100 / 0.048, abs=0.05)  # no delay


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=200))
def test_reconstruction_keeps_the_charge(samples):
    padded = np.concatenate([np.zeros(64), samples, np.zeros(64)])
    fine = KAISER.reconstruct(padded)
    assert fine.sum() / 8 == pytest.approx(sum(samples), abs=1e-9)


def test_reconstruction_is_convolution():
    rng = np.random.default_rng(4)
    samples = np.where(rng.random(400) < 0.02, rng.normal(size=400), 0.0)
    raised = np.zeros(400 * 8)
    raised[::8] = samples
    whole = np.convolve(raised, KAISER._filter)
    middle = whole[32 * 8 :][: 400 * 8][32 * 8 : -32 * 8]
    assert KAISER.reconstruct(samples) == pytest.approx(middle, abs=1e-12)


@pytest.mark.parametrize("edges", ["snap", "area"])
def test_a_reconstructed_pulse_delivers_its_charge(edges):
    plan = plan_of(nw.Pulse(phase_width_us=500.0, interphase_gap_us=2000.0), edges)
    found = nw.simulate(plan, LOAD, chain=KAISER)
    assert found.sample_rate_hz == 8 * 48_000
    assert found.current_ma.shape == (8 * plan.n_frames, 1)
    # the ringing of each phase reaches into the other
    assert found.pulses["charge_uc"] == pytest.approx(50, rel=3e-3)
    assert found.pulses["net_charge_uc"] == pytest.approx(0, abs=1e-9)
    assert found.peak_voltage_v[0] > 50 * (1.1 if edges == "snap" else 1.0)


def test_without_anything_it_changes_nothing():
    plan = plan_of(nw.Pulse(phase_width_us=300.0))
    plain = nw.simulate(plan, LOAD)
    through = nw.simulate(plan, LOAD, chain=nw.OutputChain())
    assert np.array_equal(plain.current_ma, through.current_ma)
    # a corner of 1 µHz next to nothing
    slow = nw.simulate(plan, LOAD, chain=nw.OutputChain(ac_corner_hz=1e-6))
    assert slow.current_ma == pytest.approx(plain.current_ma, abs=1e-4)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"ac_corner_hz": 0.0}, "greater than 0"),
        ({"reconstruction": "sinc"}, "must be one of 'kaiser'"),
    ],
)
def test_what_cannot_be_is_refused(fields, words):
    with pytest.raises(nw.SpecError, match=words):
        nw.OutputChain(**fields)
