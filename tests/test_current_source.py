"""The source's closed forms against integrators that know nothing of them."""

from __future__ import annotations

import math
import subprocess

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp
from tools import program

from nmes_wave.current_source import CurrentSource
from nmes_wave.exponentials import decayed, first_above
from nmes_wave.loads import ConstantPhase, Load, Network, Resistor, SeriesRC

RC = SeriesRC(series_ohm=220.0, parallel_ohm=3000.0, capacitance_nf=150.0)
LOADS = [
    Load.named("500 ohm"),
    Load.named("10 kohm"),
    RC,
    ConstantPhase(series_ohm=200.0, parallel_ohm=5000.0, q=1e-6, alpha=0.8),
]

amplitudes = st.sampled_from([-100.0, -40.0, -5.0, 0.0, 0.0, 5.0, 40.0, 100.0])
holds = st.lists(
    st.tuples(amplitudes, st.sampled_from([20e-6, 20.8e-6, 300e-6, 2e-3, 20e-3])),
    min_size=1,
    max_size=12,
)
networks = st.builds(
    lambda series, branches: Network(
        series,
        np.array([b[0] for b in branches]),
        np.array([b[1] for b in branches]),
    ),
    st.sampled_from([100.0, 1000.0]),
    st.lists(
        st.tuples(
            st.sampled_from([300.0, 3000.0, 1e6]),
            # 15.9 ms is that of a 10 Hz high-pass
            st.sampled_from([3e-5, 4e-4, 1 / (2 * math.pi * 10), 0.5]),
        ),
        max_size=3,
    ),
)


def fed(source, holds):
    current, time = np.array(holds).T
    return source.feed(current, time)


def integrated(network, compliance_v, corner_hz, holds):
    """Charge, energy, end voltage of each hold by a general solver of equations."""
    series, branch = network.series_ohm / 1000, network.branch_ohm / 1000
    rate, corner = 1 / network.time_constant_s, 2 * np.pi * corner_hz
    limit = math.inf if compliance_v is None else compliance_v

    def delivered(command, y):
        inside = y[1 : 1 + len(rate)].sum()
        most, least = (limit - inside) / series, (-limit - inside) / series
        return min(max(command - y[0], least), most)

    def slope(t, y, command):
        i = delivered(command, y)
        states = y[1 : 1 + len(rate)]
        inside = (branch * i - states) * rate
        v = i * series + states.sum()
        return [corner * (command - y[0]), *inside, i, i * v]

    y, rows = np.zeros(len(rate) + 3), []
    for command, time in holds:
        y[-2:] = 0
        found = solve_ivp(
            slope, (0, time), y, "LSODA", rtol=1e-9, atol=1e-10, args=(command,),
            max_step=time / 20,
        )  # fmt: skip
        y = found.y[:, -1]
        i = delivered(command, y)
        rows.append((y[-2], y[-1], i * series + y[1:-2].sum()))
    return np.array(rows).T


@settings(deadline=None, max_examples=60)
@given(
    networks,
    st.sampled_from([None, 8.0, 30.0]),
    st.sampled_from([0.0, 10.0]),
    holds,
)
def test_charge_energy_and_voltage_are_those_of_a_general_integrator(
    network, compliance_v, corner_hz, holds
):
    source = CurrentSource(network, compliance_v, corner_hz)
    found = fed(source, holds)
    n = len(holds)
    charge, energy, voltage = integrated(network, compliance_v, corner_hz, holds)
    scale = 100.0 * np.array([time for _, time in holds])  # mC
    assert np.bincount(found.hold, found.charge_mc, n) == pytest.approx(
        charge, rel=1e-5, abs=1e-6 * scale.max()
    )
    highest = max(np.abs(found.peak_v).max(), 1.0)
    assert np.bincount(found.hold, found.energy_mj, n) == pytest.approx(
        energy, rel=1e-5, abs=1e-6 * scale.max() * highest
    )
    last = np.append(np.flatnonzero(np.diff(found.hold)), len(found.hold) - 1)
    assert found.end_v[last] == pytest.approx(voltage, rel=1e-4, abs=1e-5 * highest)
    if compliance_v is not None:
        assert found.peak_v.max() <= compliance_v


