"""``spec``: the report of a preset or a protocol file."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

import nmes_wave as nw

PRESET = "tka-stevens-lapsley-2012"
VOLTS = ("--compliance-v", 150)


@pytest.fixture
def data(cli):
    """Make a report as JSON; returns what is in the file."""

    def make(*arguments):
        result = cli("spec", *arguments, *VOLTS, "-o", "a.json")
        assert result.code == 0, result.err
        return json.loads(Path("a.json").read_text("utf-8"))

    return make


def rows(report, mode=0):
    found = report["modes"][mode]["specification"]
    return {row["number"]: {e["label"]: e for e in row["entries"]} for row in found}


def test_a_page_and_where_it_is(cli, tmp_path):
    result = cli("spec", PRESET, "--amplitude-ma", 40, *VOLTS, "-o", "a.html")
    assert (result.code, result.err) == (0, "")
    assert "a.html" in result.out
    assert "not a measurement, not a submission" in result.out
    assert [p.name for p in tmp_path.iterdir()] == ["a.html"]
    page = (tmp_path / "a.html").read_text("utf-8")
    assert f"nmes-wave spec {PRESET} -o FILE.html --compliance-v 150" in page


def test_markdown_brings_its_pictures(cli, tmp_path):
    result = cli("spec", PRESET, "--amplitude-ma", 40, *VOLTS, "-o", "a.md")
    assert result.code == 0, result.err
    names = sorted(p.name for p in tmp_path.iterdir())
    assert names == ["a-mode-1-1.svg", "a-mode-1-2.svg", "a-mode-1-3.svg",
                     "a-mode-1-4.svg", "a.md"]  # fmt: skip


@pytest.mark.parametrize("name", ["a\nb.md", "a\udcff.md", "a\nb\udcff.html"])
def test_names_of_files_that_are_no_text(cli, tmp_path, name):
    result = cli("spec", PRESET, "--amplitude-ma", 40, *VOLTS, "-o", name)
    assert (result.code, result.err) == (0, "")
    assert (tmp_path / name).read_text("utf-8")
    first, *_ = result.out.splitlines()
    assert first.endswith(Path(name).suffix)  # on one line


def test_the_report_as_json_is_what_the_program_makes(data):
    found = data(PRESET, "--amplitude-ma", 40, "--date", "2026-01-31")
    assert found["header"]["Date"] == "2026-01-31"
    assert rows(found)[10][""]["value"] == pytest.approx(10)
    protocol = nw.presets.load(PRESET).protocol(amplitude_ma=40)
    rms_ma = nw.check(protocol).findings
    (expected,) = (f.value for f in rms_ma if f.rule == "rms_ma")
    assert rows(found)[11]["r.m.s. current"]["value"] == pytest.approx(expected)


def test_options_of_the_device(data, tmp_path):
    (tmp_path / "d.toml").write_text('format = 1\nweight = "300 g"\n', "utf-8")
    found = data(
        PRESET, "--amplitude-ma", 40, "--electrode-cm2", 10, "--tolerance-percent", 5,
        "--device", "d.toml",
    )  # fmt: skip
    assert found["modes"][0]["electrode_area_cm2"] == 10
    assert rows(found)[3]["@ 500 Ω"]["text"] == "20 V ± 5 %"
    (weight,) = (row for row in found["unit"] if row["name"] == "Weight")
    assert weight["entries"][0]["text"] == "300 g"
    command = found["header"]["Command"]
    assert "--electrode-cm2 10 --tolerance-percent 5 --device d.toml" in command


def test_the_same_command_writes_the_same_bytes(cli, tmp_path, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    for name in ("a.html", "b.html"):
        cli("spec", PRESET, "--amplitude-ma", 40, *VOLTS, "-o", name)
    page = (tmp_path / "a.html").read_bytes()
    assert page == (tmp_path / "b.html").read_bytes()
    assert b"2023-11-14" in page


def test_without_electrodes_it_says_what_is_missing(cli, protocol_file):
    result = cli("spec", protocol_file, *VOLTS, "-o", "a.json", "--json")
    assert result.code == 0
    assert "densities are not evaluated; --electrode-cm2" in result.err
    facts = json.loads(result.out)
    assert facts["without_electrodes"] == ["channel 0", "channel 1"]
    assert len(facts["modes"]) == 2


def test_monophasic_pulses_need_a_coupling(cli, protocol, tmp_path):
    stage = protocol.channels[0].stages[0]
    event = dataclasses.replace(stage.event, balanced=False)
    protocol.with_stages(lambda s: dataclasses.replace(s, event=event)).save("a.toml")
    arguments = ("spec", "a.toml", *VOLTS, "-o", "a.json", "--limits", "unlimited")
    result = cli(*arguments)
    assert result.code == 2
    assert "monophasic" in result.err
    assert cli(*arguments, "--coupling", "dc").code == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-o", "a.html"], "--compliance-v"),
        ([*VOLTS], "--output"),
        ([*VOLTS, "-o", "a.pdf"], "unknown suffix .pdf; a report is .html"),
        ([*VOLTS, "-o", "no/a.html"], "there is no folder"),
        (["--compliance-v", 0, "-o", "a.html"], "must be at least 0.001"),
        (["--compliance-v", "1e308", "-o", "a.html"], "at most 1e+06 V"),
        (["--compliance-v", "1e-320", "-o", "a.html"], "must be at least 0.001"),
        (["--compliance-v", "nan", "-o", "a.html"], "must be finite"),
        ([*VOLTS, "-o", "a.html", "--electrode-cm2", -1], "area_cm2"),
        ([*VOLTS, "-o", "a.html", "--tolerance-percent", -1], "at least 0"),
        ([*VOLTS, "-o", "a.html", "--date", "today"], "must be a day"),
        ([*VOLTS, "-o", "a.html", "--coupling", "wet"], "must be one of 'ac', 'dc'"),
        ([*VOLTS, "-o", "a.html", "--device", "none.toml"], "none.toml"),
        ([*VOLTS, "-o", "a.html", "--device", "bad.toml"], "did you mean weight"),
    ],
)
def test_bad_input_is_one_line(cli, tmp_path, arguments, words):
    (tmp_path / "bad.toml").write_text('format = 1\nwieght = "x"\n', "utf-8")
    result = cli("spec", PRESET, "--amplitude-ma", 40, *arguments)
    assert result.code == 2
    assert words in result.err
    assert len(result.err.splitlines()) == 1
    assert not [p for p in tmp_path.iterdir() if p.name != "bad.toml"]


def test_over_the_limits(cli, tmp_path):
    result = cli("spec", PRESET, "--amplitude-ma", 101, *VOLTS, "-o", "a.html")
    assert result.code == 1
    assert "over the limits" in result.err
    assert not [*tmp_path.iterdir()]


def test_a_bad_epoch_is_told(cli, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "soon")
    result = cli("spec", PRESET, "--amplitude-ma", 40, *VOLTS, "-o", "a.json")
    assert result.code == 2
    assert "SOURCE_DATE_EPOCH" in result.err


def test_a_folder_that_cannot_be_written(cli, tmp_path):
    folder = tmp_path / "b.html"
    folder.mkdir()
    result = cli("spec", PRESET, "--amplitude-ma", 40, *VOLTS, "-o", "b.html")
    assert result.code == 2
    assert "is a folder" in result.err
