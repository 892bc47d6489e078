"""What `measure` finds in recordings of plans, whose pulses are the truth."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from measuring.made import (
    AMPLITUDE_MA,
    RUSSIAN,
    delivered,
    plan_of,
    rendered,
    spoiled,
)

import nmes_wave as nw

RATE_HZ = 48_000.0


def measured(plan, **condition):
    recording, rate_hz = spoiled(
        rendered(plan), plan.output.sample_rate_hz, **condition
    )
    (channel,) = nw.measure(recording, rate_hz).channels
    return channel


# -- one pulse after the other ------------------------------------------------


@pytest.mark.parametrize(
    "event",
    [
        nw.Pulse(phase_width_us=233.3),
        nw.Pulse(phase_width_us=300.0, interphase_gap_us=100.0, recovery_ratio=4.0),
        nw.Pulse(phase_width_us=400.0, shape="half_sine", polarity=-1),
        nw.Pulse(phase_width_us=400.0, shape="triangular"),
        nw.Pulse(phase_width_us=400.0, shape="exponential_decay"),
        nw.Pulse(
            phase_width_us=200.0, recovery_ratio=6.0, recovery_shape="exponential_decay"
        ),
        nw.Burst(carrier_hz=4000.0, cycles=8, shape="square", polarity=-1),
        RUSSIAN,
    ],
    ids=[
        "rectangular", "asymmetric", "half sine", "triangular", "decay",
        "capacitor-coupled", "square burst", "Russian",
    ],
)  # fmt: skip
def test_every_pulse_of_a_rendered_plan(event):
    plan = plan_of(event, rate_hz=33.3)
    found, truth = measured(plan), delivered(plan)
    assert found.n_pulses == len(truth)
    onsets = found.pulses["onset_s"] * RATE_HZ
    # bursts are rendered from a whole frame on
    within = 0.02 if isinstance(event, nw.Pulse) else 0.51
    assert onsets == pytest.approx(truth["frame"], abs=within)
    assert found.phase_width_us == pytest.approx(event.phase_width_us, abs=0.5)
    widths = found.pulses["phase_width_us"]
    assert widths == pytest.approx(np.full(len(truth), event.phase_width_us), abs=2)
    assert found.amplitude_ma == pytest.approx(AMPLITUDE_MA, rel=1e-3)
    charge_uc = AMPLITUDE_MA * event.phase_area_us / 1000
    assert found.charge_per_phase_uc == pytest.approx(charge_uc, rel=2e-3)
    assert found.net_charge_uc == pytest.approx(0, abs=1e-6)
    assert found.polarity == event.polarity
    assert (found.missing, found.extra, found.droop_hz) == (0, 0, 0)
    if isinstance(event, nw.Pulse):
        assert found.recovery_width_us == pytest.approx(event.recovery_width_us, abs=1)
        # a recovery phase begins with a frame
        frame_us = 1e6 / RATE_HZ
        gap = found.interphase_gap_us - event.interphase_gap_us
        assert -0.05 <= gap <= frame_us


def test_a_shape_of_no_known_kind():
    points = ((0, 0), (50, 1), (200, 0.3), (200, -0.3), (400, -0.6), (450, 0))
    event = nw.CustomPulse(points=points, balanced=False)
    found = measured(plan_of(event, coupling="dc"))
    assert found.waveform == "other"
    assert found.n_pulses == 100
    # between the points at a tenth of the peak, of samples that are means
    assert found.phase_width_us == pytest.approx(200, abs=15)
    assert found.charge_per_phase_uc == pytest.approx(0.04 * 122.5, rel=0.03)
    assert found.net_charge_uc == pytest.approx(0.04 * event.net_area_us, rel=0.02)
    assert math.isnan(found.recovery_width_us)


def test_monophasic_pulses_have_no_recovery():
    event = nw.Pulse(phase_width_us=300.0, balanced=False)
    found = measured(plan_of(event, coupling="dc"))
    assert found.waveform == "monophasic rectangular"
    assert found.net_charge_uc == pytest.approx(12, rel=1e-4)
    assert math.isnan(found.recovery_width_us)
    assert math.isnan(found.interphase_gap_us)


# -- rhythm -------------------------------------------------------------------


def test_a_pulse_that_is_missing_and_one_that_is_extra():
    plan = plan_of(rate_hz=35.0, repeats=2)
    samples, frames = rendered(plan), delivered(plan)["frame"]
    at = int(frames[20])
    samples[at - 2 : at + 40] = 0
    at = int(frames[40])
    samples[at + 600 : at + 640] = samples[at : at + 40]
    (found,) = nw.measure(samples, RATE_HZ).channels
    assert (found.missing, found.extra) == (1, 1)
    (extra,) = found.pulses[found.pulses["extra"]]
    assert extra["onset_s"] == pytest.approx((frames[40] + 600) / RATE_HZ, abs=1e-5)
    assert found.on_periods.missing.tolist() == [1, 0]
    assert found.rate_hz == pytest.approx(35, rel=1e-6)


@pytest.mark.parametrize(("n_let", "interval_ms"), [(2, 5.0), (3, 10.0), (2, 2.0)])
def test_n_lets(n_let, interval_ms):
    plan = plan_of(rate_hz=20.0, n_let=n_let, n_let_interval_ms=interval_ms)
    found = measured(plan, snr_db=20)
    assert found.n_pulses == plan.n_pulses
    assert found.n_let == n_let
    assert found.n_let_interval_ms == pytest.approx(interval_ms, rel=1e-3)
    assert found.rate_hz == pytest.approx(20, rel=1e-5)
    assert found.on_periods.on_s == pytest.approx([2], rel=1e-3)


def test_jitter_is_told_from_noise():
    # the noise alone scatters the onsets by 2.4 µs
    assert measured(plan_of(rate_hz=40.0, on_s=10.0), snr_db=20).jitter_us < 1
    plan = plan_of(rate_hz=40.0, on_s=10.0, jitter=0.02)
    truth = delivered(plan)["frame"] / RATE_HZ
    number = np.arange(len(truth))
    rest = truth - np.polyval(np.polyfit(number, truth, 1), number)
    sd_us = 1e6 * rest.std(ddof=2)
    assert sd_us == pytest.approx(0.02 * 25_000 / math.sqrt(12), rel=0.1)
    assert measured(plan, snr_db=26).jitter_us == pytest.approx(sd_us, rel=0.01)


def test_a_variable_frequency_train_has_one_extra_pulse_in_each_on_period():
    plan = plan_of(rate_hz=14.3, first_interval_ms=5.0, on_s=1.0, repeats=4)
    found = measured(plan)
    assert found.rate_hz == pytest.approx(14.3, rel=1e-6)
    assert (found.missing, found.extra) == (0, 4)


def test_a_sweep_has_a_mean_rate_and_no_jitter():
    found = measured(plan_of(rate_hz=20.0, rate_end_hz=80.0, on_s=5.0))
    assert found.n_pulses == 250
    assert found.rate_hz == pytest.approx(50, rel=0.01)
    assert math.isnan(found.jitter_us)
    assert (found.missing, found.extra) == (0, 0)


def test_stages_of_two_rates_are_on_periods_of_their_own():
    def stage(rate_hz, amplitude_ma, on_s):
        return nw.Stage(
            event=nw.Pulse(phase_width_us=300.0),
            train=nw.Train(rate_hz=rate_hz),
            duty_cycle=nw.DutyCycle(on_s=on_s),
            amplitude_ma=amplitude_ma,
        )

    channel = nw.Channel(
        name="one", stages=[stage(50.0, 40.0, 3.0), stage(4.0, 20.0, 4.0)], repeats=2
    )
    output = nw.Output(sample_rate_hz=RATE_HZ, full_scale_ma=60.0)
    protocol = nw.StimProtocol(name="rests", channels=[channel])
    found = measured(nw.build_plan(protocol, output))
    assert found.on_periods.rate_hz == pytest.approx([50, 4, 50, 4], rel=1e-5)
    assert found.on_periods.amplitude_ma == pytest.approx([40, 20, 40, 20], rel=1e-3)
    assert found.on_periods.on_s == pytest.approx([3, 4, 3, 4], rel=1e-5)
    assert (found.rate_hz, found.amplitude_ma) == pytest.approx((50, 40), rel=1e-3)


def test_alternating_polarity():
    found = measured(plan_of(rate_hz=40.0, alternate_polarity=True), snr_db=20)
    assert found.alternates
    signs = found.pulses["polarity"]
    assert (signs[1:] == -signs[:-1]).all()
    assert found.phase_width_us == pytest.approx(300, abs=5)


# -- ramps --------------------------------------------------------------------


@pytest.mark.parametrize("shape", ["linear", "cosine"])
@pytest.mark.parametrize("modulation", [{}, {"modulates": "width", "start_level": 0.3}])
@pytest.mark.parametrize("snr_db", [None, 40])
def test_ramps_do_not_disturb_what_the_plateau_shows(shape, modulation, snr_db):
    envelope = nw.Envelope(ramp_up_s=1.5, ramp_down_s=1.0, shape=shape, **modulation)
    plan = plan_of(on_s=4.0, repeats=2, envelope=envelope)
    found = measured(plan, snr_db=snr_db)
    assert found.rate_hz == pytest.approx(50, rel=1e-6)
    assert found.amplitude_ma == pytest.approx(40, rel=2e-3)
    assert found.phase_width_us == pytest.approx(300, abs=1)
    # what noise hides of the foot is no part of the ramp
    within = 0.1 if snr_db is None else 0.2
    assert found.on_periods.ramp_up_s == pytest.approx([1.5] * 2, abs=within)
    assert found.on_periods.ramp_down_s == pytest.approx([1.0] * 2, abs=within)
    assert found.on_periods.amplitude_ma == pytest.approx([40, 40], rel=2e-3)
    if snr_db is None:
        truth = delivered(plan)
        assert found.n_pulses == len(truth)
        for name, error in (("amplitude_ma", 0.02), ("phase_width_us", 1.0)):
            assert found.pulses[name] == pytest.approx(truth[name], abs=error)


# -- what the recording does --------------------------------------------------


@pytest.mark.parametrize("corner_hz", [5.0, 20.0])
@pytest.mark.parametrize("event", [None, RUSSIAN], ids=["pulse", "burst"])
def test_the_droop_is_found_and_undone(corner_hz, event):
    found = measured(plan_of(event), droop_hz=corner_hz, offset_ma=-0.4)
    assert found.droop_hz == pytest.approx(corner_hz, rel=0.01)
    assert found.amplitude_ma == pytest.approx(40, rel=1e-3)
    assert found.net_charge_uc == pytest.approx(0, abs=0.01)


def test_noise_and_offset_are_told():
    found = measured(plan_of(RUSSIAN), snr_db=40, offset_ma=-0.7)
    assert found.noise_rms_ma == pytest.approx(0.4, rel=0.02)
    assert found.offset_ma == pytest.approx(-0.7, abs=0.01)


def test_a_net_charge_is_measured():
    plan = plan_of(on_s=5.0)
    samples = rendered(plan)
    samples[samples < 0] *= 0.95
    samples, _ = spoiled(samples, RATE_HZ, snr_db=40)
    (found,) = nw.measure(samples, RATE_HZ).channels
    assert found.net_charge_uc == pytest.approx(0.6, abs=0.03)
    (found,) = nw.measure(-samples, RATE_HZ).channels
    assert found.net_charge_uc == pytest.approx(-0.6, abs=0.03)


def test_uncertainties_cover_the_errors():
    """Of 16 recordings, the errors are as large as their standard uncertainties."""
    plan = plan_of(rate_hz=35.0)
    z = []
    for seed in range(16):
        found = measured(plan, snr_db=26, seed=seed)
        u = found.uncertainty
        z.append(
            [
                (found.rate_hz - 35) / u.rate_hz,
                (found.amplitude_ma - 40) / u.amplitude_ma,
                found.net_charge_uc / u.net_charge_uc,
            ]
        )
    rms = np.sqrt(np.mean(np.square(z), axis=0))
    assert (rms < 2).all()
    assert (rms > 0.5).all()


def test_noise_alone_has_no_pulses():
    # white, and as coloured as a resampler leaves it
    white = np.random.default_rng(0).normal(0, 1, (1_000_000, 2))
    white[:, 1] = np.convolve(white[:, 1], [0.25, 0.5, 0.25], "same")
    for channel in nw.measure(white, RATE_HZ).channels:
        assert channel.n_pulses == 0
    assert nw.measure(white, RATE_HZ).channels[0].noise_rms_ma == pytest.approx(
        1, rel=0.02
    )


# -- what can be given --------------------------------------------------------


@pytest.mark.parametrize("dtype", ["int16", "int32", "float32", "float64"])
def test_numbers_of_any_type_and_both_shapes(dtype):
    plan = plan_of(on_s=0.5)
    unit = 30_000 if dtype.startswith("int") else 1.0
    samples = (rendered(plan) / 60 * unit).astype(dtype)
    two = np.hstack([samples, samples // 2 if unit > 1 else samples / 2])
    found = nw.measure(two, RATE_HZ, ma_per_unit=[60 / unit, 60 / unit])
    amplitudes = [channel.amplitude_ma for channel in found.channels]
    assert amplitudes == pytest.approx([40, 20], rel=1e-3)
    (found,) = nw.measure(samples[:, 0], RATE_HZ, 60 / unit).channels
    assert found.amplitude_ma == pytest.approx(40, rel=1e-3)


@pytest.mark.parametrize(
    "samples",
    [np.zeros((0, 1)), np.zeros(3), np.zeros((48_000, 1)), np.full(48_000, 0.1)],
    ids=["empty", "short", "zeros", "constant"],
)
def test_nothing_to_find(samples):
    found = nw.measure(samples, RATE_HZ)
    (channel,) = found.channels
    assert (channel.n_pulses, channel.polarity, channel.waveform) == (0, 0, "")
    assert math.isnan(channel.rate_hz)
    assert math.isnan(channel.uncertainty.amplitude_ma)
    assert len(channel.on_periods) == len(channel.pulses) == 0
    assert "no pulses" in str(found)
    assert json.loads(found.to_json())["channels"][0]["amplitude_ma"] is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"samples": np.zeros((2, 2, 2))}, r"shape \(frames,\) or"),
        ({"samples": np.zeros((3, 5000))}, "at most 1024 channels"),
        ({"samples": np.zeros(4, complex)}, "integers or floats"),
        ({"samples": np.r_[np.zeros(99), np.nan]}, "frame 99': must be finite"),
        ({"sample_rate_hz": 0}, "1e3 to 1e7 Hz"),
        ({"ma_per_unit": -1.0}, "must be one number above 0"),
        ({"ma_per_unit": [1.0, 2.0]}, "or 1 of them"),
    ],
)
def test_what_cannot_be_measured(changes, message):
    given = {"samples": np.zeros(100), "sample_rate_hz": 48_000, "ma_per_unit": 1.0}
    with pytest.raises(nw.SpecError, match=message):
        nw.measure(**{**given, **changes})


def test_blocks_do_not_matter(monkeypatch):
    # each pulse lies on the border of two blocks
    plan = plan_of(rate_hz=10.0, on_s=6.0, start_s=0.1 - 5 / RATE_HZ)
    recording, _ = spoiled(rendered(plan), RATE_HZ, snr_db=20)
    whole = nw.measure(recording, RATE_HZ)
    monkeypatch.setattr("nmes_wave.measuring.samples._BLOCK", 1)
    parts = []
    split = nw.measure(recording, RATE_HZ, done=parts.append)
    assert len(parts) > 100
    assert (sorted(parts), parts[-1]) == (parts, 1.0)
    (one,), (other,) = whole.channels, split.channels
    assert one.n_pulses == other.n_pulses == 60
    for name in one.pulses.dtype.names:
        assert other.pulses[name] == pytest.approx(one.pulses[name], abs=1e-6)
    assert other.rate_hz == pytest.approx(one.rate_hz, rel=1e-12)


def test_the_report_and_the_json_tell_the_figures():
    found = nw.measure(rendered(plan_of(rate_hz=35.0, repeats=2)), RATE_HZ)
    text = str(found)
    for words in ("140 pulses, rectangular", "35.0000", "300.00", "40.0000", "12.000"):
        assert words in text
    assert text.count("on-period ") == 2
    plain = json.loads(found.to_json(pulses=True))
    (channel,) = plain["channels"]
    assert channel["rate_hz"] == found.channels[0].rate_hz
    assert len(channel["pulses"]) == 140
    assert channel["on_periods"][0]["off_s"] == pytest.approx(1.0)
    assert channel["on_periods"][1]["off_s"] is None
    assert "pulses" not in found.to_dict()["channels"][0]
