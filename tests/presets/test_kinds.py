"""Electrodes, omissions, waveforms and range presets, on files made for it."""

from __future__ import annotations

import math
from typing import Any

import pytest
from made_presets import Load, moved, sourced, study

import nmes_wave as nw
from nmes_wave import presets
from nmes_wave.errors import FormatError, PresetError, SpecError

# ---- electrodes --------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "value", "areas"),
    [
        ("electrode_size_cm", [5.0, 9.0], [45, 45]),
        ("electrode_size_cm", [[10.0, 20.0], [3.0, 18.0]], [200, 54]),
        ("electrode_diameter_cm", 7.0, [math.pi * 3.5**2] * 2),
    ],
)
def test_electrodes(load: Load, field: str, value: Any, areas: list[float]) -> None:
    data = study()
    del data["not_found"]["electrode_size_cm"]
    data["values"][field] = sourced(value, "cm")
    channel = load(data).protocol(20).channels[0]
    assert [e.area_cm2 for e in channel.electrodes] == pytest.approx(areas)
    other = load(data).protocol(20, electrode_size_cm=(1, 2)).channels[0]
    assert [e.area_cm2 for e in other.electrodes] == [2, 2]


@pytest.mark.parametrize("value", [[7.0], [[7.0], [5.0]], 7.0, [[5.0, 0.0]], []])
def test_electrodes_that_cannot_be(load: Load, value: Any) -> None:
    data = study()
    del data["not_found"]["electrode_size_cm"]
    data["values"]["electrode_size_cm"] = sourced(value, "cm")
    with pytest.raises(FormatError, match=r"electrode_size_cm\.value"):
        load(data)


def test_days_stand_for_weeks(load: Load) -> None:
    data = study()
    del data["not_found"]["weeks"]
    with pytest.raises(FormatError, match=r"values\.weeks"):
        load(data)
    data["values"]["days"] = sourced(14.0, "days")
    load(data)


# ---- what is built, what is left out -----------------------------------------


def test_the_main_stage_is_built_without_what_is_only_mentioned(load: Load) -> None:
    data = study()
    data["values"]["main_stage_min"] = sourced(20.0, "min")
    data["omitted"] = [
        {"what": "10 min of warm-up", "source": "a-2000, Methods", "quote": "warm-up"}
    ]
    preset = load(data)
    protocol = preset.protocol(20)
    assert protocol.duration_s == 20 * 60
    assert "Not in it: 10 min of warm-up" in protocol.description
    assert "10 min of warm-up" in str(preset)
    data["omitted"][0]["source"] = "b-2000, Methods"
    with pytest.raises(FormatError, match=r"omitted\.source = 'b-2000'"):
        load(data)


def waveform() -> dict[str, Any]:
    data = study()
    del data["evidence"]
    data |= {"kind": "waveform", "parameters": {"on_s": "", "off_s": "as you like"}}
    moved(data, "on_s", "off_s", "ramp_up_s", "session_min")
    told = ("pulse_duration_meaning", "interphase_gap_us", "shape", "ramp_up_s")
    told += ("ramp_down_s", "ramp_shape", "ramps_count_as_on")
    data["not_found"] = dict.fromkeys(told, "")
    data["values"]["contractions"] = sourced(4)
    return data


def test_a_waveform_is_built_from_what_is_given(load: Load) -> None:
    preset = load(waveform())
    assert preset.status == "entry"
    with pytest.raises(PresetError, match=r"yours to give: on_s=…, off_s=…$"):
        preset.protocol(20, accept_assumptions=True)
    with pytest.raises(PresetError, match=r"yours to give: off_s=…$"):
        preset.protocol(20, accept_assumptions=True, on_s=3)
    with pytest.raises(PresetError, match="a is partial: no source gives ramp_up_s"):
        preset.protocol(20, on_s=3, off_s=4)
    protocol = preset.protocol(20, accept_assumptions=True, on_s=3, off_s=4)
    (stage,) = protocol.channels[0].stages
    assert (stage.duty_cycle.on_s, stage.duty_cycle.off_s) == (3, 4)
    assert stage.envelope == nw.Envelope()  # a waveform has no ramps of its own
    assert protocol.duration_s == 4 * 7


def test_a_train_of_a_few_pulses_with_its_own_phase(load: Load) -> None:
    data = waveform()
    data["values"] |= {
        "first_interval_ms": sourced(5.0, "ms"),
        "count": sourced(6),
        "phase_deg": sourced(90.0, "deg"),
    }
    protocol = load(data).protocol(20, accept_assumptions=True, on_s=3, off_s=4)
    train = protocol.channels[0].stages[0].train
    assert train == nw.Train(rate_hz=40, first_interval_ms=5, count=6, phase_deg=90)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (
            {"kind": "study", "evidence": {}},
            "parameters = 'study': is for kind = 'wave",
        ),
        ({"parameters": {"device": ""}}, r"parameters\.device.*not part of what is"),
        ({"parameters": {"on": ""}}, r"parameters\.on: .*did you mean on_s"),
        ({"kind": "range"}, "parameters = 'range'"),
        ({"kind": "series"}, "kind = 'series': must be one of"),
        ({"parameters": {}}, r"values\.on_s.*must be given"),
    ],
)
def test_a_wrong_waveform_is_refused(
    load: Load, change: dict[str, Any], match: str
) -> None:
    with pytest.raises(FormatError, match=match):
        load(waveform() | change)


def test_a_study_without_evidence_is_refused(load: Load) -> None:
    data = study()
    del data["evidence"]
    with pytest.raises(FormatError, match="evidence = None: must be given"):
        load(data)


# ---- range presets -----------------------------------------------------------


def test_ranges_are_read_and_never_built(load: Load) -> None:
    row = sourced(0, "Hz", field="rate_hz", low=30, high=50, event="pulse")
    del row["value"]
    head = {k: study()[k] for k in ("title", "population", "muscle", "citations")}
    preset = load(head | {"kind": "range", "ranges": [row]})
    assert preset.status == "entry"
    assert [str(r) for r in preset.ranges] == ["rate_hz: 30 to 50 Hz, of a pulse"]
    with pytest.raises(
        PresetError, match=r"a range, not a protocol: .* single rate_hz"
    ):
        preset.protocol(20, accept_assumptions=True, rate_hz=40)
    for change, match in [
        ({"low": 60}, "low = 60.*must be at most high, 50"),
        ({"field": "device"}, "device has no ranges"),
        ({"unit": "kHz"}, "must be 'Hz' for rate_hz"),
        ({"source": "b-2000, Table 1"}, "'b-2000'"),
        ({"event": "train"}, "must be one of"),
    ]:
        with pytest.raises(FormatError, match=match):
            load(head | {"kind": "range", "ranges": [row | change]})
    with pytest.raises(FormatError, match="ranges = None: must be given"):
        load(head | {"kind": "range"})


def test_a_study_has_no_ranges_to_check_against() -> None:
    protocol = presets.load("acl-lieber-1996").protocol(20)
    with pytest.raises(SpecError, match=r"acl-lieber-1996.*has no ranges"):
        nw.check(protocol, ranges=presets.load("acl-lieber-1996"))
