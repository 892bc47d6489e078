"""What is shipped, and what a user gets from it: values, status, protocol."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import tomllib
from fractions import Fraction
from importlib.resources import files
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmes_wave import presets
from nmes_wave.errors import PresetError, SpecError
from nmes_wave.presets.vocabulary import EVENTS, FIELDS
from nmes_wave.spec import Pulse, Stage, StimProtocol

TKA = "tka-stevens-lapsley-2012"
ACL = "acl-lieber-1996"
NAMES = (ACL, TKA)


def stage(protocol: StimProtocol) -> Stage:
    (channel,) = protocol.channels
    (only,) = channel.stages
    return only


def raw(file: str) -> dict[str, Any]:
    path = files("nmes_wave.presets").joinpath("data", f"{file}.toml")
    return tomllib.loads(path.read_text(encoding="utf-8"))


# ---- what is shipped ---------------------------------------------------------


def test_every_default_is_for_something_that_a_preset_can_lack() -> None:
    for row in raw("assumptions")["assumptions"]:
        field = FIELDS[row["field"]]
        assert set(row.get("waveforms", EVENTS)) <= set(field.waveforms or EVENTS)


def test_a_population_is_words_in_any_order_and_case() -> None:
    found = presets.names(population="Arthroplasty KNEE")
    assert TKA in found
    assert ACL not in found
    assert set(found) < set(presets.names(population="knee"))
    assert presets.names("complete", "knee arthroplasty") == (TKA,)
    assert presets.names(population="of no such people") == ()
    assert presets.names(population="kne") == ()
    assert ACL in presets.names(population="lieber, anterior")
    with pytest.raises(SpecError, match="population = 5: must be text"):
        presets.names(population=5)  # type: ignore[arg-type]


def test_importing_reads_no_file_and_nothing_heavy() -> None:
    code = (
        "import sys; opened = []\n"
        "sys.addaudithook(lambda e, a: opened.append(str(a[0])) if e == 'open' "
        "else None)\n"
        "import nmes_wave.presets\n"
        "assert not [f for f in opened if f.endswith('.toml')], opened\n"
        "heavy = {'scipy', 'matplotlib', 'sounddevice', 'soundfile', 'typer', 'rich',"
        " 'tomli_w'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
        "nmes_wave.presets.load('acl-lieber-1996')\n"
        "assert [f for f in opened if f.endswith('acl-lieber-1996.toml')]\n"
        "assert not [f for f in opened if 'stevens' in f], 'reads more than it must'\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_preset_is_read_once() -> None:
    assert presets.load(ACL) is presets.load(ACL)


def test_an_unknown_name_says_the_nearest() -> None:
    with pytest.raises(PresetError, match=f"did you mean {TKA}"):
        presets.load("tka-stevens-lapsey-2012")
    with pytest.raises(PresetError, match=f"valid are .*{ACL}.*{TKA}"):
        presets.load("references")


def test_an_unknown_status_says_the_nearest() -> None:
    with pytest.raises(PresetError, match="did you mean complete"):
        presets.names("completed")  # type: ignore[arg-type]


# ---- the two studies ---------------------------------------------------------


def test_stevens_lapsley_as_published() -> None:
    # Conley 2021, Table 5: "50 15/45 3 s up MT 250 μs Symmetrical biphasic
    # 7.6 × 12.7 cm"; abstract: "for 15 contractions".
    protocol = presets.load(TKA).protocol(amplitude_ma=40.0)
    s = stage(protocol)
    assert isinstance(s.event, Pulse)
    assert (s.event.phase_width_us, s.event.recovery_ratio) == (250, 1)
    assert s.train.rate_hz == 50
    assert (s.duty_cycle.on_s, s.duty_cycle.off_s) == (15, 45)
    assert s.envelope.ramp_up_s == 3
    assert s.amplitude_ma == 40
    assert protocol.channels[0].smallest_area_cm2 == 96.52
    assert len(protocol.channels[0].electrodes) == 2


def test_lieber_as_published() -> None:
    # Conley 2021, Table 5: "50 10/20 2 s up MT unadjusted d 250 μs Asymmetrical
    # balanced", without an electrode.
    protocol = presets.load(ACL).protocol(amplitude_ma=40.0)
    s = stage(protocol)
    assert isinstance(s.event, Pulse)
    assert s.event.phase_width_us == 250
    assert s.event.recovery_ratio > 1
    assert s.event.net_area_us == 0
    assert s.train.rate_hz == 50
    assert (s.duty_cycle.on_s, s.duty_cycle.off_s) == (10, 20)
    assert s.envelope.ramp_up_s == 2
    assert protocol.channels[0].smallest_area_cm2 is None


@pytest.mark.parametrize(
    ("name", "on_periods", "session_s"), [(TKA, 15, 900), (ACL, 60, 1800)]
)
def test_timeline_is_the_published_arithmetic(
    name: str, on_periods: int, session_s: int
) -> None:
    preset = presets.load(name)
    protocol = preset.protocol(amplitude_ma=20.0)
    s = stage(protocol)
    assert s.duty_cycle.repeats == on_periods
    assert protocol.channels[0].exact_end_s == session_s
    session = preset.value("session_min")
    assert session is not None
    assert session.value == session_s / 60
    # 50 Hz over the whole on-time
    assert protocol.channels[0].n_pulses == on_periods * 50 * s.duty_cycle.on_s


@pytest.mark.parametrize("name", NAMES)
def test_what_nobody_printed_is_assumed_and_listed(name: str) -> None:
    preset = presets.load(name)
    assumed = {v.field: v.value for v in preset.assumptions}
    expected = {
        "pulse_duration_meaning": "per phase",
        "interphase_gap_us": 100.0,
        "shape": "rectangular",
        "ramp_down_s": 2.0,
        "ramp_shape": "linear",
        "ramps_count_as_on": True,
    }
    if name == ACL:
        expected["recovery_ratio"] = 4.0
    assert assumed == expected
    text = preset.protocol(amplitude_ma=40.0).description
    for value in preset.assumptions:
        assert str(value) in text


def test_what_a_study_found_is_told_with_its_null_results() -> None:
    acl, tka = presets.load(ACL).evidence, presets.load(TKA).evidence
    assert (acl.subjects, tka.subjects) == (40, 66)
    assert {o.result for o in acl.outcomes} == {"no difference"}
    assert [(o.time, o.result) for o in tka.outcomes] == [
        ("3.5 weeks", "difference"),
        ("52 weeks", "mixed"),
    ]
    assert len(tka.limitations) == 2


@pytest.mark.parametrize("name", NAMES)
def test_text_tells_every_value_source_and_gap(name: str) -> None:
    preset = presets.load(name)
    text = str(preset)
    for value in preset.values:
        for part in (str(value), value.source, value.quote, value.note):
            assert part in text
    for missing in preset.not_found:
        assert f"{missing.field}: not found" in text
    for citation in preset.citations:
        assert citation.title in text
    assert text.index("ASSUMED") > text.index("Published")
    for touch in (*preset.indications, *preset.exclusions):
        assert str(touch) in text


def test_a_preset_cannot_be_changed() -> None:
    preset = presets.load(TKA)
    with pytest.raises(dataclasses.FrozenInstanceError, match="title"):
        preset.title = "x"  # type: ignore[misc]
    with pytest.raises(dataclasses.FrozenInstanceError, match="value"):
        preset.values[0].value = 1  # type: ignore[misc]


# ---- amplitude and overrides -------------------------------------------------


def test_the_amplitude_is_an_example_unless_given() -> None:
    protocol = presets.load(TKA).protocol()
    assert protocol.channels[0].stages[0].amplitude_ma == 40.0


def test_amplitude_by_channel_name() -> None:
    preset = presets.load(TKA)
    by_name = preset.protocol(amplitude_ma={"quadriceps": 25.0})
    assert by_name == preset.protocol(amplitude_ma=25.0)
    with pytest.raises(PresetError, match="is for calf; the channels are quadriceps"):
        preset.protocol(amplitude_ma={"calf": 25.0})
    with pytest.raises(PresetError, match="is for quadriceps, calf"):
        preset.protocol(amplitude_ma={"quadriceps": 25.0, "calf": 1.0})
    with pytest.raises(SpecError, match="amplitude_ma = -1"):
        preset.protocol(amplitude_ma=-1)


@pytest.mark.parametrize(
    ("override", "place", "expected"),
    [
        ({"contractions": 3}, "duty_cycle.repeats", 3),
        ({"on_s": 8}, "duty_cycle.on_s", 8.0),
        ({"off_s": 12.5}, "duty_cycle.off_s", 12.5),
        ({"ramps_count_as_on": False}, "duty_cycle.ramps_count_as_on", False),
        ({"ramp_up_s": 1.5}, "envelope.ramp_up_s", 1.5),
        ({"ramp_down_s": 0}, "envelope.ramp_down_s", 0.0),
        ({"ramp_shape": "cosine"}, "envelope.shape", "cosine"),
        ({"rate_hz": 75}, "train.rate_hz", 75.0),
        ({"phase_width_us": 125}, "event.phase_width_us", 125.0),
        ({"interphase_gap_us": 0}, "event.interphase_gap_us", 0.0),
        ({"shape": "half_sine"}, "event.shape", "half_sine"),
        ({"recovery_ratio": 2}, "event.recovery_ratio", 2.0),
    ],
)
def test_an_override_changes_that_field_and_no_other(
    override: dict[str, Any], place: str, expected: object
) -> None:
    preset = presets.load(ACL)
    before, after = (
        stage(preset.protocol(amplitude_ma=40.0, **o)) for o in ({}, override)
    )
    part, field = place.split(".")
    assert getattr(getattr(after, part), field) == expected
    restored = dataclasses.replace(
        getattr(after, part), **{field: getattr(getattr(before, part), field)}
    )
    assert dataclasses.replace(after, **{part: restored}) == before


def test_an_overridden_assumption_is_a_change_and_no_assumption() -> None:
    preset = presets.load(ACL)
    text = preset.protocol(
        amplitude_ma=40,
        ramp_down_s=1,
        phase_width_us=50,
        waveform="symmetrical biphasic",
    ).description
    assumed, changed = text.split("Changed: ")
    assert "ramp_down_s = 1 s" in changed
    for gone in ("ramp_down_s", "pulse_duration_meaning", "recovery_ratio"):
        assert gone not in assumed
    assert "interphase_gap_us = 100 µs" in assumed


def test_other_electrodes_give_another_area() -> None:
    protocol = presets.load(ACL).protocol(amplitude_ma=40, electrode_size_cm=(5.1, 9))
    assert protocol.channels[0].smallest_area_cm2 == 45.9


@pytest.mark.parametrize(
    ("override", "match"),
    [
        ({"ramp_dwon_s": 2.0}, "ramp_dwon_s cannot be overridden: did you mean ramp_d"),
        ({"repeats": 3}, "repeats cannot be overridden"),
        ({"device": "another"}, "device cannot be overridden"),
        ({"session_min": 10}, "session_min cannot be overridden"),
        ({"recovery_ratio": 2.0}, "does not apply to the waveform symmetrical"),
        ({"carrier_hz": 2500.0}, "does not apply to the waveform symmetrical"),
        ({"waveform": "asymmetrical biphasic"}, "give them: recovery_ratio=…"),
        ({"waveform": "burst"}, "give them: carrier_hz=…, cycles=…"),
    ],
)
def test_an_override_that_cannot_be(override: dict[str, Any], match: str) -> None:
    with pytest.raises(PresetError, match=match):
        presets.load(TKA).protocol(amplitude_ma=40, **override)


@pytest.mark.parametrize(
    ("override", "match"),
    [
        ({"contractions": 0}, "contractions = 0: .*at least 1"),
        ({"contractions": 2.5}, "contractions = 2.5: must be a whole number"),
        ({"ramp_up_s": float("nan")}, "ramp_up_s = nan"),
        ({"ramp_up_s": 14.0}, "ramps of 16 s"),
        ({"electrode_size_cm": (5, 0)}, r"electrode_size_cm\[1\]"),
    ],
)
def test_a_value_out_of_range_is_a_spec_error(
    override: dict[str, Any], match: str
) -> None:
    with pytest.raises(SpecError, match=match):
        presets.load(TKA).protocol(amplitude_ma=40, **override)


@given(
    name=st.sampled_from(NAMES),
    amplitude=st.floats(0, 100),
    contractions=st.integers(1, 10_000),
    off=st.integers(0, 6000),
    down=st.integers(0, 70),
    inside=st.booleans(),
)
def test_any_choice_keeps_the_arithmetic_and_the_file(
    name: str, amplitude: float, contractions: int, off: int, down: int, inside: bool
) -> None:
    preset = presets.load(name)
    protocol = preset.protocol(
        amplitude_ma=amplitude,
        contractions=contractions,
        off_s=off / 10,
        ramp_down_s=down / 10,
        ramps_count_as_on=inside,
    )
    on, up = {ACL: (10, 2), TKA: (15, 3)}[name]
    period = Fraction(on) + Fraction(off, 10)
    if not inside:
        period += up + Fraction(down, 10)
    assert protocol.channels[0].exact_end_s == contractions * period
    assert StimProtocol.from_toml(protocol.to_toml()) == protocol


@pytest.mark.parametrize("accept", [1, "yes", None])
def test_assumptions_are_accepted_by_true_alone(accept: Any) -> None:
    for name in (TKA, "acl-fitzgerald-2003"):
        with pytest.raises(PresetError, match=r"accept_assumptions = .*True or False"):
            presets.load(name).protocol(20, accept_assumptions=accept)


@pytest.mark.parametrize(
    ("override", "minutes"),
    [
        ({"off_s": 30}, "40"),  # 60 x (10 + 30) s
        ({"on_s": 5, "off_s": 15}, "20"),
        ({"ramps_count_as_on": False}, "34"),  # 60 x (2 + 10 + 2 + 20) s
    ],
)
def test_derived_contractions_say_how_long_they_take_with_other_times(
    override: dict[str, Any], minutes: str
) -> None:
    preset = presets.load(ACL)
    protocol = preset.protocol(20, **override)
    assert protocol.description.endswith(f"they now take {minutes} min")
    assert protocol.duration_s == pytest.approx(60 * float(minutes))
    for silent in ({"contractions": 9, **override}, {"ramp_up_s": 1}):
        assert "they now take" not in preset.protocol(20, **silent).description
    # printed by the study itself, so not derived from a length
    assert "they now take" not in presets.load(TKA).protocol(20, off_s=9).description


# ---- what a study found ------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "result", "words"),
    [
        ("acl-feil-2011-polystim", "difference", "Kneehab was better"),
        ("acl-jner-2019", "difference", "regained more, not this arm"),
        ("acl-rebai-2002-80hz", "difference", "20 Hz was better"),
        ("acl-taradaj-2013", "difference", "authors' conclusion"),
        ("acl-jo-2025", "within group", "One group"),
        ("acl-paternostro-sluga-1999", "no difference", "words of a summary"),
    ],
)
def test_a_result_that_could_mislead_has_a_note(
    name: str, result: str, words: str
) -> None:
    preset = presets.load(name)
    told = [o for o in preset.evidence.outcomes if words in o.note]
    assert {o.result for o in told} == {result}
    assert all(o.note in str(preset) for o in told)


@pytest.mark.parametrize("arm", ["kneehab", "polystim"])
def test_a_change_of_one_group_is_no_difference_between_groups(arm: str) -> None:
    evidence = presets.load(f"acl-feil-2011-{arm}").evidence
    assert [(o.time, o.result) for o in evidence.outcomes] == [
        ("at each time point", "difference"),
        ("6 months", "within group"),
    ]
    assert "6 weeks, 12 weeks, and 6 months" in evidence.design


def test_text_says_that_two_electrodes_are_built_of_one_size() -> None:
    words = "electrodes: two of the size"
    for name in (TKA, "acl-feil-2011-polystim"):
        assert words in str(presets.load(name))
    for name in (ACL, "acl-feil-2011-kneehab"):  # no size; four sizes
        assert words not in str(presets.load(name))
