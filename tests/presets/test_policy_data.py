"""The policy and the studies that it names: every word, tie and refusal."""

from __future__ import annotations

import copy
import dataclasses
import itertools
import re
import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from nmes_wave import presets
from nmes_wave.errors import PresetError, SpecError
from nmes_wave.presets.policy import Policy, read_policy
from nmes_wave.presets.studies import Study, read_studies

EVIDENCE = Path(__file__).parent / "evidence"

#: Those that the catalogue must have, and how many people each had.
STUDIES = {
    "monaghan-2010": None,
    "stevens-lapsley-2012": 66,
    "gatewood-2017": None,
    "toth-2020": 21,
    "lin-2011": 46,
    "malhotra-2013": 90,
    "aha-asa-2016": None,
    "maddocks-2013": 218,
    "pan-2014": 156,
    "mcalindon-2014": None,
    "patsaki-2017": 128,
    "silva-2019": 60,
    "delanois-2019": 52,
    "garment-e0731": None,
    "stimulator-e0745": None,
    "e-vive": None,
}


def plain(text: str) -> str:
    """Undo the breaking of lines, and nothing else."""
    return re.sub(r"\s+", " ", re.sub(r"-\n\s*", "-", text)).strip()


def raw(file: str) -> dict[str, Any]:
    path = files("nmes_wave.presets").joinpath("data", f"{file}.toml")
    return tomllib.loads(path.read_text(encoding="utf-8"))


POLICY_TEXT = plain((EVIDENCE / "policy.txt").read_text(encoding="utf-8"))
ABSTRACTS = {
    key: plain(table["text"])
    for key, table in tomllib.loads(
        (EVIDENCE / "abstracts.toml").read_text(encoding="utf-8")
    ).items()
}
NAMES = presets.names()
KEYS = list(raw("references"))


@pytest.fixture(scope="module")
def policy() -> Policy:
    return presets.policy()


def study(name: str) -> Study:
    return next(study for study in presets.studies() if study.name == name)


# ---- every word --------------------------------------------------------------


def test_the_policy_is_quoted_word_for_word(policy: Policy) -> None:
    quotes = [policy.scope, policy.disclaimer]
    quotes += [code.quote for code in policy.codes]
    quotes += [words for c in policy.clauses for words in (c.quote, c.see)]
    assert [quote for quote in quotes if quote not in POLICY_TEXT] == []


@pytest.mark.parametrize("name", STUDIES)
def test_a_study_is_quoted_word_for_word(name: str) -> None:
    entry = study(name)
    found = entry.evidence
    quotes = [("policy", words) for words in (entry.quote, *entry.conclusions)]
    quotes += [(found.source, outcome.quote) for outcome in found.outcomes]
    quotes += [(found.source, words) for words in found.limitations]
    quotes += [(remark.source, remark.quote) for remark in entry.also]
    for source, quote in quotes:
        key = source.partition(",")[0]
        assert quote in (POLICY_TEXT if key == "policy" else ABSTRACTS[key])


# ---- the policy --------------------------------------------------------------


def test_the_clauses_are_those_of_the_policy(policy: Policy) -> None:
    def keys(clauses: Any) -> list[str]:
        return [clause.key for clause in clauses]

    assert keys(policy.indications) == ["A", "A1", "A2", "B", "C", "C1", "C2", "C3"]
    assert keys(policy.exclusions) == ["N", "N1", "N2", "N3", "N4"]
    assert keys(policy.borders) == ["FES", "TENS", "PENS"]
    assert [code.code for code in policy.codes] == ["E0731", "E0745", "All diagnoses"]
    shown = {policy.condition, *policy.indications, *policy.exclusions, *policy.borders}
    assert shown == {*policy.clauses}


@pytest.mark.parametrize("parent", ["A", "C", "N"])
def test_clauses_stand_in_the_policys_order(policy: Policy, parent: str) -> None:
    members = [c for c in policy.clauses if parent in (c.key, c.under)]
    places = [POLICY_TEXT.index(clause.quote) for clause in members]
    assert places == sorted(places)
    assert [c.key for c in members] == sorted(c.key for c in members)
    assert {c.under for c in members} == {"", parent}


def test_the_policy_is_told_whole(policy: Policy) -> None:
    text = str(policy)
    assert all(clause.quote in text for clause in policy.clauses)
    assert all(code.quote in text for code in policy.codes)
    assert policy.disclaimer in text
    assert "DME.00022" in text


def test_an_unknown_clause_says_the_nearest(policy: Policy) -> None:
    assert policy.clause("A1").under == "A"
    with pytest.raises(PresetError, match="no clause 'FSE': did you mean FES"):
        policy.clause("FSE")


# ---- what a preset touches ---------------------------------------------------


def test_every_preset_stands_in_a_setting(policy: Policy) -> None:
    assert policy.presets == NAMES


