"""``cite`` and ``indications``, and presets that need more words than a name."""

from __future__ import annotations

import json
import re

import pytest

import nmes_wave as nw

PRESET = "tka-stevens-lapsley-2012"


# -- cite -----------------------------------------------------------------------


def test_cite_prints_references_and_bibtex(cli):
    result = cli("cite", PRESET)
    assert (result.code, result.err) == (0, "")
    references, entries = result.out.split("\n\n", 1)
    citations = nw.presets.load(PRESET).citations
    assert references.splitlines() == [str(citation) for citation in citations]
    assert re.findall(r"^@\w+\{([^,]+),$", entries, re.M) == [c.key for c in citations]


def test_cite_bibtex_alone_can_be_a_bib_file(cli):
    out = cli("cite", PRESET, "--bibtex").out
    assert out.startswith("@article{stevens-lapsley-2012,\n")
    assert "  author = {Jennifer E. Stevens-Lapsley and Jaclyn E. Balter and " in out
    assert "  volume = {92},\n  pages = {210--226},\n" in out
    # whatever is not part of an entry is a comment
    outside = re.sub(r"^@\w+\{.*?^\}$", "", out, flags=re.M | re.S)
    assert all(x.startswith("% not found: ") for x in outside.split("\n") if x)


def test_cite_as_json(cli):
    rows = json.loads(cli("cite", PRESET, "--json").out)
    assert rows[0]["doi"] == "10.2522/ptj.20110124"
    assert rows[0]["bibtex"].startswith("@article{stevens-lapsley-2012,")


def citation(**changes):
    fields = dict.fromkeys(("title", "year", "journal", "pages", "doi", "url"), "x")
    return nw.presets.Citation(**{"key": "k", "authors": "A B", **fields, **changes})


@pytest.mark.parametrize(
    ("changes", "lines"),
    [
        ({"authors": "A B, C D"}, ["author = {A B and C D}"]),
        ({"authors": "Lieber et al."}, ["author = {Lieber and others}"]),
        ({"authors": "A B, C D, et al."}, ["author = {A B and C D and others}"]),
        ({"authors": "U of C, Denver", "corporate": True}, ["{{U of C, Denver}}"]),
        ({"pages": "14(1):131-8"}, ["volume = {14}", "number = {1}", "{131--8}"]),
        ({"pages": "NCT00800254"}, ["pages = {NCT00800254}"]),
        ({"title": "A & B_1: 50 %"}, [r"title = {{A \& B\_1: 50 \%}}"]),
        ({"entry": "misc", "journal": "R"}, ["@misc{k,", "howpublished = {R}"]),
    ],
)
def test_bibtex_of(changes, lines):
    entry = nw.presets.bibtex(citation(**changes))
    for line in lines:
        assert line in entry


def test_bibtex_leaves_out_what_was_not_found_and_says_so():
    entry = nw.presets.bibtex(citation(authors="not found", doi="not found"))
    assert entry.startswith("% not found: authors, doi\n@article{k,")
    assert "author =" not in entry
    assert "doi =" not in entry


def test_cite_an_unknown_preset(cli):
    result = cli("cite", "tka-stevens-lapsey-2012")
    assert result.code == 2
    assert f"did you mean {PRESET}" in result.err


# -- indications ----------------------------------------------------------------


def test_indications_prints_the_policy_in_its_words(cli):
    result = cli("indications")
    assert (result.code, result.err) == (0, "")
    words = " ".join(result.out.split())
    policy = nw.presets.policy()
    for clause in policy.clauses:
        assert clause.quote in words
    for code in policy.codes:
        assert code.code in words
    for name in policy.presets:
        assert f"{name}: " in words


def test_indications_of_a_preset_are_for_and_against(cli):
    preset = nw.presets.load(PRESET)
    words = " ".join(cli("indications", PRESET).out.split())
    assert preset.indications
    assert preset.exclusions
    for touch in (*preset.indications, *preset.exclusions):
        assert str(touch) in words
    assert words.index("indications") < words.index("exclusions")
    assert "it decides nothing" in words
    none = cli("indications", "wave-russian").out
    assert none.count("none of them is touched") == 2


