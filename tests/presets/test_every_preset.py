"""Every file that is shipped: sources, grids, limits and the published arithmetic."""

from __future__ import annotations

import math
import re
import tomllib
from fractions import Fraction
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

import nmes_wave as nw
from nmes_wave import presets
from nmes_wave.errors import PresetError
from nmes_wave.presets import Preset, SourcedRange, SourcedValue
from nmes_wave.presets.values import in_words
from nmes_wave.presets.vocabulary import FIELDS

NAMES = presets.names()
STUDIES = [n for n in NAMES if presets.load(n).kind == "study"]
BUILT = [n for n in STUDIES if presets.load(n).status != "entry"]
WAVEFORMS = [n for n in NAMES if presets.load(n).kind == "waveform"]
#: What a user might give where a waveform leaves it open.
GIVEN = {
    "rate_hz": 10,
    "phase_width_us": 200,
    "on_s": 5,
    "off_s": 5,
    "contractions": 6,
}


def raw(file: str) -> dict[str, Any]:
    path = files("nmes_wave.presets").joinpath("data", f"{file}.toml")
    return tomllib.loads(path.read_text(encoding="utf-8"))


def variants(name: str, amplitude_ma: float = 20.0) -> list[nw.StimProtocol]:
    """Return the protocols of a preset: one, or one for each phase."""
    preset = presets.load(name)
    given = {p.field: GIVEN[p.field] for p in preset.parameters}
    phases = [phase.name for phase in preset.phases] or [None]
    return [
        preset.protocol(amplitude_ma, accept_assumptions=True, phase=phase, **given)
        for phase in phases
    ]


# ---- sources -----------------------------------------------------------------


def test_names_are_those_of_the_files() -> None:
    data = files("nmes_wave.presets").joinpath("data")
    shipped = {f.name.removesuffix(".toml") for f in data.iterdir()}
    assert {*NAMES} == shipped - {"references", "assumptions", "studies", "policy"}
    by_status = [presets.names(s) for s in ("complete", "partial", "entry")]
    assert sorted(n for some in by_status for n in some) == [*NAMES]


@pytest.mark.parametrize("name", NAMES)
def test_every_value_is_sourced_or_assumed_with_a_reason(name: str) -> None:
    preset = presets.load(name)
    reasons = {row.field: row.reason for row in presets.assumptions()}
    for value in preset.values:
        if value.kind == "assumed":
            assert value.source == value.quote == ""
            assert len(value.note) > 40, value.field
            assert value.field in reasons
        else:
            check_sourced(preset, value)
    for row in preset.ranges:
        check_sourced(preset, row)


def check_sourced(preset: Preset, value: SourcedValue | SourcedRange) -> None:
    assert value.citation in {citation.key for citation in preset.citations}
    assert "," in value.source, f"{value.field}: a key without a place"
    assert value.quote or value.kind == "derived", value.field
    assert len(value.quote) < 300, value.field
    # The digits stand in the quote, or the note says how they come from it: a slip
    # in typing either shows.
    words = f"{value.quote} {value.note}"
    for number in (getattr(value, "value", None), value.low, value.high):
        if isinstance(number, float | int) and not isinstance(number, bool):
            assert is_told(number, words), f"{value.field}: {number:g} in {words!r}"


def is_told(number: float, words: str) -> bool:
    """Whether a number stands in a text, in digits or spelled."""
    spelled = {1: "one|once|single", 2: "two|twice", 3: "three", 4: "four"}
    spelled |= {5: "five", 6: "six", 7: "daily|every day", 10: "ten", 15: "fifteen"}
    plain = words.replace("2.5 kHz", "2500").replace(",", "")
    for digits in {f"{number:.4g}", f"{number:.6g}"}:
        if re.search(rf"(?<![\d.]){re.escape(digits)}(?!\d)", plain):
            return True
    return number in spelled and bool(re.search(rf"\b({spelled[number]})", plain, re.I))


def test_the_search_for_a_number_finds_and_misses() -> None:
    assert is_told(50.0, "F: 50 Hz")
    assert is_told(6, "six pulses")
    assert not is_told(50.0, "F: 150 Hz, 500 µs, 0.50")
    assert not is_told(5, "F: 50 Hz")
    assert not is_told(1, "none of them, alone")


@pytest.mark.parametrize("name", [n for n in NAMES if n not in WAVEFORMS])
def test_every_field_of_the_vocabulary_is_accounted_for(name: str) -> None:
    preset = presets.load(name)
    waveform = preset.value("waveform")
    told = {v.field for v in preset.values} | {n.field for n in preset.not_found}
    if preset.kind == "range" or "everything_else" in told:
        assert preset.status == "entry"
        return
    told |= {FIELDS[field].instead_of for field in told}
    expected = {
        field
        for field, row in FIELDS.items()
        if not row.optional
        and (row.applies(str(waveform.value)) if waveform else not row.waveforms)
    }
    assert expected <= told


def test_the_documentation_has_the_table_of_defaults() -> None:
    page = Path(__file__).parents[2].joinpath("docs", "presets.md").read_text("utf-8")
    table = page.split("| field | assumed |")[1].split("\n\n")[0]
    printed = re.findall(r"^\| `(\w+)` \| ([^|]+) \|", table, re.M)
    rows = [(row.field, in_words(row.value)) for row in presets.assumptions()]
    assert sorted(printed) == sorted(rows)


