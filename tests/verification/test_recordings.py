"""Recordings without a defect pass, whatever lies between plan and recorder."""

from __future__ import annotations

import subprocess

import numpy as np
import pytest
import soundfile
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from scipy.signal import lfilter
from tools import program
from verification.recordings import (
    LEAD,
    RATE_HZ,
    drifted,
    noisy,
    plan_of,
    played,
    stage,
)

import nmes_wave as nw

# a smaller example says no more, and each takes a part of a second
PHASES = [Phase.explicit, Phase.reuse, Phase.generate]
FEW = settings(max_examples=6, deadline=None, phases=PHASES)
TWO = plan_of(stage(), stage(rate_hz=33.0, amplitude_ma=30.0))


def test_its_own_frames_have_no_errors():
    for dtype in ("int16", "int24", "int32", "float32"):
        plan = plan_of(stage(), stage(rate_hz=33.0), dtype=dtype)
        found = nw.verify(plan, plan.render(), RATE_HZ)
        assert found.passed, found.failures
        assert (found.latency_s, found.polarity) == (0.0, 1)
        assert found.gain == pytest.approx(1.0, abs=1e-9)
        assert found.clock_ppm == 0.0
        rows = found.pulses
        assert rows["found"].all()
        assert rows["covered"].all()
        assert rows["decidable"].all()
        for field in ("amplitude_error", "charge_error", "shape_error"):
            assert np.abs(rows[field]).max() < 1e-6, field
        assert np.abs(rows["time_error_us"]).max() < 1e-6


def test_there_is_a_row_for_each_event_that_delivers_something():
    rows = TWO.pulses()
    found = nw.verify(TWO, played(TWO), RATE_HZ)
    expected = rows[rows["amplitude_ma"] > 0]
    assert len(expected) == len(rows) - 4  # the first of each ramp
    for field in rows.dtype.names:
        assert (found.pulses[field] == expected[field]).all()
    at = (expected["frame"] + LEAD) / RATE_HZ
    assert np.abs(found.pulses["time_s"] - at).max() < 1e-9


@FEW
@given(
    lead=st.integers(0, 30_000),
    gain=st.floats(0.05, 1.0),
    polarity=st.sampled_from([1, -1]),
    offset=st.floats(-0.05, 0.05),
    db=st.floats(20, 80),
    seed=st.integers(0, 2**32 - 1),
)
def test_latency_gain_and_polarity_are_found(lead, gain, polarity, offset, db, seed):
    samples = noisy(played(TWO, lead=lead), db, seed)
    found = nw.verify(TWO, polarity * gain * samples + offset, RATE_HZ)
    inverted = [f for f in found.failures if f.endswith(": inverted")]
    assert len(inverted) == (2 if polarity < 0 else 0)
    assert len(found.failures) == len(inverted), found.failures
    assert (len(found.missing), len(found.extra)) == (0, 0)
    assert found.latency_s == pytest.approx(lead / RATE_HZ, abs=2e-6)
    assert found.gain == pytest.approx(gain, rel=0.02)
    assert found.polarity == polarity
    true_rms = 0.4 * gain * 10 ** (-db / 20) * 100
    # the band that is compared has four fifths of it
    assert found.noise_rms_ma == pytest.approx(true_rms * 0.8**0.5, rel=0.15)


@FEW
# a recording that begins after the first of two equal on-periods fits both
@given(cut=st.integers(0, 40_000), end=st.integers(1, 60_000))
def test_what_a_recording_does_not_hold_is_not_covered(cut, end):
    whole = played(TWO, lead=0, tail=0)
    found = nw.verify(TWO, whole[cut:-end], RATE_HZ)
    assert found.passed, found.failures
    assert found.latency_s == pytest.approx(-cut / RATE_HZ, abs=1e-9)
    frames = found.pulses["frame"]
    last = len(whole) - end
    inside = (frames > cut + 4) & (frames + 40 < last)
    outside = (frames < cut) | (frames + 26 > last)
    assert found.pulses["covered"][inside].all()
    assert not found.pulses["covered"][outside].any()
    assert not found.pulses["found"][~found.pulses["covered"]].any()


def test_a_minute_of_four_channels_in_noise_has_no_false_finding():
    rates = (50.0, 35.0, 50.0, 20.0)  # two of them simultaneous
    stages = [stage(rate_hz=r, on_s=10.0, off_s=5.0, repeats=4, ramp_up_s=1.0)
              for r in rates]  # fmt: skip
    plan = plan_of(*stages)
    found = nw.verify(plan, noisy(played(plan), 20, seed=1), RATE_HZ)
    assert found.passed, found.failures
    rows = found.pulses
    assert found.noise_rms_ma == pytest.approx(4.0 * 0.8**0.5, rel=0.05)
    # an eleventh of 40 mA cannot be told from noise of 4 mA, a third of it can
    assert not rows["decidable"][rows["amplitude_ma"] < 4].any()
    assert rows["decidable"][rows["amplitude_ma"] > 13].all()


