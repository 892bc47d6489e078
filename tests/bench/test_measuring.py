"""Scenarios, timings and stages: what is measured is what is said."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmes_wave.bench import machine
from nmes_wave.bench.scenarios import SCENARIOS
from nmes_wave.bench.stages import measure, measure_threads
from nmes_wave.bench.start_up import measure_start_up
from nmes_wave.bench.timing import Effort, Timing, in_turn
from nmes_wave.spec import DutyCycle, Envelope

ONCE = Effort(least=1, rounds=1, budget_s=0.0)
TINY = replace(
    SCENARIOS["sparse-int24"],
    envelope=Envelope(),
    duty_cycle=DutyCycle(on_s=0.1),
    n_channels=3,
)


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=SCENARIOS)
def test_a_scenario_is_what_its_name_says(scenario):
    plan = scenario.plan()
    kind, _, number = scenario.name.partition("-")
    if kind == "sparse":
        assert plan.output.dtype == number
        assert (plan.n_channels, plan.n_frames, plan.n_pulses) == (8, 2_880_000, 24_000)
    elif kind == "channels":
        assert plan.n_channels == int(number)
        assert plan.n_frames * plan.n_channels == 8 * 2_880_000
    elif kind == "blocks":
        assert scenario.block_frames == int(number)
    elif kind == "length":
        seconds = {"1s": 1, "1min": 60, "1h": 3600, "24h": 86_400}[number]
        assert (plan.duration_s, plan.n_channels) == (seconds, 1)
    elif kind == "session":
        assert (plan.duration_s, plan.n_channels) == (3600, 8)
    assert plan.limits.max_amplitude_ma == 100, "limits are on"


def test_channels_that_take_turns_do_not_meet():
    codes = SCENARIOS["distributed"].plan().render(0, 3 * 48_000)
    assert np.count_nonzero(codes, axis=1).max() == 1
    assert (codes != 0).any(axis=0).all()


@given(st.lists(st.floats(1e-9, 1e3), min_size=1, max_size=50))
def test_statistics_are_those_of_the_samples(samples):
    timing = Timing.of(samples)
    assert timing.n == len(samples)
    assert (timing.min_s, timing.max_s) == (min(samples), max(samples))
    assert timing.median_s == pytest.approx(float(np.median(samples)))
    assert timing.q1_s == pytest.approx(float(np.percentile(samples, 25)))
    assert timing.q3_s == pytest.approx(float(np.percentile(samples, 75)))


def test_functions_take_turns():
    called = []
    functions = {
        name: lambda name=name: (called.append(name), time.sleep(0.006))
        for name in ("a", "b")
    }
    timings = in_turn(functions, Effort(least=3, rounds=3, budget_s=0.0))
    assert called == ["a", "b"] * 4
    assert {name: t.n for name, t in timings.items()} == {"a": 3, "b": 3}
    assert timings["a"].min_s >= 0.006


def test_a_budget_that_is_spent_ends_it():
    functions = {"a": lambda: time.sleep(0.01)}
    timing = in_turn(functions, Effort(least=2, rounds=1000, budget_s=0.05))["a"]
    assert 2 <= timing.n <= 6


def test_a_short_call_is_repeated_within_a_sample():
    count = 0

    def short():
        nonlocal count
        count += 1

    timing = in_turn({"a": short}, ONCE)["a"]
    assert count > 100
    assert timing.median_s < 1e-4


def test_stages_tell_the_work_that_was_done():
    rows = {row.stage: row for row in measure([TINY], ONCE)}
    assert [*rows] == ["build", "first block", "render", "array"]
    assert rows["build"].events == 3 * 5
    assert (rows["first block"].frames, rows["first block"].events) == (64, 3)
    for stage in ("render", "array"):
        row = rows[stage]
        assert (row.frames, row.samples, row.events) == (4800, 14_400, 15)
        seconds = row.timing.median_s
        assert row.times_real_time == pytest.approx(0.1 / seconds)
        assert row.samples_per_s == pytest.approx(14_400 / seconds)
    assert [*rows["render"].beside] == ["fill", "memset"]
    fill = rows["render"].beside["fill"].median_s
    expected = fill / rows["render"].timing.median_s
    assert rows["render"].ratio("fill") == pytest.approx(expected)


def test_stages_of_blocks_a_group_and_bare_plans():
    blocks = replace(TINY, block_frames=1000, is_dense=True)
    bare = replace(TINY, name="bare", renders=False)
    rows = [*measure([blocks, bare, replace(TINY, name="whole")], ONCE)]
    found = {(row.scenario, row.stage): row for row in rows}
    assert [stage for name, stage in found if name == "bare"] == ["build"]
    row = found[TINY.name, "render"]
    assert (row.frames, row.events) == (4000, 3 * 5)  # whole blocks; the last at 3840
    assert [*row.beside] == ["multiply-add", "calls"]
    assert (TINY.name, "array") not in found
    assert [*found["whole", "render"].beside] == ["fill", "memset"]


def test_two_threads_stand_beside_one_and_fill():
    row = measure_threads(TINY, ONCE)
    assert row.stage == "two threads"
    assert [*row.beside] == ["one thread", "fill, two threads", "fill"]


def test_start_up_stands_beside_what_it_cannot_avoid():
    imported, command = measure_start_up(ONCE)
    assert [*imported.beside] == ["import numpy"]
    assert 0 < imported.timing.median_s < command.timing.median_s
    assert command.beside["python -c pass"].median_s < command.timing.median_s


@pytest.mark.parametrize("dtype", ["int16", "int32", "float32"])
def test_the_machines_limits_touch_the_whole_buffer(dtype):
    buffer = np.full((5000, 7), 3, dtype)
    for function in machine.limits(buffer, is_dense=True).values():
        function()
    assert (buffer == 4).all()
    for function in machine.limits(buffer, is_dense=False).values():
        buffer[:] = 3
        function()
        assert not buffer.any()


def test_the_machine_is_described():
    about = machine.describe()
    assert about["cores"] >= 1
    assert all(about.values())
