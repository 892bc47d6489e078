"""The picture of a plan, by Matplotlib's objects: no ``pyplot``, no state."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from nmes_wave.plan import Plan
from nmes_wave.plot.captions import clock, event_words, plain, train_words
from nmes_wave.plot.excerpt import (
    Array,
    Excerpt,
    choose,
    envelope_points,
    extremes,
    ideal_ma,
    outline,
    signed_event,
)
from nmes_wave.spec import Channel

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.gridspec import GridSpec

#: More channels than this are not legible on one page.
MAX_CHANNELS = 8
#: More on-periods or pulses than this are closer together than pixels.
MAX_APART = 1200
#: Frames that the panel of a few pulses renders, and that one pulse shows.
MAX_TRAIN_FRAMES = 200_000
MAX_PULSE_FRAMES = 1200

# Okabe and Ito's colours, which colour-blind readers tell apart, without yellow.
_COLOURS = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7",
    "#56B4E9", "#E69F00", "#7F7F7F", "#4B3F72",
)  # fmt: skip
_INK = "#333333"
_IDEAL = "#9A9A9A"


def plot_plan(plan: Plan) -> Figure:
    """Draw a plan: the session, one on-period, a few pulses, one pulse.

    Parameters
    ----------
    plan
        Any plan. Up to 8 channels are drawn, one above the other; the title
        says so if there are more.

    Returns
    -------
    matplotlib.figure.Figure
        Made without ``pyplot``; ``figure.savefig(path)`` writes PNG, SVG or
        PDF. Currents are in mA; times are in s (session), ms from the begin of
        the channel's on-period, ms (a few pulses), and µs from the pulse's
        onset. Samples are those of ``plan.render()``, each drawn over the time
        that it lasts, n/fs to (n+1)/fs, on the curve that was described.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    n = min(plan.n_channels, MAX_CHANNELS)
    lane = max(0.6, 2.1 / n**0.6)
    heights = [0.75 * lane] * n + [lane] * n + [1.2 * lane] * n
    size = (11, sum(heights) + (1.8 if n == 1 else 1.2 + 0.42 * n))
    figure = Figure(figsize=size, dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(_headline(plan), fontsize=11, color=_INK, parse_math=False)
    # One grid for all, not one for each panel: its columns line the axes up.
    grid = figure.add_gridspec(3 * n, 2, height_ratios=heights)
    shown = [choose(plan, c) for c in range(n)]
    _draw_session(plan, _lanes(grid, range(n), slice(None)))
    _draw_on_period(plan, shown, _lanes(grid, range(n, 2 * n), slice(None)))
    _draw_train(plan, shown, _lanes(grid, range(2 * n, 3 * n), 0))
    _draw_pulse(plan, shown, _lanes(grid, range(2 * n, 3 * n), 1))
    return figure


# -- the panels -----------------------------------------------------------------


def _draw_session(plan: Plan, lanes: list[Axes]) -> None:
    dense = 0
    for c, ax in enumerate(lanes):
        channel = plan.protocol.channels[c]
        outlines = _session_outlines(channel)
        many = _on_periods(channel) > MAX_APART
        dense += _on_periods(channel) if many else 0
        _fill(ax, outlines, c, alpha=0.4, lw=0.0 if many else 0.8)
        ax.set_ylim(0, 1.12 * (max(s.amplitude_ma for s in channel.stages) or 1.0))
    _finish(plan, lanes, [(0, plan.duration_s)] * len(lanes), "time (s)")
    note = f"; {dense:,} on-periods, too dense to draw apart" if dense else ""
    _caption(lanes, f"Session: {clock(plan.duration_s)}{note}")


def _on_periods(channel: Channel) -> int:
    return channel.repeats * sum(s.duty_cycle.repeats for s in channel.stages)


def _session_outlines(channel: Channel) -> list[Array]:
    """Return a polygon for each on-period, or bands where they are too dense."""
    apart = _on_periods(channel) <= MAX_APART
    if not apart and channel.repeats * len(channel.stages) > MAX_APART:
        strongest_ma = max(s.amplitude_ma for s in channel.stages)
        length_s = float(channel.exact_pass_s * channel.repeats)
        return [_box(channel.start_s, length_s, 0.0, strongest_ma)]
    outlines = []
    for i in range(channel.repeats):
        begin_s = channel.start_s + float(channel.exact_pass_s * i)
        for stage in channel.stages:
            if apart:
                one, period_s = outline(stage), float(stage.exact_period_s)
                times = range(stage.duty_cycle.repeats)
                outlines += [one + np.array((begin_s + k * period_s, 0)) for k in times]
            else:
                length_s = stage.duration_s - stage.duty_cycle.off_s
                outlines.append(_box(begin_s, length_s, 0.0, stage.amplitude_ma))
            begin_s += stage.duration_s
    return outlines


def _draw_on_period(plan: Plan, shown: list[Excerpt], lanes: list[Axes]) -> None:
    dense = False
    for own, ax in zip(shown, lanes, strict=True):
        stage = own.stage
        levels = extremes(stage)
        boxes = _event_boxes(plan, own, levels)
        dense |= boxes is None
        if boxes is None:
            boxes = [outline(stage, level) * (1e3, 1.0) for level in levels]
        _fill(ax, boxes, own.channel, alpha=0.8, lw=0.35)
        widths = stage.envelope.modulates == "width"
        points = envelope_points(stage) * (1e3, stage.amplitude_ma)
        for level in {*levels} - {0.0}:
            line = "--" if widths else "-"
            ax.plot(points[:, 0], points[:, 1] * level, line, color=_INK, lw=0.8)
    longest_s = max(max(x.stage.on_period_s, x.stage.last_end_s) for x in shown)
    unit = "time from its begin (ms)"
    _finish(plan, lanes, [(0, longest_s * 1e3)] * len(lanes), unit, shown)
    words = _for_all(shown, "One on-period", [train_words(x.stage) for x in shown])
    if dense:
        words += "; pulses too dense to draw apart"
    if any(x.stage.envelope.modulates == "width" for x in shown):
        words += "; dashed: envelope of the width"
    _caption(lanes, words)


def _event_boxes(
    plan: Plan, own: Excerpt, levels: tuple[float, float]
) -> list[Array] | None:
    """Return a box (ms, mA) for each event of the on-period; None if too many."""
    stage, fs = own.stage, plan.output.sample_rate_hz
    start = max(0.0, own.begin_s * fs - 2)
    stop = (own.begin_s + max(stage.on_period_s, stage.last_end_s)) * fs + 2
    # The table of pulses has all channels: another's may be too many, too.
    total = sum(
        plan.core.count_before(c, stop) - plan.core.count_before(c, start)
        for c in range(plan.n_channels)
    )
    own_events = stage.n_events * stage.train.n_let
    if own_events > MAX_APART or total > 100 * MAX_APART:
        return None
    rows = plan.pulses(start, stop)
    mine = (rows["channel"] == own.channel) & (rows["stage"] == own.number)
    rows = rows[mine & (rows["on_period"] == 0)]
    length_ms = stage.event.duration_us / 1e3
    begins_ms = (rows["frame"] / fs - own.begin_s) * 1e3
    low, high = levels
    return [
        _box(begin, length_ms, low * current, high * current)
        for begin, current in zip(begins_ms, rows["amplitude_ma"], strict=True)
    ]


def _draw_train(plan: Plan, shown: list[Excerpt], lanes: list[Axes]) -> None:
    """Draw a few periods of all channels at once: how they interlace."""
    fs = plan.output.sample_rate_hz
    slowest = min(own.stage.train.rate_hz for own in shown)
    fastest = max(own.stage.train.highest_rate_hz for own in shown)
    period = fs / max(slowest, fastest / 10)
    instant = max(shown, key=lambda own: _n_active(shown, own.event["frame"] / fs))
    start = max(0, math.floor(float(instant.event["frame"]) - 0.25 * period))
    stop = start + min(math.ceil(3.25 * period), MAX_TRAIN_FRAMES)
    samples_ma = plan.to_ma(plan.render(start, stop))
    edges_ms = np.arange(stop - start + 1) / fs * 1e3
    for own, ax in zip(shown, lanes, strict=True):
        _steps(ax, edges_ms, samples_ma[:, own.channel], _COLOURS[own.channel])
    spans = [(0.0, float(edges_ms[-1]))] * len(lanes)
    _finish(plan, lanes, spans, f"time after {start / fs:.6g} s (ms)", shown)
    _caption(lanes, "A few pulses" + ", all channels at one time" * (len(shown) > 1))


def _n_active(shown: list[Excerpt], t_s: float) -> int:
    return sum(x.begin_s <= t_s < x.begin_s + x.stage.on_period_s for x in shown)


def _steps(ax: Axes, edges: Array, values: Array, colour: str) -> None:
    """Draw samples as steps; beyond some thousands, their extremes."""
    stride = math.ceil(len(values) / 6000)
    if stride == 1:
        ax.stairs(values, edges, baseline=None, color=colour, lw=1.1, zorder=3)
        return
    n = len(values) // stride * stride
    groups = values[:n].reshape(-1, stride)
    both = np.column_stack([groups.min(axis=1), groups.max(axis=1)]).ravel()
    ax.plot(np.repeat(edges[:n:stride], 2), both, color=colour, lw=0.8)


def _draw_pulse(plan: Plan, shown: list[Excerpt], lanes: list[Axes]) -> None:
    us_per_frame = 1e6 / plan.output.sample_rate_hz
    spans, partial = [], False
    for own, ax in zip(shown, lanes, strict=True):
        event, _ = signed_event(own.stage, own.event)
        onset, length = float(own.event["frame"]), event.duration_us / us_per_frame
        partial |= length > MAX_PULSE_FRAMES
        length = min(length, MAX_PULSE_FRAMES)
        start = max(0, math.floor(onset - 0.1 * length - 2))
        stop = math.ceil(onset + 1.1 * length + 2)
        samples_ma = plan.to_ma(plan.render(start, stop))[:, own.channel]
        fine = np.linspace(start, stop, 6001)
        fine_us = (fine - onset) * us_per_frame
        described_ma = ideal_ma(plan, own.channel, fine)
        ax.fill_between(fine_us, described_ma, color=_IDEAL, alpha=0.35, lw=0)
        ax.plot(fine_us, described_ma, color=_IDEAL, lw=2.4)
        frames = np.arange(start, stop + 1, dtype=np.float64)
        edges_us = (frames - onset) * us_per_frame
        _steps(ax, edges_us, samples_ma, _COLOURS[own.channel])
        spans.append((float(edges_us[0]), float(edges_us[-1])))
    lengths = [b - a for a, b in spans]
    if max(lengths) < 3 * min(lengths):
        spans = [(min(spans)[0], max(b for _, b in spans))] * len(spans)
    key = f"grey: as described; line: samples of {us_per_frame:.4g} µs"
    _finish(plan, lanes, spans, f"time from its onset (µs); {key}", shown)
    words = _for_all(shown, "One pulse", [event_words(x.stage.event) for x in shown])
    _caption(lanes, words + ("; its begin" if partial else ""))


# -- axes and words -------------------------------------------------------------


def _lanes(grid: GridSpec, rows: range, column: int | slice) -> list[Axes]:
    """Return axes one above the other."""
    assert grid.figure is not None
    lanes = []
    for row in rows:
        ax = grid.figure.add_subplot(grid[row, column])
        ax.tick_params(labelsize=8)
        ax.spines[["top", "right"]].set_visible(False)
        ax.locator_params(axis="y", nbins=5 if len(rows) == 1 else 3)
        lanes.append(ax)
    return lanes


def _finish(
    plan: Plan,
    lanes: list[Axes],
    spans: list[tuple[float, float]],
    unit: str,
    shown: list[Excerpt] | None = None,
) -> None:
    """Set limits and labels; lanes of one span share the labels of the last."""
    for c, ax in enumerate(lanes):
        ax.set_xlim(*spans[c])
        ax.set_ylabel("mA", fontsize=8)
        ax.xaxis.set_major_formatter("{x:,.10g}")
        if c < len(lanes) - 1 and len({*spans}) == 1:
            ax.tick_params(labelbottom=False)
        if shown is not None:
            low, high = extremes(shown[c].stage)
            peak = shown[c].stage.amplitude_ma or 1.0
            ax.set_ylim(peak * (low - 0.12), peak * (high + 0.12))
            ax.axhline(0, color=_INK, lw=0.4, zorder=0)
        if len(lanes) > 1:
            name = plain(plan.protocol.channels[c].name, 24)
            style: dict[str, Any] = {"fontsize": 8, "color": _COLOURS[c], "pad": 2}
            ax.set_title(name, loc="right", parse_math=False, **style)
    lanes[-1].set_xlabel(unit, fontsize=8)


def _caption(lanes: list[Axes], text: str) -> None:
    style: dict[str, Any] = {"fontsize": 9, "color": _INK}
    lanes[0].set_title(text, loc="left", parse_math=False, **style)


def _fill(ax: Axes, outlines: list[Array], c: int, *, alpha: float, lw: float) -> None:
    from matplotlib.collections import PolyCollection
    from matplotlib.colors import to_rgba

    ax.add_collection(
        PolyCollection(
            outlines,
            facecolors=[to_rgba(_COLOURS[c], alpha)],
            edgecolors=[_COLOURS[c]],
            linewidths=lw,
            snap=False,  # or thin boxes come out one or two pixels wide
        )
    )


def _box(begin: float, length: float, low: float, high: float) -> Array:
    end = begin + length
    return np.array([(begin, low), (begin, high), (end, high), (end, low)])


def _headline(plan: Plan) -> str:
    output, protocol = plan.output, plan.protocol
    scales = sorted({*output.full_scales_ma(plan.n_channels)})
    of_scale = "–".join(f"{x:g}" for x in [scales[0], *scales[1:][-1:]])
    n = plan.n_channels
    channels = "1 channel" if n == 1 else f"{n} channels"
    if n > MAX_CHANNELS:
        channels = f"the first {MAX_CHANNELS} of {n} channels"
    return (
        f"{plain(protocol.name, 90)}\n{channels}, {plan.n_pulses:,} pulses in "
        f"{clock(plan.duration_s)}; {output.sample_rate_hz / 1e3:g} kHz, "
        f"{output.dtype}, full scale {of_scale} mA"
    )


def _for_all(shown: list[Excerpt], title: str, words: list[str]) -> str:
    """Return the title with the words, if they hold for every channel."""
    each = " of each channel" * (len(shown) > 1)
    return f"{title}{each}" + (f": {words[0]}" if len({*words}) == 1 else "")