def test_every_reference_is_cited() -> None:
    cited = {c.key for name in NAMES for c in presets.load(name).citations}
    for study in presets.studies():
        cited |= {*study.citations}
        cited |= {remark.source.partition(",")[0] for remark in study.also}
    assert raw("references").keys() - cited == set()


@pytest.mark.parametrize("name", NAMES)
def test_every_file_has_words_for_a_reader(name: str) -> None:
    preset = presets.load(name)
    for text in (preset.title, preset.population, preset.muscle):
        assert text == text.strip() != ""
    assert preset.citations
    assert all(o.quote and o.what for o in preset.omitted)
    for citation in preset.citations:
        entry = presets.bibtex(citation)
        assert entry.count("{") == entry.count("}")
        assert f"{{{citation.key}," in entry


# ---- grids and limits --------------------------------------------------------


@pytest.mark.parametrize("sample_rate_hz", [44_100, 48_000, 96_000, 192_000])
@pytest.mark.parametrize("name", [*BUILT, *WAVEFORMS])
def test_it_compiles(name: str, sample_rate_hz: int) -> None:
    output = nw.Output(sample_rate_hz=sample_rate_hz, full_scale_ma=25)
    for protocol in variants(name):
        plan = nw.build_plan(protocol, output)
        assert plan.n_channels == len(presets.load(name).channels)
        assert plan.n_pulses == sum(c.n_pulses for c in protocol.channels)
        assert plan.duration_s == pytest.approx(protocol.duration_s, abs=0.1)


@pytest.mark.parametrize("name", [*BUILT, *WAVEFORMS])
def test_it_keeps_the_default_limits_at_20_ma_on_each_channel(name: str) -> None:
    for protocol in variants(name):
        report = nw.check(protocol)
        assert report.passed, str(report)
        assert {f.value for f in report.findings if f.rule == "amplitude_ma"} == {20}
        assert {f.value for f in report.findings if f.rule == "net_dc_ua"} == {0}


@pytest.mark.parametrize("name", BUILT)
def test_a_partial_preset_is_never_built_unasked(name: str) -> None:
    preset = presets.load(name)
    if preset.status == "complete":
        preset.protocol(20)
        return
    with pytest.raises(PresetError, match="no source gives") as caught:
        preset.protocol(20)
    for protocol in variants(name):
        for value in preset.assumptions:
            assert str(value) in str(caught.value)
            assert str(value) in protocol.description
        for omission in preset.omitted:
            assert omission.what in protocol.description


@pytest.mark.parametrize("name", [n for n in NAMES if n not in (*BUILT, *WAVEFORMS)])
def test_an_entry_is_never_built(name: str) -> None:
    for accept in (False, True):
        with pytest.raises(PresetError, match=f"{name} is (an entry|a range), not a"):
            presets.load(name).protocol(20, accept_assumptions=accept)


# ---- arithmetic --------------------------------------------------------------


def published(name: str, channel: int, phase: str) -> dict[str, Any]:
    """Return the numbers for one channel as the file has them, without the loader."""
    data = raw(name)
    tables = [data.get("values", {})]
    groups = [group for group in data.get("groups", []) for _ in group["channels"]]
    if groups:
        tables.append(groups[channel].get("values", {}))
    tables += [
        p.get("values", {}) for p in data.get("phases", []) if p["name"] == phase
    ]
    return {field: row["value"] for table in tables for field, row in table.items()}


CHANNELS = [
    (name, i, phase)
    for name in BUILT
    for i in range(len(presets.load(name).channels))
    for phase in [p.name for p in presets.load(name).phases] or [""]
]


@pytest.mark.parametrize(("name", "channel", "phase"), CHANNELS)
def test_timeline_is_the_published_arithmetic(
    name: str, channel: int, phase: str
) -> None:
    given = published(name, channel, phase)
    protocol = presets.load(name).protocol(
        20, accept_assumptions=True, phase=phase or None
    )
    (stage,) = protocol.channels[channel].stages
    on, off = (Fraction(str(given[field])) for field in ("on_s", "off_s"))
    assert (stage.exact_on_period_s, stage.exact_period_s) == (on, on + off)
    length = given.get("main_stage_min", given.get("session_min"))
    repeats = given.get("contractions")
    if repeats is None and length is not None:
        repeats = math.floor(60 * Fraction(str(length)) / (on + off))
    if repeats is None:
        (assumed,) = (
            v for v in presets.load(name).assumptions if v.field == "contractions"
        )
        repeats = assumed.value
    assert stage.duty_cycle.repeats == repeats
    assert protocol.channels[channel].exact_end_s == repeats * (on + off)
    if length is not None:  # the session holds them all, and no other one would fit
        spare = 60 * Fraction(str(length)) - repeats * (on + off)
        assert 0 <= spare < on + off, f"{float(spare)} s of the session are left"
    n_events = math.ceil(Fraction(str(given["rate_hz"])) * on - Fraction(1, 10**6))
    assert protocol.channels[channel].n_pulses == repeats * n_events


@pytest.mark.parametrize(
    ("name", "on_periods", "session_s"),
    [("tka-stevens-lapsley-2012", 15, 900), ("acl-lieber-1996", 60, 1800)],
)
def test_the_two_that_are_told_outright(
    name: str, on_periods: int, session_s: int
) -> None:
    (channel,) = presets.load(name).protocol(20).channels
    assert channel.stages[0].duty_cycle.repeats == on_periods
    assert channel.exact_end_s == session_s
