"""A plan as a picture at three scales: the session, an on-period, a pulse.

The session is drawn from its description, so that a day costs no more than a
minute; samples are rendered for the few milliseconds that show them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nmes_wave.plan import Plan
from nmes_wave.spec import Burst, Channel, Event, Pulse, Stage

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.gridspec import SubplotSpec

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

_Array = NDArray[np.float64]


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
    heights = [0.75 * lane * n + 0.6, lane * n + 0.6, 1.2 * lane * n + 0.6]
    figure = Figure(figsize=(11, sum(heights) + 0.6), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(_headline(plan), fontsize=11, color=_INK, parse_math=False)
    grid = figure.add_gridspec(3, 2, height_ratios=heights)
    shown = [_choose(plan, c) for c in range(n)]
    _draw_session(plan, _lanes(figure, grid[0, :], n))
    _draw_on_period(plan, shown, _lanes(figure, grid[1, :], n))
    _draw_train(plan, shown, _lanes(figure, grid[2, 0], n))
    lengths_us = [own.stage.event.duration_us for own in shown]
    alike = max(lengths_us) <= 3 * min(lengths_us)
    _draw_pulse(plan, shown, _lanes(figure, grid[2, 1], n, sharex=alike), alike)
    return figure


# -- what stands for the rest ---------------------------------------------------


@dataclass(frozen=True)
class _Shown:
    """The on-period and the event of a channel that stand for the others."""

    channel: int
    number: int                    # of the stage
    stage: Stage
    begin_s: float                 # of the on-period
    event: np.void                 # a row of plan.pulses()


def _choose(plan: Plan, c: int) -> _Shown:
    """Choose the strongest stage's first on-period and an event on its plateau."""
    channel = plan.protocol.channels[c]
    s = int(np.argmax([stage.amplitude_ma for stage in channel.stages]))
    stage, train = channel.stages[s], channel.stages[s].train
    begin_s = channel.start_s + sum(x.duration_s for x in channel.stages[:s])
    length_s, ramps = stage.on_period_s, stage.envelope
    plateau_s = (ramps.ramp_up_s + length_s - ramps.ramp_down_s) / 2
    low, high = 0, stage.n_events - 1
    while low < high:
        k = (low + high) // 2
        late = train.onset_s(k, length_s) >= plateau_s
        low, high = (low, k) if late else (k + 1, high)
    onset_s = begin_s + train.onset_s(low, length_s)
    fs = plan.output.sample_rate_hz
    latest = (onset_s + train.jitter * 1.01 / train.rate_hz) * fs + 2
    rows = plan.pulses(max(0.0, onset_s * fs - 2), latest)
    mine = (rows["channel"] == c) & (rows["stage"] == s) & (rows["index"] == low)
    return _Shown(c, s, stage, begin_s, rows[mine][0])


def _signed_event(stage: Stage, row: np.void) -> tuple[Event, float]:
    """Return the event of a row of plan.pulses(), and its signed amplitude."""
    event = stage.event
    if isinstance(event, Pulse):
        event = replace(event, phase_width_us=float(row["phase_width_us"]))
    negated = stage.train.alternate_polarity and row["index"] % 2
    return event, float(row["amplitude_ma"]) * (-1 if negated else 1)


def _ideal_ma(plan: Plan, c: int, frames: _Array) -> _Array:
    """Return the described current at these instants, which are in frames."""
    stages = plan.protocol.channels[c].stages
    us_per_frame = 1e6 / plan.output.sample_rate_hz
    longest = max(stage.event.duration_us for stage in stages) / us_per_frame
    rows = plan.pulses(max(0.0, frames[0] - longest), frames[-1])
    current = np.zeros_like(frames)
    for row in rows[rows["channel"] == c]:
        event, amplitude_ma = _signed_event(stages[row["stage"]], row)
        current += amplitude_ma * event.levels((frames - row["frame"]) * us_per_frame)
    return current


def _extremes(stage: Stage) -> tuple[float, float]:
    """Return the lowest and highest level of the stage's events."""
    event = stage.event
    times = np.linspace(0, event.duration_us, 2001)
    if isinstance(event, Burst):
        times = times / event.cycles
    levels = event.levels(times)
    low, high = min(0.0, float(levels.min())), max(0.0, float(levels.max()))
    if stage.train.alternate_polarity:
        high = max(high, -low)
        low = -high
    return low, high


