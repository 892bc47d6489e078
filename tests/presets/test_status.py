"""Statuses and assumptions, on copies of the shipped files."""

from __future__ import annotations

from typing import Any

import pytest
from made_presets import ACL, TKA, Copy

from nmes_wave.errors import FormatError, PresetError
from nmes_wave.presets import Preset
from nmes_wave.presets.catalogue import Catalogue
from nmes_wave.spec import Burst, Pulse

# ---- status ------------------------------------------------------------------


@pytest.mark.parametrize("field", ["waveform", "ramp_up_s"])
def test_without_waveform_or_ramp_it_is_partial(copy: Copy, field: str) -> None:
    preset = copy.lose(TKA, field).load(TKA)
    assert preset.status == "partial"
    assert copy.catalogue.names("partial") == (TKA,)
    assert copy.catalogue.names("complete") == (ACL,)


def test_one_of_contractions_and_session_is_enough(copy: Copy) -> None:
    assert copy.lose(ACL, "contractions").load(ACL).status == "complete"
    assert copy.lose(ACL, "session_min").load(ACL).status == "partial"


@pytest.mark.parametrize("field", ["rate_hz", "on_s", "off_s", "phase_width_us"])
def test_an_entry_says_what_is_missing(copy: Copy, field: str) -> None:
    preset = copy.lose(TKA, field, "ramp_up_s").load(TKA)
    assert preset.status == "entry"
    for accept in (False, True):
        with pytest.raises(PresetError, match=f"{field}.*ramp_up_s") as caught:
            preset.protocol(accept_assumptions=accept)
        assert "waveform" not in str(caught.value)


def test_a_partial_preset_asks_to_accept_what_it_assumes(copy: Copy) -> None:
    preset = copy.lose(TKA, "ramp_up_s").load(TKA)
    with pytest.raises(PresetError, match="no source gives ramp_up_s") as caught:
        preset.protocol(amplitude_ma=40)
    for value in preset.assumptions:
        assert str(value) in str(caught.value)
    assert "ramp_up_s = 2 s" in str(caught.value)
    protocol = preset.protocol(amplitude_ma=40, accept_assumptions=True)
    assert protocol.channels[0].stages[0].envelope.ramp_up_s == 2
    assert "ramp_up_s = 2 s" in protocol.description


def forget_default(copy: Copy, *fields: str) -> Catalogue:
    def change(data: dict[str, Any]) -> None:
        rows = data["assumptions"]
        data["assumptions"] = [row for row in rows if row["field"] not in fields]

    return copy.edit("assumptions", change)


def test_what_has_no_default_must_be_given(copy: Copy) -> None:
    forget_default(copy, "contractions", "waveform")
    preset = copy.lose(TKA, "contractions", "session_min", "waveform").load(TKA)
    assert {n.field for n in preset.not_found} >= {"contractions", "session_min"}
    with pytest.raises(PresetError, match="give them: waveform=…, contractions=…"):
        preset.protocol(amplitude_ma=40, accept_assumptions=True)
    protocol = preset.protocol(
        amplitude_ma=40,
        accept_assumptions=True,
        contractions=7,
        waveform="symmetrical biphasic",
        shape="rectangular",
        interphase_gap_us=0,
    )
    (stage,) = protocol.channels[0].stages
    assert stage.duty_cycle.repeats == 7
    assert isinstance(stage.event, Pulse)


def test_an_assumed_waveform_brings_the_assumptions_of_that_waveform(
    copy: Copy,
) -> None:
    def change(data: dict[str, Any]) -> None:
        for field in ("interphase_gap_us", "shape", "pulse_duration_meaning"):
            del data["not_found"][field]

    copy.edit(TKA, change)
    preset = copy.lose(TKA, "waveform").load(TKA)
    assert {v.field for v in preset.assumptions} >= {
        "waveform", "interphase_gap_us", "shape", "pulse_duration_meaning"
    }  # fmt: skip
    assert preset.status == "partial"


