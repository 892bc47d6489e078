"""A run of the benchmark: what was measured, when and on what."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nmes_wave.bench import machine
from nmes_wave.bench.peers import (
    PEER_SCENARIOS,
    PEERS,
    PeerResult,
    compare,
    ourselves,
)
from nmes_wave.bench.scenarios import SCENARIOS, Scenario
from nmes_wave.bench.stages import Measurement, measure, measure_threads
from nmes_wave.bench.start_up import START_UP, measure_start_up
from nmes_wave.bench.timing import FULL, QUICK, Timing
from nmes_wave.errors import FormatError, SpecError

FORMAT = "nmes_wave.bench"
VERSION = 1
#: The scenario that two threads share.
THREADED = "sparse-int24"
#: Names that a run can be made of.
NAMES = (*SCENARIOS, START_UP)


@dataclass(frozen=True, kw_only=True)
class Run:
    """Everything that one run measured.

    Parameters
    ----------
    command, date
        What was typed, and when it began (UTC, ISO 8601).
    machine
        Processor, cores, system, versions.
    load
        Average of the minute before the run and of its last; the run itself
        adds one or two to it.
    quick
        Few rounds.
    measurements, peers
        The rows.
    """

    command: str
    date: str
    machine: dict[str, Any]
    load: tuple[float | None, float | None]
    quick: bool
    measurements: tuple[Measurement, ...]
    peers: tuple[PeerResult, ...]

    def to_json(self) -> str:
        """Return it as JSON: all fields, and of each row its rate and ratios."""
        data = dataclasses.asdict(self)
        for row, measured in zip(data["measurements"], self.measurements, strict=True):
            row["samples_per_s"] = measured.samples_per_s
            row["times_real_time"] = measured.times_real_time
            row["ratios"] = {name: measured.ratio(name) for name in measured.beside}
        return json.dumps({"format": FORMAT, "version": VERSION, **data}, indent=1)

    @classmethod
    def from_json(cls, text: str) -> Run:
        """Return the run that JSON holds.

        Raises
        ------
        FormatError
            If it holds none, or one of another version.
        """
        try:
            data = json.loads(text)
            if (data["format"], data["version"]) != (FORMAT, VERSION):
                raise FormatError(
                    f"format {data['format']!r}, version {data['version']!r}: must be "
                    f"{FORMAT!r}, version {VERSION}"
                )
            rows = data["measurements"]
            peers = data["peers"]
            return cls(
                command=data["command"],
                date=data["date"],
                machine=data["machine"],
                load=tuple(data["load"]),
                quick=data["quick"],
                measurements=tuple(Measurement(**_measured(row)) for row in rows),
                peers=tuple(PeerResult(**_compared(row)) for row in peers),
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise FormatError(f"holds no run of the benchmark ({error})") from None


def run(
    names: Sequence[str] = (),
    *,
    quick: bool = False,
    peers_python: Path | None = None,
    command: str = "",
    done: Callable[[float], None] = lambda part: None,
) -> Run:
    """Measure.

    Parameters
    ----------
    names
        Of `NAMES`; empty: all.
    quick
        Few rounds: for a look, not for a figure.
    peers_python
        Interpreter that has the peers; None: without them.
    command
        To be told with the results; empty: that of the process.
    done
        Called with the part that is done, 0 to 1.

    Raises
    ------
    SpecError
        For a name that there is not.
    """
    for name in names:
        if name not in NAMES:
            raise SpecError("scenario", name, f"must be one of {', '.join(NAMES)}")
    chosen = [name for name in NAMES if name in names or not names]
    effort = QUICK if quick else FULL
    date = datetime.now(UTC).isoformat(timespec="seconds")
    before = machine.load()
    compared = [n for n in PEER_SCENARIOS if n in chosen and peers_python]
    steps = len(chosen) + len(compared) * len(PEERS)
    rows: list[Measurement] = []
    groups: dict[str, list[Scenario]] = {}
    for scenario in (SCENARIOS[name] for name in chosen if name != START_UP):
        groups.setdefault(scenario.group or scenario.name, []).append(scenario)
    measured = 0
    for group in groups.values():
        rows += measure(group, effort)
        measured += len(group)
        done(measured / steps)
    if THREADED in chosen:
        rows.append(measure_threads(SCENARIOS[THREADED], effort))
    if START_UP in chosen:
        rows += measure_start_up(effort)
    results: list[PeerResult] = []
    for name in compared:
        assert peers_python is not None
        results.append(ourselves(SCENARIOS[name]))
        for peer in PEERS:
            done((len(chosen) + len(results)) / steps)
            rounds = 2 if quick else 9
            results.append(compare(peer, SCENARIOS[name], peers_python, rounds=rounds))
    return Run(
        command=command or " ".join(sys.argv),
        date=date,
        machine=machine.describe(),
        load=(before, machine.load()),
        quick=quick,
        measurements=tuple(rows),
        peers=tuple(results),
    )


def _measured(row: dict[str, Any]) -> dict[str, Any]:
    made = {k: row[k] for k in (f.name for f in dataclasses.fields(Measurement))}
    made["timing"] = Timing(**row["timing"])
    made["beside"] = {name: Timing(**t) for name, t in row["beside"].items()}
    return made


def _compared(row: dict[str, Any]) -> dict[str, Any]:
    for name in ("render", "array", "ours_render", "ours_array"):
        row[name] = row[name] and Timing(**row[name])
    return row
