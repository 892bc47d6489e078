"""A run: what was measured, when and on what."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any, Self

from live_figures import machine
from live_figures.durations import Durations
from live_figures.latency import Latency, measure_latency
from live_figures.plans import plan_of
from live_figures.players import BLOCK_FRAMES, OURS, PEERS, play, server
from live_figures.unattached import by_the_clock, one_after_the_other, sustainable

FORMAT = "nmes_wave.live"
VERSION = 1
SAMPLE_RATE_HZ = 48_000
#: Waveform and channels; the silent ones tell what the machine adds to any callback.
SCENARIOS = (
    ("silent", 1), ("sparse", 8), ("Russian", 8),
    ("silent", 256), ("sparse", 256), ("Russian", 256),
)  # fmt: skip
IN_A_ROW, CLOCK, JACK = "one after the other", "by the clock", "JACK"


@dataclass(frozen=True, kw_only=True)
class Callbacks:
    """What callbacks of one waveform took, in one of three ways.

    ``underruns`` of ``blocks``: those that the engine counted.
    """

    plan: str
    channels: int
    way: str
    seconds: float
    durations: Durations
    blocks: int
    underruns: int

    @property
    def shares(self) -> tuple[float, float, float]:
        """Median, 99.9th percentile and longest, as shares of a block."""
        return self.durations.shares(1e6 * BLOCK_FRAMES / SAMPLE_RATE_HZ)


@dataclass(frozen=True, kw_only=True)
class Player:
    """What a player lost; or, in `error`, why it was not measured.

    ``rounds`` holds the phases of each, see `measuring.measure`. Players take turns,
    and the median of the rounds counts: what others do on the machine comes in
    bursts.
    """

    name: str
    versions: dict[str, str] = field(default_factory=dict)
    rounds: list[dict[str, dict[str, float]]] = field(default_factory=list)
    error: str = ""

    def lost(self, phase: str) -> float:
        """Return the share of the blocks due that was not asked for."""
        found = [phases[phase] for phases in self.rounds]
        return max(0.0, median(1.0 - f["blocks"] / f["due"] for f in found))

    def median(self, phase: str, key: str) -> float:
        """Return one of the figures of a phase."""
        return median(phases[phase][key] for phases in self.rounds)


@dataclass(frozen=True, kw_only=True)
class Sustained:
    """The largest number of channels with p99.9 below half a block."""

    plan: str
    sample_rate_hz: int
    channels: int
    p999_share: float


@dataclass(kw_only=True)
class LiveRun:
    """Everything that one run measured; `problems` are parts that failed."""

    command: str
    quick: bool
    date: str
    machine: dict[str, Any]
    load: list[float]
    callbacks: list[Callbacks] = field(default_factory=list)
    players: list[Player] = field(default_factory=list)
    latencies: list[Latency] = field(default_factory=list)
    sustained: list[Sustained] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def to_json(self) -> str:
        """Return it as JSON."""
        data = dataclasses.asdict(self)
        for row, measured in zip(data["callbacks"], self.callbacks, strict=True):
            row["durations"] = measured.durations.to_json()
            row["median_share"], row["p999_share"], row["longest_share"] = (
                measured.shares
            )
        return json.dumps({"format": FORMAT, "version": VERSION, **data}, indent=1)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Return the run that `to_json` wrote."""
        data = json.loads(text)
        if (data.pop("format"), data.pop("version")) != (FORMAT, VERSION):
            raise ValueError(f"this is no {FORMAT} of version {VERSION}")
        rows = data.pop("callbacks")
        names = [f.name for f in dataclasses.fields(Callbacks)]
        for row in rows:
            row["durations"] = Durations.from_json(row["durations"])
        return cls(
            callbacks=[Callbacks(**{k: row[k] for k in names}) for row in rows],
            players=[Player(**row) for row in data.pop("players")],
            latencies=[Latency(**row) for row in data.pop("latencies")],
            sustained=[Sustained(**row) for row in data.pop("sustained")],
            **data,
        )


@dataclass(frozen=True, kw_only=True)
class Effort:
    """Seconds for each part, rounds of the players, and how many commands."""

    in_a_row_s: float
    clock_s: float
    jack_s: float
    hold_s: float
    rounds: int
    sustained_s: float
    commands: int


