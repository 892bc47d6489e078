"""What the live benchmark makes of its measurements: `benchmarks/live_audio.py`."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import live_audio
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from live_figures.durations import Durations, edge_ns
from live_figures.latency import Latency
from live_figures.pictures import draw
from live_figures.plans import plan_of
from live_figures.players import OURS
from live_figures.run import CLOCK, IN_A_ROW, JACK, Callbacks, LiveRun, Player
from live_figures.tables import better, markdown, outcomes
from live_figures.unattached import (
    STEP,
    SUSTAINABLE,
    by_the_clock,
    largest,
    one_after_the_other,
)

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
BLOCK_US = 64 / 48_000 * 1e6


def counted(durations_ns):
    """A histogram of these durations, by the edges of the engine's buckets."""
    edges = np.array([edge_ns(i) for i in range(512)])
    at = np.searchsorted(edges, durations_ns, side="right") - 1
    counts = np.bincount(np.maximum(at, 0), minlength=512)
    return Durations(tuple(counts.tolist()), int(max(durations_ns)))


# -- durations -----------------------------------------------------------------


@given(
    st.lists(st.floats(8, 1e8), min_size=1, max_size=300),
    st.floats(0.01, 1.0),
)
def test_a_quantile_is_within_the_bucket_of_the_true_one(durations, share):
    found = counted(durations).quantile_us(share)
    true = float(np.quantile(durations, share, method="inverted_cdf"))
    assert true / 1000 / 1.13 <= found <= true / 1000 * 1.13


def test_quantiles_of_even_durations_are_finer_than_their_buckets():
    durations = counted(np.linspace(1000, 2000, 100_001))
    for share in (0.1, 0.5, 0.77, 0.999):
        assert durations.quantile_us(share) == pytest.approx(1 + share, rel=2e-3)
    assert durations.longest_us == 2.0


def test_shares_are_of_the_block():
    median, p999, longest = counted([1e3] * 9950 + [5e3] * 49 + [4e4]).shares(1000.0)
    assert median == pytest.approx(1e-3, rel=0.13)
    assert p999 == pytest.approx(5e-3, rel=0.13)
    assert longest == pytest.approx(0.04)


def test_what_came_after_a_moment_forgets_what_came_before():
    before = counted([100_000.0] * 10)
    after = counted([100_000.0] * 10 + [1000.0] * 90)
    later = after - before
    assert later.n == 90
    assert later.quantile_us(0.999) < 1.13
    assert later.longest_us < 1.13  # the longest was earlier
    assert (counted([100_000.0] * 10 + [2e5]) - before).longest_us == 200.0


def test_durations_survive_json():
    durations = counted([50.0, 1000.0, 1e6])
    again = Durations.from_json(json.loads(json.dumps(durations.to_json())))
    assert again.quantile_us(0.6) == durations.quantile_us(0.6)
    assert (again.n, again.longest_ns) == (3, 1_000_000)


def test_no_callback_is_an_error():
    with pytest.raises(ValueError, match="no callback"):
        Durations((0, 0), 0).quantile_us(0.5)


# -- callbacks without a server --------------------------------------------------


def test_callbacks_are_counted_and_timed():
    plan = plan_of("sparse", 2)
    begun = time.perf_counter()
    durations = one_after_the_other(plan, 0.0)
    took_us = 1e6 * (time.perf_counter() - begun)
    assert durations.n == 750  # a second of the plan
    assert 0.01 < durations.quantile_us(0.1) < took_us / 750
    durations, _ = by_the_clock(plan, 0.3)
    assert durations.n == pytest.approx(0.3 * 750, rel=0.5)


def test_the_plans_are_what_they_are_called():
    assert not plan_of("silent", 1).render(0, 48_000).any()
    sparse, russian = (plan_of(name, 3).render(0, 480_000) for name in
                       ("sparse", "Russian"))  # fmt: skip
    used = [np.count_nonzero(codes[240_000:].any(axis=1)) / 240_000
            for codes in (sparse, russian)]  # fmt: skip
    assert used[0] == pytest.approx(50 * 600e-6, rel=0.1)
    assert used[1] == pytest.approx(0.5, rel=0.05)
    assert (sparse[:, 0] == sparse[:, 2]).all()


@given(st.integers(1, 5000), st.integers(1, 2000))
def test_the_largest_number_is_found_within_a_step(true, first):
    found, share = largest(lambda n: SUSTAINABLE * n / (true + 0.5), first, 10_000)
    assert true / (1 + STEP) - 1 <= found <= true
    assert share < SUSTAINABLE


def test_the_largest_number_is_no_more_than_the_most_and_may_be_none():
    assert largest(lambda n: 1e-3, 256, 1000)[0] == 1000
    assert largest(lambda n: 0.9, 256, 1000) == (0, 0.0)


# -- command latency ---------------------------------------------------------------


def test_latency_counts_from_what_was_handed_over_to_the_first_changed_event():
    onset = np.arange(0.0, 1000.0, 10.0)
    level = np.where(onset < 200, 1.0, 0.5)
    level[onset >= 700] = 1.0
    calls = [(192, 256, 0.5, 0.002), (645, 645, 1.0, 0.004)]
    found = Latency.of(calls, onset, level, 64)
    assert (found.median_frames, found.longest_frames) == ((8 + 55) / 2, 55)
    assert (found.event_frames, found.late) == (10, 0)
    assert found.longest_ms == pytest.approx(4.0)
    # The second command's first events would be late with shorter blocks.
    assert Latency.of(calls, onset, level, 32).late == 2


