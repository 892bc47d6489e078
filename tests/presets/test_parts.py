"""Groups of channels, phases and published ranges, on files made for it."""

from __future__ import annotations

from typing import Any

import pytest
from made_presets import Load, grouped, moved, sourced, study

import nmes_wave as nw
from nmes_wave import presets
from nmes_wave.errors import FormatError, PresetError

# ---- groups ------------------------------------------------------------------


def test_channels_of_a_group_share_its_values(load: Load) -> None:
    data = study()
    (on,) = moved(data, "on_s")
    data["groups"] = grouped("on_s", on, on | {"value": 8.0})
    preset = load(data)
    assert preset.status == "complete"
    assert preset.channels == ("left 0", "right 0", "left 1", "right 1")
    protocol = preset.protocol(20)
    assert [c.name for c in protocol.channels] == [*preset.channels]
    on_s = [c.stages[0].duty_cycle.on_s for c in protocol.channels]
    assert on_s == [5, 5, 8, 8]
    # 1800 s / (5 + 10) s, 1800 s / (8 + 10) s
    repeats = [c.stages[0].duty_cycle.repeats for c in protocol.channels]
    assert repeats == [120, 120, 100, 100]
    assert [str(v) for v in preset.values if v.field == "on_s"] == [
        "muscle 0: on_s = 5 s",
        "muscle 1: on_s = 8 s",
    ]


def test_amplitudes_of_several_channels(load: Load) -> None:
    data = study()
    data["groups"] = [{"muscle": "both", "channels": ["left", "right"]}]
    preset = load(data)
    protocol = preset.protocol({"right": 10, "left": 30})
    assert [c.stages[0].amplitude_ma for c in protocol.channels] == [30, 10]
    with pytest.raises(PresetError, match="is for left; the channels are left, right"):
        preset.protocol({"left": 30})


def test_an_override_is_for_all_channels(load: Load) -> None:
    data = study()
    (on,) = moved(data, "on_s")
    data["groups"] = grouped("on_s", on, on | {"value": 8.0})
    protocol = load(data).protocol(20, on_s=4)
    assert {c.stages[0].duty_cycle.on_s for c in protocol.channels} == {4}


@pytest.mark.parametrize("place", ["groups", "phases"])
def test_a_field_stands_in_all_parts_or_in_none(load: Load, place: str) -> None:
    def parts(*values: dict[str, Any]) -> list[dict[str, Any]]:
        if place == "groups":
            groups = grouped("on_s", *values)
            return groups
        return [
            {"name": f"week {i}", "values": {"on_s": v}} for i, v in enumerate(values)
        ]

    data = study()
    (on,) = moved(data, "on_s")
    data[place] = parts(on, on)
    load(data)
    del data[place][1]["values"]["on_s"]
    with pytest.raises(FormatError, match=rf"{place}\[1\]\.values\.on_s.*every one"):
        load(data)
    data[place] = parts(on, on)
    data["values"]["on_s"] = on
    with pytest.raises(FormatError, match=rf"{place}\[0\]\.values\.on_s.*values for a"):
        load(data)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda g: g[1].update(muscle="muscle 0"), r"groups\[1\]\.muscle.*unique"),
        (lambda g: g[1].update(channels=["left 0"]), "channels = 'left 0'.*unique"),
        (lambda g: g[1].update(channels=[]), "must name a channel"),
        (lambda g: g[1].update(chanels=["x"]), "did you mean channels"),
        (lambda g: g[1]["values"].update(on=1), r"values\.on: .*did you mean on_s"),
    ],
)
def test_a_wrong_group_is_refused(load: Load, change: Any, match: str) -> None:
    data = study()
    (on,) = moved(data, "on_s")
    data["groups"] = grouped("on_s", on, on)
    change(data["groups"])
    with pytest.raises(FormatError, match=match):
        load(data)


# ---- phases ------------------------------------------------------------------


def progressive() -> dict[str, Any]:
    data = study()
    on, off = moved(data, "on_s", "off_s")
    data["phases"] = [
        {"name": "first week", "values": {"on_s": on | {"value": 2.0}, "off_s": off}},
        {
            "name": "then",
            "note": "how is not said",
            "values": {"on_s": on, "off_s": off},
        },
    ]
    return data


