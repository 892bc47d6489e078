"""``verify``: a loopback held against its plan, and the calibration it measures."""

from __future__ import annotations

import datetime
import json

import numpy as np
import pytest
import soundfile
from cli.loopbacks import DEVICE, SimulatedLoopback

import nmes_wave as nw

SCALE = ("--full-scale-ma", 30)
SENSE = ("--sense-ohm", 100, "--input-v-per-unit", 5.0)


@pytest.fixture
def loopback(monkeypatch):
    """Put a cable between output and input; returns the class to change it."""

    class Cabled(SimulatedLoopback):
        pass

    monkeypatch.setattr("nmes_wave.sinks.loopback.LoopbackSink", Cabled)
    monkeypatch.setattr("nmes_wave.sinks.audio.devices", lambda: [DEVICE])
    return Cabled


def data(result):
    return json.loads(result.out)


def test_a_cable_passes_and_its_round_trip_is_exact(cli, protocol_file, loopback):
    result = cli("verify", protocol_file, *SCALE, "--json")
    assert (result.code, result.err) == (0, "")
    found = data(result)
    assert found["passed"] is True
    assert found["round_trip_frames"] == pytest.approx(
        SimulatedLoopback.delay, abs=0.01
    )
    assert found["round_trip_ms"] == pytest.approx(700 / 48, abs=1e-3)
    assert found["verification"]["gain"] == pytest.approx(1, abs=1e-5)
    assert found["verification"]["polarity"] == 1
    assert found["output_device"] == DEVICE.full_name


def test_the_report_for_people(cli, protocol_file, loopback):
    result = cli("verify", protocol_file, *SCALE)
    assert result.code == 0
    assert "round trip  700.00 frames, 14.583 ms (the driver says 10 ms)" in result.out
    assert "FAIL" not in result.out


def test_the_gain_is_that_of_what_was_delivered(cli, protocol_file, loopback):
    loopback.cable = staticmethod(lambda played: 0.25 * played)
    half = cli("verify", protocol_file, *SCALE, "--intensity", 0.5, "--json")
    assert half.code == 0
    assert data(half)["verification"]["gain"] == pytest.approx(0.25, rel=1e-4)


@pytest.mark.parametrize(
    ("matrix", "word"),
    [(np.diag([1, -1]), "channel 1"), (np.diag([0, 1]), "channel 0")],
    ids=["inverted", "missing"],
)
def test_a_channel_that_is_wrong_fails(cli, protocol_file, loopback, matrix, word):
    loopback.cable = staticmethod(lambda played: played @ matrix)
    result = cli("verify", protocol_file, *SCALE, "--json")
    assert (result.code, result.err) == (1, "")
    assert data(result)["passed"] is False
    assert any(word in line for line in data(result)["failures"])


def test_an_input_at_its_end_fails(cli, protocol_file, loopback):
    # every pulse of 20 mA is a flat top: only its level tells
    loopback.cable = staticmethod(lambda played: np.clip(2 * played, -1, 1))
    result = cli("verify", protocol_file, *SCALE)
    assert result.code == 1
    assert "FAIL  channel 0: the input is at its full scale, where it" in result.out
    assert "channel 1: the input is at" not in result.out


def test_a_round_trip_that_outlasts_the_recording_fails(cli, protocol_file, loopback):
    loopback.delay = 48_000
    result = cli("verify", protocol_file, *SCALE)
    assert result.code == 1
    assert "events came after the recording's end" in result.out


def test_a_device_that_goes_away_is_exit_code_3(cli, protocol_file, loopback):
    loopback.breaks_at = 10_000
    result = cli("verify", protocol_file, *SCALE)
    assert (result.code, result.out) == (3, "")
    assert DEVICE.full_name in result.err


def calibrate(cli, protocol_file, *more):
    write = ("--write-calibration", "a.toml", "--load-ohm", 1000)
    return cli("verify", protocol_file, *SCALE, *SENSE, *write, *more)


def drives(loopback, *full_scale_ma):
    """What a device does that drives so much, heard by an input with 5 V at 100 Ω."""
    per_unit = np.array(full_scale_ma) / 50
    loopback.cable = staticmethod(lambda played: played * per_unit)


def test_it_measures_the_full_scale(cli, protocol_file, loopback):
    drives(loopback, 37, 36)
    result = calibrate(cli, protocol_file, "--note", "knob at 3", "--intensity", 0.9)
    assert result.code == 0, result.out
    made = nw.Calibration.load("a.toml")
    assert made.full_scale_ma == pytest.approx((37, 36), rel=1e-4)
    assert made.device == DEVICE.full_name
    assert made.date == datetime.datetime.now().astimezone().date()
    assert (made.sense_ohm, made.input_v_per_unit, made.load_ohm) == (100, 5, 1000)
    assert (made.sample_rate_hz, made.note) == (48000, "knob at 3")


def test_what_was_measured_holds_in_milliamperes(cli, protocol_file, loopback):
    drives(loopback, 37, 36)
    # what the user had assumed does not
    assert cli("verify", protocol_file, *SCALE, *SENSE).code == 1
    assert calibrate(cli, protocol_file).code == 0
    again = cli("verify", protocol_file, "--calibration", "a.toml", *SENSE, "--json")
    assert again.code == 0
    assert "USB Audio (hw:1,0) (ALSA), full scale 37, 36 mA into 1000 Ω" in again.err
    assert data(again)["verification"]["gain"] == pytest.approx(1, abs=1e-4)


