"""Loads against textbook formulas and the exact response of the element."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad

import nmes_wave as nw
from nmes_wave.current_source import CurrentSource
from nmes_wave.loads import BAND_HZ

elements = st.builds(
    nw.ConstantPhase,
    series_ohm=st.sampled_from([50.0, 200.0, 1000.0]),
    parallel_ohm=st.floats(100, 1e6),
    q=st.floats(1e-8, 1e-4),
    alpha=st.floats(0.2, 1),
)

#: The slowest that there are.
SLOWEST = [
    nw.SeriesRC(series_ohm=1e-3, parallel_ohm=1e7, capacitance_nf=1e9),
    nw.ConstantPhase(series_ohm=1e-3, parallel_ohm=1e7, q=1.0, alpha=0.2),
]


def test_the_named_loads_are_those_of_the_guidance():
    ohms = [nw.Load.named(name).resistance_ohm for name in nw.Load.names()]
    assert ohms == [500.0, 2000.0, 10_000.0]
    with pytest.raises(nw.SpecError, match=r"valid are 500 ohm, 2 kohm, 10 kohm"):
        nw.Load.named("1 kohm")
    with pytest.raises(nw.SpecError, match=r"did you mean 500 ohm\?"):
        nw.Load.named("500ohm")
    with pytest.raises(nw.SpecError, match="is no test load"):
        nw.Load.named([])


def test_impedances():
    assert nw.Resistor(resistance_ohm=500.0).impedance([0, 1e6]).tolist() == [500, 500]
    rc = nw.SeriesRC(series_ohm=200.0, parallel_ohm=3000.0, capacitance_nf=200.0)
    w = 2 * math.pi * 1000
    expected = 200 + 1 / (1 / 3000 + 1j * w * 200e-9)
    assert rc.impedance(1000.0) == pytest.approx(expected)
    assert rc.impedance(0.0) == pytest.approx(3200)
    element = nw.ConstantPhase(series_ohm=200, parallel_ohm=3000, q=200e-9, alpha=1)
    assert element.impedance(1000.0) == pytest.approx(expected)
    assert element.network.impedance(1000.0) == pytest.approx(expected)


@pytest.mark.parametrize("load", [nw.Load.named("500 ohm"), *SLOWEST])
def test_no_impedance_at_what_is_no_frequency(load):
    for frequency_hz in (-1.0, math.nan, math.inf, 1e16, [1.0, 1e308]):
        with pytest.raises(nw.SpecError, match=r"at least 0 and at most 1e\+15 Hz"):
            load.impedance(frequency_hz)
    for frequency_hz in (
        "x",
        "5",
        1 + 2j,
        [1 + 0j],
        None,
        True,
        [[1.0], [1.0, 2.0]],
        10**400,
    ):
        with pytest.raises(nw.SpecError, match="must be real numbers, in Hz"):
            load.impedance(frequency_hz)
    assert np.all(np.isfinite(load.impedance([0, 1e-3, 1e15])))


def test_the_phase_is_constant_where_the_element_dominates():
    element = nw.ConstantPhase(series_ohm=1, parallel_ohm=1e7, q=1e-6, alpha=0.7)
    phase = np.angle(element.impedance([10.0, 100.0, 1000.0]), deg=True)
    assert phase == pytest.approx(-63, abs=2.0)


@settings(deadline=None, max_examples=150)
@given(elements)
def test_the_stated_error_is_small_and_true(element):
    assert element.error < 5e-4
    frequency = np.random.default_rng(1).uniform(*np.log10(BAND_HZ), 300)
    exact = element.impedance(10**frequency)
    error = np.abs(element.network.impedance(10**frequency) / exact - 1)
    assert error.max() <= element.error * 1.05 + 1e-12


def relaxed(x, alpha):
    """Return the Mittag-Leffler function E_α(-x^α), Gorenflo and Mainardi's way."""

    def spectrum(log_r):
        r = math.exp(log_r)
        down = r ** (2 * alpha) + 2 * r**alpha * math.cos(alpha * math.pi) + 1
        return math.exp(-r * x) * r**alpha * math.sin(alpha * math.pi) / down / math.pi

    return quad(spectrum, -60, 12, limit=500, epsabs=1e-11)[0]


def test_the_function_is_that_of_its_power_series():
    for x, alpha in ((0.3, 0.6), (1.5, 0.8)):
        series = math.fsum(
            (-(x**alpha)) ** k / math.gamma(alpha * k + 1) for k in range(60)
        )
        assert relaxed(x, alpha) == pytest.approx(series, abs=1e-8)


@pytest.mark.parametrize("alpha", [0.6, 0.8, 0.95])
def test_a_step_of_current_gives_the_exact_response(alpha):
    element = nw.ConstantPhase(
        series_ohm=200.0, parallel_ohm=5000.0, q=1e-6, alpha=alpha
    )
    source = CurrentSource(element.network, None)
    times = np.array([20e-6, 100e-6, 300e-6, 1e-3, 5e-3, 20e-3])
    found = source.feed(np.full(len(times), 40.0), np.diff(times, prepend=0.0))
    tau = element.time_constant_s
    exact = [0.04 * (200 + 5000 * (1 - relaxed(t / tau, alpha))) for t in times]
    assert found.end_v == pytest.approx(exact, rel=2 * element.error)


@pytest.mark.parametrize(("q", "alpha"), [(1e-12, 0.2), (1e-15, 0.2), (1e-15, 0.6)])
def test_an_element_faster_than_any_sample_is_a_resistor(q, alpha):
    element = nw.ConstantPhase(series_ohm=200, parallel_ohm=5000, q=q, alpha=alpha)
    assert element.time_constant_s < 1e-15
    assert element.error < 5e-4
    current, time = np.array([100.0, -100.0]), np.full(2, 1e-3)
    free = CurrentSource(element.network, None).feed(current, time)
    assert free.end_v == pytest.approx([520, -520], rel=1e-3)
    held = CurrentSource(element.network, 20.0).feed(current, time)
    charge_mc = np.bincount(held.hold, held.charge_mc)
    assert charge_mc == pytest.approx([20 / 5200, -20 / 5200], rel=1e-3)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"series_ohm": 9e-4}, r"at least 0\.001 and at most 1e\+07 ohm"),
        ({"parallel_ohm": 1e-300}, r"at least 0\.001"),
        ({"capacitance_nf": 1e-320}, r"at least 1e-06 and at most 1e\+09 nF"),
    ],
)
def test_a_circuit_that_underflows_is_refused(change, words):
    fields = {"series_ohm": 300.0, "parallel_ohm": 2000.0, "capacitance_nf": 1.0}
    with pytest.raises(nw.SpecError, match=words):
        nw.SeriesRC(**fields | change)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"series_ohm": 0.0}, r"at least 0\.001 and at most 1e\+07 ohm"),
        ({"parallel_ohm": math.inf}, "must be finite"),
        ({"alpha": 1.1}, "at least 0.2 and at most 1"),
        ({"q": -1e-6}, "at least 1e-15 and at most 1 S"),
        ({"q": 1e-300}, "at least 1e-15 and at most 1 S"),
    ],
)
def test_what_cannot_be_is_refused(change, words):
    fields = {"series_ohm": 1.0, "parallel_ohm": 1.0, "q": 1e-6, "alpha": 0.8}
    with pytest.raises(nw.SpecError, match=words):
        nw.ConstantPhase(**fields | change)
