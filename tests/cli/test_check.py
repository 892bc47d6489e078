"""``check``: the report, and the exit code that a script looks at."""

from __future__ import annotations

import dataclasses
import json

import pytest

import nmes_wave as nw

PRESET = "tka-stevens-lapsley-2012"


@pytest.mark.parametrize(
    ("amplitude_ma", "code", "verdict"), [(40, 0, "PASS"), (85, 0, "CAUTION"),
                                          (101, 1, "FAIL")]
)  # fmt: skip
def test_the_exit_code_is_the_verdict(cli, amplitude_ma, code, verdict):
    result = cli("check", PRESET, "--amplitude-ma", amplitude_ma)
    assert (result.code, result.err) == (code, "")
    (line,) = (x for x in result.out.splitlines() if " amplitude_ma  " in x)
    assert line.startswith(verdict)
    assert f" {amplitude_ma} " in line


def test_the_report_has_all_nine_rules(cli):
    out = cli("check", PRESET, "--amplitude-ma", 40).out
    for field in dataclasses.fields(nw.Limits):
        assert f" {field.name.removeprefix('max_')} " in out


def test_the_report_as_json(cli):
    result = cli("check", PRESET, "--amplitude-ma", 101, "--json")
    assert result.code == 1
    report = json.loads(result.out)
    assert report["passed"] is False
    (failed,) = (f for f in report["findings"] if f["verdict"] == "FAIL")
    assert (failed["rule"], failed["value"], failed["limit"]) == (
        "amplitude_ma", 101, 100
    )  # fmt: skip


def test_a_named_set_of_limits(cli):
    over = ("check", PRESET, "--amplitude-ma", 101, "--limits")
    assert cli(*over, "default").code == 1
    result = cli(*over, "unlimited")
    assert result.code == 0
    assert result.out.count("no limit set") == 9


def test_the_sum_over_channels_of_a_file(cli, protocol, tmp_path):
    # Four channels of 60 mA at the same instant are more than 200 mA.
    channel = protocol.channels[0]
    channels = [dataclasses.replace(channel, name=f"{i}") for i in range(4)]
    dataclasses.replace(protocol, channels=tuple(channels)).save(tmp_path / "a.toml")
    assert cli("check", "a.toml", "--amplitude-ma", 50).code == 0
    result = cli("check", "a.toml", "--amplitude-ma", 60)
    assert result.code == 1
    (line,) = (x for x in result.out.splitlines() if x.startswith("FAIL"))
    assert "total_current_ma" in line
    assert " 240 " in line


def test_a_name_cannot_write_to_the_terminal(cli, protocol, tmp_path):
    channel = dataclasses.replace(protocol.channels[0], name="\x1b]0;x\x07")
    dataclasses.replace(protocol, channels=(channel,)).save(tmp_path / "a.toml")
    for command in ("check", "show"):
        out = cli(command, "a.toml").out
        assert out.replace("\n", "").isprintable()
