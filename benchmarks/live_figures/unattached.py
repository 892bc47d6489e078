"""Callbacks without an audio server: one after the other, or paced by the clock."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

import nmes_wave as nw
from live_figures.durations import Durations
from live_figures.plans import plan_of
from nmes_wave._core import Engine
from nmes_wave.sinks.null import NullSink

BLOCK_FRAMES = 64
#: A callback that takes this part of its block is the most that is called
#: sustainable.
SUSTAINABLE = 0.5
#: The search for the number of channels ends within this part of it; it begins with
#: the first, and the plan of the most takes 10 s to build.
STEP = 0.1
FIRST_CHANNELS, MOST_CHANNELS = 256, 6144


class HeldSink(NullSink):
    """Its callbacks are made by who holds it; patient, as that may take its time."""

    latency_s = 60.0

    def begin(self, engine: Engine) -> None:
        self.engine = engine


class ClockSink(NullSink):
    """The null sink; the engine that it calls can be asked."""

    block_frames = BLOCK_FRAMES

    def begin(self, engine: Engine) -> None:
        self.engine = engine
        super().begin(engine)


@contextmanager
def _held(plan: nw.Plan) -> Iterator[tuple[Engine, np.ndarray]]:
    """A running engine, and a block for it."""
    sink: Any = HeldSink()  # a pull sink, which is internal
    rate_hz = int(plan.output.sample_rate_hz)
    block = np.zeros((BLOCK_FRAMES, plan.n_columns), np.int32)  # 4 bytes are enough
    with nw.Session(plan, sink=sink, underrun="count", watchdog_s=1e6) as session:
        session.start(intensity=1.0)
        yield sink.engine, block
        # What closing waits for: half a second of ramp, and no event after it.
        session.emergency_stop()
        sink.latency_s = 0.0
        for _ in range(rate_hz // BLOCK_FRAMES):
            sink.engine.process(block, BLOCK_FRAMES)


def one_after_the_other(plan: nw.Plan, seconds: float) -> Durations:
    """Call as often as fits, from Python; caches are as warm as can be."""
    with _held(plan) as (engine, block):
        process = engine.process
        before = Durations.of(engine)
        n, end = 0, time.perf_counter() + seconds
        # At least a second of the plan, which has every kind of block.
        least = int(plan.output.sample_rate_hz) // BLOCK_FRAMES
        while n < least or time.perf_counter() < end:
            for _ in range(50):
                process(block, BLOCK_FRAMES)
            n += 50
        return Durations.of(engine) - before


def by_the_clock(plan: nw.Plan, seconds: float) -> tuple[Durations, int]:
    """Call when blocks are due, on a native thread; durations and underruns."""
    sink: Any = ClockSink()
    with nw.Session(plan, sink=sink, underrun="count", watchdog_s=60.0) as session:
        session.start(intensity=1.0)
        session.wait(0.2)
        before = Durations.of(sink.engine)
        session.wait(seconds)
        after, underruns = Durations.of(sink.engine), session.status.underruns
    return after - before, underruns


def largest(
    share_of: Callable[[int], float], first: int, most: int, rounds: int = 8
) -> tuple[int, float]:
    """Return the largest number measured with a share below `SUSTAINABLE`.

    Parameters
    ----------
    share_of
        Measures a number; about proportional to it.
    first, most
        Where to begin, and the largest number to measure.
    rounds
        Measurements at most.

    Returns
    -------
    tuple
        The number, 0 for none, and its share. The least that does not hold is
        within `STEP` of it, unless it is `most` or the rounds were too few.
    """
    best, best_share, failed = 0, 0.0, most + 1
    n = first
    for _ in range(rounds):
        share = share_of(n)
        if share < SUSTAINABLE:
            if n > best:
                best, best_share = n, share
        else:
            failed = min(failed, n)
        if failed - best <= max(1.0, STEP * best):
            break
        n = int(0.97 * n * SUSTAINABLE / share)
        if failed > most:
            n = min(n, most)
        if not best < n < failed:
            n = (best + failed) // 2
    return best, best_share


def sustainable(name: str, sample_rate_hz: float, seconds: float) -> tuple[int, float]:
    """Return how many channels the clock sustains, and p99.9 as a share of the block.

    Each number is measured for so many seconds.
    """
    block_us = 1e6 * BLOCK_FRAMES / sample_rate_hz

    def share_of(n: int) -> float:
        plan = plan_of(name, n, sample_rate_hz=sample_rate_hz)
        found, _ = by_the_clock(plan, seconds)
        return found.shares(block_us)[1]

    return largest(share_of, FIRST_CHANNELS, MOST_CHANNELS)
