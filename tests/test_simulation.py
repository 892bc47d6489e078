"""Plans driven into loads: worked figures, identities, long protocols, refusals."""

from __future__ import annotations

import itertools
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import plans

import nmes_wave as nw
from nmes_wave import simulation

UNLIMITED = nw.Limits.named("unlimited")
RC = nw.SeriesRC(series_ohm=200.0, parallel_ohm=3000.0, capacitance_nf=150.0)
SLOW = nw.SeriesRC(series_ohm=200.0, parallel_ohm=3000.0, capacitance_nf=9000.0)
CPE = nw.ConstantPhase(series_ohm=200.0, parallel_ohm=5000.0, q=1e-6, alpha=0.8)
LOADS = [nw.Load.named("500 ohm"), RC, SLOW, CPE]
CHAINS = [
    None,
    nw.OutputChain(ac_corner_hz=16.0),
    nw.OutputChain(ac_corner_hz=16.0, reconstruction="kaiser"),
]
COLUMNS = ["peak_v", "peak_ma", "charge_uc", "net_charge_uc", "energy_uj"]


def plan_of(amplitude_ma=100.0, event=None, n_channels=1, **duty):
    stage = nw.Stage(
        event=event or nw.Pulse(phase_width_us=300.0),
        train=nw.Train(rate_hz=50.0),
        envelope=nw.Envelope(ramp_up_s=0.04),
        duty_cycle=nw.DutyCycle(**{"on_s": 0.1, **duty}),
        amplitude_ma=amplitude_ma,
    )
    names = [f"channel {i}" for i in range(n_channels)]
    channels = [nw.Channel(name=name, stages=[stage]) for name in names]
    output = nw.Output(sample_rate_hz=48_000, full_scale_ma=130.0)
    protocol = nw.StimProtocol(name="simulated", channels=channels)
    return nw.build_plan(protocol, output, UNLIMITED)


def is_close(a, b, scale=1.0):
    # pytest.approx takes seconds for large arrays
    return np.shape(a) == np.shape(b) and np.allclose(a, b, 1e-6, 1e-7 * scale)


def test_energy_of_a_pulse_into_500_ohm():
    plan = plan_of(130.0, nw.Pulse(phase_width_us=500.0))
    found = nw.simulate(plan, nw.Load.named("500 ohm"))
    last = found.pulses[-1]
    assert last["energy_uj"] == pytest.approx(8450, rel=1e-6)  # 8.45 mJ
    assert last["peak_v"] == pytest.approx(65)
    assert last["charge_uc"] == pytest.approx(65)
    assert found.peak_voltage_v == pytest.approx((65,))
    assert found.n_clipped == 0


def test_154_v_into_2_kohm_are_77_ma():
    found = nw.simulate(plan_of(), nw.Load.named("2 kohm"), compliance_v=154.0)
    last = found.pulses[-1]
    assert (last["peak_v"], last["clipped"]) == (154.0, True)
    assert last["peak_ma"] == pytest.approx(77)
    # 300 µs are 14 whole samples, and one of 0.4 x 100 mA, which is not clipped
    assert last["charge_uc"] == pytest.approx((14 * 77 + 40) / 48, rel=1e-4)
    ramp = found.pulses[1]  # 50 mA
    assert not ramp["clipped"]
    assert found.n_clipped == 3


def test_the_table_is_that_of_the_plan_with_more_columns():
    plan = plan_of(n_channels=3)
    found = nw.simulate(plan, RC)
    for name in plan.pulses().dtype.names:
        assert np.array_equal(found.pulses[name], plan.pulses()[name])
    silent = found.pulses["amplitude_ma"] == 0
    assert silent.sum() == 3
    assert not found.pulses["charge_uc"][silent].any()
    assert found.pulses["charge_uc"][~silent].all()


def test_the_voltage_is_that_of_the_closed_form():
    plan = plan_of(event=nw.Pulse(phase_width_us=250.0))
    found = nw.simulate(plan, RC)
    i = plan.to_ma(plan.render())[:, 0] / 1000
    assert found.current_ma[:, 0] == pytest.approx(1000 * i, abs=1e-9)
    keep = np.exp(-1 / (48_000 * 3000 * 150e-9))
    v, inside = [], 0.0
    for current in i:
        inside = inside * keep + 3000 * current * (1 - keep)
        v.append(200 * current + inside)
    assert found.voltage_v[:, 0] == pytest.approx(v, abs=1e-9)


