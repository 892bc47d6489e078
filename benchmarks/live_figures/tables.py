"""A run as tables in Markdown, with the targets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from live_figures.players import OURS
from live_figures.run import CLOCK, IN_A_ROW, JACK, LiveRun, Player

#: Waveform, channels; the most of the block that median and p99.9 may take, in %.
TARGETS = (
    ("sparse", 8, 0.05, 1.0),
    ("Russian", 8, 0.15, 2.0),
    ("sparse", 256, None, 4.0),
    ("Russian", 256, None, 10.0),
)
WAYS = (IN_A_ROW, CLOCK, JACK)
PHASES = {"idle": "idle", "sleep": "asleep in C", "sort": "sorting"}


def markdown(run: LiveRun) -> str:
    """Return facts and tables."""
    parts = ["\n".join(f"- {name}: {text}" for name, text in facts(run))]
    for title, lines in (
        ("Targets", _targets(run)),
        ("Callbacks", _callbacks(run)),
        ("Blocks lost while the GIL is held", _players(run)),
        ("Command latency", _latencies(run)),
        ("Channels sustainable", _sustained(run)),
        ("Not measured", [f"- {problem}" for problem in run.problems]),
    ):
        if lines := list(lines):
            parts += [f"### {title}", "\n".join(lines)]
    return "\n\n".join(parts) + "\n"


def facts(run: LiveRun) -> Iterator[tuple[str, str]]:
    """Yield where, when and how it ran."""
    about = run.machine
    yield (
        "machine",
        f"{about['processor']}, {about['cores']} cores, {about['system']}",
    )
    yield (
        "versions",
        f"nmes_wave {about['nmes_wave']}, Python {about['python']}, NumPy "
        f"{about['numpy']}, JACK {about['jackd']} (dummy driver, not real-time)",
    )
    peers = {k: v for p in run.players if p.name != OURS for k, v in p.versions.items()}
    if peers:
        yield "peers", ", ".join(f"{k} {v}" for k, v in sorted(peers.items()))
    yield "date", run.date
    yield "load", f"{run.load[0]:g} before, {run.load[-1]:g} at the end"
    yield "command", f"`{run.command}`"
    if run.quick:
        yield "effort", "quick: for a look, not for a figure"


def outcomes(run: LiveRun) -> Iterator[tuple[str, float, dict[str, float]]]:
    """Yield each target in words, its bound, and what each way measured, in %."""
    for plan, channels, median, p999 in TARGETS:
        shares = {
            row.way: row.shares
            for row in run.callbacks
            if (row.plan, row.channels) == (plan, channels)
        }
        for i, (word, bound) in enumerate((("median", median), ("p99.9", p999))):
            if bound is not None and shares:
                yield (
                    f"{plan}, {channels} channels, {word}",
                    bound,
                    {way: 100 * share[i] for way, share in shares.items()},
                )


def better(players: Sequence[Player]) -> Iterator[str]:
    """Yield a line for each figure in which another player does better than ours."""
    ours = next((p for p in players if p.name == OURS and p.rounds), None)
    if ours is None:
        return
    for other in players:
        if other is ours or not other.rounds:
            continue
        for phase, words in PHASES.items():
            # Counting begins and ends within a block: fewer than two are no loss.
            told = 2 / ours.median(phase, "due")
            if other.lost(phase) < ours.lost(phase) - told:
                yield (
                    f"{other.name} does better ({words}): lost "
                    f"{100 * other.lost(phase):.2f} % of the blocks, ours "
                    f"{100 * ours.lost(phase):.2f} %."
                )
        theirs, own = (p.median("idle", "cpu_share") for p in (other, ours))
        if theirs < own:
            yield (
                f"{other.name} does better (processor time, idle): "
                f"{100 * theirs:.2f} %, ours {100 * own:.2f} %."
            )


def _targets(run: LiveRun) -> Iterator[str]:
    rows = []
    for what, bound, found in outcomes(run):
        cells = [
            f"{found[way]:.3g} {'met' if found[way] <= bound else '**not met**'}"
            if way in found
            else "–"
            for way in WAYS
        ]
        rows.append((what, f"≤ {bound:g}", *cells))
    if rows:
        yield from _table(("% of a block of 64 frames", "target", *WAYS), rows)


def _callbacks(run: LiveRun) -> Iterator[str]:
    rows = []
    for row in run.callbacks:
        d = row.durations
        us = (d.quantile_us(0.5), d.quantile_us(0.999), d.longest_us)
        rows.append(
            (
                f"{row.plan}, {row.channels} channel{'s' * (row.channels > 1)}",
                row.way,
                f"{row.blocks:,}",
                *(
                    f"{value:.3g} ({100 * share:.2g} %)"
                    for value, share in zip(us, row.shares, strict=True)
                ),
                "–" if row.way == IN_A_ROW else f"{row.underruns}",
            )
        )
    if rows:
        headings = ("", "called", "blocks", "median, µs", "p99.9, µs", "longest, µs",
                    "underruns")  # fmt: skip
        yield from _table(headings, rows, words=2)


def _players(run: LiveRun) -> Iterator[str]:
    rows = []
    for player in run.players:
        if player.rounds:
            lost = [_lost(player, phase) for phase in PHASES]
            cpu_share = player.median("idle", "cpu_share")
            rows.append((player.name, *lost, f"{100 * cpu_share:.2f} %"))
    if rows:
        headings = (
            "player, 8 channels",
            *(f"{words}: lost (underruns)" for words in PHASES.values()),
            "processor time, idle",
        )
        yield from _table(headings, rows)
        yield ""
    for line in better(run.players):
        yield f"- {line}"
    for player in run.players:
        if player.error:
            yield f"- {player.name} was not measured: {player.error}"


def _lost(player: Player, phase: str) -> str:
    shares = sorted(1 - r[phase]["blocks"] / r[phase]["due"] for r in player.rounds)
    low, high = (100 * max(0.0, share) for share in (shares[0], shares[-1]))
    return (
        f"{100 * player.lost(phase):.1f} %, {low:.1f} to {high:.1f} "
        f"({player.median(phase, 'underruns'):.0f})"
    )


def _latencies(run: LiveRun) -> Iterator[str]:
    rows = [
        (
            f"{row.block_frames}",
            f"{row.commands}",
            f"{row.median_frames:.0f} ({row.longest_frames:.0f})",
            f"{row.event_frames:.0f}",
            f"{row.median_ms:.2f} ({row.longest_ms:.2f})",
            f"{row.late}",
        )
        for row in run.latencies
    ]
    if rows:
        headings = ("frames in a block", "commands", "frames (longest)",
                    "of which between events, up to", "next callback, ms (longest)",
                    "late")  # fmt: skip
        yield from _table(headings, rows)


def _sustained(run: LiveRun) -> Iterator[str]:
    rows = [
        (
            row.plan,
            f"{row.sample_rate_hz:,}",
            f"{row.channels:,}",
            f"{100 * row.p999_share:.0f} %",
        )
        for row in run.sustained
    ]
    if rows:
        yield from _table(("", "rate, Hz", "channels", "p99.9 of the block"), rows)


def _table(
    headings: Sequence[str], rows: Iterable[Sequence[str]], words: int = 1
) -> Iterator[str]:
    rule = ["---"] * words + ["--:"] * (len(headings) - words)
    for cells in (headings, rule, *rows):
        yield f"| {' | '.join(cells)} |"