def _envelope(stage: Stage) -> _Array:
    """Return points (seconds, level) of the envelope over an on-period."""
    envelope, length_s = stage.envelope, stage.on_period_s
    up = np.linspace(0, envelope.ramp_up_s, 25)
    down = np.linspace(length_s - envelope.ramp_down_s, length_s, 25)
    # The last instant of the ramp up and the first of the ramp down are the
    # plateau's: level() there is 1 unless the other ramp begins at once.
    times = np.concatenate([up, down])
    return np.array([(t, envelope.level(t, length_s)) for t in times])


def _outline(stage: Stage, level: float = 1.0) -> _Array:
    """Return the polygon (seconds, mA) that an on-period's events fill."""
    points = _envelope(stage)
    if stage.envelope.modulates == "width":
        points[:, 1] = 1.0
    closed = np.vstack([(points[0, 0], 0.0), points, (points[-1, 0], 0.0)])
    return closed * (1.0, stage.amplitude_ma * level)


# -- the panels -----------------------------------------------------------------


def _draw_session(plan: Plan, lanes: list[Axes]) -> None:
    dense = 0
    for c, ax in enumerate(lanes):
        channel = plan.protocol.channels[c]
        outlines = _session_outlines(channel)
        many = _on_periods(channel) > MAX_APART
        dense += _on_periods(channel) if many else 0
        _fill(ax, outlines, c, alpha=0.4, lw=0.0 if many else 0.8)
        ax.set_ylim(0, 1.35 * (max(s.amplitude_ma for s in channel.stages) or 1.0))
    _finish(plan, lanes, (0, plan.duration_s), "s")
    note = f"; {dense:,} on-periods, too dense to draw apart" if dense else ""
    _caption(lanes, f"Session: {_clock(plan.duration_s)}{note}")


def _on_periods(channel: Channel) -> int:
    return channel.repeats * sum(s.duty_cycle.repeats for s in channel.stages)


def _session_outlines(channel: Channel) -> list[_Array]:
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
                one, period_s = _outline(stage), float(stage.exact_period_s)
                times = range(stage.duty_cycle.repeats)
                outlines += [one + (begin_s + k * period_s, 0.0) for k in times]
            else:
                length_s = stage.duration_s - stage.duty_cycle.off_s
                outlines.append(_box(begin_s, length_s, 0.0, stage.amplitude_ma))
            begin_s += stage.duration_s
    return outlines


def _draw_on_period(plan: Plan, shown: list[_Shown], lanes: list[Axes]) -> None:
    dense = False
    for own, ax in zip(shown, lanes, strict=True):
        stage = own.stage
        extremes = _extremes(stage)
        boxes = _event_boxes(plan, own, extremes)
        dense |= boxes is None
        if boxes is None:
            boxes = [_outline(stage, level) * (1e3, 1.0) for level in extremes]
        _fill(ax, boxes, own.channel, alpha=0.8, lw=0.5)
        widths = stage.envelope.modulates == "width"
        points = _envelope(stage) * (1e3, stage.amplitude_ma)
        for level in {*extremes} - {0.0}:
            line = "--" if widths else "-"
            ax.plot(points[:, 0], points[:, 1] * level, line, color=_INK, lw=0.8)
        if widths:
            ax.plot([], [], "--", color=_INK, lw=0.8, label="dashed: relative width")
            ax.legend(loc="upper right", fontsize=7, frameon=False)
    longest_s = max(max(x.stage.on_period_s, x.stage.last_end_s) for x in shown)
    _finish(plan, lanes, (0, longest_s * 1e3), "ms from its begin", shown)
    words = _for_all(shown, "One on-period", [_train_words(x.stage) for x in shown])
    _caption(lanes, words + ("; pulses too dense to draw apart" if dense else ""))


def _event_boxes(
    plan: Plan, own: _Shown, extremes: tuple[float, float]
) -> list[_Array] | None:
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
    low, high = extremes
    return [
        _box(begin, length_ms, low * current, high * current)
        for begin, current in zip(begins_ms, rows["amplitude_ma"], strict=True)
    ]


