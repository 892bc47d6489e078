"""A defect that was put into a recording is found, named, and nothing else."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from verification.recordings import (
    LEAD,
    RATE_HZ,
    moved,
    noisy,
    part_of,
    plan_of,
    played,
    stage,
    strong,
    wider,
)

import nmes_wave as nw

TWO = plan_of(stage(), stage(rate_hz=33.0, amplitude_ma=30.0))
WHOLE = played(TWO)
FRAME_US = 1e6 / RATE_HZ
# a smaller example says no more, and each takes a part of a second
PHASES = [Phase.explicit, Phase.reuse, Phase.generate]

#: Name, how one event is changed, the name of what is found.
DEFECTS = {
    "removed": (lambda wave: 0 * wave, "missing"),
    "inverted": (lambda wave: -wave, "inverted"),
    "weaker": (lambda wave: 0.98 * wave, "amplitude"),
    "doubled": (lambda wave: 2 * wave, "amplitude"),
    "late": (lambda wave: moved(wave, 1), "time"),
    "early": (lambda wave: moved(wave, -1), "time"),
    "wider": (lambda wave: wider(wave, 2), "width"),
}


@settings(max_examples=14, deadline=None, phases=PHASES)
@given(
    name=st.sampled_from(sorted(DEFECTS)),
    channel=st.integers(0, 1),
    number=st.integers(0, 10**6),
    db=st.sampled_from([None, 50.0]),
    seed=st.integers(0, 2**32 - 1),
)
def test_one_defect_is_the_one_that_is_named(name, channel, number, db, seed):
    change, expected = DEFECTS[name]
    rows = strong(TWO, channel)
    row = rows[number % len(rows)]
    samples = WHOLE.copy()
    wave = part_of(samples, row)
    wave[:] = change(wave.copy())
    found = nw.verify(TWO, samples if db is None else noisy(samples, db, seed), RATE_HZ)
    faulty = found.pulses[found.pulses["fault"] != ""]
    assert faulty["fault"].tolist() == [expected]
    for field in ("channel", "stage", "on_period", "index"):
        assert faulty[field][0] == row[field]
    assert len(found.missing) == (name == "removed")
    assert len(found.extra) == 0
    assert len(found.failures) == 1
    assert not found.passed
    assert f"channel {channel}" in found.failures[0]
    if expected == "time":
        late_us = FRAME_US if name == "late" else -FRAME_US
        assert faulty["time_error_us"][0] == pytest.approx(late_us, abs=1.0)
    if name == "weaker":
        assert faulty["amplitude_error"][0] == pytest.approx(-0.02, abs=0.003)


@settings(max_examples=6, deadline=None, phases=PHASES)
@given(
    number=st.integers(0, 10**6),
    late_ms=st.floats(2, 12),
    part=st.floats(0.2, 1.0),
    seed=st.integers(0, 2**32 - 1),
)
def test_an_extra_pulse_is_found_where_it_is(number, late_ms, part, seed):
    rows = strong(TWO)
    row = rows[number % (len(rows) - 1)]
    samples = WHOLE.copy()
    wave = part * part_of(samples, row)
    begin = LEAD - 4 + int(row["frame"]) + round(late_ms * RATE_HZ / 1000)
    samples[begin : begin + len(wave), 0] += wave
    found = nw.verify(TWO, noisy(samples, 40, seed), RATE_HZ)
    assert len(found.extra) == 1
    extra = found.extra[0]
    assert extra["channel"] == 0
    assert extra["time_s"] == pytest.approx((begin + 4) / RATE_HZ, abs=2e-4)
    assert extra["amplitude_ma"] == pytest.approx(40 * part, rel=0.25)
    assert (found.pulses["fault"] == "").all()
    assert "1 extra" in found.failures[0]


def test_a_click_of_one_frame_is_extra():
    samples = WHOLE.copy()
    samples[LEAD + 58_000, 1] += 0.2
    found = nw.verify(TWO, samples, RATE_HZ)
    assert len(found.extra) == 1
    assert found.extra["time_s"][0] == pytest.approx(1.234, abs=0.003)


def test_swapped_channels_are_named():
    found = nw.verify(TWO, noisy(WHOLE[:, ::-1], 40, seed=1), RATE_HZ)
    assert len(found.failures) == 2
    assert found.failures[0].startswith(
        "channels are swapped: column 0 of the recording carries channel 1 of the plan"
    )
    assert [one.column for one in found.channels] == [1, 0]
    assert len(found.missing) == 0


def test_a_dead_channel_is_named():
    samples = WHOLE.copy()
    samples[:, 1] = 0.0
    found = nw.verify(TWO, noisy(samples, 40, seed=1), RATE_HZ)
    expected = len(TWO.pulses()[TWO.pulses()["channel"] == 1]) - 2
    assert len(found.failures) == 1
    assert f"none of its {expected} events is in the recording" in found.failures[0]
    assert (len(found.missing), set(found.missing["channel"])) == (expected, {1})


@pytest.mark.parametrize("frames", [1, -1, 64, 512, -512, 4096, -4096])
def test_a_lost_block_is_one_sentence(frames):
    plan = plan_of(stage(repeats=3), stage(rate_hz=33.0, repeats=3))
    samples = played(plan)
    at = LEAD + round(2.013 * RATE_HZ)
    if frames > 0:
        samples = np.insert(samples, [at] * frames, 0.0, axis=0)
    else:
        samples = np.delete(samples, np.s_[at : at - frames], axis=0)
    found = nw.verify(plan, noisy(samples, 50, seed=2), RATE_HZ)
    assert len(found.jumps) == 1
    assert found.jumps[0].frames == pytest.approx(frames, abs=0.05)
    assert found.jumps[0].time_s == pytest.approx(at / RATE_HZ, abs=0.02 + 0.09)
    noun = "frame" if abs(frames) == 1 else "frames"
    how = "late" if frames > 0 else "early"
    assert f"s of the recording on, {abs(frames)} {noun}" in found.failures[0]
    assert how in found.failures[0]
    assert found.latency_s == pytest.approx(LEAD / RATE_HZ, abs=1e-6)
    # only what the lost frames held is missing
    rows = plan.pulses()
    lost = (rows["frame"] > at - LEAD - 30) & (rows["frame"] < at - LEAD - frames)
    assert len(found.missing) <= lost.sum()
    assert len(found.extra) == 0


def test_nothing_of_the_plan():
    noise = np.random.default_rng(1).standard_normal((100_000, 2)) * 0.01
    for samples in (noise, np.zeros((100_000, 2)), np.zeros((0, 2))):
        found = nw.verify(TWO, samples, RATE_HZ)
        assert len(found.failures) == 1
        assert found.failures[0].startswith("nothing of the plan was found in ")
        assert len(found.missing) == len(found.pulses)


def test_the_gain_counts_where_it_is_calibrated():
    assert nw.verify(TWO, 0.9 * WHOLE, RATE_HZ).passed
    found = nw.verify(TWO, 0.9 * WHOLE, RATE_HZ, ma_per_unit=100.0)
    assert len(found.failures) == 2
    assert "the gain is 0.9000 mA/mA, off by -10.00 %" in found.failures[0]
    found = nw.verify(TWO, 0.9 * WHOLE, RATE_HZ, ma_per_unit=(100 / 0.9, 200 / 0.9))
    assert len(found.failures) == 1
    assert [one.gain for one in found.channels] == pytest.approx([1.0, 2.0])
    assert found.gain == pytest.approx(1.5)


def test_a_tolerance_decides():
    samples = WHOLE.copy()
    part_of(samples, strong(TWO)[7])[:] *= 0.98
    assert not nw.verify(TWO, samples, RATE_HZ).passed
    loose = nw.Tolerance(amplitude_percent=3.0, charge_percent=3.0)
    assert nw.verify(TWO, samples, RATE_HZ, tolerance=loose).passed


def test_the_result_as_text_and_json():
    samples = WHOLE.copy()
    part_of(samples, strong(TWO)[7])[:] = 0
    found = nw.verify(TWO, samples, RATE_HZ)
    text = str(found)
    assert text.startswith("verified: failed, ")
    assert "1 event missing" in text
    data = json.loads(found.to_json())
    assert data == found.to_dict()
    assert (data["passed"], data["n_missing"], len(data["faulty"])) == (False, 1, 1)
    assert data["faulty"][0]["fault"] == "missing"
    assert data["faulty"][0]["amplitude_error"] is None


@pytest.mark.parametrize(
    ("samples", "changes", "match"),
    [
        (WHOLE[:, :1], {}, r"recording = .*\(frames, 2\)"),
        (WHOLE.astype(complex), {}, "must hold integers or floats"),
        (WHOLE * np.nan, {}, "not a finite number at frame 0"),
        (WHOLE, {"sample_rate_hz": 0}, "sample_rate_hz = 0"),
        (WHOLE, {"ma_per_unit": -1.0}, "ma_per_unit = -1.0: must be one number above"),
        (WHOLE, {"tolerance": 3}, "must be a Tolerance"),
    ],
)
def test_what_cannot_be_verified(samples, changes, match):
    arguments = {"sample_rate_hz": RATE_HZ, **changes}
    with pytest.raises(nw.SpecError, match=match):
        nw.verify(TWO, samples, **arguments)
