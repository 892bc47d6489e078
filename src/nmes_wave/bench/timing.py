"""How long functions take, measured in turn so that all see the same noise."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

#: A sample lasts at least this long.
LEAST_S = 5e-3


@dataclass(frozen=True)
class Timing:
    """Statistics of the samples of one function, in seconds for each call.

    Parameters
    ----------
    median_s, min_s, q1_s, q3_s, max_s
        Median, least, quartiles and largest.
    n
        Samples.
    """

    median_s: float
    min_s: float
    q1_s: float
    q3_s: float
    max_s: float
    n: int

    @classmethod
    def of(cls, samples_s: Iterable[float]) -> Timing:
        """Return the statistics of samples; there must be one."""
        values = np.fromiter(samples_s, float)
        low, q1, median, q3, high = np.quantile(values, [0, 0.25, 0.5, 0.75, 1])
        return cls(
            float(median), float(low), float(q1), float(q3), float(high), len(values)
        )


@dataclass(frozen=True, kw_only=True)
class Effort:
    """How long to measure: rounds, and seconds for each of what takes turns.

    No round begins when the time has passed, but `least` are made.
    """

    least: int
    rounds: int
    budget_s: float


QUICK = Effort(least=1, rounds=5, budget_s=0.2)
FULL = Effort(least=5, rounds=51, budget_s=2.0)


def seconds_of(function: Callable[[], Any], times: int = 1) -> float:
    """Return how long one call takes, as the mean of `times` in a row."""
    begun = time.perf_counter()
    for _ in range(times):
        function()
    return (time.perf_counter() - begun) / times


def in_turn(
    functions: Mapping[str, Callable[[], Any]], effort: Effort
) -> dict[str, Timing]:
    """Measure functions one after the other, round by round.

    Each is called once before, unmeasured; a short one is called for each
    sample as often as fills `LEAST_S`.
    """
    times = {
        name: max(1, math.ceil(LEAST_S / max(seconds_of(function), 1e-9)))
        for name, function in functions.items()
    }
    samples: dict[str, list[float]] = {name: [] for name in functions}
    end = time.perf_counter() + effort.budget_s * len(functions)
    for done in range(effort.rounds):
        if done >= effort.least and time.perf_counter() > end:
            break
        for name, function in functions.items():
            samples[name].append(seconds_of(function, times[name]))
    return {name: Timing.of(values) for name, values in samples.items()}