def test_nothing_is_written_when_it_fails(cli, protocol_file, loopback, tmp_path):
    loopback.cable = staticmethod(lambda played: -played)
    result = calibrate(cli, protocol_file)
    assert result.code == 1
    assert "calibration  not written: it failed" in result.out
    assert not (tmp_path / "a.toml").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "an audio output needs --full-scale-ma (or --calibration)"),
        ([*SCALE, "--intensity", 0], "--intensity 0: must be above 0, at most 1"),
        ([*SCALE, "--sense-ohm", 10], "a current needs both"),
        ([*SCALE, "--sense-ohm", -1, "--input-v-per-unit", 1], "--sense-ohm -1: must"),
        ([*SCALE, "--write-calibration", "a.toml"], "needs --sense-ohm"),
        ([*SCALE, *SENSE, "--load-ohm", 1000], "--load-ohm goes into the calibration"),
        ([*SCALE, "--note", "x"], "--note goes into the calibration"),
        (
            [*SCALE, *SENSE, "--write-calibration", "a.toml", "--load-ohm", 99],
            "--load-ohm 99: is the whole load, at least --sense-ohm 100",
        ),
        (
            [*SCALE, *SENSE, "--write-calibration", "no/a.toml", "--load-ohm", 100],
            "there is no folder no",
        ),
        ([*SCALE, "--recording", "a.wav", "--shared"], "--recording plays nothing"),
        ([*SCALE, "--calibration", "a.toml"], "give one of them"),
        (["--calibration", "a.toml"], "a.toml: No such file"),
        ([*SCALE, "--input-channel", 0, "--input-channel", 0], "different inputs"),
        ([*SCALE, "--input-channel", -1], "whole numbers from 0"),
    ],
)
def test_what_cannot_be_is_one_line(cli, protocol_file, loopback, arguments, words):
    result = cli("verify", protocol_file, *arguments)
    assert (result.code, result.out) == (2, "")
    (line,) = result.err.splitlines()
    assert words in line


@pytest.mark.parametrize("name", ["a.wav", "a.rf64", "a.flac", "a.npy"])
@pytest.mark.parametrize("dtype", ["int16", "int24"])
def test_a_recording_is_held_against_the_plan(cli, protocol_file, name, dtype):
    cli("render", protocol_file, "-o", name, "--dtype", dtype, "--full-scale-ma", 50)
    # the file tells its own calibration; the plan's may be another
    result = cli("verify", protocol_file, "--recording", name, *SCALE, "--json")
    assert (result.code, result.err) == (0, "")
    assert data(result)["failures"] == []
    assert data(result)["verification"]["latency_s"] == pytest.approx(0, abs=1e-6)
    assert data(result)["verification"]["gain"] == pytest.approx(1, abs=1e-4)


def test_half_a_recording_is_not_the_protocol(cli, protocol_file):
    assert cli("render", protocol_file, "-o", "a.wav").code == 0
    samples, rate = soundfile.read("a.wav", dtype="int32", always_2d=True)
    soundfile.write("half.wav", samples[: len(samples) // 2], rate, "PCM_24")
    result = cli("verify", protocol_file, "--recording", "half.wav", "--json")
    assert result.code == 1
    (line,) = json.loads(result.out)["failures"]
    assert "events are outside the recording" in line


def test_a_recording_that_clips_is_told(cli, protocol_file):
    assert cli("render", protocol_file, "-o", "a.wav").code == 0
    samples, rate = soundfile.read("a.wav", dtype="float64", always_2d=True)
    soundfile.write("hot.wav", np.clip(4 * samples, -1, 1), rate, "PCM_16")
    result = cli("verify", protocol_file, "--recording", "hot.wav", "--json")
    assert result.code == 1
    assert "where it clips" in json.loads(result.out)["failures"][-1]


def test_a_recording_of_other_currents_fails(cli, protocol_file):
    cli("render", protocol_file, "-o", "a.wav")
    result = cli("verify", protocol_file, "--recording", "a.wav", "--amplitude-ma", 10)
    assert (result.code, result.err) == (1, "")
    assert "failed" in result.out
    assert "gain" in result.out


def test_the_units_of_a_foreign_recording_are_given(cli, protocol_file, protocol):
    plan = nw.build_plan(protocol, nw.Output(sample_rate_hz=48000, full_scale_ma=30))
    soundfile.write("foreign.wav", plan.to_ma(plan.render()) / 50, 48000, "FLOAT")
    arguments = ("verify", protocol_file, "--recording", "foreign.wav", *SCALE)
    result = cli(*arguments, *SENSE, "--json")
    assert result.code == 0
    assert data(result)["verification"]["gain"] == pytest.approx(1, abs=1e-5)
    # and nobody can judge a gain without them
    result = cli(*arguments, "--json")
    assert result.code == 0
    assert data(result)["verification"]["gain"] == pytest.approx(0.6, abs=1e-5)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("none.wav", None, "none.wav: there is no such file"),
        ("a.wav", b"", "a.wav: no recording that can be read"),
        ("a.wav", b"RIFF" + bytes(99), "a.wav: no recording that can be read"),
        ("a.npy", b"x", "a.npy: no array that can be read"),
        ("a.txt", b"hello", "WAV, RF64, FLAC and NPY can"),
    ],
)
def test_a_file_that_is_no_recording(
    cli, protocol_file, tmp_path, name, content, words
):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    result = cli("verify", protocol_file, "--recording", name)
    assert (result.code, result.out) == (2, "")
    (line,) = result.err.splitlines()
    assert words in line
