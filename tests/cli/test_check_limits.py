"""``check --limits``: the named sets, and what is information only."""

from __future__ import annotations

import json

import pytest

import nmes_wave as nw

PRESET = "tka-stevens-lapsley-2012"


@pytest.mark.parametrize("name", nw.Limits.names())
def test_every_set_can_be_named(cli, name):
    result = cli("check", PRESET, "--amplitude-ma", 40, "--limits", name)
    assert (result.code, result.err) == (0, "")


def test_an_unknown_set_is_one_line_that_names_the_nearest(cli):
    result = cli("check", PRESET, "--amplitude-ma", 40, "--limits", "implnt")
    assert (result.code, result.out) == (2, "")
    (line,) = result.err.splitlines()
    assert "'implnt': is no set of limits; did you mean implant?" in line


def test_the_report_names_the_sources_of_the_set(cli):
    arguments = ("check", PRESET, "--amplitude-ma", 40, "--limits")
    assert "RehaStim2 manual 2.5c, p. 9" in cli(*arguments, "certified-device").out
    assert "Sit & Sarpeshkar 2007" in cli(*arguments, "implant").out


def test_shannons_k_is_the_last_line_and_in_the_json(cli):
    arguments = ("check", PRESET, "--amplitude-ma", 40)
    *_, last = cli(*arguments).out.splitlines()
    assert last.startswith("shannon_k on quadriceps: ")
    assert "does not apply to skin" in last
    report = json.loads(cli(*arguments, "--json").out)
    (k,) = (f for f in report["findings"] if f["rule"] == "shannon_k")
    assert (k["limit"], k["verdict"]) == (None, "NOT_EVALUATED")


@pytest.mark.parametrize("suffix", [".csv", ".pwl", ".vcd"])
def test_render_writes_exports(cli, tmp_path, suffix):
    path = f"a{suffix}"
    arguments = ("--amplitude-ma", 40, "--contractions", 1, "--sample-rate-hz", 8000)
    result = cli("render", PRESET, "-o", path, *arguments)
    assert result.code == 0, result.err
    beside = set() if suffix == ".vcd" else {f"{path}.json"}
    assert {p.name for p in tmp_path.iterdir()} == {path} | beside


def test_the_area_of_the_electrodes_can_be_given(cli):
    densities = {}
    for area in ("10", "20"):
        given = (PRESET, "--amplitude-ma", 40, "--electrode-cm2", area, "--json")
        found = json.loads(cli("check", *given).out)["findings"]
        (densities[area],) = (
            f["value"] for f in found if f["rule"] == "rms_density_ma_cm2"
        )
    assert densities["10"] == pytest.approx(2 * densities["20"])
    refused = cli("check", PRESET, "--amplitude-ma", 40, "--electrode-cm2", "0")
    assert (refused.code, refused.out) == (2, "")
    assert "greater than 0" in refused.err
