"""Writing a record: what stands in the files, and whatever goes wrong."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from recording import (
    FACTS,
    Bench,
    Ring,
    plan_of,
    records_of,
    row,
    whole_run,
    written,
)

import nmes_wave as nw
from nmes_wave.faults import Fault
from nmes_wave.record import RecordFacts, RecordKind, RecordWriter, read_events

TESTS = Path(__file__).parent.parent
PATHS = [str(TESTS), os.environ.get("PYTHONPATH", "")]
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, PATHS))}
LATE = RecordFacts(device="a device", latency_s=0.05)


def rows_of(path):
    with path.open(encoding="ascii", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def sidecar_of(path):
    return json.loads(path.with_suffix(".json").read_text("utf-8"))


def until(condition, timeout_s=10.0):
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def writer_of(path, plan, ring, facts=FACTS):
    failed = threading.Event()
    writer = RecordWriter(path, plan, ring, facts, failed.set)
    writer.open()
    writer.start()
    return writer, failed


# -- what stands in the files ---------------------------------------------------


def test_the_table_is_a_bids_events_file(tmp_path):
    plan = plan_of(ramp_up_s=0.1)
    path = written(tmp_path / "sub-01_events.tsv", plan, whole_run(plan))
    rows = rows_of(path)
    # BIDS: these two first, in seconds; every other column described; n/a for none
    assert list(rows[0])[:2] == ["onset", "duration"]
    assert all(float(r["onset"]) >= 0 and float(r["duration"]) >= 0 for r in rows)
    assert all(cell and cell.lower() != "nan" for r in rows for cell in r.values())
    described = sidecar_of(path)
    assert all(described[name]["Description"] for name in rows[0])
    assert described["onset"]["Units"] == described["duration"]["Units"] == "s"
    for name in ("trial_type", "status"):
        assert {r[name] for r in rows} - {"n/a"} <= {*described[name]["Levels"]}


def test_a_row_holds_the_event_in_the_units_of_its_columns(tmp_path):
    plan = plan_of(full_scale_ma=(100.0, 80.0), dtype="int16")
    event = records_of(plan)[3:4].copy()
    event["channel"], event["level"], event["net"] = 1, 16384, -7
    (got,) = rows_of(written(tmp_path / "a.tsv", plan, event))
    assert float(got["amplitude_ma"]) == pytest.approx(16384 * 80 / 32767, rel=1e-15)
    # codes * mA / Hz * 1000 = µC
    charge_uc = -7 * 80 / 32767 / 48_000 * 1e3
    assert float(got["net_charge_uc"]) == pytest.approx(charge_uc, rel=1e-12)
    assert float(got["duration"]) * 48_000 == pytest.approx(event["n_frames"][0])
    assert float(got["plan_frame"]) == event["plan_frame"][0]


@pytest.mark.parametrize("rate_hz", [8000.0, 44_100.0, 48_000.0, 768_000.0])
def test_onsets_keep_the_fraction_of_a_frame_for_a_day(tmp_path, rate_hz):
    plan = plan_of(sample_rate_hz=rate_hz)
    events = np.repeat(records_of(plan)[:1], 1000)
    rng = np.random.default_rng(1)
    events["plan_frame"] = rng.uniform(0, 86_400 * rate_hz, 1000)
    events["onset"] = events["plan_frame"] + rng.integers(0, 1 << 40, 1000) % 10**6
    events = events[np.argsort(events["onset"])]
    got = read_events(written(tmp_path / "a.tsv", plan, events)).events
    np.testing.assert_array_equal(got["plan_frame"], events["plan_frame"])
    lag = got["onset_s"] * rate_hz - got["plan_frame"]
    exact = events["onset"] - events["plan_frame"]
    np.testing.assert_allclose(lag, exact, rtol=0, atol=1e-9 * rate_hz)
    np.testing.assert_array_equal(np.rint(lag), np.rint(exact))


def test_the_sidecar_says_what_was_delivered_on_what(tmp_path):
    plan = plan_of(trigger=nw.Trigger(at="on_period"))
    before = datetime.now(UTC)
    path = written(tmp_path / "a.tsv", plan, whole_run(plan), intensity=0.25)
    section = sidecar_of(path)["nmes_wave"]
    assert section["version"] == nw.__version__
    assert (section["device"], section["note"]) == (FACTS.device, FACTS.note)
    assert (section["latency_s"], section["shared"]) == (0.0, False)
    assert section["start_intensity"] == [0.25, 0.25]
    start = datetime.fromisoformat(section["start_time_utc"])
    assert before <= start <= datetime.now(UTC)
    (entry,) = section["plans"]
    assert nw.StimProtocol.from_toml(entry["protocol_toml"]) == plan.protocol
    assert entry["output"]["full_scale_ma"] == 100.0
    assert entry["channels"] == ["channel 0", "channel 1"]
    # as its documentation says, so that others can check it
    text = entry["protocol_toml"] + json.dumps(entry["output"], sort_keys=True)
    assert hashlib.sha256(text.encode()).hexdigest() == entry["sha256"]


def test_a_record_is_never_written_over(tmp_path):
    plan = plan_of()
    path = written(tmp_path / "a.tsv", plan, whole_run(plan))
    kept = path.read_bytes(), path.with_suffix(".json").read_bytes()
    with pytest.raises(nw.FormatError, match=r"a\.json: exists; .* another name"):
        RecordWriter(path, plan, Ring(), FACTS, print).open()
    assert (path.read_bytes(), path.with_suffix(".json").read_bytes()) == kept
    path.with_suffix(".json").unlink()
    with pytest.raises(nw.FormatError, match=r"a\.tsv: exists"):
        RecordWriter(path, plan, Ring(), FACTS, print).open()
    # what it had made before it found out is gone again
    assert [p.name for p in tmp_path.iterdir()] == ["a.tsv"]


def test_places_where_no_record_can_be_are_refused(tmp_path):
    with pytest.raises(nw.FormatError, match=r"ends in \.tsv"):
        RecordWriter(tmp_path / "a.csv", plan_of(), Ring(), FACTS, print)
    with pytest.raises(nw.FormatError, match="No such file"):
        RecordWriter(tmp_path / "no" / "a.tsv", plan_of(), Ring(), FACTS, print).open()


# -- while a session runs -------------------------------------------------------


def test_rows_are_in_the_file_while_the_session_runs(tmp_path):
    plan = plan_of()
    records = records_of(plan)
    writer, failed = writer_of(tmp_path / "a.tsv", plan, Ring(records[:40]))
    begun = time.monotonic()
    until(lambda: len(rows_of(writer.path)) == 40)
    assert time.monotonic() - begun < 1.0
    writer.close()
    assert (writer.failure, failed.is_set()) == (None, False)


def test_what_the_device_has_not_played_is_held_back(tmp_path):
    plan = plan_of()
    facts = RecordFacts(device="a device", latency_s=60.0)
    ring = Ring(records_of(plan))
    writer, _ = writer_of(tmp_path / "a.tsv", plan, ring, facts)
    until(lambda: not ring.batches)
    time.sleep(0.15)
    assert rows_of(writer.path) == []
    writer.close()
    assert {r["status"] for r in rows_of(writer.path)} == {"delivered"}


LOSSES = [
    (row(RecordKind.UNDERRUN, 12_000.0, value=1), 1e9),
    (row(RecordKind.FAULT, 12_000.0, value=Fault.UNDERRUN), 1e9),
    (row(RecordKind.FAULT, 12_000.0, value=Fault.DEVICE_LOST), 0.0),
    (row(RecordKind.FAULT, 12_000.0, value=Fault.EMERGENCY_STOP), None),
]


@pytest.mark.parametrize(("loss", "after"), LOSSES)
@pytest.mark.parametrize("split", [0, 60, 99])
def test_events_within_the_last_latency_before_a_loss_are_unconfirmed(
    tmp_path, loss, after, split
):
    """At frame 12,000 with 2,400 frames of latency; also those that sound then."""
    plan = plan_of()
    records = records_of(plan)
    ring = Ring(records[:split], np.concatenate([records[split:], loss]))
    writer = RecordWriter(tmp_path / "a.tsv", plan, ring, LATE, print)
    writer.open()
    writer._turn()
    writer.close()
    events = read_events(writer.path).events
    end = np.floor(records["onset"]) + records["n_frames"]
    due = (end > 12_000 - 2400) & ((records["onset"] < 12_000) | (after == 0.0))
    due &= after is not None
    np.testing.assert_array_equal(events["status"] == "unconfirmed", due)
    if after == 1e9:
        assert 0 < due.sum() < len(due)


def test_a_lost_device_is_noted_though_the_engine_cannot(tmp_path):
    plan = plan_of()
    records = records_of(plan)
    writer, _ = writer_of(tmp_path / "a.tsv", plan, Ring(records), LATE)
    writer.lose("unplugged")
    writer.lose("and gone")
    writer.close()
    record = read_events(writer.path)
    assert [n.reason for n in record.notes] == ["device lost"]
    assert record.sidecar["nmes_wave"]["device_lost"] == "unplugged"
    due = records["onset"] + records["n_frames"] > records["onset"][-1] - 2400
    np.testing.assert_array_equal(record.events["status"] == "unconfirmed", due)


def test_a_cut_event_has_its_true_length(tmp_path):
    plan = plan_of()
    cut = row(RecordKind.CUT, 500.0, channel=0, n_frames=9, net=0)
    path = written(tmp_path / "a.tsv", plan, records_of(plan)[:5], cut)
    events = read_events(path).events
    assert events["status"].tolist() == ["delivered"] * 4 + ["cut"]
    assert events["channel"][4] == 0
    assert events["duration_s"][4] == pytest.approx(9 / 48_000, abs=1e-9)
    assert rows_of(path)[5]["amplitude_ma"] == "n/a"


def test_loaded_plans_stand_in_the_sidecar_before_their_rows(tmp_path):
    plan, other = plan_of(), plan_of(rate_hz=80.0, amplitude_ma=20.0)
    ring = Ring(records_of(plan), records_of(other, lag=50_000, load=1))
    writer, failed = writer_of(tmp_path / "a.tsv", plan, ring)
    until(lambda: not ring.batches)
    time.sleep(0.15)
    # the engine was faster than the call of load: the rows wait
    assert len(rows_of(writer.path)) == len(records_of(plan))
    writer.load(other)
    until(lambda: len(rows_of(writer.path)) > len(records_of(plan)))
    assert read_events(writer.path).protocols == (plan.protocol, other.protocol)
    writer.close()
    assert not failed.is_set()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.json", "a.tsv"]


def test_records_lost_in_a_full_ring_are_told(tmp_path):
    """The engine's own ring, and a writer that stands still meanwhile."""
    plan = plan_of(on_s=30.0, n_channels=8, amplitude_ma=20.0)
    bench = Bench(plan, n_records=1000)
    bench.start()
    bench.run(plan.n_frames // 2)
    writer = RecordWriter(tmp_path / "a.tsv", plan, bench.take, FACTS, print)
    writer.open()
    writer._turn()
    bench.run(480)
    writer.close()
    record = read_events(writer.path)
    (note,) = [n for n in record.notes if n.kind == "records_lost"]
    events = record.events
    assert note.value == record.records_lost > 0
    before = events["onset_s"] <= note.onset_s
    delivered = plan.pulses(0, bench.engine.snapshot()["frame"])
    assert len(events) + note.value == len(delivered)
    assert 0 < before.sum() < len(events)


# -- what goes wrong ------------------------------------------------------------


def test_a_deleted_folder_fails_the_session(tmp_path):
    folder = tmp_path / "gone"
    folder.mkdir()
    plan = plan_of()
    writer, failed = writer_of(folder / "a.tsv", plan, Ring())
    shutil.rmtree(folder)
    assert failed.wait(2.0)
    assert "the file was deleted" in writer.failure
    writer.close()


def test_a_full_disk_fails_the_session_and_keeps_what_is_there(tmp_path):
    """A limit on the size of files stands for the disk."""
    code = """
import resource, sys
from recording import Ring, plan_of, records_of, FACTS
from nmes_wave.record import RecordWriter
plan = plan_of(on_s=5.0)
failures = []
writer = RecordWriter(sys.argv[1], plan, Ring(records_of(plan)), FACTS,
                      lambda: failures.append("wound down"))
writer.open()
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
writer.start()
writer._thread.join(10)
print(failures, writer.failure)
writer.close()
"""
    path = tmp_path / "a.tsv"
    done = python(code, path)
    assert done.stderr == ""
    assert "['wound down']" in done.stdout
    assert "File too large" in done.stdout
    record = read_events(path)
    assert record.truncated
    assert path.stat().st_size == 20_000
    plan = plan_of(on_s=5.0)
    frames = records_of(plan)["plan_frame"][: len(record.events)]
    np.testing.assert_array_equal(record.events["plan_frame"], frames)


def python(code, *arguments, **options):
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
        **options,
    )