def test_the_words_of_a_population_stand_in_its_preset(policy: Policy) -> None:
    missing = set()
    for name in policy.presets:
        preset = presets.load(name)
        values = [f"{value} {value.quote}" for value in preset.values]
        text = " ".join([preset.title, preset.population, *values]).lower()
        for touch in itertools.chain(*policy.touched(name)):
            if touch.population.lower() not in text:
                missing.add((name, touch.population))
    assert missing == set()


def test_both_sides_are_told_where_both_are_touched(policy: Policy) -> None:
    pro, contra = policy.touched("tka-stevens-lapsley-2012")
    assert [touch.key for touch in pro] == ["A", "A1", "A2"]
    assert [touch.key for touch in contra] == ["N1"]
    assert "Prevention of muscle atrophy" in contra[0].clause.quote
    for touch in (*pro, *contra):
        assert touch.preset == "tka-stevens-lapsley-2012"
        assert touch.quote in touch.clause.quote
        assert touch.quote in str(touch)
        assert touch.note in str(touch)


@pytest.mark.parametrize(
    ("prefix", "pro", "contra"),
    [
        ("acl-", {"A1", "A2"}, {"N1"}),
        ("tka-", set(), set()),
        ("icu-", {"B"}, {"N1"}),
        ("copd-", {"B"}, {"N"}),
        ("stroke-", {"B"}, {"condition", "FES"}),
        ("healthy-", set(), {"condition", "N"}),
    ],
)
def test_a_population_touches_its_clauses(
    policy: Policy, prefix: str, pro: set[str], contra: set[str]
) -> None:
    members = [name for name in policy.presets if name.startswith(prefix)]
    assert members
    for name in members:
        found_pro, found_contra = policy.touched(name)
        assert pro <= {touch.key for touch in found_pro}, name
        assert contra <= {touch.key for touch in found_contra}, name
        assert found_contra, name


def test_a_waveform_and_a_stranger_touch_nothing(policy: Policy) -> None:
    for name in policy.presets:
        assert any(policy.touched(name)) != name.startswith("wave"), name
    assert policy.touched("no-such-preset") == ((), ())


def test_touches_stand_in_the_policys_order(policy: Policy) -> None:
    order = [clause.key for clause in policy.clauses]
    for name in policy.presets:
        for side in policy.touched(name):
            places = [order.index(touch.key) for touch in side]
            assert places == sorted(places), name


def test_a_preset_tells_what_the_policy_tells(policy: Policy) -> None:
    for name in NAMES:
        preset = presets.load(name)
        assert (preset.indications, preset.exclusions) == policy.touched(name)


# ---- the studies -------------------------------------------------------------


def test_every_study_and_device_that_the_policy_names_is_there() -> None:
    found = {study.name: study.evidence.subjects for study in presets.studies()}
    assert found == STUDIES
    devices = [study.name for study in presets.studies() if study.kind == "device"]
    assert devices == ["garment-e0731", "stimulator-e0745", "e-vive"]


@pytest.mark.parametrize("name", [name for name, n in STUDIES.items() if n])
def test_the_number_of_subjects_stands_in_the_words(name: str) -> None:
    entry = study(name)
    words = [entry.quote, *entry.evidence.limitations]
    words += [remark.note for remark in entry.also]
    numbers = re.findall(r"(?<![\d.])\d+(?![\d.]*\d)", " ".join(words))
    assert str(STUDIES[name]) in numbers


def test_null_results_are_told_as_plainly_as_the_others() -> None:
    results = {
        study.name: [outcome.result for outcome in study.evidence.outcomes]
        for study in presets.studies()
    }
    assert results["pan-2014"] == ["no difference"]
    assert results["monaghan-2010"] == ["no difference", "difference", "no difference"]
    assert results["toth-2020"][-2:] == ["no difference"] * 2
    assert results["patsaki-2017"].count("no difference") == 2
    for entry in presets.studies():
        for outcome in entry.evidence.outcomes:
            null = re.search(
                r"\bno (significant|discernable|differ)|did not differ|\bnot at\b"
                r"|was not (significant|associated)|not significant|were similar",
                outcome.quote,
            )
            assert not (outcome.result == "difference" and null), outcome
            assert outcome.result != "no difference" or null, outcome


def test_a_time_stands_in_the_words_of_its_outcome() -> None:
    for entry in presets.studies():
        for outcome in entry.evidence.outcomes:
            context = outcome.quote + entry.evidence.design
            for number in re.findall(r"[\d.]*\d", outcome.time):
                assert number in context, outcome


@pytest.mark.parametrize("name", STUDIES)
def test_text_tells_all_of_a_study(name: str) -> None:
    entry = study(name)
    text = str(entry)
    found = entry.evidence
    parts = [entry.title, entry.population, entry.quote, entry.note, *entry.presets]
    parts += [*entry.conclusions, *found.limitations]
    parts += [part for o in found.outcomes for part in (o.time, o.result, o.quote)]
    parts += [part for r in entry.also for part in (r.quote, r.source, r.note)]
    for part in parts:
        assert part in text