def test_contractions_are_assumed_only_without_a_session_length(copy: Copy) -> None:
    preset = copy.lose(TKA, "contractions").load(TKA)
    assert "contractions" not in {v.field for v in preset.assumptions}
    preset = copy.lose(TKA, "session_min").load(TKA)
    assert "contractions" in {v.field for v in preset.assumptions}


@pytest.mark.parametrize(
    ("on_s", "ramp_s"), [(15.0, 2.0), (8.0, 2.0), (5.0, 1.25), (1.5, 0.375)]
)
def test_an_assumed_ramp_fits_the_on_time(
    copy: Copy, on_s: float, ramp_s: float
) -> None:
    copy.edit(TKA, lambda d: d["values"]["on_s"].update(value=on_s))
    preset = copy.lose(TKA, "ramp_up_s").load(TKA)
    for field in ("ramp_up_s", "ramp_down_s"):
        ramp = preset.value(field)
        assert ramp is not None
        assert ramp.value == ramp_s
        assert ("shortened" in ramp.note) == (ramp_s < 2)
    preset.protocol(accept_assumptions=True)  # the ramps fit


def test_an_entry_assumes_nothing(copy: Copy) -> None:
    preset = copy.lose(TKA, "rate_hz").load(TKA)
    assert preset.assumptions == ()
    assert {n.field for n in preset.not_found} >= {"ramp_down_s", "shape"}


def test_everything_else_is_for_entries(copy: Copy) -> None:
    def change(data: dict[str, Any]) -> None:
        data["not_found"] = {"everything_else": "no text was found"}

    match = r"everything_else.*is complete: name the"
    with pytest.raises(FormatError, match=match):
        copy.edit(TKA, change).load(TKA)
    preset = copy.edit(TKA, lambda d: d["values"].pop("rate_hz")).load(TKA)
    assert preset.status == "entry"
    assert [str(n) for n in preset.not_found] == [
        "everything else: not found. no text was found"
    ]


@pytest.mark.parametrize(
    ("override", "contractions"),
    [({}, 60), ({"off_s": 50}, 30), ({"ramps_count_as_on": False}, 52)],
)
def test_a_session_length_alone_holds_whole_contractions(
    copy: Copy, override: dict[str, Any], contractions: int
) -> None:
    # 1800 s / 30 s, 1800 / 60, and 1800 / (2 + 10 + 2 + 20) = 52.9
    preset = copy.lose(ACL, "contractions").load(ACL)
    protocol = preset.protocol(amplitude_ma=40, **override)
    assert protocol.channels[0].stages[0].duty_cycle.repeats == contractions


def burst(copy: Copy) -> Preset:
    def change(data: dict[str, Any]) -> None:
        values, lacking = data["values"], data["not_found"]
        for field in ("pulse_duration_meaning", "interphase_gap_us", "shape"):
            del lacking[field]
        del values["phase_width_us"]
        rate = values["rate_hz"]
        values["waveform"] |= {"value": "burst"}
        values["carrier_hz"] = rate | {"value": 2500.0}
        values["cycles"] = rate | {"value": 25, "unit": ""}
        values["shape"] = rate | {"value": "sine", "unit": ""}

    return copy.edit(TKA, change).load(TKA)


def test_a_burst_is_complete_with_carrier_and_cycles(copy: Copy) -> None:
    preset = burst(copy)
    assert preset.status == "complete"
    event = preset.protocol(amplitude_ma=40).channels[0].stages[0].event
    assert event == Burst(carrier_hz=2500, cycles=25)
    assert "interphase_gap_us" not in {v.field for v in preset.assumptions}


def test_a_burst_without_cycles_is_partial_without_carrier_an_entry(
    copy: Copy,
) -> None:
    burst(copy)
    assert copy.lose(TKA, "cycles").load(TKA).status == "partial"
    assert copy.lose(TKA, "carrier_hz").load(TKA).status == "entry"
