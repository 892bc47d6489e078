"""Histograms of callback times, and what each player lost."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from live_figures.durations import Durations, edge_ns
from live_figures.players import BLOCK_FRAMES, OURS
from live_figures.run import CLOCK, IN_A_ROW, JACK, SAMPLE_RATE_HZ, LiveRun
from live_figures.tables import PHASES, TARGETS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito's colours, which colour-blind readers tell apart.
COLOURS = {IN_A_ROW: "#7F7F7F", CLOCK: "#0072B2", JACK: "#D55E00"}
BLOCK_US = 1e6 * BLOCK_FRAMES / SAMPLE_RATE_HZ
DPI = 110


def draw(run: LiveRun, folder: Path) -> list[Path]:
    """Write the pictures as PNG; the files."""
    from matplotlib.figure import Figure

    folder.mkdir(parents=True, exist_ok=True)
    written = []
    if run.callbacks:
        figure = Figure(figsize=(10, 6.6), layout="constrained")
        panels = figure.subplots(2, 2, sharex=True, sharey=True).ravel()
        for axes, target in zip(panels, TARGETS, strict=True):
            _histograms(axes, run, *target)
        panels[0].legend(fontsize=8, loc="upper right")
        figure.suptitle(
            f"What a callback takes: blocks of {BLOCK_FRAMES} frames at "
            f"{SAMPLE_RATE_HZ // 1000} kHz, timed in C"
        )
        written.append(folder / "live-callbacks.png")
        figure.savefig(written[-1], dpi=DPI)
    players = [p for p in run.players if p.rounds]
    if players:
        figure = Figure(figsize=(8, 3.2), layout="constrained")
        axes = figure.subplots()
        width = 0.8 / len(PHASES)
        for i, (phase, words) in enumerate(PHASES.items()):
            at = np.arange(len(players)) + (i - 1) * width
            values = [100 * p.lost(phase) for p in players]
            bars = axes.bar(at, values, width, label=f"main thread {words}",
                            color=list(COLOURS.values())[i])  # fmt: skip
            axes.bar_label(bars, fmt="%.1f", fontsize=7)
        axes.set_xticks(range(len(players)), [p.name for p in players])
        axes.set_ylabel("blocks lost, %")
        axes.set_ylim(0, 110)
        axes.set_title(
            f"Blocks lost on JACK's dummy driver, {BLOCK_FRAMES} frames", fontsize=10
        )
        axes.legend(fontsize=8)
        axes.spines[["top", "right"]].set_visible(False)
        axes.get_xticklabels()[[p.name for p in players].index(OURS)].set_fontweight(
            "bold"
        )
        written.append(folder / "live-gil.png")
        figure.savefig(written[-1], dpi=DPI)
    return written


def _histograms(
    axes: Axes,
    run: LiveRun,
    plan: str,
    channels: int,
    median: float | None,
    p999: float,
) -> None:
    for row in run.callbacks:
        if (row.plan, row.channels) == (plan, channels):
            edges_us, shares = _steps(row.durations)
            colour = COLOURS[row.way]
            axes.stairs(shares, edges_us, color=colour, lw=1.4, label=row.way)
            p999_us = row.durations.quantile_us(0.999)
            axes.plot([p999_us], [1.4e-6], "^", color=colour, ms=6, clip_on=False)
    for bound, style, word in ((median, ":", "median"), (p999, "--", "p99.9")):
        if bound is not None:
            at = bound / 100 * BLOCK_US
            axes.axvline(at, color="#333333", ls=style, lw=1)
            axes.text(at, 1.3, f" target {word}", fontsize=7, rotation=0,
                      color="#333333", va="bottom")  # fmt: skip
    axes.axvline(BLOCK_US, color="#CC0000", lw=1.2)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(0.1, 20_000)
    axes.set_ylim(1e-6, 3.0)
    axes.set_title(f"{plan}, {channels} channels", fontsize=10, loc="left", pad=10)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_xlabel("µs (red: the block; triangles: p99.9)", fontsize=8)
    axes.set_ylabel("share of callbacks", fontsize=8)


def _steps(durations: Durations) -> tuple[np.ndarray, np.ndarray]:
    """Return edges in µs and the share of each bucket."""
    counts = np.array(durations.counts)
    first, last = np.flatnonzero(counts)[[0, -1]]
    edges_us = np.array([edge_ns(i) for i in range(first, last + 2)]) / 1000
    return edges_us, counts[first : last + 1] / counts.sum()
