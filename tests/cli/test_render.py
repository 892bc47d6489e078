"""``render``, ``plot`` and ``check``: what the options do."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest
import soundfile

import nmes_wave as nw

PRESET = "tka-stevens-lapsley-2012"


def test_render_writes_the_plans_samples(cli, tmp_path):
    result = cli(
        "render", PRESET, "-o", "a.wav", "--amplitude-ma", 40, "--contractions", 2,
        "--dtype", "int16", "--sample-rate-hz", 8000, "--full-scale-ma", 60,
        "--edges", "snap",
    )  # fmt: skip
    assert result.code == 0, result.err
    protocol = nw.presets.load(PRESET).protocol(amplitude_ma=40, contractions=2)
    output = nw.Output(
        sample_rate_hz=8000, full_scale_ma=60, dtype="int16", edges="snap"
    )
    codes, rate = soundfile.read("a.wav", dtype="int16", always_2d=True)
    assert rate == 8000
    assert np.array_equal(codes, nw.build_plan(protocol, output).render())
    assert [p.name for p in tmp_path.iterdir()] == ["a.wav"]


def test_render_tells_what_it_wrote(cli):
    out = cli("render", PRESET, "-o", "a.flac", "--amplitude-ma", 40).out
    facts = dict(line.strip().split("  ", 1) for line in out.splitlines())
    facts = {name: value.strip() for name, value in facts.items()}
    assert facts["file"] == "a.flac"
    assert facts["frames"] == "43,200,000 of 1 channel"
    assert facts["duration"] == "15 min 0 s at 48000 Hz"
    assert facts["pulses"] == "11,250"
    assert facts["format"] == "FLAC, int24"
    # 1.25 × 40 mA: 1.9 dB of headroom
    assert facts["full scale"].startswith("50 mA, 1.25 × the highest amplitude")


def test_render_as_json(cli):
    arguments = ("-o", "a.npy", "--amplitude-ma", 40, "--contractions", 1, "--json")
    data = json.loads(cli("render", PRESET, *arguments).out)
    assert data["full_scale_ma"] == 50
    assert data["full_scale_chosen"] is True
    assert data["cautions"] == []
    assert np.load("a.npy").shape == (data["frames"], data["channels"])


def test_what_a_format_writes_beside_the_file_comes_along(cli, tmp_path):
    cli("render", PRESET, "-o", "a.raw", "--amplitude-ma", 40, "--contractions", 1)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.raw", "a.raw.json"]


def test_a_caution_about_the_output_is_told(cli):
    arguments = ["-o", "a.wav", "--amplitude-ma", 40, "--contractions", 1]
    result = cli("render", PRESET, *arguments, "--full-scale-ma", 41)
    assert result.code == 0
    assert result.err.startswith("caution: amplitude_ma: 0.21 dB below full scale")


def test_options_of_a_protocol_file(cli, protocol_file):
    arguments = ["--amplitude-ma", 5, "--contractions", 3]
    result = cli("render", protocol_file, "-o", "a.npy", *arguments, "--json")
    facts = json.loads(result.out)
    assert facts["duration_s"] == 1.5
    peaks = np.abs(np.load("a.npy")).max(axis=0) / 8388607 * facts["full_scale_ma"]
    assert peaks == pytest.approx([5, 2.5], abs=1e-5)  # 20 and 10 mA in the file


def test_a_full_scale_for_each_channel(cli, protocol_file):
    scales = ["--full-scale-ma", 40, "--full-scale-ma", 20]
    cli("render", protocol_file, "-o", "a.npy", *scales)
    peaks = np.abs(np.load("a.npy")).max(axis=0) / 8388607
    assert peaks == pytest.approx([0.5, 0.5], abs=1e-6)


def test_plot_writes_a_picture_and_tells_where(cli, tmp_path):
    arguments = ("-o", "a.svg", "--amplitude-ma", 40)
    result = cli("plot", PRESET, *arguments)
    assert result.code == 0
    assert "a.svg" in result.out
    assert "<svg" in (tmp_path / "a.svg").read_text()


def test_plot_of_letters_that_the_font_has_not(cli, protocol, tmp_path):
    import dataclasses

    dataclasses.replace(protocol, name="大腿四頭筋").save(tmp_path / "a.toml")
    result = cli("plot", "a.toml", "-o", "a.png")
    assert (result.code, result.err) == (0, "")


def test_what_is_no_regular_file_is_left_alone(cli, protocol_file, tmp_path):
    pipe = tmp_path / "pipe.wav"
    os.mkfifo(pipe)
    result = cli("render", protocol_file, "-o", pipe)
    assert (result.code, result.out) == (2, "")
    assert "is no regular file" in result.err
    assert pipe.is_fifo()


def test_a_link_stays_and_its_file_is_replaced(cli, protocol_file, tmp_path):
    (tmp_path / "real.wav").write_bytes(b"old")
    link = tmp_path / "link.wav"
    link.symlink_to("real.wav")
    assert cli("render", protocol_file, "-o", link).code == 0
    assert link.is_symlink()
    assert (tmp_path / "real.wav").read_bytes()[:4] == b"RIFF"