@settings(deadline=None, max_examples=60)
@given(networks, st.sampled_from([None, 8.0, 30.0]), holds)
def test_the_sign_of_the_current_changes_nothing_else(network, compliance_v, holds):
    one = fed(CurrentSource(network, compliance_v), holds)
    other = fed(CurrentSource(network, compliance_v), [(-i, t) for i, t in holds])
    assert np.array_equal(one.rail, -other.rail)
    assert np.array_equal(one.charge_mc, -other.charge_mc)
    assert np.array_equal(one.energy_mj, other.energy_mj)
    assert np.array_equal(one.end_v, -other.end_v)


@settings(deadline=None, max_examples=60)
@given(networks, st.sampled_from([0.0, 10.0]), holds)
def test_without_a_rail_twice_the_current_makes_twice_the_voltage(
    network, corner_hz, holds
):
    one = fed(CurrentSource(network, None, corner_hz), holds)
    two = fed(CurrentSource(network, None, corner_hz), [(2 * i, t) for i, t in holds])
    assert np.array_equal(two.end_v, 2 * one.end_v)
    assert np.array_equal(two.charge_mc, 2 * one.charge_mc)
    assert np.array_equal(two.energy_mj, 4 * one.energy_mj)


@settings(deadline=None, max_examples=25)
@given(
    st.sampled_from([30.0, 3000.0]),
    st.sampled_from([3e-5, 4e-4, 0.02]),
    st.sampled_from([None, 8.0, 30.0]),
    holds,
)
def test_energy_is_either_turned_into_heat_or_stored(
    branch_ohm, tau_s, compliance_v, holds
):
    network = Network(100.0, np.array([branch_ohm]), np.array([tau_s]))
    source = CurrentSource(network, compliance_v)
    given_mj = fed(source, holds).energy_mj.sum()
    capacitance = tau_s / branch_ohm * 1e3  # mF with kΩ and s
    stored_mj = capacitance * source.state[0] ** 2 / 2
    # the same holds in a thousand parts, shorter at first, each with its mean current
    again, heat_mj = CurrentSource(network, compliance_v), 0.0
    for current, time in holds:
        inside = again.state[0]
        steps = np.diff(time * np.linspace(0, 1, 1001) ** 3)
        parts = again.feed(np.full(1000, current), steps)
        mean_ma = np.bincount(parts.hold, parts.charge_mc, 1000) / steps
        for i, step in zip(mean_ma, steps, strict=True):
            final = i * branch_ohm / 1000
            left, keep = inside - final, math.exp(-step / tau_s)
            square = final**2 * step + 2 * final * left * tau_s * (1 - keep)
            square += left**2 * tau_s / 2 * (1 - keep**2)
            heat_mj += i**2 * 0.1 * step + square / (branch_ohm / 1000)
            inside = final + left * keep
    assert given_mj == pytest.approx(heat_mj + stored_mj, rel=2e-3, abs=1e-6)


@settings(deadline=None, max_examples=60)
@given(
    networks, st.sampled_from([None, 8.0, 30.0]), st.sampled_from([0.0, 10.0]), holds,
    st.integers(0, 12), st.floats(0.01, 0.99),
)  # fmt: skip
def test_a_hold_may_be_cut_anywhere(network, compliance_v, corner_hz, holds, at, part):
    at = min(at, len(holds) - 1)
    current, time = holds[at]
    cut = [(current, time * part), (current, time * (1 - part))]
    whole = fed(CurrentSource(network, compliance_v, corner_hz), holds)
    source = CurrentSource(network, compliance_v, corner_hz)
    pieces = [*holds[:at], *cut, *holds[at + 1 :]]
    found = [fed(source, [piece]) for piece in pieces]
    charge = sum(f.charge_mc.sum() for f in found)
    scale = 100 * sum(t for _, t in holds)
    assert charge == pytest.approx(whole.charge_mc.sum(), abs=1e-8 * scale)
    assert found[-1].end_v[-1] == pytest.approx(whole.end_v[-1], rel=1e-6, abs=1e-6)