def test_indications_as_json(cli):
    data = json.loads(cli("indications", "--json").out)
    keys = [clause["key"] for clause in data["clauses"]]
    assert {"A1", "A2", "B", "C1", "C2", "C3"} <= {*keys}
    one = json.loads(cli("indications", PRESET, "--json").out)
    assert {t["clause"]["key"] for t in one["indications"]} <= {*keys}


# -- parameters, phases and ranges from the command line ------------------------

RUSSIAN = ("--set", "on_s=10", "--set", "off_s=50", "--set", "contractions=12")


def test_a_waveform_is_checked_with_what_is_given(cli):
    result = cli("check", "wave-russian", "--accept-assumptions", *RUSSIAN, "--json")
    assert result.code == 0
    assert "40 mA, an example" in result.err
    assert json.loads(result.out)["passed"]


def test_a_waveform_says_what_to_give(cli):
    result = cli("check", "wave-russian", "--accept-assumptions", *RUSSIAN[2:])
    assert result.code == 2
    assert "yours to give: on_s=…" in result.err


@pytest.mark.parametrize(("phase", "on_s"), [(0, 2), (-1, 10)])
def test_a_phase_is_chosen_by_name(cli, phase, on_s):
    name = "copd-maddocks-2016"
    chosen = nw.presets.load(name).phases[phase].name
    result = cli(
        "check", name, "--accept-assumptions", "--amplitude-ma", 20, "--json",
        "--set", f"phase={chosen}", "--ranges", "acl-nussbaum-2017",
    )  # fmt: skip
    rows = json.loads(result.out)["findings"]
    assert {r["value"] for r in rows if r["rule"] == "range_on_s"} == {on_s}


def test_outside_a_published_range_is_a_caution_and_no_failure(cli):
    result = cli(
        "check", "acl-lieber-1996", "--amplitude-ma", 20,
        "--ranges", "acl-nussbaum-2017",
    )  # fmt: skip
    assert result.code == 0
    (line,) = (x for x in result.out.splitlines() if "range_contractions  " in x)
    assert line.startswith("CAUTION")
    wrong = cli("check", PRESET, "--ranges", PRESET)
    assert wrong.code == 2
    assert "has no ranges" in wrong.err


def test_a_set_value_is_used(cli, tmp_path):
    result = cli(
        "render", PRESET, "--contractions", 1, "--set", "on_s=6", "--set",
        "electrode_size_cm=[5, 5]", "--set", "ramp_shape=cosine", "-o", "a.npy",
    )  # fmt: skip
    assert result.code == 0
    import numpy as np

    assert len(np.load(tmp_path / "a.npy")) == pytest.approx(51 * 48_000, abs=48)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("on_s", "--set on_s: must be FIELD=VALUE"),
        ("on=5", "on cannot be overridden: did you mean on_s"),
        ("on_s=five", "on_s = 'five': must be a number"),
        ("amplitude_ma=5", "give --amplitude-ma instead"),
        ("accept_assumptions=true", "give --accept-assumptions instead"),
        ("phase=first", "no phase 'first'; it has no phases"),
    ],
)
def test_a_set_that_cannot_be(cli, text, words):
    result = cli("check", PRESET, "--set", text)
    assert result.code == 2
    assert words in result.err


def test_set_is_not_for_files(cli, protocol_file):
    result = cli("check", protocol_file, "--set", "on_s=5")
    assert result.code == 2
    assert "--set is for presets" in result.err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--set", "on_s=5", "--set", "on_s=6"], "--set on_s: given twice"),
        (["--set", "on_s=5", "--set", " on_s =5"], "--set on_s: given twice"),
        (
            ["--set", "contractions=3", "--contractions", 4],
            "--contractions and --set contractions: give one of them",
        ),
    ],
)
def test_a_field_given_twice_is_refused(cli, options, words):
    result = cli("check", PRESET, *options)
    assert result.code == 2
    assert words in result.err
