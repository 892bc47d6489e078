"""``measure``: a file's pulses as text and as JSON, and files that are none."""

from __future__ import annotations

import json

import numpy as np
import pytest
import soundfile

PULSES = "12 pulses, rectangular"


@pytest.fixture
def recording(cli, protocol_file):
    """What ``render`` makes of the protocol: 20 and 10 mA."""

    def make(name, *options):
        assert cli("render", protocol_file, "-o", name, *options).code == 0
        return name

    return make


@pytest.mark.parametrize("name", ["a.wav", "a.rf64", "a.flac", "a.npy", "a.raw"])
def test_own_files_tell_milliamperes_without_options(cli, recording, name):
    result = cli("measure", recording(name))
    assert (result.code, result.err) == (0, "")
    assert "2 channels at 48000 Hz: 48 pulses" in result.out
    for words in ("channel 0: 24 pulses, rectangular", "20.000", "40.0000"):
        assert words in result.out
    assert "FS" not in result.out


def test_the_figures_as_json(cli, recording):
    result = cli("measure", recording("a.wav"), "--json")
    found = json.loads(result.out)
    assert (found["file"], found["calibrated"]) == ("a.wav", True)
    first, second = found["channels"]
    assert first["n_pulses"] == second["n_pulses"] == 24
    assert first["amplitude_ma"] == pytest.approx(20, rel=1e-4)
    assert second["charge_per_phase_uc"] == pytest.approx(3, rel=1e-3)
    assert first["on_periods"][0]["on_s"] == pytest.approx(0.3)


def test_one_channel(cli, recording):
    name = recording("a.wav")
    found = json.loads(cli("measure", name, "--channel", 1, "--json").out)
    (channel,) = found["channels"]
    assert channel["amplitude_ma"] == pytest.approx(10, rel=1e-4)
    result = cli("measure", name, "--channel", 2)
    assert (result.code, result.out) == (2, "")
    assert "channel = 2: must be 0 to 1" in result.err


def test_a_foreign_file_is_in_parts_of_full_scale_unless_told(cli, recording):
    samples, rate_hz = soundfile.read(recording("a.wav"), always_2d=True)
    soundfile.write("foreign.wav", samples, rate_hz, "PCM_24")
    result = cli("measure", "foreign.wav")
    assert result.code == 0
    assert "no calibration" in result.out
    assert " FS, first phase positive" in result.out
    assert " 0.8 FS" in result.out  # 20 of 25 mA
    assert "mA" not in result.out
    found = json.loads(cli("measure", "foreign.wav", "--json").out)
    assert found["calibrated"] is False
    result = cli("measure", "foreign.wav", "--ma-per-unit", 25, "--json")
    found = json.loads(result.out)
    assert found["calibrated"] is True
    assert found["channels"][0]["amplitude_ma"] == pytest.approx(20, rel=1e-3)


def test_an_array_without_a_rate(cli, recording):
    np.save("bare.npy", np.load(recording("a.npy")) / 2**23)
    result = cli("measure", "bare.npy")
    assert result.code == 2
    assert "--sample-rate-hz" in result.err
    result = cli("measure", "bare.npy", "--sample-rate-hz", 48000, "--ma-per-unit", 25)
    assert (result.code, result.err) == (0, "")
    assert "24 pulses" in result.out


@pytest.mark.parametrize(
    ("content", "options", "words"),
    [
        (None, (), "no such file"),
        (b"", (), "is empty"),
        (b"not audio" * 50, (), "no recording that can be read"),
        (b"RIFF\xff\xff\xff\xffWAVE", (), "no recording that can be read"),
        (b"x", ("--ma-per-unit", "0"), "must be above 0"),
        (b"x", ("--ma-per-unit", "nan"), "must be above 0"),
    ],
)
def test_bad_input_is_one_line(cli, tmp_path, content, options, words):
    if content is not None:
        (tmp_path / "bad.wav").write_bytes(content)
    result = cli("measure", "bad.wav", *options)
    assert (result.code, result.out) == (2, "")
    assert words in result.err
    assert result.err.count("\n") == 1


def test_silence_is_no_error(cli):
    soundfile.write("silence.wav", np.zeros((48_000, 2)), 48_000)
    result = cli("measure", "silence.wav")
    assert result.code == 0
    assert result.out.count("no pulses") == 2
