"""Phases of a few frames, phases too long to be measured, and absurd scales."""

from __future__ import annotations

import math

import numpy as np
import pytest

import nmes_wave as nw

RATE_HZ = 48_000.0
AMPLITUDE_MA = 40.0


def train(frames, *, two=False, sample_rate_hz=RATE_HZ, snr_db=None, train_hz=20.0):
    """Return 1 s of pulses that begin with a frame, in mA."""
    x = np.zeros(round(sample_rate_hz))
    for k in range(round(train_hz) - 1):
        start = round((0.0137 + k / train_hz) * sample_rate_hz)
        x[start : start + frames] = AMPLITUDE_MA
        if two:
            x[start + frames : start + 2 * frames] = -AMPLITUDE_MA
    if snr_db is not None:
        noise = AMPLITUDE_MA / 10 ** (snr_db / 20)
        x += np.random.default_rng(1).normal(0, noise, len(x))
    return x


def measured(x, sample_rate_hz=RATE_HZ, **scale):
    (channel,) = nw.measure(x, sample_rate_hz, **scale).channels
    return channel


@pytest.mark.parametrize("snr_db", [None, 40, 30])
@pytest.mark.parametrize("frames", [1, 2, 3, 4, 5])
def test_a_phase_of_a_few_frames(frames, snr_db):
    found = measured(train(frames, snr_db=snr_db))
    assert (found.n_pulses, found.unmeasured) == (19, 0)
    charge_uc = AMPLITUDE_MA * frames / RATE_HZ * 1e3
    assert found.charge_per_phase_uc == pytest.approx(charge_uc, rel=0.03)
    assert found.amplitude_ma == pytest.approx(AMPLITUDE_MA, rel=0.03)


# two phases within the smoother's five frames: level and width are told as one
@pytest.mark.parametrize(
    ("frames", "off"), [(1, 0.35), (2, 0.15), (3, 0.1), (4, 0.08), (5, 0.02)]
)
@pytest.mark.parametrize("snr_db", [None, 40])
def test_two_phases_of_a_few_frames(frames, off, snr_db):
    found = measured(train(frames, two=True, snr_db=snr_db))
    assert (found.n_pulses, found.unmeasured) == (19, 0)
    charge_uc = AMPLITUDE_MA * frames / RATE_HZ * 1e3
    assert found.charge_per_phase_uc == pytest.approx(charge_uc, rel=off)
    assert found.amplitude_ma == pytest.approx(AMPLITUDE_MA, rel=off)


@pytest.mark.parametrize("snr_db", [None, 30, 20])
@pytest.mark.parametrize("two", [False, True])
@pytest.mark.parametrize("width_us", [1200, 1400, 2000, 5000, 10_000])
def test_phases_that_are_too_long_are_refused_not_measured_wrong(width_us, two, snr_db):
    x = train(round(width_us * RATE_HZ / 1e6), two=two, snr_db=snr_db)
    found = nw.measure(x, RATE_HZ)
    (channel,) = found.channels
    assert channel.n_pulses == 0
    assert channel.unmeasured >= 19
    assert math.isnan(channel.amplitude_ma)
    assert "no pulses measured" in str(found)
    assert "phases over 1.1 ms" in str(found)


@pytest.mark.parametrize("snr_db", [None, 30])
@pytest.mark.parametrize("two", [False, True])
@pytest.mark.parametrize("frames", [24, 43, 48, 52])
def test_phases_up_to_the_limit_are_measured(frames, two, snr_db):
    found = measured(train(frames, two=two, snr_db=snr_db))
    assert (found.n_pulses, found.unmeasured) == (19, 0)
    assert found.amplitude_ma == pytest.approx(AMPLITUDE_MA, rel=0.01)
    width = found.phase_width_us * RATE_HZ / 1e6
    assert width == pytest.approx(frames, abs=0.2)


@pytest.mark.parametrize("sample_rate_hz", [2000.0, 4000.0, 8000.0])
def test_long_phases_at_low_rates_are_refused(sample_rate_hz):
    x = train(round(2e-3 * sample_rate_hz), two=True, sample_rate_hz=sample_rate_hz)
    found = measured(x, sample_rate_hz)
    assert (found.n_pulses, found.unmeasured > 0) == (0, True)


def test_a_step_is_no_pulse():
    x = np.zeros(48_000)
    x[24_000:] = 5.0
    found = measured(x)
    assert (found.n_pulses, found.unmeasured) == (0, 1)


@pytest.mark.parametrize(
    ("scale", "ma_per_unit"), [(1e200, 1.0), (1e-200, 1.0), (1.0, 1e-300), (1.0, 1e308)]
)
def test_a_peak_that_no_current_has(scale, ma_per_unit):
    with pytest.raises(nw.SpecError, match=r"samples = .*(1e-30 to 1e\+30 mA|finite)"):
        measured(train(24) * scale, ma_per_unit=ma_per_unit)


@pytest.mark.parametrize("scale", [1e-28, 1e-6, 1e6, 1e28])
def test_any_other_scale_gives_the_same_figures(scale):
    found = measured(train(24, snr_db=40), ma_per_unit=scale)
    same = measured(train(24, snr_db=40))
    assert found.n_pulses == same.n_pulses == 19
    assert found.amplitude_ma == pytest.approx(same.amplitude_ma * scale, rel=1e-6)
    assert found.phase_width_us == pytest.approx(same.phase_width_us, rel=1e-6)


def test_silence_holds_no_pulses_and_nothing_unmeasured():
    found = measured(np.zeros(48_000))
    assert (found.n_pulses, found.unmeasured) == (0, 0)