def test_a_preset_of_a_named_study_finds_what_the_policy_says() -> None:
    for entry in presets.studies():
        trial = entry.kind == "randomized trial"
        for name in entry.presets if trial else ():
            found, expected = presets.load(name).evidence, entry.evidence
            assert found.subjects == expected.subjects, name
            told = {outcome.quote: outcome.result for outcome in expected.outcomes}
            for outcome in found.outcomes:
                assert outcome.quote in str(entry), name
                assert outcome.result == told.get(outcome.quote, outcome.result), name
            nulls = [quote for quote, result in told.items() if result != "difference"]
            assert [quote for quote in nulls if quote not in str(found)] == [], name


def test_what_the_policy_names_and_the_catalogue_has_is_tied() -> None:
    # A preset named after a study of the policy belongs to it.
    for entry in presets.studies():
        same = {name for name in NAMES if name.endswith(f"-{entry.name}")}
        assert same <= {*entry.presets}, entry.name


def test_nothing_can_be_changed(policy: Policy) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError, match="quote"):
        policy.clauses[0].quote = ""  # type: ignore[misc]
    with pytest.raises(dataclasses.FrozenInstanceError, match="title"):
        presets.studies()[0].title = ""  # type: ignore[misc]
    with pytest.raises(dataclasses.FrozenInstanceError, match="note"):
        policy.touched("icu-kho-2015")[0][0].note = ""  # type: ignore[misc]


# ---- what is refused ---------------------------------------------------------


def spoilt(file: str, path: tuple[Any, ...], value: object) -> dict[str, Any]:
    data = copy.deepcopy(raw(file))
    table: Any = data
    for key in path[:-1]:
        table = table[key]
    table[path[-1]] = value
    return data


@pytest.mark.parametrize(
    ("path", "value", "match"),
    [
        (("titel",), "x", "titel: unknown key; did you mean title"),
        (("clauses", 1, "qoute"), "x", r"clauses\[1\].qoute: .*did you mean quote"),
        (("clauses", 1, "kind"), "advice", r"clauses\[1\].kind.*must be one of"),
        (("clauses", 2, "key"), "A", "'A': stands here 2 times, must stand once"),
        (("clauses", 2, "under"), "Z", r"clauses\.A1\.under = 'Z': does not exist"),
        (("codes", 0, "cod"), "x", r"codes\[0\].cod: unknown key"),
        (("source",), "polici, whole", "'polici': does not exist; did you mean policy"),
        (("settings", 0, "presets"), ["acl-leiber-1996"], "mean acl-lieber-1996"),
        (("settings", 0, "presets"), ["x", "x"], "'x': stands here 2 times"),
        (("settings", 0, "touches", 1, "key"), "A9", "'A9': does not exist"),
        (("settings", 0, "touches", 1, "quote"), "repair", None),
        (("settings", 0, "touches", 1, "quote"), "Repair", "must be words of the cl"),
        (("settings", 0, "touches", 1, "open"), "x", "open: unknown key"),
    ],
)
def test_a_wrong_policy_is_refused(
    path: tuple[Any, ...], value: object, match: str | None
) -> None:
    data = spoilt("policy", path, value)
    if match is None:
        read_policy(data, NAMES, KEYS)
        return
    with pytest.raises(SpecError, match=match):
        read_policy(data, NAMES, KEYS)


@pytest.mark.parametrize(
    ("path", "value", "match"),
    [
        (("kidn",), "x", r"lin-2011\.kidn: unknown key; did you mean kind"),
        (("name",), "x", r"lin-2011\.name: unknown key; the heading gives it"),
        (("kind",), "trial", r"lin-2011\.kind.*must be one of"),
        (("evidence", "subjects"), 0, "subjects = 0: must be .*at least 1"),
        (("evidence", "outcomes", 0, "result"), "good", "must be one of 'difference'"),
        (("presets",), ["stroke-lin-2012"], "'stroke-lin-2012': does not exist"),
        (("citations",), ["lin-2001"], "'lin-2001': does not exist; .*lin-2011"),
        (("also", 0, "source"), "lni-2011, abstract", "'lni-2011': does not exist"),
        (("evidence", "source"), "polici, x", "'polici': does not exist"),
        (("quote",), None, r"lin-2011\.quote"),
    ],
)
def test_a_wrong_study_is_refused(
    path: tuple[Any, ...], value: object, match: str
) -> None:
    data = spoilt("studies", ("lin-2011", *path), value)
    with pytest.raises(SpecError, match=match):
        read_studies(data, NAMES, KEYS)


def test_a_study_that_is_no_table_is_refused() -> None:
    with pytest.raises(SpecError, match="must be a table of Study"):
        read_studies({"lin-2011": "x"}, NAMES, KEYS)