@given(
    st.lists(
        st.tuples(
            st.floats(-10, 10, allow_subnormal=False),
            st.sampled_from([0.0, 0.3, 1.0, 20.0, 500.0]),
        ),
        max_size=4,
    ),
    st.floats(-5, 5),
)
def test_the_first_root_is_found(terms, first):
    c, r = np.array(terms).reshape(-1, 2).T
    t = np.linspace(0, 2, 4001)
    f = first + (c * np.expm1(-np.outer(t, r))).sum(axis=-1)
    when = first_above(first, c.tolist(), r.tolist(), 2.0, 1e-9)
    if when is None:
        assert f.max() <= 1e-12
    else:
        assert f[t < when].max(initial=-1.0) <= 0
        there = first + (c * np.expm1(-when * r)).sum()
        assert there >= -2e-9


def test_an_early_root_is_not_missed_for_a_late_one():
    # above 0 between 1.4e-3 and 0.29, and again from 1.6 on
    terms, rates = [-9.0, 11.0, -4.0], [500.0, 3.0, 0.5]
    t = np.array([1e-3, 2e-2, 1.0, 8.0])
    f = -4.0 + (np.array(terms) * np.expm1(-np.outer(t, rates))).sum(axis=-1)
    assert np.sign(f).tolist() == [-1, 1, -1, -1]
    assert first_above(-4.0, terms, rates, 8.0, 1e-12) == pytest.approx(
        1.23e-3, rel=0.1
    )


def test_the_integral_of_a_decay_has_no_special_rate():
    rates = np.array([0.0, 1e-310, 1e-12, 3.0])
    assert decayed(rates, 2.0) == pytest.approx([2, 2, 2, (1 - math.exp(-6)) / 3])


# -- a circuit simulator ---------------------------------------------------------

DECK = """{title}
I1 0 out PWL({points})
Bclamp out 0 I = {clamp}
Vload out a 0
Rs a n0 {series!r}
{branches}
.options reltol=1e-5 abstol=1e-9 vntol=1e-6
.tran 1u {end!r} 0 1u uic
.control
set filetype=ascii
set wr_singlescale
set numdgt=14
run
wrdata out.txt v(out) i(Vload)
quit 0
.endc
.end
"""
PULSE = [(80.0, 12), (0.0, 5), (-80.0, 12), (0.0, 40)]
CODES = np.concatenate([np.full(n, i) for i, n in PULSE * 3])
SAMPLE_S = 1 / 48_000


def in_ngspice(load, compliance_v, where):
    """Return time, voltage in V and current in mA, simulated by ngspice."""
    network = load.network
    edges = np.flatnonzero(np.diff(CODES)) + 1
    points = [(0.0, CODES[0])]
    for n in edges:
        points += [(n * SAMPLE_S - 1e-9, CODES[n - 1]), (n * SAMPLE_S, CODES[n])]
    points.append((len(CODES) * SAMPLE_S, CODES[-1]))
    clamp = "0"
    if compliance_v is not None:
        clamp = f"100*(max(v(out)-{compliance_v},0)+min(v(out)+{compliance_v},0))"
    values = zip(network.branch_ohm, network.time_constant_s, strict=True)
    n = len(network.branch_ohm)
    branches = [
        f"R{k} n{k} n{k + 1} {ohm!r}\nC{k} n{k} n{k + 1} {tau / ohm!r} ic=0"
        for k, (ohm, tau) in enumerate((float(a), float(b)) for a, b in values)
    ]
    deck = DECK.format(
        title="constant-current source with compliance",
        points=" ".join(f"{t:.12g} {ma / 1000:.12g}" for t, ma in points),
        clamp=clamp,
        series=network.series_ohm,
        branches="\n".join([*branches, f"Vground n{n} 0 0"]),
        end=len(CODES) * SAMPLE_S,
    )
    (where / "deck.cir").write_text(deck)
    ngspice = program("ngspice", "ngspice")
    subprocess.run(
        [ngspice, "-b", "deck.cir"], cwd=where, check=True, capture_output=True,
        timeout=60,
    )  # fmt: skip
    t, v, i = np.loadtxt(where / "out.txt", unpack=True)
    assert t[-1] == pytest.approx(len(CODES) * SAMPLE_S)  # it did not give up
    return t, v, 1000 * i