# p99.9 of 12 s of blocks is decided by 9 of them.
FULL = Effort(
    in_a_row_s=1.5,
    clock_s=6.0,
    jack_s=12.0,
    hold_s=1.5,
    rounds=5,
    sustained_s=1.5,
    commands=40,
)
QUICK = Effort(
    in_a_row_s=0.5,
    clock_s=1.5,
    jack_s=2.0,
    hold_s=1.0,
    rounds=1,
    sustained_s=0.0,
    commands=8,
)


def measure(
    *,
    command: str,
    quick: bool,
    peers_python: Path | None,
    doing: Callable[[str], None] = lambda what: None,
) -> LiveRun:
    """Measure everything; without the search for channels where it is quick.

    Parameters
    ----------
    command
        To be told with the results.
    quick
        For a look, not for a figure.
    peers_python
        Interpreter that has the peers; None: without them.
    doing
        Told what is measured next.
    """
    effort = QUICK if quick else FULL
    run = LiveRun(
        command=command,
        quick=quick,
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        machine=machine.describe(),
        load=[machine.load()],
    )
    for name, channels in SCENARIOS:
        doing(f"callbacks: {name}, {channels} channels")
        _measure_callbacks(run, name, channels, effort)
    phases = [["idle", effort.hold_s], ["sleep", effort.hold_s],
              ["sort", effort.hold_s]]  # fmt: skip
    ours = {OURS: (None, "nmes_wave_session")}
    peers = {n: (peers_python, script) for n, script in PEERS.items() if peers_python}
    answers: dict[str, list[dict[str, Any]]] = {name: [] for name in ours | peers}
    for i in range(effort.rounds):
        # There and back again: what else the machine does changes slowly.
        turns = list((ours | peers).items())[:: -1 if i % 2 else 1]
        for name, (python, script) in turns:
            if any("error" in answer for answer in answers[name]):
                continue
            doing(f"the GIL is held, round {i + 1}: {name}")
            with server(8) as jack:
                answer = play(script, _work("sparse", 8, phases), jack, python)
            answers[name].append(answer)
    run.players = [_player(name, found) for name, found in answers.items()]
    for block_frames in (BLOCK_FRAMES, 1024):
        doing(f"command latency, blocks of {block_frames}")
        try:
            run.latencies.append(measure_latency(block_frames, effort.commands))
        except AssertionError as error:
            why = str(error).splitlines()[0]
            run.problems.append(f"latency, blocks of {block_frames}: {why}")
    for rate_hz in (48_000, 192_000) if effort.sustained_s else ():
        for name in ("sparse", "Russian"):
            doing(f"channels sustainable: {name} at {rate_hz} Hz")
            n, share = sustainable(name, rate_hz, effort.sustained_s)
            run.sustained.append(
                Sustained(
                    plan=name, sample_rate_hz=rate_hz, channels=n, p999_share=share
                )
            )
    run.load.append(machine.load())
    return run


def _measure_callbacks(run: LiveRun, name: str, channels: int, effort: Effort) -> None:
    plan = plan_of(name, channels, sample_rate_hz=SAMPLE_RATE_HZ)
    in_a_row = one_after_the_other(plan, effort.in_a_row_s)
    found = {IN_A_ROW: (in_a_row, 0, effort.in_a_row_s)}
    found[CLOCK] = (*by_the_clock(plan, effort.clock_s), effort.clock_s)
    with server(channels) as jack:
        answer = play(
            "nmes_wave_session",
            _work(name, channels, [["idle", effort.jack_s]]),
            jack,
        )
    if "error" in answer:
        run.problems.append(f"JACK, {name}, {channels} channels: {answer['error']}")
    else:
        idle = answer["phases"]["idle"]
        heard = Durations.from_json(answer["durations"])
        found[JACK] = (heard, idle["underruns"], idle["seconds"])
    for way, (durations, underruns, seconds) in found.items():
        run.callbacks.append(
            Callbacks(
                plan=name,
                channels=channels,
                way=way,
                seconds=seconds,
                durations=durations,
                blocks=durations.n,
                underruns=underruns,
            )
        )


def _player(name: str, answers: list[dict[str, Any]]) -> Player:
    if "error" in answers[-1]:
        return Player(name=name, error=answers[-1]["error"])
    rounds = [answer["phases"] for answer in answers]
    return Player(name=name, versions=answers[-1]["versions"], rounds=rounds)


def _work(name: str, channels: int, phases: list[list[Any]]) -> dict[str, Any]:
    return {
        "plan": name,
        "channels": channels,
        "sample_rate_hz": SAMPLE_RATE_HZ,
        "block_frames": BLOCK_FRAMES,
        "phases": phases,
    }