# -- players -------------------------------------------------------------------------


def player(name, lost, cpu_share=0.02):
    phase = {"seconds": 4.0, "blocks": 3000 - lost, "due": 3000.0, "underruns": lost,
             "cpu_share": cpu_share}  # fmt: skip
    phases = dict.fromkeys(("idle", "sleep", "sort"), phase)
    burst = {name: found | {"blocks": 0} for name, found in phases.items()}
    return Player(name=name, rounds=[phases, burst, phases])


def test_a_player_that_does_better_is_told():
    ours = player(OURS, lost=5)
    assert not list(better([ours, player("worse", 2000, cpu_share=0.03)]))
    assert not list(better([ours, player("the same but for an edge", 4)]))
    told = list(better([ours, player("another", 0, cpu_share=0.01)]))
    assert len(told) == 4
    assert told[0] == (
        "another does better (idle): lost 0.00 % of the blocks, ours 0.17 %."
    )
    assert "processor time" in told[-1]
    assert not list(better([player("alone", 0)]))


def test_the_main_thread_holds_the_gil_and_what_is_lost_is_counted(tmp_path):
    """A player whose callback is a Python thread, hence the GIL's victim."""
    (tmp_path / "player.py").write_text(
        f"""
import sys, threading, time
sys.path.insert(0, {str(BENCHMARKS / "live_peers")!r})
from measuring import answer, measure, work
n = 0
def tick():
    global n
    while True:
        time.sleep(0.001)
        n += 1
threading.Thread(target=tick, daemon=True).start()
answer(measure(work(), lambda: (n, 7)), "numpy")
"""
    )
    asked = {"sample_rate_hz": 64_000, "block_frames": 64,
             "phases": [["idle", 0.3], ["sleep", 0.3]]}  # fmt: skip
    argv = [sys.executable, str(tmp_path / "player.py"), json.dumps(asked)]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    answer = json.loads(done.stdout.splitlines()[-1])
    idle, asleep = answer["phases"]["idle"], answer["phases"]["sleep"]
    assert idle["due"] == pytest.approx(300, rel=0.5)
    assert idle["underruns"] == 0
    assert asleep["blocks"] < 20 < idle["blocks"]
    assert answer["versions"]["numpy"] == np.__version__


# -- a run ---------------------------------------------------------------------------


def a_run():
    rows = []
    for plan, channels in (("sparse", 8), ("Russian", 256)):
        for way, us in ((IN_A_ROW, 0.3), (CLOCK, 3.0), (JACK, 300.0)):
            rows.append(
                Callbacks(
                    plan=plan,
                    channels=channels,
                    way=way,
                    seconds=1.0,
                    durations=counted([1000 * us] * 2000),
                    blocks=2000,
                    underruns=1,
                )
            )
    return LiveRun(
        command="python benchmarks/live_audio.py",
        quick=False,
        date="2026-01-02T03:04:05+00:00",
        machine={"processor": "P", "cores": 2, "system": "S", "python": "3",
                 "numpy": "2", "nmes_wave": "0", "jackd": "1.9"},
        load=[0.5, 1.0],
        callbacks=rows,
        players=[player(OURS, 0), player("a", 2900), Player(name="b", error="gone")],
        problems=["latency, blocks of 64: the recording lacks frames"],
    )  # fmt: skip


def test_targets_are_held_against_each_way():
    found = {what: (bound, shares) for what, bound, shares in outcomes(a_run())}
    assert set(found) == {
        "sparse, 8 channels, median",
        "sparse, 8 channels, p99.9",
        "Russian, 256 channels, p99.9",
    }
    bound, shares = found["sparse, 8 channels, median"]
    assert bound == 0.05
    assert shares[IN_A_ROW] == pytest.approx(100 * 0.3 / BLOCK_US, rel=0.13)
    text = markdown(a_run())
    row = next(x for x in text.splitlines() if x.startswith("| sparse, 8 channels, m"))
    assert [cell.split(" ", 1)[-1] for cell in row.split(" | ")[2:]] == [
        "met", "**not met**", "**not met** |",
    ]  # fmt: skip
    for words in (
        "| 96.7 %, 96.7 to 100.0 (2900) |",
        "b was not measured: gone",
        "lacks frames",
        "load: 0.5 before, 1 at the end",
    ):
        assert words in text


def test_a_run_survives_json_and_is_drawn(tmp_path):
    run = a_run()
    again = LiveRun.from_json(run.to_json())
    assert markdown(again) == markdown(run)
    written = draw(again, tmp_path / "new")
    assert [path.name for path in written] == ["live-callbacks.png", "live-gil.png"]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in written)
    with pytest.raises(ValueError, match=r"no nmes_wave\.live"):
        LiveRun.from_json('{"format": "x", "version": 1}')


def test_a_path_without_an_interpreter_is_one_clear_line(capsys, monkeypatch):
    monkeypatch.setattr(live_audio.JackServer, "missing", classmethod(lambda _: []))
    with pytest.raises(SystemExit, match="2"):
        live_audio.main(["--peers-python", "/nowhere/python"])
    assert "/nowhere/python: there is no such file" in capsys.readouterr().err
