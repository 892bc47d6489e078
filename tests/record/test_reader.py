"""Reading records back, whole, cut and spoilt."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from recording import plan_of, records_of, row, whole_run, written

import nmes_wave as nw
from nmes_wave.record import RecordFacts, RecordKind, reader
from nmes_wave.record.reader import read_events
from nmes_wave.record.rows import NAMES


def session(plan, other):
    """Every kind of row."""
    return np.concatenate(
        [
            row(RecordKind.START, asked=0),
            records_of(plan)[:9],
            row(RecordKind.SET_INTENSITY, 2000.0, channel=1, value=0.5, asked=1900.5),
            row(RecordKind.PAUSE, 3000.0, asked=2990),
            row(RecordKind.RESUME, 4000.0, plan_frame=3000.0, asked=3000),
            row(RecordKind.LOAD, 5000.0, plan_frame=0.0, load=1),
            records_of(other, lag=5000, load=1)[:5],
            row(RecordKind.UNDERRUN, 6000.0, value=3, load=1),
            row(RecordKind.STOP, 7000.0, load=1, asked=2000),
            row(RecordKind.END, 8000.0, plan_frame=3000.0, load=1),
            row(RecordKind.FAULT, 9000.0, value=1, load=1),
        ]
    )


@pytest.fixture
def made(tmp_path):
    plan, other = plan_of(), plan_of(rate_hz=80.0)
    path = written(tmp_path / "a_events.tsv", plan, session(plan, other), loads=[other])
    return path, plan, other


def test_a_record_comes_back_as_arrays(made):
    path, plan, other = made
    record = read_events(path)
    events = record.events
    assert len(events) == 14
    assert events["load"].tolist() == [0] * 9 + [1] * 5
    np.testing.assert_array_equal(events["plan_frame"][:9], plan.pulses()["frame"][:9])
    np.testing.assert_allclose(
        events["onset_s"][9:], (other.pulses()["frame"][:5] + 5000) / 48_000, atol=5e-10
    )
    # exact: the shortest decimals that give the same float64
    ma = records_of(plan)["level"][:9] * (100.0 / plan.output.max_code)
    np.testing.assert_array_equal(events["amplitude_ma"][:9], ma)
    assert (events["intensity"] == 1.0).all()
    assert (events["net_charge_uc"] == 0.0).all()
    assert (record.protocol, record.output) == (plan.protocol, plan.output)
    assert record.protocols == (plan.protocol, other.protocol)
    assert not record.truncated
    assert "14 events" in repr(record)


def test_what_is_no_event_comes_back_in_words(made):
    record = read_events(made[0])
    kinds = ["start", "set_intensity", "pause", "resume", "load", "stop"]
    assert [c.kind for c in record.commands] == kinds
    change = record.commands[1]
    assert (change.channel, change.intensity, change.asked_frame) == (1, 0.5, 1900.5)
    assert record.commands[3].plan_frame == 3000.0
    assert record.commands[3].onset_s == pytest.approx(4000 / 48_000, abs=1e-9)
    assert record.commands[4].asked_frame is None
    assert [n.kind for n in record.notes] == ["underrun", "end", "fault"]
    assert [n.value for n in record.notes] == [3, None, 1]
    assert [n.reason for n in record.notes] == [None, None, "emergency stop"]


floats = st.floats(0, 1e12)
whole = st.integers(0, 2**53)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(floats, whole, whole, whole, whole, st.floats(0, 1)), max_size=9)
)
def test_whatever_the_numbers_they_come_back(tmp_path, values):
    plan = plan_of(dtype="int32", full_scale_ma=99.7)
    records = np.repeat(records_of(plan)[:1], len(values))
    names = ("plan_frame", "on_period", "index", "n_frames", "level", "value")
    for name, column in zip(names, zip(*values, strict=True), strict=False):
        records[name] = column
    path = tmp_path / "a.tsv"
    for old in tmp_path.iterdir():
        old.unlink()
    events = read_events(written(path, plan, records)).events
    for name in ("plan_frame", "on_period", "index"):
        np.testing.assert_array_equal(events[name], records[name])
    np.testing.assert_array_equal(events["intensity"], records["value"])
    np.testing.assert_array_equal(
        events["amplitude_ma"], records["level"] * (99.7 / 2147483647)
    )


def test_a_last_line_cut_anywhere_is_left_out(tmp_path):
    plan = plan_of()
    tail = [records_of(plan)[:3], row(RecordKind.STOP, 900.0, asked=1.5)]
    for n in (1, 2):
        path = written(tmp_path / f"{n}.tsv", plan, *tail[:n])
        whole_file = path.read_bytes()
        *before, _, _ = whole_file.split(b"\n")
        last = sum(len(line) + 1 for line in before)
        for size in range(last, len(whole_file) + 1):
            path.write_bytes(whole_file[:size])
            record = read_events(path)
            complete = size == len(whole_file)
            assert record.truncated == (last < size < len(whole_file))
            assert len(record.events) == (3 if n == 2 or complete else 2)
            assert len(record.commands) == (n == 2 and complete)


def test_a_header_cut_anywhere_is_an_empty_record(made):
    path = made[0]
    header = path.read_bytes().split(b"\n")[0] + b"\n"
    for size in range(len(header)):
        path.write_bytes(header[:size])
        record = read_events(path)
        assert (len(record.events), record.truncated) == (0, True)
    path.write_bytes(header)
    assert not read_events(path).truncated


@pytest.mark.parametrize("part_bytes", [1, 97, 4096])
def test_where_parts_of_the_file_meet_nothing_is_lost(made, monkeypatch, part_bytes):
    path = made[0]
    expected = read_events(path)
    monkeypatch.setattr(reader, "PART_BYTES", part_bytes)
    record = read_events(path)
    np.testing.assert_array_equal(record.events, expected.events)
    assert (record.commands, record.notes) == (expected.commands, expected.notes)


def spoilt(path, line, column, text):
    lines = path.read_text("ascii").split("\n")
    cells = lines[line - 1].split("\t")
    cells[NAMES.index(column)] = text
    lines[line - 1] = "\t".join(cells)
    path.write_text("\n".join(lines), "latin-1")


@pytest.mark.parametrize(
    ("line", "column", "text"),
    [
        (4, "onset", "soon"),
        (4, "onset", "n/a"),
        (5, "onset", "nan"),
        (6, "plan_frame", "inf"),
        (7, "channel", "2"),
        (7, "channel", "-1"),
        (7, "index", "1e400"),
        (7, "stage", "9" * 30),
        (8, "load", "2"),
        (9, "status", "fine"),
        (9, "status", "unconfirmed?"),
        (9, "status", "unconfirmed, I think"),
        (9, "amplitude_ma", "5 mA"),
        (12, "trial_type", "set intensity"),
        (12, "plan_frame", "n/a"),
        (12, "channel", "left"),
        (3, "trial_type", "pulse"),
        (3, "intensity", "\xb5"),
    ],
)
def test_a_spoilt_cell_is_named_with_its_line(made, line, column, text):
    spoilt(made[0], line, column, text)
    with pytest.raises(nw.FormatError, match=rf"a_events\.tsv, line {line}: ") as got:
        read_events(made[0])
    assert column in str(got.value) or "columns" in str(got.value)


@pytest.mark.parametrize("absent", ["intensity", "amplitude_ma", "duration"])
def test_an_absent_measure_is_nan(made, absent):
    spoilt(made[0], 5, absent, "n/a")
    events = read_events(made[0]).events
    field = "duration_s" if absent == "duration" else absent
    assert np.flatnonzero(np.isnan(events[field])).tolist() == [2]


@pytest.mark.parametrize(
    ("edit", "line"),
    [
        (lambda lines: lines.insert(5, ""), 6),
        (lambda lines: lines.insert(5, "x" * 9000), 6),
        (lambda lines: lines.__setitem__(6, lines[6] + "\tmore"), 7),
        (lambda lines: lines.__setitem__(6, lines[6][:20]), 7),
        (lambda lines: lines.__setitem__(0, "onset\tduration"), 1),
        (lambda lines: lines.__setitem__(0, "\x00" * 20), 1),
    ],
    ids=["empty", "long", "wider", "narrower", "other header", "no text"],
)
def test_a_spoilt_line_is_named(made, edit, line):
    lines = made[0].read_text("ascii").split("\n")
    edit(lines)
    made[0].write_text("\n".join(lines))
    with pytest.raises(nw.FormatError, match=rf"a_events\.tsv, line {line}: "):
        read_events(made[0])


def test_a_file_without_lines_is_refused_before_it_fills_the_memory(made):
    with made[0].open("ab") as file:
        file.write(b"x" * 100_000)
    with pytest.raises(nw.FormatError, match=r"line \d+: not a line of a record"):
        read_events(made[0])


SIDECARS = [
    (lambda d: d["nmes_wave"].update(format=2), "format = 2: this version reads 1"),
    (lambda d: d.pop("nmes_wave"), "not the sidecar of a record"),
    (lambda d: d["nmes_wave"].update(plans=[]), "plans must be a list"),
    (lambda d: d["nmes_wave"]["plans"].append(3), r"plans\[2\]: must be an object"),
    (
        lambda d: d["nmes_wave"]["plans"][1]["output"].update(full_scale_ma=50.0),
        r"plans\[1\]: protocol or output are not those that sha256",
    ),
    (lambda d: d["nmes_wave"].update(start_intensity=[1]), "one for each channel"),
]


@pytest.mark.parametrize(("edit", "match"), SIDECARS, ids=[m for _, m in SIDECARS])
def test_a_spoilt_sidecar_is_refused(made, edit, match):
    side = made[0].with_suffix(".json")
    document = json.loads(side.read_text("utf-8"))
    edit(document)
    side.write_text(json.dumps(document))
    with pytest.raises(nw.FormatError, match=match) as caught:
        read_events(made[0])
    assert str(side) in str(caught.value)


def test_missing_and_unreadable_files_are_named(made, tmp_path):
    side = made[0].with_suffix(".json")
    side.write_bytes(b"\xff{")
    with pytest.raises(nw.FormatError, match=r"a_events\.json: not JSON"):
        read_events(made[0])
    side.unlink()
    with pytest.raises(nw.FormatError, match=r"a_events\.json: No such file"):
        read_events(made[0])
    path = written(tmp_path / "b.tsv", made[1], whole_run(made[1]))
    path.unlink()
    with pytest.raises(nw.FormatError, match=r"b\.tsv: No such file"):
        read_events(path)


def test_a_device_name_that_is_no_text_comes_back(tmp_path):
    """A driver may give bytes that decode to half a surrogate pair."""
    facts = RecordFacts(latency_s=0.01, device="\udcff \u00b5\u03a9")
    path = written(tmp_path / "a.tsv", plan_of(), facts=facts)
    section = read_events(path).sidecar["nmes_wave"]
    assert section["device"] == facts.device


def test_an_event_that_was_left_out_delivered_nothing(tmp_path):
    plan = plan_of()
    records = records_of(plan)[:3]
    records["kind"][1], records["net"][1] = RecordKind.LEFT_OUT, 5
    events = read_events(written(tmp_path / "a.tsv", plan, records)).events
    assert events["status"].tolist() == ["delivered", "left out", "delivered"]
    for name in ("amplitude_ma", "duration_s", "net_charge_uc"):
        assert events[name][1] == 0.0
    assert events["amplitude_ma"][0] > 49


def test_the_line_is_counted_over_the_whole_file(made, monkeypatch):
    monkeypatch.setattr(reader, "PART_BYTES", 200)
    spoilt(made[0], 14, "onset", "soon")
    with pytest.raises(nw.FormatError, match=r"a_events\.tsv, line 14: onset"):
        read_events(made[0])
