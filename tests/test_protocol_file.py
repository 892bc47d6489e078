"""Protocol files: exact round trip, errors with their place, the JSON Schema."""

from __future__ import annotations

import json
import tomllib

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from strategies import plans

import nmes_wave as nw

EXAMPLE = """
format = 1
name = "quadriceps, one channel"
[[channels]]
name = "quadriceps"
electrodes = [{ area_cm2 = 96.5 }, { area_cm2 = 96.5 }]
[[channels.stages]]
amplitude_ma = 40.0
event = { type = "pulse", phase_width_us = 250.0, interphase_gap_us = 100.0 }
train = { rate_hz = 50.0 }
envelope = { ramp_up_s = 3.0, ramp_down_s = 2.0 }
duty_cycle = { on_s = 15.0, off_s = 45.0, repeats = 15 }
"""


def test_the_documented_example_reads():
    protocol = nw.StimProtocol.from_toml(EXAMPLE)
    stage = protocol.channels[0].stages[0]
    assert stage.event == nw.Pulse(phase_width_us=250, interphase_gap_us=100)
    assert stage.envelope == nw.Envelope(ramp_up_s=3, ramp_down_s=2)
    assert protocol.channels[0].smallest_area_cm2 == 96.5
    assert protocol.duration_s == 900


@settings(max_examples=100, suppress_health_check=list(HealthCheck), deadline=None)
@given(plans())
def test_the_round_trip_is_exact_and_keeps_the_schema(plan):
    text = plan.protocol.to_toml()
    assert nw.StimProtocol.from_toml(text) == plan.protocol
    jsonschema.validate(tomllib.loads(text), nw.protocol_schema())


def test_none_and_defaults_are_left_out():
    text = nw.StimProtocol.from_toml(EXAMPLE).to_toml()
    for absent in ("polarity", "recovery_shape", "jitter", "start_s", "description"):
        assert absent not in text


def test_saving_and_loading(tmp_path):
    protocol = nw.StimProtocol.from_toml(EXAMPLE)
    path = tmp_path / "p.toml"
    protocol.save(path)
    protocol.save(str(path))
    assert nw.StimProtocol.load(path) == protocol
    assert [p.name for p in tmp_path.iterdir()] == ["p.toml"]
    with pytest.raises(nw.FormatError, match=r"nowhere.*No such file"):
        protocol.save(tmp_path / "nowhere" / "p.toml")


def changed(old, new):
    assert old in EXAMPLE
    return EXAMPLE.replace(old, new)


BAD = [
    (changed("phase_width_us", "phase_widht_us"), nw.SpecError,
     r"channels\[0\]\.stages\[0\]\.event\.phase_widht_us: unknown key; did you mean "
     r"phase_width_us\?"),
    (changed("rate_hz = 50.0", "rate_hz = nan"), nw.SpecError,
     r"channels\[0\]\.stages\[0\]\.train\.rate_hz = nan: must be finite"),
    (changed("rate_hz = 50.0", "rate_hz = -inf"), nw.SpecError, "must be finite"),
    (changed("rate_hz = 50.0", 'rate_hz = "50"'), nw.SpecError, "must be a number"),
    (changed("= 250.0", "= -250.0"), nw.SpecError, "greater than 0 µs"),
    (changed("rate_hz = 50.0", "rate_hz = 5000.0"), nw.SpecError,
     r"channels\[0\]\.stages\[0\]\.event = '0\.6 ms long'"),
    (changed('"pulse"', '"puls"'), nw.SpecError, r"event\.type = 'puls': must be one"),
    (changed('type = "pulse", ', ""), nw.SpecError, r"event\.type = None"),
    (changed("amplitude_ma = 40.0\n", ""), nw.SpecError,
     r"amplitude_ma = None: must be given"),
    (changed("repeats = 15", "repeats = 15.0"), nw.SpecError, "whole number"),
    (changed("on_s = 15.0", "on_s = 1979-05-27"), nw.SpecError, "must be a number"),
    (changed("[[channels]]", "[channels]"), nw.SpecError, "must be an array"),
    (changed("format = 1", "format = 2"), nw.FormatError, "format = 2"),
    (changed("format = 1", ""), nw.FormatError, "begin with format = 1"),
    ("format = 1\nname = 'x'\nchannels = 3", nw.SpecError, "must be an array"),
    ("format = 1\nname = 'x'\nchannels = [3]", nw.SpecError, "must be a table"),
    ("format = 1\nname = 'x'\nchannels = []", nw.SpecError, "at least one channel"),
    ("\x00", nw.FormatError, "not TOML"),
    ("x=" + "[" * 5000, nw.FormatError, "not"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "error", "match"), BAD)
def test_a_bad_file_is_refused_with_its_place_in_one_line(text, error, match):
    with pytest.raises(error, match=match) as caught:
        nw.StimProtocol.from_toml(text)
    assert "\n" not in str(caught.value)


def test_an_unknown_key_is_an_error_of_the_file_and_of_the_field():
    with pytest.raises(nw.FormatError, match="unknown key") as caught:
        nw.StimProtocol.from_toml(EXAMPLE + "colour = 3")
    assert isinstance(caught.value, nw.SpecError)


@pytest.mark.parametrize("content", [b"\xff\xfe", b"x" * 5_000_000])
def test_files_that_are_no_protocol_are_refused(tmp_path, content):
    path = tmp_path / "p.toml"
    path.write_bytes(content)
    with pytest.raises(nw.FormatError, match=r"p\.toml: "):
        nw.StimProtocol.load(path)
    for other in (tmp_path, tmp_path / "missing.toml"):
        with pytest.raises(nw.FormatError, match=str(other)):
            nw.StimProtocol.load(other)


def test_the_schema_is_valid_and_refuses_what_the_reader_refuses():
    schema = nw.protocol_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    assert json.loads(json.dumps(schema)) == schema
    good = tomllib.loads(EXAMPLE)
    jsonschema.validate(good, schema)
    for change in (
        lambda d: d.update(colour=1),
        lambda d: d.pop("format"),
        lambda d: d["channels"][0]["stages"][0]["event"].update(phase_width_us=0),
        lambda d: d["channels"][0]["stages"][0]["event"].update(type="puls"),
        lambda d: d["channels"][0]["stages"][0].pop("amplitude_ma"),
        lambda d: d["channels"][0]["stages"][0]["train"].update(phase_deg=360),
    ):
        bad = tomllib.loads(EXAMPLE)
        change(bad)
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(bad, schema)
