"""What ``run`` shows of a session on a terminal."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from rich.columns import Columns
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from nmes_wave.cli._screen import printable
from nmes_wave.plot.captions import clock, plain
from nmes_wave.status import State

if TYPE_CHECKING:
    from nmes_wave.plan import Plan
    from nmes_wave.status import Status

#: Of more channels than this only the one furthest on is shown.
MANY_CHANNELS = 8

COLOURS = {
    State.OPEN: "black on white",
    State.RUNNING: "bold black on green",
    State.PAUSED: "bold black on yellow",
    State.STOPPING: "bold black on yellow",
    State.STOPPED: "black on white",
    State.CLOSED: "black on white",
    State.FAULT: "bold white on red",
}
KEYS = (
    ("up, down", "intensity ± 0.05"),
    ("right, left", "± 0.01"),
    ("p", "pause, resume"),
    ("s", "stop, with a ramp"),
)


def view(plan: Plan, status: Status, asked: float, said: str) -> Group:
    """Return the whole view; what matters most stands first.

    Parameters
    ----------
    plan, status
        What is delivered, and how far it is.
    asked
        The intensity that the operator has asked for.
    said
        A line for the operator, such as why a key was refused.
    """
    rows: list[RenderableType] = [
        Text(plain(printable(plan.protocol.name), 200), no_wrap=True, style="bold"),
        _state_row(plan, status),
        ProgressBar(total=plan.n_frames, completed=status.frame),
        _stop_bar(status),
    ]
    if status.fault is None:
        rows.append(_side_by_side(*(_key(*key) for key in KEYS)))
    rows += [
        Text(said, style="yellow"),
        _intensity(status, asked),
        _channels(plan, status),
        Text(),
        _health(status),
    ]
    return Group(*rows)


def _state_row(plan: Plan, status: Status) -> RenderableType:
    # a session that was closed after a fault is still that
    state = State.FAULT if status.fault else status.state
    left_s = (plan.n_frames - status.frame) / plan.output.sample_rate_hz
    row = Table.grid(expand=True)
    row.add_column()
    row.add_column(justify="right")
    row.add_row(
        Text(f" {state.upper()} ", style=COLOURS[state]),
        f"{clock(math.ceil(left_s))} left of {clock(plan.duration_s)}",
    )
    return row


def _stop_bar(status: Status) -> RenderableType:
    words = "SPACE BAR (or Ctrl-C): EMERGENCY STOP"
    if status.fault:
        kind, _, _ = status.fault.partition(":")
        words = f"{kind.upper()}: no further pulse"
    bar = Text(words, justify="center", style="bold white on red")
    return Padding(Padding(bar, 1, style="on red"), (1, 0))


def _key(key: str, meaning: str) -> Text:
    return Text.assemble((key, "bold"), " ", meaning)


def _intensity(status: Status, asked: float) -> Text:
    low, high = (f"{f(status.intensity):.2f}" for f in (min, max))
    delivered = high if low == high else f"{low} to {high}"
    return Text.assemble(
        "intensity ",
        (f"{asked:.2f}", "bold"),
        " asked, ",
        (delivered, "bold"),
        " delivered",
    )


def _channels(plan: Plan, status: Status) -> RenderableType:
    channels = plan.protocol.channels
    staged = any(len(channel.stages) > 1 for channel in channels)
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("channel")  # the only one that may be narrowed
    table.add_column("on-period", no_wrap=True)
    if staged:
        table.add_column("stage", no_wrap=True)
    table.add_column("peak mA", justify="right", no_wrap=True)
    shown = range(len(channels))
    if len(channels) > MANY_CHANNELS:
        leading = max(shown, key=lambda i: (status.stage[i], status.on_period[i]))
        shown = range(leading, leading + 1)
    for i in shown:
        channel, at = channels[i], status.stage[i]
        stage = channel.stages[at]
        n = stage.duty_cycle.repeats * channel.repeats
        cells = [
            plain(printable(channel.name), 30),
            f"{status.on_period[i] + 1} of {n}",
            f"{status.intensity[i] * stage.amplitude_ma:.1f}",
        ]
        if staged:
            cells.insert(2, f"{at + 1} of {len(channel.stages)}")
        table.add_row(*(Text(cell) for cell in cells))
    if len(shown) < len(channels):
        table.add_row(Text(f"and {len(channels) - 1} more", style="dim"))
    return table


def _health(status: Status) -> RenderableType:
    counts = (("underruns", status.underruns), ("capped", status.capped))
    return _side_by_side(
        *(
            Text.assemble(name, " ", (f"{n}", "bold red" if n else ""))
            for name, n in counts
        ),
        Text(f"callback at worst {status.callback_us[2]:.3g} µs"),
        Text(f"stop at worst {status.worst_stop_ms:.3g} ms"),
    )


def _side_by_side(*texts: Text) -> RenderableType:
    return Columns(texts, padding=(0, 3))
