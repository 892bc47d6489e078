"""Modes over several stages and passes, snapped widths, and alternating polarity."""

from __future__ import annotations

import dataclasses
import math
import re

import numpy as np
import pytest
from exposures import any_second, placed_events

import nmes_wave as nw
from nmes_wave.exposure import ChannelExposure

SHORT = nw.DutyCycle(on_s=0.5)
ASYMMETRIC = nw.Pulse(phase_width_us=300, recovery_ratio=3)


@pytest.fixture
def half(stage):
    """Half a second of 60 mA at 50 Hz."""
    return stage(rate_hz=50, amplitude_ma=60, on=SHORT)


# -- one mode in several stages and passes -------------------------------------------


@pytest.mark.parametrize(("n_stages", "repeats"), [(2, 1), (1, 2), (3, 4)])
def test_a_second_sees_all_stages_of_a_mode(
    half, channel, report, row, n_stages, repeats
):
    whole = channel(*[half] * n_stages, repeats=repeats, area_cm2=2)
    made = report(whole)
    assert len(made.modes) == 1
    found = row(made, 11)
    rms_ma = 60 * math.sqrt(2 * 300e-6 * 50)
    assert found["r.m.s. current"].value == pytest.approx(rms_ma)
    assert found["r.m.s. current"].value == pytest.approx(ChannelExposure(whole).rms_ma)
    assert found["average absolute current"].value == pytest.approx(1.8)
    assert row(made, 12)["power density"].value == pytest.approx(0.027)


def test_other_stages_count_as_silence(half, stage, channel, report, row):
    other = stage(
        nw.Pulse(phase_width_us=200),
        rate_hz=50,
        amplitude_ma=90,
        on=nw.DutyCycle(on_s=0.2),
    )
    made = report(channel(half, other, repeats=5))
    # 0.8 of the fullest second: 40 pulses
    found = row(made, 11)["r.m.s. current"].value
    assert found == pytest.approx(60 * math.sqrt(2 * 300e-6 * 40))
    # 0.2 s, 0.5 s of silence, 0.2 s, and 0.1 s of silence
    found = row(made, 11, mode=1)["r.m.s. current"].value
    assert found == pytest.approx(90 * math.sqrt(2 * 200e-6 * 20))


@pytest.mark.parametrize("compliance_v", [150, 20])
@pytest.mark.parametrize("on_s", [0.13, 0.41, 0.77])
def test_against_the_events_one_by_one(stage, channel, report, row, on_s, compliance_v):
    on = nw.DutyCycle(on_s=on_s, off_s=0.1, repeats=2)
    ramps = nw.Envelope(ramp_up_s=0.1)
    settings = {"rate_hz": 33.3, "amplitude_ma": 60, "on": on}
    one = stage(ASYMMETRIC, envelope=ramps, **settings)
    other = stage(nw.Pulse(phase_width_us=150), **settings)
    again = dataclasses.replace(one, duty_cycle=dataclasses.replace(on, repeats=1))
    made = report(channel(one, other, again, repeats=3), compliance_v=compliance_v)
    most_ma = compliance_v / 0.5
    silent = dataclasses.replace(other, amplitude_ma=0)
    events = placed_events(
        channel(one, silent, again, repeats=3), np.random.default_rng(1)
    )
    found = row(made, 11)
    for label, power, of in (
        ("r.m.s. current", 2, lambda i: np.clip(i, -most_ma, most_ma) ** 2),
        ("average absolute current", 1, lambda i: np.abs(np.clip(i, -40, 40))),
    ):
        if power == 1 and compliance_v > 20:
            continue
        highest = any_second(events, of).max()
        value = found[label].value ** power
        assert value >= highest * (1 - 1e-3)
        if compliance_v > 20:
            one_event = max(
                of(i) @ length for _, length, i in (e.pieces(24) for e in events)
            )
            assert value <= highest + 1.001 * one_event


# -- snapped widths ------------------------------------------------------------------