def _draw_train(plan: Plan, shown: list[_Shown], lanes: list[Axes]) -> None:
    """Draw a few periods of all channels at once: how they interlace."""
    fs = plan.output.sample_rate_hz
    slowest = min(own.stage.train.rate_hz for own in shown)
    fastest = max(own.stage.train.highest_rate_hz for own in shown)
    period = fs / max(slowest, fastest / 10)
    start = max(0, math.floor(float(shown[0].event["frame"]) - 0.25 * period))
    stop = start + min(math.ceil(3.25 * period), MAX_TRAIN_FRAMES)
    samples_ma = plan.to_ma(plan.render(start, stop))
    edges_ms = np.arange(stop - start + 1) / fs * 1e3
    for own, ax in zip(shown, lanes, strict=True):
        _steps(ax, edges_ms, samples_ma[:, own.channel], _COLOURS[own.channel])
    span = (0.0, float(edges_ms[-1]))
    _finish(plan, lanes, span, f"ms from t = {start / fs:.6g} s", shown)
    _caption(lanes, "A few pulses" + ", all at one time" * (len(shown) > 1))


def _steps(ax: Axes, edges: _Array, values: _Array, colour: str) -> None:
    """Draw samples as steps; beyond some thousands, their extremes."""
    stride = math.ceil(len(values) / 6000)
    if stride == 1:
        ax.stairs(values, edges, baseline=None, color=colour, lw=1.0)
        return
    n = len(values) // stride * stride
    groups = values[:n].reshape(-1, stride)
    both = np.column_stack([groups.min(axis=1), groups.max(axis=1)]).ravel()
    ax.plot(np.repeat(edges[:n:stride], 2), both, color=colour, lw=0.8)


def _draw_pulse(
    plan: Plan, shown: list[_Shown], lanes: list[Axes], shared: bool
) -> None:
    us_per_frame = 1e6 / plan.output.sample_rate_hz
    spans, partial = [], False
    for own, ax in zip(shown, lanes, strict=True):
        event, _ = _signed_event(own.stage, own.event)
        onset, length = float(own.event["frame"]), event.duration_us / us_per_frame
        margin = 0.1 * min(length, MAX_PULSE_FRAMES) + 2
        partial |= length > MAX_PULSE_FRAMES
        start = max(0, math.floor(onset - margin))
        stop = math.ceil(onset + min(length, MAX_PULSE_FRAMES) + margin)
        samples_ma = plan.to_ma(plan.render(start, stop))[:, own.channel]
        fine = np.linspace(start, stop, 6001)
        ideal_ma = _ideal_ma(plan, own.channel, fine)
        fine_us = (fine - onset) * us_per_frame
        ax.fill_between(fine_us, ideal_ma, color=_IDEAL, alpha=0.3, lw=0)
        ax.plot(fine_us, ideal_ma, color=_IDEAL, lw=2.2, label="as described")
        ax.stairs(
            samples_ma,
            (np.arange(start, stop + 1) - onset) * us_per_frame,
            baseline=None,
            color=_COLOURS[own.channel],
            lw=1.2,
            label=f"samples, {us_per_frame:.4g} µs each",
        )
        spans.append((fine_us[0], fine_us[-1]))
    for ax, span in zip(lanes, spans, strict=True):
        ax.set_xlim(*((min(spans)[0], max(b for _, b in spans)) if shared else span))
    _finish(plan, lanes, None, "µs from its onset", shown)
    for ax in lanes[:1]:
        low, high = ax.get_ylim()
        ax.set_ylim(low, high + 0.25 * (high - low))  # room for the legend
        ax.legend(loc="upper right", fontsize=7, frameon=False, ncols=2)
    words = _for_all(shown, "One pulse", [_event_words(x.stage.event) for x in shown])
    _caption(lanes, words + ("; its begin" if partial else ""))


# -- axes and words -------------------------------------------------------------


