"""A run as tables, for a terminal or for a page."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from nmes_wave.bench.peers import OURS, PeerResult
from nmes_wave.bench.run import Run
from nmes_wave.bench.scenarios import SCENARIOS
from nmes_wave.bench.stages import Measurement
from nmes_wave.bench.targets import outcomes
from nmes_wave.bench.timing import Timing

NONE = "–"


@dataclass(frozen=True, kw_only=True)
class Table:
    """Cells under headings; the first column is words, the others are figures."""

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()


def tables(run: Run) -> list[Table]:
    """Return what a run has: targets, scenarios, peers."""
    found = [_targets(run), _scenarios(run)]
    found += [
        _peers(run, name) for name in dict.fromkeys(p.scenario for p in run.peers)
    ]
    return [table for table in found if table.rows]


def facts(run: Run) -> dict[str, str]:
    """Return where, when and how it ran."""
    about = run.machine
    before, after = ("unknown" if x is None else f"{x:g}" for x in run.load)
    versions = {
        name: version for peer in run.peers for name, version in peer.versions.items()
    }
    named = {
        "machine": f"{about['processor']}, {about['cores']} cores, {about['system']}",
        "versions": f"nmes_wave {about['nmes_wave']}, Python {about['python']}, "
        f"NumPy {about['numpy']}",
        "peers": ", ".join(f"{k} {v}" for k, v in sorted(versions.items())),
        "date": run.date,
        "load": f"{before} before, {after} at the end",
        "command": run.command,
        "rounds": "few (--quick): for a look, not for a figure" if run.quick else "",
    }
    return {name: text for name, text in named.items() if text}


def markdown(run: Run) -> str:
    """Return facts and tables in Markdown."""
    parts = ["\n".join(f"- {name}: {text}" for name, text in facts(run).items())]
    for table in tables(run):
        rule = ("---", *("--:" for _ in table.headings[1:]))
        lines = [_line(row) for row in (table.headings, rule, *table.rows)]
        parts += [f"### {table.title}", "\n".join(lines), *table.notes]
    return "\n\n".join(parts) + "\n"


def _targets(run: Run) -> Table:
    rows = tuple(
        (
            outcome.target.what,
            f"{'≤' if outcome.target.at_most else '≥'} "
            f"{_short(outcome.bound)} {outcome.target.unit}",
            _short(outcome.value),
            "met" if outcome.is_met else "NOT MET",
        )
        for outcome in outcomes(run)
    )
    headings = ("figure", "target", "measured", "")
    return Table(title="Targets", headings=headings, rows=rows)


def _scenarios(run: Run) -> Table:
    headings = (
        "scenario", "build, ms", "first, µs", "render, ms", "Ms/s",
        "× real time", "of limit", "array, Ms/s",
    )  # fmt: skip
    found: dict[str, dict[str, Measurement]] = {}
    for row in run.measurements:
        if row.scenario in SCENARIOS:
            found.setdefault(row.scenario, {})[row.stage] = row
    rows = []
    for name, stages in found.items():
        render, array = stages.get("render"), stages.get("array")
        rows.append(
            (
                name,
                _time(stages.get("build"), 1e3),
                _time(stages.get("first block"), 1e6),
                _time(render, 1e3),
                _short(render.samples_per_s / 1e6) if render else NONE,
                _short(render.times_real_time) if render else NONE,
                _of_limit(render) if render else NONE,
                _short(array.samples_per_s / 1e6) if array else NONE,
            )
        )
    return Table(
        title="Scenarios",
        headings=headings,
        rows=tuple(rows),
        notes=(
            "Medians. first: the first 64 frames. Of limit: how long fill (memset) or "
            "a multiply-add of the same memory takes, by how long rendering takes. "
            "array: rendering into a new array.",
        ),
    )


def _peers(run: Run, scenario: str) -> Table:
    headings = (
        "peer", "render, ms", "array, ms", "× ours", "alone", "arrays", "net/|Q|",
        "worst", "ppm", "35 Hz",
    )  # fmt: skip
    results = [row for row in run.peers if row.scenario == scenario]
    rows = [_peer(row) for row in results if not row.error]
    failed = [
        f"{row.peer} was not measured: {row.error}." for row in results if row.error
    ]
    notes = (
        "× ours: the peer's array by our rendering into a touched buffer; alone: "
        "rendering by rendering; arrays: array by array. net/|Q|: net charge by "
        "absolute charge of the worst channel; worst: of its worst pulse outside the "
        "ramps. ppm: rate error; 35 Hz: that at 35 Hz, where the period is no whole "
        "number of frames; 0 is less than one frame over all pulses.",
    )
    return Table(
        title=f"Peers, {scenario}: {SCENARIOS[scenario].what}",
        headings=headings,
        rows=tuple(rows),
        notes=(*notes, *failed),
    )


def _peer(row: PeerResult) -> tuple[str, ...]:
    check, uneven = row.check or {}, row.uneven or {}
    quality = (
        _charge(check["net"]),
        _charge(max(check["worst_pulse"], uneven["worst_pulse"])),
        _ppm(check),
        _ppm(uneven),
    )
    if row.peer == OURS:
        return (OURS, *(NONE,) * 5, *quality)
    assert row.render
    assert row.array
    assert row.ours_render
    assert row.ours_array
    return (
        row.peer,
        _short(row.render.median_s * 1e3),
        _short(row.array.median_s * 1e3),
        _times(row.array, row.ours_render),
        _times(row.render, row.ours_render),
        _times(row.array, row.ours_array),
        *quality,
    )


def _times(theirs: Timing, ours: Timing) -> str:
    return _short(theirs.median_s / ours.median_s)


def _of_limit(row: Measurement) -> str:
    if "fill" not in row.beside:
        return f"{row.ratio('multiply-add'):.2f} mul-add"
    return f"{row.ratio('fill'):.2f} ({row.ratio('memset'):.2f})"


def _time(row: Measurement | None, scale: float) -> str:
    return _short(row.timing.median_s * scale) if row else NONE


def _charge(part: float) -> str:
    # Sums of float64 are not better than that.
    return "0" if part < 1e-15 else f"{part:.0e}"


def _ppm(check: dict[str, float]) -> str:
    error = check["rate_error_ppm"]
    return "0" if abs(error) <= check["rate_resolution_ppm"] else f"{error:+.0f}"


def _short(value: float) -> str:
    """Return three digits or all before the point."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