def test_a_killed_process_leaves_all_but_the_last_second(tmp_path):
    code = """
import sys, time
from recording import Bench, plan_of, FACTS
from nmes_wave.record import RecordFacts, RecordWriter
plan = plan_of(on_s=60.0)
bench = Bench(plan)
facts = RecordFacts(device="d", latency_s=0.05)
writer = RecordWriter(sys.argv[1], plan, bench.take, facts, lambda: None)
writer.open()
writer.start()
bench.start()
begun = time.monotonic()
done = 0
while True:
    due = int((time.monotonic() - begun) * 48_000)
    bench.run(due - done)
    done = due
    print(done, flush=True)
    time.sleep(0.01)
"""
    path = tmp_path / "a.tsv"
    with subprocess.Popen(
        [sys.executable, "-c", code, path],
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
    ) as process:
        try:
            delivered = 0
            while delivered < 2 * 48_000:
                delivered = int(process.stdout.readline())
        finally:
            process.send_signal(signal.SIGKILL)
    record = read_events(path)
    expected = plan_of(on_s=60.0).pulses(0, delivered - 48_000)["frame"]
    assert len(record.events) >= len(expected) >= 100
    np.testing.assert_array_equal(
        record.events["plan_frame"][: len(expected)], expected
    )


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_writes_nothing(tmp_path):
    """It holds rows back, as its parent does, and closes."""
    code = """
import os, sys
from recording import Ring, plan_of, records_of
from nmes_wave.record import RecordFacts, RecordWriter
plan = plan_of()
facts = RecordFacts(device="d", latency_s=5.0)
writer = RecordWriter(sys.argv[1], plan, Ring(records_of(plan)), facts, print)
writer.open()
writer._turn()
child = os.fork()
writer.close()
if child:
    assert os.waitpid(child, 0)[1] == 0
"""
    done = python(code, tmp_path / "a.tsv")
    assert (done.stderr, done.returncode) == ("", 0)
    assert len(rows_of(tmp_path / "a.tsv")) == len(records_of(plan_of()))


def test_an_unforeseen_error_fails_the_session_too(tmp_path):
    def take():
        raise RuntimeError("what nobody thought of")

    writer, failed = writer_of(tmp_path / "a.tsv", plan_of(), take)
    assert failed.wait(2.0)
    assert writer.failure.endswith("RuntimeError: what nobody thought of")
    writer.close()
    writer.close()
