"""What is drawn of a plan: the parts that stand for the rest, and ideal curves."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nmes_wave.plan import Plan
from nmes_wave.spec import Burst, CustomPulse, Event, Pulse, Stage

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Excerpt:
    """The on-period and the event of a channel that stand for the others."""

    channel: int
    number: int  # of the stage
    stage: Stage
    begin_s: float  # of the on-period
    event: np.void  # a row of plan.pulses()


def choose(plan: Plan, c: int) -> Excerpt:
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
    fs = plan.output.sample_rate_hz
    earliest, latest = (
        (begin_s + train.onset_s(low, length_s, jitter)) * fs
        for jitter in (0.0, train.jitter)
    )
    rows = plan.pulses(max(0.0, earliest - 2), latest + 2)
    mine = (rows["channel"] == c) & (rows["stage"] == s) & (rows["index"] == low)
    return Excerpt(c, s, stage, begin_s, rows[mine][0])


def signed_event(stage: Stage, row: np.void) -> tuple[Event, float]:
    """Return the event of a row of plan.pulses(), and its signed amplitude."""
    event = stage.event
    if isinstance(event, Pulse):
        event = replace(event, phase_width_us=float(row["phase_width_us"]))
    negated = stage.train.alternate_polarity and row["index"] % 2
    return event, float(row["amplitude_ma"]) * (-1 if negated else 1)


def ideal_ma(plan: Plan, c: int, frames: Array) -> Array:
    """Return the described current at these instants, which are in frames."""
    stages = plan.protocol.channels[c].stages
    us_per_frame = 1e6 / plan.output.sample_rate_hz
    longest = max(stage.event.duration_us for stage in stages) / us_per_frame
    rows = plan.pulses(max(0.0, frames[0] - longest), frames[-1])
    current = np.zeros_like(frames)
    for row in rows[rows["channel"] == c]:
        event, amplitude_ma = signed_event(stages[row["stage"]], row)
        current += amplitude_ma * event.levels((frames - row["frame"]) * us_per_frame)
    return current


def extremes(stage: Stage) -> tuple[float, float]:
    """Return the lowest and highest level of the stage's events."""
    event = stage.event
    if isinstance(event, CustomPulse):
        levels = event.polarity * np.array([level for _, level in event.points])
    else:
        cycles = event.cycles if isinstance(event, Burst) else 1
        levels = event.levels(np.linspace(0, event.duration_us / cycles, 2001))
    low, high = min(0.0, float(levels.min())), max(0.0, float(levels.max()))
    if stage.train.alternate_polarity:
        high = max(high, -low)
        low = -high
    return low, high


def envelope_points(stage: Stage) -> Array:
    """Return points (seconds, level) of the envelope over an on-period."""
    envelope, length_s = stage.envelope, stage.on_period_s
    up = np.linspace(0, envelope.ramp_up_s, 25)
    down = np.linspace(length_s - envelope.ramp_down_s, length_s, 25)
    times = np.concatenate([up, down])
    return np.array([(t, envelope.level(t, length_s)) for t in times])


def outline(stage: Stage, level: float = 1.0) -> Array:
    """Return the polygon (seconds, mA) that an on-period's events fill."""
    points = envelope_points(stage)
    if stage.envelope.modulates == "width":
        points[:, 1] = 1.0
    closed = np.vstack([(points[0, 0], 0.0), points, (points[-1, 0], 0.0)])
    return closed * (1.0, stage.amplitude_ma * level)
