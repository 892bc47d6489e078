"""Sections 1 and 2: modes, tracings, and what is known of the unit."""

from __future__ import annotations

import numpy as np
import pytest

import nmes_wave as nw
from nmes_wave.device_report import Device

RUSSIAN = nw.Burst(carrier_hz=2500, cycles=25)


def integral_uc(tracing, of=lambda i: i):
    """Integral of the drawn line, which is made of levels."""
    return float(np.sum(of(tracing.ma[:-1]) * np.diff(tracing.t_s)) * 1e3)


# -- modes -------------------------------------------------------------------------


def test_stages_that_differ_in_time_only_are_one_mode(stage, channel, report):
    again = nw.DutyCycle(on_s=10, off_s=50, repeats=4)
    made = report(
        channel(stage(), stage(on=again), name="a"),
        channel(stage(phase_deg=90, seed=5), name="b"),
        channel(stage(rate_hz=36), name="c"),
    )
    assert [mode.channels for mode in made.modes] == [("a (stage 0, 1)", "b"), ("c",)]
    assert made.modes[1].name == "Mode 2: 300 µs per phase, 36 Hz, 100 mA"


@pytest.mark.parametrize(
    "other",
    [
        {"amplitude_ma": 99},
        {"event": nw.Pulse(phase_width_us=301)},
        {"rate_hz": 35.5},
        {"alternate_polarity": True},
        {"envelope": nw.Envelope(ramp_up_s=1)},
        {"on": nw.DutyCycle(on_s=10, off_s=49)},
    ],
)
def test_any_other_setting_is_a_mode_of_its_own(stage, channel, report, other):
    made = report(channel(stage(), name="a"), channel(stage(**other), name="b"))
    assert len(made.modes) == 2


# -- tracings ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "titles"),
    [
        ({}, ["individual pulse"] * 3 + ["train of pulses"]),
        (
            {"event": RUSSIAN, "rate_hz": 50},
            ["individual pulses of a burst"] * 3 + ["burst", "series of bursts"],
        ),
        (
            {"n_let": 3, "n_let_interval_ms": 5, "rate_hz": 20},
            ["individual pulse"] * 3 + ["group of 3 pulses", "train of pulses"],
        ),
    ],
)
def test_what_is_traced(stage, channel, report, settings, titles):
    made = report(channel(stage(**settings)))
    found = made.tracings(made.modes[0])
    assert [t.title for t in found] == titles
    assert [t.load_ohm for t in found] == [500, 2000, 10_000, *[500] * (len(found) - 3)]
    assert made.n_tracings == len(found)
    for tracing in found:
        assert tracing.ma[0] == 0  # the baseline
        assert tracing.t_s[0] < 0 < tracing.t_s[-1]
        assert tracing.settings["amplitude"] == "100 mA"
        assert tracing.settings["load"] in ("500 Ω", "2 kΩ", "10 kΩ")


def test_a_pulse_at_three_loads(stage, channel, report):
    made = report(channel(stage()), compliance_v=120)
    ohms = {t.load_ohm: t for t in made.tracings(made.modes[0])[:3]}
    for load_ohm, peak_ma in ((500, 100), (2000, 60), (10_000, 12)):
        tracing = ohms[load_ohm]
        assert tracing.ma.max() == pytest.approx(peak_ma)
        assert tracing.ma.min() == pytest.approx(-peak_ma)
        assert (tracing.low_ma, tracing.high_ma) == (-peak_ma, peak_ma)
        assert integral_uc(tracing) == pytest.approx(0, abs=1e-9)
        # on a grid of which 300 µs are whole frames: levels and nothing between
        assert integral_uc(tracing, np.abs) == pytest.approx(2 * 0.3 * peak_ma)
        assert len({*tracing.ma.round(6)}) == 3
    assert ohms[500].limit_ma is None
    assert ohms[2000].limit_ma == 60
    assert "limited" in ohms[2000].description


def test_a_train_shows_three_events_at_full_level(stage, channel, report):
    made = report(channel(stage(envelope=nw.Envelope(ramp_up_s=2), phase_deg=270)))
    train = made.tracings(made.modes[0])[-1]
    rises = train.t_s[1:][np.diff((train.ma > 50).astype(int)) == 1]
    assert np.diff(rises) == pytest.approx([1 / 35] * 2, abs=3e-5)
    assert integral_uc(train, np.abs) == pytest.approx(3 * 60, rel=1e-6)


