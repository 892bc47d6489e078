"""A calibration: what it may hold, and its file."""

from __future__ import annotations

import dataclasses
import datetime
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

import nmes_wave as nw

WHOLE = {
    "full_scale_ma": (98.2, 97.0),
    "load_ohm": 1000.0,
    "device": "USB Audio: - (hw:1,0) (ALSA)",
    "date": datetime.date(2026, 5, 1),
    "sample_rate_hz": 48000.0,
    "sense_ohm": 100.0,
    "input_v_per_unit": 3.27,
    "note": "amplifier at 3, 1 kΩ box B",
}
TEXT = """format = 1
full_scale_ma = [98.2, 97.0]
load_ohm = 1000
device = "USB"
date = 2026-05-01
sample_rate_hz = 48000
"""

positive = st.floats(1e-6, 1e6)


@given(
    scale=st.lists(positive, min_size=1, max_size=8),
    ohm=positive,
    part=st.floats(0.01, 1),
    day=st.dates(),
    words=st.text(st.characters(exclude_categories=["Cs", "Cc"])),
    plain=st.booleans(),
)
def test_a_file_gives_back_what_was_saved(
    tmp_path_factory, scale, ohm, part, day, words, plain
):
    more = {} if plain else {"sense_ohm": ohm * part, "input_v_per_unit": ohm}
    saved = nw.Calibration(
        full_scale_ma=scale,
        load_ohm=ohm,
        device=f"x{words}",
        date=day,
        sample_rate_hz=44_100.0,
        note=words,
        **more,
    )
    path = tmp_path_factory.getbasetemp() / "round-trip.toml"
    saved.save(path)
    assert nw.Calibration.load(path) == saved


def test_the_file_is_toml_that_people_can_write(tmp_path):
    path = tmp_path / "a.toml"
    nw.Calibration(**WHOLE).save(path)
    written = tomllib.loads(path.read_text("utf-8"))
    assert written == {"format": 1, **WHOLE, "full_scale_ma": [98.2, 97.0]}
    path.write_text(TEXT, "utf-8")
    read = nw.Calibration.load(path)
    assert (read.full_scale_ma, read.load_ohm) == ((98.2, 97.0), 1000.0)
    assert (read.date, read.note) == (datetime.date(2026, 5, 1), "")


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "a.toml"
    path.write_text("what was there")

    def full(text):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tomli_w.dumps", full)
    with pytest.raises(nw.FormatError, match=r"a\.toml: No space left on device"):
        nw.Calibration(**WHOLE).save(path)
    assert path.read_text() == "what was there"
    assert [*tmp_path.iterdir()] == [path]


@pytest.mark.parametrize(
    ("old", "new", "error", "words"),
    [
        ("load_ohm", "load_ohms", nw.FormatError, "did you mean load_ohm"),
        ("format = 1", "format = 2", nw.FormatError, "format = 2: this version reads"),
        ("format = 1", "", nw.FormatError, "format = None"),
        ("1000", '"1 k"', nw.SpecError, "load_ohm = '1 k': must be a number"),
        ("1000", "0", nw.SpecError, "load_ohm = 0: must be greater than 0 Ω"),
        ("1000", "nan", nw.SpecError, "load_ohm = nan: must be finite"),
        ("98.2", "-1", nw.SpecError, r"full_scale_ma\[0\] = -1: must be greater"),
        ("[98.2, 97.0]", "98.2", nw.SpecError, "full_scale_ma = 98.2: must be"),
        ("[98.2, 97.0]", "[]", nw.SpecError, "must have a value for each channel"),
        ('"USB"', "3", nw.SpecError, "device = 3: must be text"),
        ('"USB"', '" "', nw.SpecError, "must name what was measured"),
        ("2026-05-01", '"1 May"', nw.SpecError, "date = '1 May': must be a date"),
        ("2026-05-01", "2026-05-01T10:00:00", nw.SpecError, "without a time"),
        ("date = 2026-05-01", "", nw.SpecError, "date = None: must be given"),
        ("48000", "48000\nsense_ohm = 1001", nw.SpecError, "at most load_ohm, 1000 Ω"),
        ("format", "= format", nw.FormatError, r"a\.toml: not TOML"),
    ],
)
def test_a_wrong_file_names_the_field(tmp_path, old, new, error, words):
    path = tmp_path / "a.toml"
    assert TEXT.count(old) == 1
    path.write_text(TEXT.replace(old, new), "utf-8")
    with pytest.raises(error, match=words):
        nw.Calibration.load(path)


def test_no_file(tmp_path):
    with pytest.raises(nw.FormatError, match=r"none\.toml: No such file"):
        nw.Calibration.load(tmp_path / "none.toml")


def test_it_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError, match="load_ohm"):
        nw.Calibration(**WHOLE).load_ohm = 1.0
