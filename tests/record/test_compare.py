"""Whether what was delivered is what was planned; on records that the engine made."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import strategies
from hypothesis import given, settings
from hypothesis import strategies as st
from recording import Bench, plan_of, records_of, row, whole_run, written

import nmes_wave as nw
from nmes_wave.record import RecordKind
from nmes_wave.record.comparing import compare
from nmes_wave.record.reader import read_events
from nmes_wave.status import Command

COUNTS = ("missing", "extra", "wrong", "unconfirmed", "not_reached", "records_lost")


def compared(tmp_path, plan, *batches, **options):
    path = written(tmp_path / "a.tsv", plan, *batches, **options)
    plans = [plan, *options.get("loads", ())]
    return compare(plans, read_events(path))


def counts_of(found):
    return {name: getattr(found, name) for name in COUNTS if getattr(found, name)}


def delivered_of(bench, tmp_path, loads=(), intensity=1.0):
    """Compare what the engine recorded with its plans."""
    records, lost = bench.take()
    return compared(
        tmp_path, bench.plan, records, loads=loads, intensity=intensity, lost=lost
    )


# -- what passes ----------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(strategies.plans(), st.sampled_from([1.0, 0.61803]), st.integers(1, 4000))
def test_whatever_the_plan_an_untouched_run_passes(plan, intensity, block):
    bench = Bench(plan, intensity)
    bench.start()
    bench.run(plan.n_frames + 1, block)
    with TemporaryDirectory() as folder:
        found = delivered_of(bench, Path(folder), intensity=intensity)
    assert found.passed, str(found)
    assert found.matched == found.delivered
    assert found.same_plan
    if intensity == 1.0:
        pulses = plan.pulses()
        scale_ma = plan.output.full_scales_ma(plan.n_channels)[0]
        level = pulses["amplitude_ma"] / scale_ma * plan.output.max_code
        assert found.delivered == (np.floor(level * (1 + 1e-12)) > 0).sum()
        assert found.full_intensity


def test_an_event_below_one_code_between_louder_ones_is_silent(tmp_path):
    """The foot of an envelope, at less than full intensity."""
    plan = plan_of(ramp_up_s=0.1, amplitude_ma=0.012, n_channels=1, dtype="int16")
    bench = Bench(plan, 0.5)
    bench.start()
    bench.run(plan.n_frames + 1)
    found = delivered_of(bench, tmp_path, intensity=0.5)
    assert found.passed, str(found)
    assert found.silent > 0


def test_a_session_by_hand_passes_up_to_its_stop(tmp_path):
    """From intensity 0, up and down, paused, resumed and stopped."""
    plan = plan_of(on_s=6.0, ramp_up_s=0.2, dtype="int16", alternate=True, n_let=2)
    bench = Bench(plan, intensity=0.0)
    bench.start()
    bench.run(24_000)
    assert bench.engine.push(Command.SET_INTENSITY, -1, 0.5)
    bench.run(48_000)
    assert bench.engine.push(Command.SET_INTENSITY, 1, 0.0)
    bench.run(48_000)
    assert bench.engine.push(Command.PAUSE)
    bench.run(12_345)
    assert bench.engine.push(Command.RESUME)
    bench.run(48_000)
    assert bench.engine.push(Command.STOP)
    bench.run(24_000)
    found = delivered_of(bench, tmp_path, intensity=0.0)
    assert [*counts_of(found)] == ["not_reached"], str(found)
    assert (found.matched, found.full_intensity) == (found.delivered, False)
    pulses = plan.pulses()
    # half a second at 0 on both channels, about two seconds on the second one
    assert 100 * 2 < found.silent < 400 * 2
    total = found.matched + found.silent + found.not_reached
    assert total == (pulses["amplitude_ma"] / 100 * 32767 >= 1).sum()
    assert "judged against planned amplitude × intensity" in str(found)


@pytest.mark.parametrize("paused", [False, True])
@pytest.mark.parametrize("at", [23_000, 24_010])  # between events, and inside one
@pytest.mark.parametrize("cycles", [1, 4])  # at 4 the other channel's is due in it
def test_a_loaded_plan_replaces_the_rest_of_the_first(tmp_path, paused, at, cycles):
    event = nw.Burst(carrier_hz=1000, cycles=cycles)
    plan, other = (
        plan_of(on_s=2.0, event=event),
        plan_of(on_s=0.5, rate_hz=77.0, amplitude_ma=30),
    )
    bench = Bench(plan, intensity=0.5)
    bench.start()
    bench.run(at)
    if paused:
        assert bench.engine.push(Command.PAUSE)
        bench.run(5000)
    assert bench.engine.load(other.core, other.n_frames)
    bench.run(1)
    if paused:
        bench.run(5000)
        assert bench.engine.push(Command.RESUME)
    bench.run(other.n_frames + 2000)
    found = delivered_of(bench, tmp_path, loads=[other], intensity=0.5)
    assert found.passed, str(found)
    assert found.superseded > 250
    assert found.silent <= 2  # the first events, where the gain begins at zero


def test_a_plan_loaded_before_the_start_is_all_there_is(tmp_path):
    plan, other = plan_of(), plan_of(rate_hz=77.0)
    bench = Bench(plan)
    assert bench.engine.load(other.core, other.n_frames)
    bench.run(100)
    bench.start()
    bench.run(other.n_frames + 1)
    found = delivered_of(bench, tmp_path, loads=[other])
    assert found.passed, str(found)
    assert found.matched == other.n_pulses
    assert found.superseded == plan.n_pulses


def test_an_emergency_stop_leaves_the_rest_unreached(tmp_path):
    plan = plan_of(on_s=2.0)
    bench = Bench(plan)
    bench.start()
    bench.run(48_000)
    bench.engine.trip(1)
    bench.run(1000)
    found = delivered_of(bench, tmp_path)
    assert [*counts_of(found)] == ["not_reached"]
    assert found.matched == len(plan.pulses(0, 48_000))


def test_a_long_burst_that_was_cut_is_told(tmp_path):
    event = nw.Burst(carrier_hz=1000, cycles=400)
    plan = plan_of(on_s=2.0, event=event, rate_hz=1.0, n_channels=1, amplitude_ma=10)
    bench = Bench(plan)
    bench.start()
    bench.run(4800)
    bench.engine.trip(1)
    bench.run(4800)
    found = delivered_of(bench, tmp_path)
    assert counts_of(found) == {"wrong": 1, "not_reached": 1}
    assert "frames (1)" in str(found)


# -- what fails -----------------------------------------------------------------

VICTIM = 43


def change(name, value):
    def edit(records):
        records[name][VICTIM] = value(records[name][VICTIM])
        return records

    return edit


def pushed_on(records):
    records["onset"][VICTIM:] += 1
    return records


EDITS = {
    "missing": ({"missing": 1}, lambda r: np.delete(r, VICTIM)),
    "twice": ({"extra": 1}, lambda r: np.insert(r, VICTIM, r[VICTIM])),
    "elsewhere": ({"missing": 1, "extra": 1}, change("plan_frame", lambda f: f + 0.01)),
    "higher": ({"wrong": 1}, change("level", lambda n: n + 2)),
    "lower": ({"wrong": 1}, change("level", lambda n: n - 2)),
    "one frame late": ({"wrong": 1}, change("onset", lambda f: f + 1)),
    "a fifth of a frame early": ({"wrong": 1}, change("onset", lambda f: f - 0.2)),
    "all later ones late": ({"wrong": VICTIM}, pushed_on),
    "one frame longer": ({"wrong": 1}, change("n_frames", lambda n: n + 1)),
    "negated": ({"wrong": 1}, change("sign", lambda s: -s)),
    "not balanced": ({"wrong": 1}, change("net", lambda n: 1)),
    "other on-period": ({"wrong": 1}, change("on_period", lambda n: n + 1)),
    "other stage": ({"wrong": 1}, change("stage", lambda n: n + 1)),
    "other index": ({"wrong": 1}, change("index", lambda n: n + 1)),
    "intensity unlike its level": ({"wrong": 1}, change("value", lambda x: 0.999)),
    "left out": ({"missing": 1}, change("kind", lambda k: RecordKind.LEFT_OUT)),
}


@pytest.mark.parametrize("name", EDITS)
def test_one_event_that_is_not_as_planned_fails(tmp_path, name):
    expected, edit = EDITS[name]
    plan = plan_of(alternate=True)
    records = records_of(plan)
    if name == "all later ones late":
        expected = {"wrong": min(VICTIM, len(records) - VICTIM)}
    end = row(RecordKind.END, float(plan.n_frames))
    found = compared(tmp_path, plan, row(RecordKind.START), edit(records), end)
    assert counts_of(found) == expected, str(found)
    assert not found.passed
    assert str(found).startswith("FAIL")
    assert "plan frame" in str(found)


def test_a_level_one_code_off_is_rounding(tmp_path):
    plan = plan_of()
    records = whole_run(plan)
    records["level"][VICTIM] -= 1
    assert compared(tmp_path, plan, records).passed


def test_an_event_may_not_be_missing_because_others_are_quiet(tmp_path):
    plan = plan_of()
    records = whole_run(plan, intensity=0.001)
    found = compared(tmp_path, plan, np.delete(records, VICTIM), intensity=0.001)
    assert counts_of(found) == {"missing": 1}


def test_an_event_that_is_missing_on_the_way_to_zero_is_found(tmp_path):
    bench = Bench(plan_of(on_s=2.0, n_channels=1))
    bench.start()
    bench.run(9600)
    assert bench.engine.push(Command.SET_INTENSITY, -1, 0.0)
    bench.run(bench.plan.n_frames)
    records, _ = bench.take()
    assert 0.1 < records["value"][80] < 0.9
    found = compared(tmp_path, bench.plan, np.delete(records, 80))
    assert counts_of(found) == {"missing": 1}
    assert found.silent > 50


def test_an_empty_record_of_a_session_at_full_intensity_fails(tmp_path):
    plan = plan_of()
    ends = row(RecordKind.START), row(RecordKind.END, float(plan.n_frames))
    found = compared(tmp_path, plan, *ends)
    assert counts_of(found) == {"missing": plan.n_pulses}


def test_without_a_start_intensity_nothing_is_silent(tmp_path):
    plan = plan_of()
    end = row(RecordKind.END, float(plan.n_frames))
    record = read_events(written(tmp_path / "a.tsv", plan, end, intensity=0.0))
    assert compare(plan, record).silent == plan.n_pulses
    record.sidecar["nmes_wave"]["start_intensity"] = None
    assert compare(plan, record).missing == plan.n_pulses


@pytest.mark.parametrize("kept", [0, 1, 20])
def test_events_that_are_missing_after_a_resume_are_found(tmp_path, kept):
    """But for the first, where the gain begins at zero."""
    plan = plan_of(n_channels=1)
    records = records_of(plan)
    records["onset"][20:] += 5000
    at = float(records["plan_frame"][20])
    path = written(
        tmp_path / "a.tsv",
        plan,
        row(RecordKind.START),
        records[:20],
        row(RecordKind.PAUSE, at),
        row(RecordKind.RESUME, at + 5000, plan_frame=at),
        records[len(records) - kept :],
        row(RecordKind.END, plan.n_frames + 5000.0, plan_frame=float(plan.n_frames)),
    )
    found = compare(plan, read_events(path))
    assert (found.silent, found.missing) == (1, 29 - kept)


def test_lost_records_and_a_cut_line_fail(tmp_path):
    plan = plan_of()
    found = compared(tmp_path, plan, whole_run(plan), lost=3)
    assert counts_of(found) == {"records_lost": 3}
    path = tmp_path / "a.tsv"
    path.write_bytes(path.read_bytes()[:-1])
    found = compare(plan, read_events(path))
    assert (found.truncated, found.passed) == (True, False)


def test_unconfirmed_events_are_not_as_planned(tmp_path):
    plan = plan_of()
    underrun = row(RecordKind.UNDERRUN, float(records_of(plan)["onset"][7] + 1))
    found = compared(tmp_path, plan, whole_run(plan), underrun)
    assert counts_of(found) == {"unconfirmed": 1}
    assert found.matched == found.delivered - 1


def test_another_plan_is_told_and_judged(tmp_path):
    plan = plan_of()
    path = written(tmp_path / "a.tsv", plan, whole_run(plan))
    found = compare(plan_of(amplitude_ma=40.0), read_events(path))
    assert counts_of(found) == {"wrong": plan.n_pulses}
    assert not found.same_plan
    assert "its hash differs" in str(found)
    (finding,) = found.findings.values()
    assert (finding.count, len(finding.examples)) == (plan.n_pulses, 5)


@pytest.mark.parametrize(
    ("plans", "match"),
    [
        ([plan_of(), plan_of()], "the record has 1"),
        (plan_of(sample_rate_hz=44_100), "sample_rate_hz = 44100.0: the record has 48"),
        (plan_of(full_scale_ma=99), "full_scale_ma = 99.0: the record has 100.0"),
        (plan_of(n_channels=1), "n_channels = 1: the record has 2"),
    ],
    ids=["plans", "rate", "full scale", "channels"],
)
def test_plans_that_cannot_be_the_recorded_ones_are_refused(tmp_path, plans, match):
    path = written(tmp_path / "a.tsv", plan_of(), whole_run(plan_of()))
    with pytest.raises(nw.SpecError, match=match):
        compare(plans, read_events(path))


def test_an_intensity_that_is_asked_for_in_the_moment_of_a_resume(tmp_path):
    """The gain rises from zero, and the event that begins there delivers nothing."""
    stage = nw.Stage(
        event=nw.Pulse(phase_width_us=250.0),
        train=nw.Train(rate_hz=20.0),
        duty_cycle=nw.DutyCycle(on_s=1.0),
        amplitude_ma=40.0,
    )
    protocol = nw.StimProtocol(
        name="resumed", channels=[nw.Channel(name="one", stages=[stage])]
    )
    output = nw.Output(sample_rate_hz=48_000, full_scale_ma=100.0)
    plan = nw.build_plan(protocol, output)
    log = tmp_path / "log.tsv"
    with nw.Session(plan, sink="null", log=log) as session:
        session.start(1.0)
        session.pause()
        session.resume()
        session.set_intensity(0.6)
        session.wait()
    found = nw.compare(plan, nw.read_events(log))
    assert found.passed, str(found)
