"""``--calibration``: the full scale of a file, for the device that it is of."""

from __future__ import annotations

import datetime
import json
from pathlib import Path

import numpy as np
import pytest

import nmes_wave as nw
import nmes_wave.sinks
from nmes_wave.sinks.audio import AudioDevice

NAMED = AudioDevice(2, "USB (hw:1,0)", "ALSA", 4, 48000.0, 0.01, True, True)


@pytest.fixture(autouse=True)
def file(tmp_path):
    """A calibration of two channels, in the current folder."""
    nw.Calibration(
        full_scale_ma=(40.0, 25.0),
        load_ohm=1000,
        device="dac",
        date=datetime.date(2026, 5, 1),
        sample_rate_hz=48000,
    ).save(tmp_path / "cal.toml")
    return tmp_path / "cal.toml"


@pytest.fixture
def dac(monkeypatch):
    """A hardware sink by the name of "dac", into memory."""

    class Dac(nw.MemorySink):
        hardware = True

    sink = Dac()

    def open_sink(name, *, device=None, shared=False):
        return sink

    # the session first: it takes the name over when it is imported
    monkeypatch.setattr("nmes_wave.session.open_sink", open_sink)
    monkeypatch.setattr(nmes_wave.sinks, "open_sink", open_sink)
    return sink


def expected(protocol, **changed):
    output = nw.Output(
        **{"sample_rate_hz": 48000, "full_scale_ma": (40, 25), **changed}
    )
    return nw.build_plan(protocol, output).render()


def test_run_drives_with_the_files_full_scale(cli, protocol, protocol_file, dac):
    arguments = ("--sink", "dac", "--intensity", 1, "--calibration", "cal.toml")
    result = cli("run", protocol_file, *arguments, "--log", "log.tsv", "--note", "me")
    assert result.code == 0, result.err
    assert np.array_equal(dac.codes(), expected(protocol))
    assert result.err == (
        "calibration of 2026-05-01: dac, full scale 40, 25 mA into 1000 Ω\n"
    )
    note = json.loads(Path("log.json").read_text("utf-8"))["nmes_wave"]["note"]
    assert note == "me; calibration cal.toml of 2026-05-01"


def test_render_takes_it_without_hardware(cli, protocol, protocol_file):
    arguments = ("-o", "a.npy", "--calibration", "cal.toml", "--json")
    result = cli("render", protocol_file, *arguments)
    assert result.code == 0, result.err
    assert np.array_equal(np.load("a.npy"), expected(protocol))
    assert json.loads(result.out)["full_scale_chosen"] is False


def test_another_rate_is_a_caution(cli, protocol_file):
    arguments = ("-o", "a.npy", "--calibration", "cal.toml")
    result = cli("render", protocol_file, *arguments, "--sample-rate-hz", 96000)
    assert result.code == 0
    assert "caution: it was measured at 48000 Hz, this is 96000 Hz" in result.err


@pytest.mark.parametrize("command", ["run", "render"])
def test_both_scales_are_refused(cli, protocol_file, command):
    to = ("-o", "a.npy") if command == "render" else ("--sink", "null")
    scale = ("--full-scale-ma", 30, "--calibration", "cal.toml")
    result = cli(command, protocol_file, *to, *scale)
    assert (result.code, result.out) == (2, "")
    assert "--calibration and --full-scale-ma: give one of them" in result.err


def test_other_channels_are_refused(cli, protocol_file, file):
    file.write_text(file.read_text("utf-8").replace("25.0", "25.0, 9.0"), "utf-8")
    result = cli("render", protocol_file, "-o", "a.npy", "--calibration", "cal.toml")
    assert (result.code, result.out) == (2, "")
    assert "cal.toml: calibrates 3 channels, the protocol has 2 channels" in result.err


def test_another_device_is_never_driven(cli, protocol_file, dac, file):
    file.write_text(file.read_text("utf-8").replace("dac", "old dac"), "utf-8")
    arguments = ("--sink", "dac", "--intensity", 1, "--calibration", "cal.toml")
    result = cli("run", protocol_file, *arguments)
    assert (result.code, result.out) == (2, "")
    assert "was measured on 'old dac', this is 'dac': calibrate this" in result.err
    assert not dac.n_frames


def test_the_audio_device_is_known_by_name_and_api(cli, protocol_file, monkeypatch):
    monkeypatch.setattr("nmes_wave.sinks.audio.devices", lambda: [NAMED])
    result = cli("run", protocol_file, "--calibration", "cal.toml")
    assert (result.code, result.out) == (2, "")
    assert "this is 'USB (hw:1,0) (ALSA)'" in result.err


def test_a_wrong_file_is_one_line_with_its_name(cli, protocol_file, file):
    file.write_text(file.read_text("utf-8").replace("load_ohm", "ohm"), "utf-8")
    result = cli("render", protocol_file, "-o", "a.npy", "--calibration", "cal.toml")
    assert (result.code, result.out) == (2, "")
    (line,) = result.err.splitlines()
    assert line.startswith("nmes-wave: cal.toml: ohm: unknown key; did you mean")