@settings(deadline=None, max_examples=10)
@given(
    plans(),
    st.sampled_from(LOADS),
    st.sampled_from([None, 20.0]),
    st.sampled_from(CHAINS[:2]),
    st.tuples(st.floats(0, 1), st.floats(0, 1)),
)
def test_pieces_equal_the_whole(plan, load, compliance_v, chain, cuts):
    ends = [0, *sorted(round(c * plan.n_frames) for c in cuts), plan.n_frames]
    whole = nw.simulate(plan, load, compliance_v, chain)
    pieces = [
        nw.simulate(plan, load, compliance_v, chain, a, b)
        for a, b in itertools.pairwise(ends)
    ]
    currents = np.concatenate([p.current_ma for p in pieces])
    voltages = np.concatenate([p.voltage_v for p in pieces])
    assert is_close(currents, whole.current_ma, 100)
    assert is_close(voltages, whole.voltage_v, max(whole.peak_voltage_v))
    rows = np.concatenate([p.pulses for p in pieces])
    assert np.array_equal(rows["frame"], whole.pulses["frame"])
    peaks = [max(p.peak_voltage_v[c] for p in pieces) for c in range(plan.n_channels)]
    assert is_close(peaks, whole.peak_voltage_v, 100)
    alone = nw.simulate(plan, load, compliance_v, chain, waveforms=False)
    for name in COLUMNS:
        scale = 1 + np.abs(whole.pulses[name]).max()
        assert is_close(rows[name], whole.pulses[name], scale)
        assert is_close(alone.pulses[name], whole.pulses[name], scale)


@settings(deadline=None, max_examples=15)
@given(
    plans(),
    st.sampled_from(LOADS),
    st.sampled_from([None, 20.0]),
    st.sampled_from(CHAINS[:2]),
)
def test_rows_hold_all_that_flows(plan, load, compliance_v, chain):
    found = nw.simulate(plan, load, compliance_v, chain)
    step_s = 1 / found.sample_rate_hz
    for c in range(plan.n_channels):
        rows = found.pulses[found.pulses["channel"] == c]
        total_uc = 1000 * found.current_ma[:, c].sum() * step_s
        assert rows["net_charge_uc"].sum() == pytest.approx(total_uc, abs=1e-6)
        assert rows["peak_v"].max() == pytest.approx(found.peak_voltage_v[c])
        assert np.abs(found.voltage_v[:, c]).max() <= found.peak_voltage_v[c] + 1e-9
        assert np.all(rows["energy_uj"] >= -1e-6)
        if compliance_v is not None:
            assert found.peak_voltage_v[c] <= compliance_v
    if compliance_v is None and chain is None:
        assert is_close(found.current_ma, plan.to_ma(plan.render()))
        # one by one they are not 0 where two events share a frame
        assert abs(found.pulses["net_charge_uc"].sum()) < 1e-6


@pytest.mark.parametrize(
    "event",
    [
        nw.Pulse(phase_width_us=250.0, interphase_gap_us=100.0, polarity=-1),
        nw.Pulse(phase_width_us=250.0, recovery_ratio=4.0, shape="half_sine"),
        nw.Burst(carrier_hz=2500.0, cycles=10),
        nw.CustomPulse(points=[(0, 1), (300, 0.5), (300, -0.75), (600, -0.75)]),
    ],
)
def test_the_first_phase_is_found_in_every_shape(event):
    plan = plan_of(event=event)
    found = nw.simulate(plan, nw.Load.named("500 ohm"))
    first_us = event.lobes()[0][1] if hasattr(event, "lobes") else event.phase_area_us
    expected = found.pulses["amplitude_ma"] * first_us / 1000
    # two lobes may share a frame: see plan.delivery
    loss = 1e-5 if isinstance(event, nw.Pulse) else 0.03
    assert found.pulses["charge_uc"] == pytest.approx(expected, rel=loss)