def test_snapped_widths_are_what_is_reported(stage, channel, report, row):
    output = nw.Output(sample_rate_hz=8000, full_scale_ma=100, edges="snap")
    pulse = nw.Pulse(phase_width_us=690)
    made = report(channel(stage(pulse, rate_hz=50, amplitude_ma=85)), output=output)
    (mode,) = made.modes
    assert mode.name == "Mode 1: 750 µs per phase, 50 Hz, 85 mA"
    assert row(made, 5)["first phase"].value == 750
    assert "690 µs" in row(made, 5)["described first phase"].text
    assert row(made, 8)["phase duration"].value == 750
    # the samples themselves
    ma = made.plan.to_ma(made.plan.render(0, 8000))[:, 0]
    one = ma[: 8000 // 50]
    assert row(made, 10)[""].value == pytest.approx(one[one > 0].sum() / 8, rel=1e-6)
    rms_ma = math.sqrt(float(np.mean(ma**2)))
    assert row(made, 11)["r.m.s. current"].value == pytest.approx(rms_ma, rel=1e-6)
    limited = dataclasses.replace(made, plan=nw.build_plan(made.plan.protocol, output))
    (checked,) = (f.value for f in limited.check.findings if f.rule == "rms_ma")
    assert checked == pytest.approx(rms_ma, rel=1e-6)
    assert "rounded to whole frames" in made.header()["Widths"]
    traced = made.tracings(mode)[0]
    above = traced.ma > 40
    assert np.ptp(traced.t_s[above]) == pytest.approx(750e-6)


def test_widths_that_are_not_snapped_are_as_described(stage, channel, report, row):
    made = report(channel(stage(nw.Pulse(phase_width_us=690), rate_hz=50)))
    assert row(made, 5)["first phase"].value == 690
    assert "described first phase" not in row(made, 5)
    assert made.header()["Widths"].startswith("as described")


# -- alternating polarity ------------------------------------------------------------


def clipped_net_ua(channel, most_ma):
    """Highest mean of whole events in any one second, clipped."""
    events = placed_events(channel, np.random.default_rng(1))
    onsets, nets = [], []
    for event in events:
        begin, length, ma = event.pieces(400)
        onsets.append(float(np.min(begin)))
        nets.append(float(np.clip(ma, -most_ma, most_ma) @ length) * 1000)
    order = np.argsort(onsets)
    onset, net = np.array(onsets)[order], np.array(nets)[order]
    return max(
        abs(net[i:j].sum())
        for i in range(len(net))
        for j in range(i + 1, len(net) + 1)
        if onset[j - 1] - onset[i] < 1 - 1e-9
    )


def test_neighbours_that_are_clipped_cancel(stage, channel, report, row):
    alternating = stage(
        ASYMMETRIC,
        amplitude_ma=80,
        rate_hz=20,
        alternate_polarity=True,
        on=nw.DutyCycle(on_s=2.15),
    )
    whole = channel(alternating)
    made = report(whole, compliance_v=20)
    found = row(made, 9)
    assert found["net direct current"].value == pytest.approx(12)
    assert clipped_net_ua(whole, 40) == pytest.approx(12, rel=1e-3)
    assert "neighbours cancelling" in found["net direct current"].calculation
    assert "Polarity alternates" in found["note"]
    assert "alternating polarity" in row(made, 1)[""].text


@pytest.mark.parametrize("modulates", ["amplitude", "width"])
@pytest.mark.parametrize("on_s", [0.1, 0.15, 1.0])
def test_on_ramps_the_net_current_is_no_less(
    stage, channel, report, row, on_s, modulates
):
    # two pulses of each on-period, one of them on the ramp: they do not cancel
    alternating = stage(
        ASYMMETRIC,
        amplitude_ma=80,
        rate_hz=20,
        alternate_polarity=True,
        envelope=nw.Envelope(ramp_up_s=0.05, start_level=0.25, modulates=modulates),
        on=nw.DutyCycle(on_s=on_s, repeats=12),
    )
    whole = channel(alternating)
    found = row(report(whole, compliance_v=20), 9)["net direct current"]
    assert found.value >= clipped_net_ua(whole, 40) * (1 - 1e-3)
    assert "at most" in found.calculation


def test_no_polarity_that_does_not_alternate(stage, channel, report, row):
    made = report(channel(stage(ASYMMETRIC)), compliance_v=20)
    assert "alternat" not in row(made, 1)[""].text + row(made, 9)["note"]


def test_a_tracing_says_what_it_shows(stage, channel, report):
    pulse = nw.Pulse(phase_width_us=300, balanced=False)
    made = report(
        channel(stage(pulse, alternate_polarity=True, n_let=2, n_let_interval_ms=2))
    )
    *few, train = made.tracings(made.modes[0])
    for tracing in few:
        assert tracing.low_ma == tracing.ma.min() == 0
        assert tracing.high_ma == pytest.approx(tracing.ma.max())
    assert (train.low_ma, train.high_ma) == (-100, 100)
    assert train.ma.min() == pytest.approx(-100)


@pytest.mark.parametrize("width_us", [100, 50, 150])
def test_short_pulses_are_drawn_without_steps(stage, channel, report, width_us):
    made = report(channel(stage(nw.Pulse(phase_width_us=width_us))))
    traced = made.tracings(made.modes[0])[0]
    assert sorted({*traced.ma.round(6)}) == [-100, 0, 100]


# -- how calculations read -----------------------------------------------------------


def test_with_jitter_it_is_at_most(stage, channel, report, row):
    made = report(channel(stage(jitter=0.2)))
    for number, label in (
        (11, "r.m.s. current"),
        (11, "average absolute current"),
        (11, "r.m.s. density"),
        (12, "power density"),
    ):
        assert "= at most " in row(made, number)[label].calculation
    assert "worst jitter" in row(made, 11)["r.m.s. current"].calculation
    assert "at most" not in row(made, 11)["peak density"].calculation
    assert (
        "at most" not in row(report(channel(stage())), 12)["power density"].calculation
    )


def test_sample_calculations_close(stage, channel, report, row):
    made = report(channel(stage(rate_hz=9, amplitude_ma=100), area_cm2=2))
    density = row(made, 11)["r.m.s. density"]
    current_ma = float(re.search(r"= ([\d.]+) mA / 2 cm²", density.calculation)[1])
    assert round(current_ma / 2, 2) == round(density.value, 2)
    power = row(made, 12)["power density"]
    current_ma = float(re.search(r"\(([\d.]+) mA\)²", power.calculation)[1])
    assert round(current_ma**2 * 500 / 2 / 1e6, 4) == round(power.value, 4)
    doublets = report(channel(stage(n_let=2, n_let_interval_ms=5, rate_hz=22)))
    duty = row(doublets, 13)["d) duty cycle, b × c"]
    assert duty.text == "0.123"
    assert duty.calculation == "22 /s · 0.0056 s = 0.123"
