"""One scenario measured, stage by stage."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmes_wave.bench.machine import limits
from nmes_wave.bench.scenarios import Scenario
from nmes_wave.bench.timing import Effort, Timing, in_turn
from nmes_wave.plan import Plan, build_plan

#: Of the stage that renders a plan's first block.
FIRST_BLOCK_FRAMES = 64


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One stage of one scenario.

    Parameters
    ----------
    scenario, stage
        Names.
    timing
        Of the stage, done once.
    beside
        What was measured in turn with it; the first is the machine's own limit.
    frames, samples, events
        Work done; 0 where nothing is rendered.
    sample_rate_hz
        Of the frames.
    """

    scenario: str
    stage: str
    timing: Timing
    beside: dict[str, Timing]
    frames: int = 0
    samples: int = 0
    events: int = 0
    sample_rate_hz: float = 0.0

    @property
    def samples_per_s(self) -> float:
        """Rendered samples of all channels in a second."""
        return self.samples / self.timing.median_s

    @property
    def times_real_time(self) -> float:
        """Rendered seconds in a second."""
        if not self.frames:
            return 0.0
        return self.frames / self.sample_rate_hz / self.timing.median_s

    def ratio(self, name: str) -> float:
        """Return how long `name` took by how long the stage took (medians)."""
        return self.beside[name].median_s / self.timing.median_s


def measure(group: Sequence[Scenario], effort: Effort) -> Iterator[Measurement]:
    """Measure the stages of scenarios: build, first block, render, array.

    The renderings of all of them take turns, so that they can be compared.
    """
    plans = {}
    for scenario in group:
        plans[scenario.name], row = _build(scenario, effort)
        yield row
    rendering = [scenario for scenario in group if scenario.renders]
    for scenario in rendering:
        plan = plans[scenario.name]
        block = _touched(plan, FIRST_BLOCK_FRAMES)
        functions: dict[str, Callable[[], Any]] = {
            "first block": partial(plan.render_into, block, 0),
            **limits(block, is_dense=scenario.is_dense),
        }
        timings = in_turn(functions, effort)
        yield _row(scenario, plan, "first block", len(block), timings)
    works = {s.name: _work(s, plans[s.name]) for s in rendering}
    timings = in_turn(
        {
            f"{name} {what}": function
            for name, work in works.items()
            for what, function in work.functions.items()
        },
        effort,
    )
    for scenario in rendering:
        plan, work = plans[scenario.name], works[scenario.name]
        its = {what: timings[f"{scenario.name} {what}"] for what in work.functions}
        yield _row(scenario, plan, "render", work.n_frames, its)
    for scenario in rendering:
        if scenario.block_frames is None:
            plan = plans[scenario.name]
            ones = partial(
                np.ones, (plan.n_frames, plan.n_columns), plan.output.numpy_dtype
            )
            timings = in_turn({"array": plan.render, "np.ones": ones}, effort)
            yield _row(scenario, plan, "array", plan.n_frames, timings)


def measure_threads(scenario: Scenario, effort: Effort) -> Measurement:
    """Measure two threads that render two halves beside one, and so of fill."""
    plan = scenario.plan()
    buffer = _touched(plan, plan.n_frames)
    middle = plan.n_frames // 2
    halves = ((buffer[:middle], 0), (buffer[middle:], middle))
    with ThreadPoolExecutor(2) as pool:

        def both(function: Callable[[NDArray[Any], int], Any]) -> None:
            for running in [pool.submit(function, *half) for half in halves]:
                running.result()

        def fill(part: NDArray[Any], start: int) -> None:
            part.fill(0)

        timings = in_turn(
            {
                "two threads": lambda: both(plan.render_into),
                "one thread": lambda: plan.render_into(buffer, 0),
                "fill, two threads": lambda: both(fill),
                "fill": lambda: buffer.fill(0),
            },
            effort,
        )
    return _row(scenario, plan, "two threads", plan.n_frames, timings)


def _build(scenario: Scenario, effort: Effort) -> tuple[Plan, Measurement]:
    parts = scenario.parts()
    plan = build_plan(*parts)
    timings = in_turn({"build": lambda: build_plan(*parts)}, effort)
    row = Measurement(
        scenario=scenario.name,
        stage="build",
        timing=timings["build"],
        beside={},
        events=plan.n_pulses,
    )
    return plan, row


@dataclass(frozen=True)
class _Work:
    """What renders `n_frames`, and what it is held against."""

    n_frames: int
    functions: dict[str, Callable[[], Any]]


def _work(scenario: Scenario, plan: Plan) -> _Work:
    size = scenario.block_frames
    if size is None:
        buffer = _touched(plan, plan.n_frames)
        its_limits = limits(buffer, is_dense=scenario.is_dense)
        render_whole = partial(plan.render_into, buffer, 0)
        return _Work(plan.n_frames, {"render": render_whole, **its_limits})
    n_blocks = plan.n_frames // size
    block = _touched(plan, size)
    nothing = block[:0]
    render_into = plan.render_into

    def render() -> None:
        for start in range(0, n_blocks * size, size):
            render_into(block, start)

    def calls() -> None:  # what Python takes for them
        for start in range(0, n_blocks * size, size):
            render_into(nothing, start)

    its_limits = limits(block, is_dense=scenario.is_dense, times=n_blocks)
    return _Work(n_blocks * size, {"render": render, **its_limits, "calls": calls})


def _row(
    scenario: Scenario,
    plan: Plan,
    stage: str,
    frames: int,
    timings: dict[str, Timing],
) -> Measurement:
    timing, *_ = timings.values()
    return Measurement(
        scenario=scenario.name,
        stage=stage,
        timing=timing,
        beside=dict([*timings.items()][1:]),
        frames=frames,
        samples=frames * plan.n_columns,
        events=sum(
            plan.core.count_before(c, float(frames)) for c in range(plan.n_channels)
        ),
        sample_rate_hz=plan.output.sample_rate_hz,
    )


def _touched(plan: Plan, n_frames: int) -> NDArray[np.generic]:
    return np.ones((n_frames, plan.n_columns), plan.output.numpy_dtype)