def test_a_phase_is_chosen_by_name_and_the_first_is_the_default(load: Load) -> None:
    preset = load(progressive())
    assert preset.status == "complete"
    on_s = {
        phase: preset.protocol(20, phase=phase).channels[0].stages[0].duty_cycle.on_s
        for phase in (None, "first week", "then")
    }
    assert on_s == {None: 2, "first week": 2, "then": 5}
    assert "Phase: then" in preset.protocol(20, phase="then").description
    with pytest.raises(PresetError, match="no phase 'than'; did you mean then"):
        preset.protocol(20, phase="than")
    with pytest.raises(PresetError, match="no phase 'then'; it has no phases"):
        load(study()).protocol(20, phase="then")


def test_an_assumed_ramp_fits_every_phase(load: Load) -> None:
    data = progressive()
    data["values"].pop("ramp_up_s")
    data["not_found"]["ramp_up_s"] = ""
    ramp = load(data).value("ramp_up_s")
    assert ramp is not None
    assert ramp.value == 0.5  # a quarter of 2 s


def test_groups_and_phases_both_with_values_are_refused(load: Load) -> None:
    data = progressive()
    (rate,) = moved(data, "rate_hz")
    data["groups"] = grouped("rate_hz", rate, rate)
    with pytest.raises(FormatError, match="groups have values of their own too"):
        load(data)


# ---- published ranges of a value ---------------------------------------------


def test_a_range_keeps_both_ends_and_the_value_that_is_used(load: Load) -> None:
    data = study()
    data["values"]["phase_width_us"] |= {"low": 200, "high": 300, "note": "the widest"}
    preset = load(data)
    width = preset.value("phase_width_us")
    assert width is not None
    assert (width.low, width.value, width.high) == (200.0, 300.0, 300.0)
    assert str(width) == "phase_width_us = 300 µs (published: 200 to 300 µs)"
    event = preset.protocol(20).channels[0].stages[0].event
    assert isinstance(event, nw.Pulse)
    assert event.phase_width_us == 300


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"low": 310.0, "high": 400.0}, "value = 300.*must lie in 310 to 400"),
        ({"high": 299.0}, "must lie in up to 299"),
        ({"low": 400.0, "high": 200.0}, "low = 400.*must be at most high, 200"),
        ({"low": 200.0, "note": ""}, "must say why this value of the range"),
        ({"low": -1.0}, "low = -1.*must be greater than 0"),
        ({"low": "200"}, "low = '200'.*must be a number"),
    ],
)
def test_a_wrong_range_is_refused(
    load: Load, change: dict[str, Any], match: str
) -> None:
    data = study()
    data["values"]["phase_width_us"] |= {"note": "so", **change}
    with pytest.raises(FormatError, match=match):
        load(data)


def test_words_have_no_range(load: Load) -> None:
    data = study()
    data["values"]["waveform"] |= {"low": "burst", "note": "so"}
    with pytest.raises(FormatError, match="waveform has no ranges"):
        load(data)


# ---- timing of several channels ----------------------------------------------


def test_channels_are_assumed_to_be_simultaneous_where_there_are_several(
    load: Load,
) -> None:
    assert load(study()).value("channel_timing") is None
    data = study() | {"groups": [{"muscle": "both", "channels": ["left", "right"]}]}
    preset = load(data)
    assert "channel_timing" in [v.field for v in preset.assumptions]
    protocol = preset.protocol(20)
    assert "channel_timing = simultaneous" in protocol.description
    assert "channel_timing = simultaneous" in str(preset)
    left, right = protocol.channels
    assert (left.start_s, left.stages) == (right.start_s, right.stages)


def test_a_source_for_the_timing_of_channels_makes_it_no_assumption(load: Load) -> None:
    data = study() | {"groups": [{"muscle": "both", "channels": ["left", "right"]}]}
    data["values"]["channel_timing"] = sourced("simultaneous")
    assert "channel_timing" not in [v.field for v in load(data).assumptions]
    data["values"]["channel_timing"] = sourced("alternating")
    with pytest.raises(
        FormatError, match=r"channel_timing.*must be one of 'simultaneous'"
    ):
        load(data)


def test_shifted_channels_are_not_called_simultaneous() -> None:
    assert presets.load("wave-distributed").value("channel_timing") is None