def test_a_train_that_is_too_slow_for_a_picture(stage, channel, report):
    made = report(channel(stage(rate_hz=0.1, on=nw.DutyCycle(on_s=60))))
    train = made.tracings(made.modes[0])[-1]
    assert train.title == "train of pulses, the first 10 s"
    assert 10 <= train.t_s[-1] <= 13


def test_dense_tracings_keep_their_extremes(stage, channel, report):
    many = stage(nw.Burst(carrier_hz=5000, cycles=1000), rate_hz=4)
    made = report(channel(many))
    burst = made.tracings(made.modes[0])[3]
    assert len(burst.ma) < 7000
    assert np.all(np.diff(burst.t_s) >= 0)
    assert burst.ma.max() == pytest.approx(100, rel=0.01)
    assert burst.ma.min() == pytest.approx(-100, rel=0.01)


def test_events_that_touch_on_the_outputs_grid_only(stage, channel, report):
    # 75 µs are three frames at 40 kHz; on another grid these would share frames
    event = nw.Pulse(phase_width_us=75, balanced=False)
    doublets = stage(event, n_let=2, n_let_interval_ms=0.075, rate_hz=50)
    output = nw.Output(sample_rate_hz=40_000, full_scale_ma=100, coupling="dc")
    made = report(channel(doublets), output=output)
    group = made.tracings(made.modes[0])[3]
    assert integral_uc(group) == pytest.approx(15)


# -- the unit ----------------------------------------------------------------------


def unit(report):
    return {row.name: row for row in report.unit}


def test_what_no_software_can_tell_is_blank(stage, channel, report):
    rows = unit(report(channel(stage())))
    assert len(rows) == 26
    assert next(iter(rows)) == "510(k) number"
    for name in ("Manufacturer", "Weight", "Automatic overload trip"):
        assert rows[name].entries[0].text == "to be stated by the manufacturer"
        assert rows[name].source == ""
    assert rows["Number of output modes"].entries[0].text == "1"
    assert rows["Number of output channels"].source == "software"


@pytest.mark.parametrize(
    ("starts", "words"),
    [((0, 0), "synchronous"), ((0, 10), "alternating"), ((0, 5), "overlapping")],
)
def test_synchronous_or_alternating(stage, channel, report, starts, words):
    both = [
        channel(stage(), name=f"{i}", start_s=start_s)
        for i, start_s in enumerate(starts)
    ]
    found = unit(report(*both))["– synchronous or alternating"].entries[0].text
    assert found.startswith(words)
    alone = unit(report(both[0]))["– synchronous or alternating"]
    assert alone.entries[0].text == "one channel"


def test_a_device_file_fills_the_blanks(stage, channel, report, tmp_path):
    file = tmp_path / "device.toml"
    file.write_text(
        'format = 1\nname = "Bench <1>"\nleakage_normal_ua = 120\n'
        'patient_override = "red button"\n',
        encoding="utf-8",
    )
    rows = unit(report(channel(stage()), device=Device.load(file)))
    assert rows["Device name and model"].entries[0].text == "Bench <1>"
    assert rows["Device name and model"].source == "manufacturer"
    leakage = rows["– leakage current, normal condition"]
    assert leakage.entries[0].value == 120
    assert leakage.note == "Note 2: at most 100 µA. It is NOT."
    override = rows["Patient override control"]
    assert [e.label for e in override.entries] == ["software", "device"]
    assert override.source == "software and manufacturer"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('format = 1\nwieght = "1 kg"\n', "did you mean weight"),
        ("format = 1\nleakage_normal_ua = -1\n", "at least 0"),
        ('weight = "1 kg"\n', "begin with\\s+format = 1"),
        ("format = 1\nweight = 1\n", "must be text"),
    ],
)
def test_a_device_file_that_is_wrong(tmp_path, text, words):
    file = tmp_path / "device.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises((nw.SpecError, nw.FormatError), match=words):
        Device.load(file)