@pytest.mark.parametrize("compliance_v", [None, 30.0])
@pytest.mark.parametrize("load", LOADS, ids=["500", "10k", "RC", "CPE"])
def test_ngspice_finds_the_same(load, compliance_v, tmp_path):
    t, v, i = in_ngspice(load, compliance_v, tmp_path)
    source = CurrentSource(load.network, compliance_v)
    found = source.feed(CODES, np.full(len(CODES), SAMPLE_S))
    last = np.append(np.flatnonzero(np.diff(found.hold)), len(found.hold) - 1)
    ends = np.arange(1, len(CODES) + 1) * SAMPLE_S
    highest = np.abs(v).max()
    before = np.interp(ends - 2e-9, t, v)
    assert found.end_v[last] == pytest.approx(before, rel=1e-3, abs=1e-3 * highest)
    assert found.peak_v.max() == pytest.approx(highest, rel=1e-3)

    def integral(y):
        steps = np.append(0, np.cumsum((y[1:] + y[:-1]) / 2 * np.diff(t)))
        return np.interp(ends, t, steps)

    charge = np.cumsum(np.bincount(found.hold, found.charge_mc))
    energy = np.cumsum(np.bincount(found.hold, found.energy_mj))
    assert charge == pytest.approx(integral(i), abs=1e-3 * np.abs(charge).max())
    assert energy == pytest.approx(integral(v * i), rel=1e-3, abs=1e-3 * energy.max())
    assert (found.rail != 0).any() == (compliance_v is not None)


@pytest.mark.parametrize("corner_hz", [0.0, 1e-3])
def test_a_capacitor_on_a_rail_takes_its_charge_at_once(corner_hz):
    # ten decades between the resistors: what rounds to a change of mode without
    # progress never comes to an end
    load = SeriesRC(series_ohm=1e-3, parallel_ohm=1e7, capacitance_nf=100.0)
    source = CurrentSource(load.network, 1e-3, corner_hz)
    found = source.feed(np.array([100.0, -100.0, 100.0]), np.full(3, 20e-6))
    charge_mc = np.bincount(found.hold, found.charge_mc)
    assert charge_mc == pytest.approx([1e-7, -2e-7, 2e-7], rel=1e-3)  # 100 nF x 1 mV
    assert found.end_v[-1] == 1e-3


def test_an_element_too_fast_to_matter_is_a_resistor_on_a_rail():
    # a time constant of 2.4 fs beside one millisecond: rounding makes its modes
    load = ConstantPhase(series_ohm=1e-3, parallel_ohm=2000.0, q=1e-15, alpha=0.8)
    source = CurrentSource(load.network, 1e-3)
    found = source.feed(np.array([100.0, 0.0, -100.0]), np.full(3, 1e-3))
    charge_mc = np.bincount(found.hold, found.charge_mc)
    each = 1e-3 / 2000 * 1e3 * 1e-3
    assert charge_mc == pytest.approx([each, 0, -each], rel=1e-3, abs=1e-3 * each)


def test_a_purely_resistive_load_clips_where_ohms_law_says():
    source = CurrentSource(Resistor(resistance_ohm=2000.0).network, 154.0)
    found = source.feed(np.array([100.0, -50.0, -90.0]), np.full(3, 1e-3))
    assert found.rail.tolist() == [1, 0, -1]
    assert found.peak_ma == pytest.approx([77.0, 50.0, 77.0])
    assert found.charge_mc == pytest.approx([0.077, -0.05, -0.077])


def test_the_peak_between_the_ends_of_a_hold_is_found():
    # an RC load that charges while the high-pass takes the current away
    network = Network(100.0, np.array([3000.0]), np.array([1e-3]))
    whole = CurrentSource(network, None, 50.0).feed(np.array([10.0]), np.array([0.02]))
    parts = CurrentSource(network, None, 50.0).feed(
        np.full(2000, 10.0), np.full(2000, 1e-5)
    )
    assert whole.peak_v[0] > 1.2 * abs(whole.end_v[0])
    assert whole.peak_v[0] == pytest.approx(parts.end_v.max(), rel=1e-5)
