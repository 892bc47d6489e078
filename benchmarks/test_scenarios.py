"""The scenarios of ``nmes-wave bench`` under pytest-benchmark.

``make bench`` runs it: for a look at single stages, to store and compare runs
(``--benchmark-save``, ``--benchmark-compare``). The figures that count, beside
the machine's limits, the peers and the targets, are those of ``nmes-wave bench``.
"""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import nmes_wave as nw
from nmes_wave.bench import SCENARIOS
from nmes_wave.bench.machine import limits

WHOLE = [s for s in SCENARIOS.values() if s.renders and s.block_frames is None]
IN_BLOCKS = [s for s in SCENARIOS.values() if s.block_frames is not None]


def by_name(scenario):
    return scenario.name


def touched(plan, n_frames):
    return np.ones((n_frames, plan.n_columns), plan.output.numpy_dtype)


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=by_name)
def test_build(benchmark, scenario):
    parts = scenario.parts()
    benchmark(lambda: nw.build_plan(*parts))


@pytest.mark.parametrize("scenario", WHOLE, ids=by_name)
def test_render(benchmark, scenario):
    plan = scenario.plan()
    benchmark(plan.render_into, touched(plan, plan.n_frames), 0)


@pytest.mark.parametrize("scenario", WHOLE, ids=by_name)
def test_array(benchmark, scenario):
    benchmark(scenario.plan().render)


@pytest.mark.parametrize("scenario", IN_BLOCKS, ids=by_name)
def test_blocks(benchmark, scenario):
    plan = scenario.plan()
    block = touched(plan, scenario.block_frames)
    last = plan.n_frames - len(block)

    def render():
        for start in range(0, last, len(block)):
            plan.render_into(block, start)

    benchmark.pedantic(render, rounds=3)


@pytest.mark.parametrize(
    ("scenario", "limit"),
    [(s, "multiply-add") for s in WHOLE if s.is_dense]
    + [(s, name) for s in WHOLE if not s.is_dense for name in ("fill", "memset")],
    ids=lambda value: getattr(value, "name", value),
)
def test_limit(benchmark, scenario, limit):
    plan = scenario.plan()
    buffer = touched(plan, plan.n_frames)
    benchmark(limits(buffer, is_dense=scenario.is_dense)[limit])


@pytest.mark.parametrize(
    "arguments",
    [["-c", "import numpy"], ["-c", "import nmes_wave"],
     ["-m", "nmes_wave.cli", "presets"]],
    ids=["numpy", "nmes_wave", "presets"],
)  # fmt: skip
def test_start_up(benchmark, arguments):
    command = [sys.executable, *arguments]
    benchmark(subprocess.run, command, check=True, stdout=subprocess.DEVNULL)
