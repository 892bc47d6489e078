"""The files against a second reading of the evidence.

``second_reading/NAME.toml`` holds what somebody read in the evidence who had not
opened the preset: field = value, or [low, high] for a published range; what was
looked for and not found under ``not_found``; ``[[groups]]`` with their muscle and
``[[phases]]`` in order of time where values differ. Text is compared only by
being there: two readers word it differently.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nmes_wave import presets
from nmes_wave.errors import SpecError
from nmes_wave.presets import Preset, SourcedValue
from nmes_wave.presets.vocabulary import FIELDS

READINGS = Path(__file__).parent / "second_reading"
DECISIONS = tomllib.loads((READINGS / "decisions.toml").read_text(encoding="utf-8"))
READABLE = [n for n in presets.names() if presets.load(n).status != "entry"]
#: What a reader may leave out: it is worked out, or only some texts have it.
WORKED_OUT = ("derived", "assumed")


def differences(preset: Preset, reading: dict[str, Any]) -> list[str]:
    """Return what the preset and the reading do not agree on."""
    reading = dict(reading)
    not_found = set(reading.pop("not_found", []))
    found: list[str] = []
    told: set[str] = set()
    for field, read, value in pairs(preset, reading):
        told.add(field)
        if field not in FIELDS:
            found.append(f"{field}: no such field")
        elif value is None or value.kind == "assumed":
            found.append(f"{field}: read as {read!r}, not in the preset")
        elif not agrees(value, read):
            found.append(f"{field}: read as {read!r}, in the preset {value}")
    for value in preset.values:
        if value.field in told or value.kind in WORKED_OUT:
            continue
        if value.field in not_found:
            found.append(
                f"{value.field}: not found by the reader, in the preset {value}"
            )
        elif not FIELDS[value.field].optional:
            found.append(f"{value.field}: not read, in the preset {value}")
    return found


def pairs(
    preset: Preset, reading: dict[str, Any]
) -> Iterator[tuple[str, Any, SourcedValue | None]]:
    """Yield each field that was read, and the preset's value for it."""
    reading = dict(reading)
    groups = reading.pop("groups", [])
    phases = reading.pop("phases", [])
    for field, read in reading.items():
        values = [v for v in preset.values if v.field == field]
        for value in values or [None]:
            yield field, read, value
    for group in groups:
        muscle = group["muscle"].casefold()
        for field, read in group.items():
            if field != "muscle":
                yield field, read, only(preset, field, group=muscle)
    for i, phase in enumerate(phases):
        name = preset.phases[i].name if i < len(preset.phases) else "none"
        for field, read in phase.items():
            yield field, read, only(preset, field, phase=name)


def only(
    preset: Preset, field: str, *, group: str = "", phase: str = ""
) -> SourcedValue | None:
    """Return the value of one group or phase, or the one that all have."""
    for value in preset.values:
        own = value.group.casefold() in ("", group) and value.phase in ("", phase)
        if value.field == field and own:
            return value
    return None


def agrees(value: SourcedValue, read: Any) -> bool:
    hint = FIELDS[value.field]
    if hint.hint is str:
        return bool(str(read).strip())
    if isinstance(read, dict):
        return (value.low, value.high) == (read.get("low"), read.get("high"))
    if hint.numeric and isinstance(read, list):
        return [value.low, value.high] == read
    try:
        return not value.is_range and value.value == hint.conform(value.field, read)
    except SpecError:
        return False


@pytest.mark.parametrize("name", READABLE)
def test_the_second_reading_agrees(name: str) -> None:
    path = READINGS / f"{name}.toml"
    assert path.exists(), "a complete or partial preset needs a second reading"
    reading = tomllib.loads(path.read_text(encoding="utf-8"))
    found = differences(presets.load(name), reading)
    open_points = DECISIONS.get(name, {})
    assert sorted(text.partition(":")[0] for text in found) == sorted(open_points), (
        found
    )


def test_every_reading_is_of_a_preset() -> None:
    names = {path.stem for path in READINGS.glob("*.toml")} - {"decisions"}
    assert names | DECISIONS.keys() <= {*READABLE}


# ---- that the comparison finds what it should --------------------------------

TKA = {
    "waveform": "symmetrical biphasic",
    "rate_hz": 50,
    "phase_width_us": 250,
    "on_s": 15,
    "off_s": 45,
    "ramp_up_s": 3,
    "contractions": 15,
    "session_min": 15,
    "sessions_per_day": 2,
    "weeks": 6,
    "start": "48 h",
    "intensity_target": "max tolerated",
    "electrode_size_cm": [7.6, 12.7],
    "device": "Empi",
    "not_found": ["days_per_week", "ramp_down_s"],
}


def test_a_reading_that_agrees() -> None:
    assert differences(presets.load("tka-stevens-lapsley-2012"), TKA) == []


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        ({"rate_hz": 55}, "rate_hz: read as 55, in the preset rate_hz = 50 Hz"),
        ({"rate_hz": [40, 50]}, "rate_hz: read as [40, 50], in the preset"),
        ({"electrode_size_cm": [7.6, 13]}, "electrode_size_cm: read as"),
        ({"electrode_size_cm": 7.6}, "electrode_size_cm: read as 7.6"),
        ({"waveform": "burst"}, "waveform: read as 'burst'"),
        ({"ramp_down_s": 2}, "ramp_down_s: read as 2, not in the preset"),
        ({"days_per_week": 5}, "days_per_week: read as 5, not in the preset"),
        ({"device": ""}, "device: read as ''"),
        ({"rate": 50}, "rate: no such field"),
    ],
)
def test_a_difference_is_found(change: dict[str, Any], difference: str) -> None:
    found = differences(presets.load("tka-stevens-lapsley-2012"), TKA | change)
    assert len(found) == 1
    assert found[0].startswith(difference)


@pytest.mark.parametrize("field", ["rate_hz", "device", "contractions"])
def test_what_the_reader_missed_is_found(field: str) -> None:
    preset = presets.load("tka-stevens-lapsley-2012")
    reading = {k: v for k, v in TKA.items() if k != field}
    (found,) = differences(preset, reading)
    assert found.startswith(f"{field}: not read, in the preset")
    reading["not_found"] = [field]
    (found,) = differences(preset, reading)
    assert found.startswith(f"{field}: not found by the reader")


def test_derived_values_may_be_left_out_but_not_differ() -> None:
    preset = presets.load("acl-lieber-1996")
    assert "contractions" not in " ".join(differences(preset, {}))
    found = differences(preset, {"contractions": 61})
    assert "contractions: read as 61, in the preset contractions = 60" in found


def test_groups_and_phases_are_compared_one_by_one() -> None:
    kho = presets.load("icu-kho-2015")
    groups = [
        {"muscle": "Quadriceps", "on_s": 5, "off_s": 10},
        {"muscle": "tibialis anterior", "on_s": 5, "off_s": 6},
    ]
    found = [d for d in differences(kho, {"groups": groups}) if "read as" in d]
    assert len(found) == 1
    assert "off_s: read as 6, in the preset tibialis anterior: off_s = 5 s" in found
    maddocks = presets.load("copd-maddocks-2016")
    phases = [{"on_s": 2}, {"on_s": 11}, {"on_s": 12}]
    found = [d for d in differences(maddocks, {"phases": phases}) if "read as" in d]
    assert [d.split(",")[0] for d in found] == [
        "on_s: read as 11",
        "on_s: read as 12",
    ]