def _lanes(
    figure: Figure, place: SubplotSpec, n: int, sharex: bool = True
) -> list[Axes]:
    """Return n axes, one above the other."""
    rows = place.subgridspec(n, 1)
    lanes: list[Axes] = []
    for row in range(n):
        first = lanes[0] if lanes and sharex else None
        ax = figure.add_subplot(rows[row, 0], sharex=first)
        ax.tick_params(labelsize=8, labelbottom=row == n - 1 or not sharex)
        ax.spines[["top", "right"]].set_visible(False)
        ax.locator_params(axis="y", nbins=5 if n == 1 else 3)
        lanes.append(ax)
    return lanes


def _finish(
    plan: Plan,
    lanes: list[Axes],
    span: tuple[float, float] | None,
    unit: str,
    shown: list[_Shown] | None = None,
) -> None:
    for c, ax in enumerate(lanes):
        if span is not None:
            ax.set_xlim(*span)
        ax.set_ylabel("mA", fontsize=8)
        if shown is not None:
            low, high = _extremes(shown[c].stage)
            peak = shown[c].stage.amplitude_ma or 1.0
            room = 0.12 * (high - low) + (0.2 if len(lanes) > 1 else 0)
            ax.set_ylim(peak * (low - 0.12), peak * (high + room))
            ax.axhline(0, color=_INK, lw=0.4, zorder=0)
        if len(lanes) > 1:
            ax.text(
                0.008, 0.97, _plain(plan.protocol.channels[c].name, 40),
                transform=ax.transAxes, va="top", fontsize=8, color=_COLOURS[c],
                parse_math=False,
            )  # fmt: skip
    lanes[-1].set_xlabel(unit, fontsize=8)


def _caption(lanes: list[Axes], text: str) -> None:
    lanes[0].set_title(text, loc="left", fontsize=9, color=_INK, parse_math=False)


def _fill(ax: Axes, outlines: list[_Array], c: int, *, alpha: float, lw: float) -> None:
    from matplotlib.collections import PolyCollection
    from matplotlib.colors import to_rgba

    ax.add_collection(
        PolyCollection(
            outlines,
            facecolors=[to_rgba(_COLOURS[c], alpha)],
            edgecolors=[_COLOURS[c]],
            linewidths=lw,
        )
    )


def _box(begin: float, length: float, low: float, high: float) -> _Array:
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
        f"{_plain(protocol.name, 90)}\n{channels}, {plan.n_pulses:,} pulses in "
        f"{_clock(plan.duration_s)}; {output.sample_rate_hz / 1e3:g} kHz, "
        f"{output.dtype}, full scale {of_scale} mA"
    )


def _plain(text: str, length: int) -> str:
    words = " ".join(text.split())
    return words if len(words) <= length else words[: length - 1] + "…"


def _for_all(shown: list[_Shown], title: str, words: list[str]) -> str:
    """Return the title with the words, if they hold for every channel."""
    each = " of each channel" * (len(shown) > 1)
    return f"{title}{each}" + (f": {words[0]}" if len({*words}) == 1 else "")


def _train_words(stage: Stage) -> str:
    envelope = stage.envelope
    rate = f"{stage.train.rate_hz:g}"
    if stage.train.rate_end_hz is not None:
        rate += f" to {stage.train.rate_end_hz:g}"
    ramps = [
        f"ramp {way} {length_s:g} s"
        for way, length_s in (
            ("up", envelope.ramp_up_s),
            ("down", envelope.ramp_down_s),
        )
        if length_s
    ]
    length = f"{stage.on_period_s:g} s at {rate} Hz"
    return ", ".join([length, f"{stage.amplitude_ma:g} mA", *ramps])


def _event_words(event: Event) -> str:
    if isinstance(event, Burst):
        return f"{event.cycles} cycles of {event.carrier_hz:g} Hz, {event.shape}"
    if isinstance(event, Pulse):
        gap = f", gap {event.interphase_gap_us:g} µs" * bool(event.interphase_gap_us)
        return f"{event.phase_width_us:g} µs per phase{gap}"
    return f"custom, {event.duration_us:g} µs"


def _clock(seconds: float) -> str:
    """Return a time as 24 h 0 min, 15 min 0 s or 2.5 s."""
    if seconds < 60:
        return f"{seconds:.4g} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600:,} h {whole % 3600 // 60} min"