def test_events_below_the_noise_are_undecidable_not_missing():
    plan = plan_of(stage(ramp_up_s=0.9))
    samples = played(plan)
    rows = plan.pulses()
    for row in rows[rows["amplitude_ma"] < 3.0]:
        begin = LEAD + int(row["frame"]) - 4
        samples[begin : begin + 40] = 0.0
    found = nw.verify(plan, noisy(samples, 20, seed=2), RATE_HZ)
    assert found.passed, found.failures
    assert not found.pulses["decidable"][found.pulses["amplitude_ma"] < 3].any()


@pytest.mark.parametrize("rate_hz", [44_100, 96_000])
def test_a_recording_at_another_rate(rate_hz, tmp_path):
    sox = program("sox", "sox")
    played_path, recorded_path = tmp_path / "played.wav", tmp_path / "recorded.wav"
    soundfile.write(played_path, played(TWO), RATE_HZ, "PCM_24")
    command = [sox, "-V1", "-D", played_path, "-r", str(rate_hz), recorded_path]
    subprocess.run(command, check=True)
    samples, rate = soundfile.read(recorded_path)
    found = nw.verify(TWO, samples, rate)
    assert found.passed, found.failures
    assert found.gain == pytest.approx(1.0, abs=1e-4)
    assert found.latency_s == pytest.approx(LEAD / RATE_HZ, abs=1e-7)
    assert np.abs(found.pulses["time_error_us"]).max() < 0.1
    assert np.abs(found.pulses["amplitude_error"]).max() < 0.002


@pytest.mark.parametrize(("ppm", "off_s"), [(50.0, 26.0), (-120.0, 1.0)])
def test_two_clocks_that_drift_apart(ppm, off_s):
    plan = plan_of(stage(on_s=4.0, off_s=off_s))  # 60 s, 10 s
    samples = noisy(drifted(played(plan), ppm), 60, seed=4)
    found = nw.verify(plan, samples, RATE_HZ)
    assert found.passed, found.failures
    assert found.clock_ppm == pytest.approx(ppm, abs=0.05)
    assert np.abs(found.pulses["time_error_us"]).max() < 5.0
    strict = nw.verify(plan, samples, RATE_HZ, tolerance=nw.Tolerance(clock_ppm=20))
    assert strict.failures[0].startswith(f"the recording's clock is off by {ppm:+.1f}")


@pytest.mark.parametrize("corner_hz", [2.0, 10.0, 20.0])
def test_ac_coupling_is_found_and_is_no_error(corner_hz):
    monophasic = nw.Pulse(phase_width_us=400.0, balanced=False)
    plan = plan_of(stage(), stage(monophasic, rate_hz=33.0), coupling="dc")
    pole = np.exp(-2 * np.pi * corner_hz / RATE_HZ)
    taps = np.array([1.0, -1.0]) * (1 + pole) / 2
    found = nw.verify(plan, lfilter(taps, [1.0, -pole], played(plan), axis=0), RATE_HZ)
    assert found.passed, found.failures
    assert found.droop_hz == pytest.approx(corner_hz, rel=0.1)


def test_cross_talk_is_found_and_is_no_error():
    samples = played(TWO)
    mixed = samples + 0.01 * samples[:, ::-1]
    found = nw.verify(TWO, noisy(mixed, 60, seed=3), RATE_HZ)
    assert found.passed, found.failures
    for one in found.channels:
        assert max(one.crosstalk) == pytest.approx(0.01, rel=0.05)


@pytest.mark.parametrize("polarity", [1, -1])
@pytest.mark.parametrize("db", [20, 60])
def test_russian_current(polarity, db):
    russian = nw.Burst(carrier_hz=2500.0, cycles=25)
    plan = plan_of(stage(russian), stage(russian, amplitude_ma=20.0))
    samples = noisy(polarity * played(plan), db, seed=5, peak=0.2)
    found = nw.verify(plan, samples, RATE_HZ)
    assert found.polarity == polarity
    assert len(found.failures) == (2 if polarity < 0 else 0), found.failures
    assert found.latency_s == pytest.approx(LEAD / RATE_HZ, abs=2e-6)


def test_events_without_a_gap_between_them():
    plan = plan_of(stage(nw.Burst(carrier_hz=1000.0, cycles=20)))
    found = nw.verify(plan, noisy(played(plan), 40, seed=6), RATE_HZ)
    assert found.passed, found.failures
    doublets = stage(n_let=2, n_let_interval_ms=0.6, jitter=0.1)
    plan = plan_of(doublets, stage(doublets.event, jitter=0.3, seed=3))
    found = nw.verify(plan, noisy(played(plan), 40, seed=6), RATE_HZ)
    assert found.passed, found.failures