@pytest.mark.parametrize("chain", CHAINS)
@pytest.mark.parametrize("compliance_v", [None, 20.0])
@pytest.mark.parametrize(
    "event",
    [
        nw.Pulse(phase_width_us=250.0, recovery_ratio=9.0),
        nw.Burst(carrier_hz=2500.0, cycles=10),
    ],
)
def test_the_size_of_blocks_changes_nothing(event, compliance_v, chain, monkeypatch):
    plan = plan_of(event=event, n_channels=2)
    whole = nw.simulate(plan, RC, compliance_v, chain)
    monkeypatch.setattr(simulation, "_BLOCK", 101 if chain is None else 808)
    for waveforms in (True, False):
        found = nw.simulate(plan, RC, compliance_v, chain, waveforms=waveforms)
        for name in COLUMNS:
            scale = 1 + np.abs(whole.pulses[name]).max()
            assert is_close(found.pulses[name], whole.pulses[name], scale)
        assert np.array_equal(found.pulses["clipped"], whole.pulses["clipped"])
        assert is_close(found.peak_voltage_v, whole.peak_voltage_v)
    part = nw.simulate(plan, RC, compliance_v, chain, 1000, 3000)
    fine = chain.oversampling if chain else 1
    shown = slice(1000 * fine, 3000 * fine)
    assert is_close(part.voltage_v, whole.voltage_v[shown], 20.0)


def test_a_slow_load_remembers_what_was_before_the_start():
    plan = plan_of(event=nw.Pulse(phase_width_us=250.0, recovery_ratio=9.0))
    whole = nw.simulate(plan, SLOW)
    onset = int(plan.pulses()["frame"][4]) - 100
    part = nw.simulate(plan, SLOW, start=onset, stop=onset + 50)
    assert abs(part.voltage_v[0, 0]) > 0.01
    then = whole.voltage_v[onset : onset + 50]
    assert part.voltage_v == pytest.approx(then, rel=1e-12)
    # and the pulse whose end lies behind the stop is whole
    begun = nw.simulate(plan, SLOW, 20.0, start=onset, stop=onset + 105)
    assert len(begun.pulses) == 1
    same = nw.simulate(plan, SLOW, 20.0).pulses[4]
    for name in COLUMNS:
        assert begun.pulses[name] == pytest.approx(same[name], rel=1e-9, abs=1e-9)


def test_an_hour_takes_seconds_and_little_memory():
    hour = plan_of(on_s=15.0, off_s=45.0, repeats=60)
    seen = []
    begin = time.perf_counter()
    found = nw.simulate(hour, RC, waveforms=False, progress=seen.append)
    assert time.perf_counter() - begin < 60  # it is 1 to 2 s
    assert (len(found.pulses), seen[-1]) == (45_000, 1.0)
    assert np.all(np.diff(seen) > 0)
    minute = nw.simulate(plan_of(on_s=15.0, off_s=45.0), RC, stop=15 * 48_000)
    last = found.pulses[-750:]
    for name in COLUMNS:
        assert is_close(last[name], minute.pulses[name], 1e-3)
    with pytest.raises(nw.SpecError, match="only pulses"):
        found.current_ma  # noqa: B018
    with pytest.raises(nw.SpecError, match=r"2\.6 GiB, at most 2 GiB.*waveforms=False"):
        nw.simulate(hour, RC)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"load": 500.0}, "must be a Load"),
        ({"compliance_v": 0.0}, r"at least 0\.001 and at most 1e\+06 V"),
        ({"compliance_v": float("nan")}, "must be finite"),
        ({"compliance_v": 10**400}, "must be finite"),
        ({"compliance_v": 1e308}, r"at most 1e\+06 V"),
        ({"compliance_v": "20"}, "must be a number"),
        ({"progress": 3}, "must be a function or None"),
        ({"start": -1}, "at least 0"),
        ({"start": 10, "stop": 9}, "at least 10"),
        ({"stop": 1.5}, "whole number of frames"),
        ({"chain": 16.0}, "must be an OutputChain"),
        ({"plan": None}, "must be a Plan"),
    ],
)
def test_what_cannot_be_is_refused(arguments, words):
    with pytest.raises(nw.SpecError, match=words):
        nw.simulate(**{"plan": plan_of(), "load": RC} | arguments)


def test_an_empty_range_is_empty():
    found = nw.simulate(plan_of(), RC, start=7, stop=7)
    assert found.current_ma.shape == (0, 1)
    assert len(found.pulses) == 0
