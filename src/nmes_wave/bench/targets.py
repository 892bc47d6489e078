"""What the figures are to reach, each as a ratio within one run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from nmes_wave.bench.peers import PeerResult
from nmes_wave.bench.run import Run
from nmes_wave.bench.stages import Measurement
from nmes_wave.bench.start_up import START_UP


@dataclass(frozen=True, kw_only=True)
class Target:
    """A figure and its bound.

    Parameters
    ----------
    what
        In words.
    bound, at_most
        The least that it must be; or, with `at_most`, the most. A function takes
        it from the run.
    unit
        After the number.
    value
        Takes it from a run; raises `KeyError` where it was not measured.
    """

    what: str
    bound: float | Callable[[Run], float]
    value: Callable[[Run], float]
    at_most: bool = False
    unit: str = "×"


@dataclass(frozen=True)
class Outcome:
    """A target held against a run."""

    target: Target
    bound: float
    value: float

    @property
    def is_met(self) -> bool:
        """Whether the value keeps the bound."""
        if self.target.at_most:
            return self.value <= self.bound
        return self.value >= self.bound


def outcomes(run: Run) -> list[Outcome]:
    """Return the targets whose figures the run has."""
    found = []
    for target in TARGETS:
        bound = target.bound
        try:
            asked = bound(run) if callable(bound) else bound
            found.append(Outcome(target, asked, target.value(run)))
        except KeyError:
            continue
    return found


def _row(run: Run, scenario: str, stage: str = "render") -> Measurement:
    for row in run.measurements:
        if (row.scenario, row.stage) == (scenario, stage):
            return row
    raise KeyError(scenario)


def _peer(run: Run, scenario: str, peer: str) -> PeerResult:
    for row in run.peers:
        if (row.scenario, row.peer) == (scenario, peer) and not row.error:
            return row
    raise KeyError(peer)


def _of_fill(dtype: str) -> Callable[[Run], float]:
    return lambda run: _row(run, f"sparse-{dtype}").ratio("fill")


def _times_peer(peer: str, scenario: str) -> Callable[[Run], float]:
    def value(run: Run) -> float:
        row = _peer(run, scenario, peer)
        assert row.array is not None
        assert row.ours_render is not None
        return row.array.median_s / row.ours_render.median_s

    return value


def _gain_of_two_threads(run: Run) -> float:
    return _row(run, "sparse-int24", "two threads").ratio("one thread")


def _gain_asked(run: Run) -> float:
    """Return 1.7, or 0.9 of what two threads of fill gain, whichever is less."""
    beside = _row(run, "sparse-int24", "two threads").beside
    fill = beside["fill"].median_s / beside["fill, two threads"].median_s
    return min(1.7, 0.9 * fill)


def _spread(
    cost: Callable[[Measurement], float], *scenarios: str
) -> Callable[[Run], float]:
    """Return the highest cost among the scenarios by the lowest."""

    def value(run: Run) -> float:
        costs = [cost(_row(run, scenario)) for scenario in scenarios]
        return max(costs) / min(costs)

    return value


def _per_frame(row: Measurement) -> float:
    return row.timing.median_s / row.frames


def _per_sample(row: Measurement) -> float:
    return row.timing.median_s / row.samples


TARGETS = [
    *(
        Target(
            what=f"sparse {dtype}, against filling the same buffer",
            bound=bound,
            value=_of_fill(dtype),
        )
        for dtype, bound in (("int24", 0.80), ("float32", 0.80), ("int16", 0.60))
    ),
    *(
        Target(what=f"sparse, against {peer}", bound=bound,
               value=_times_peer(peer, "sparse-int24"))
        for peer, bound in (("Faust (DawDreamer)", 10.0), ("pulse2percept", 40.0),
                            ("NumPy, each channel", 60.0), ("NumPy tile", 1.5))
    ),
    Target(
        what="Russian, against Faust (DawDreamer)",
        bound=3.0,
        value=_times_peer("Faust (DawDreamer)", "russian"),
    ),
    Target(
        what="two threads against one (1.7, or 0.9 of fill's gain)",
        bound=_gain_asked,
        value=_gain_of_two_threads,
    ),
    Target(
        what="24 h, 1 channel, in pieces of 4096: × real time",
        bound=50_000.0,
        value=lambda run: _row(run, "length-24h").times_real_time,
    ),
    Target(
        what="build_plan, 60 min, 8 channels",
        bound=5.0,
        value=lambda run: _row(run, "session", "build").timing.median_s * 1e3,
        at_most=True,
        unit="ms",
    ),
    Target(
        what="import nmes_wave, against import numpy",
        bound=1.5,
        value=lambda run: 1 / _row(run, START_UP, "import nmes_wave").ratio(
            "import numpy"
        ),
        at_most=True,
    ),
    Target(
        what="nmes-wave presets",
        bound=0.5,
        value=lambda run: _row(run, START_UP, "nmes-wave presets").timing.median_s,
        at_most=True,
        unit="s",
    ),
    Target(
        what="cost of a frame, 1 s to 24 h: highest by lowest",
        bound=1.2,
        value=_spread(_per_frame, "length-1s", "length-1min", "length-1h",
                      "length-24h"),
        at_most=True,
    ),
    Target(
        what="cost of a sample, 1 to 256 channels: highest by lowest",
        bound=2.0,
        value=_spread(_per_sample, "channels-1", "channels-8", "channels-64",
                      "channels-256"),
        at_most=True,
    ),
]  # fmt: skip
