"""The worst that a protocol does, analytically: nothing is rendered.

Ramps are left out: the highest second lies on the plateau wherever there is
one, and where there is none the figure is an upper bound. Cost grows with the
number of stages and with the events in some seconds of each, never with the
length of the protocol.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from nmes_wave.spec import Channel, CustomPulse, Pulse, Stage

#: Load into which power is reckoned (FDA 1999, Attachment II, note 6).
LOAD_OHM = 500.0
#: Time over which r.m.s., power and net current are averaged (the same note).
WINDOW_S = 1.0

_Array = NDArray[np.float64]
#: Times and running integral of one event, from (0, 0), straight between.
_Curve = tuple[_Array, _Array]


def amplitude_ma(channel: Channel) -> float:
    """Return the highest peak of a channel."""
    return max(stage.amplitude_ma for stage in channel.stages)


def phase_width_us(channel: Channel) -> float:
    """Return the widest first phase; of bursts, half a carrier cycle."""
    return max(stage.event.phase_width_us for stage in channel.stages)


def charge_per_phase_uc(channel: Channel) -> float:
    """Return the largest charge of one phase."""
    return max(s.amplitude_ma * s.event.phase_area_us for s in channel.stages) / 1000


def rate_hz(channel: Channel) -> float:
    """Return the highest rate of a train; N-lets and first intervals aside."""
    return max(stage.train.highest_rate_hz for stage in channel.stages)


def rms_ma(channel: Channel) -> float:
    """Return the highest r.m.s. current over any one second.

    Of a plain symmetrical rectangular train ``I sqrt(2 t f)``.
    """
    return math.sqrt(_most_in_window(channel, _squares) / WINDOW_S)


def power_density_w_cm2(channel: Channel) -> float | None:
    """Return the highest one-second power into 500 Ω over the smallest electrode."""
    area_cm2 = channel.smallest_area_cm2
    if area_cm2 is None:
        return None
    return (rms_ma(channel) / 1000) ** 2 * LOAD_OHM / area_cm2


def net_dc_ua(channel: Channel) -> float:
    """Return the highest magnitude of a one-second mean; 0 for balanced events.

    A balanced event counts as nothing, wherever a window cuts it: the kernel
    makes its codes add up to exactly zero.
    """
    if all(stage.event.net_area_us == 0 for stage in channel.stages):
        return 0.0
    return _most_in_window(channel, _charges) * 1000 / WINDOW_S


# -- windows of one second ----------------------------------------------------


def _most_in_window(channel: Channel, curve: Callable[[Stage], _Curve]) -> float:
    """Return the largest change of the running integral over any window.

    The integral is straight between its points, so its change over a window is
    largest where a window begins or ends at one. Jitter lets as many events into
    a second as a window lets in that is longer by the largest delay.
    """
    window_s = WINDOW_S + max(
        stage.train.jitter / min(stage.train.rate_hz, stage.train.rate_end_hz or 1e99)
        for stage in channel.stages
    )
    most = 0.0
    for first in range(len(channel.stages)):
        times, values = _integral(channel, first, curve)
        begins = np.concatenate([times, times - window_s])
        change = np.interp(begins + window_s, times, values)
        change -= np.interp(begins, times, values)
        most = max(most, float(np.abs(change).max()))
    return most


def _integral(
    channel: Channel, first: int, curve: Callable[[Stage], _Curve]
) -> tuple[_Array, _Array]:
    """Return the running integral around the end of one stage.

    From so many of its last on-periods that they fill a second, to a second
    after its end: every window that begins in the stage looks like one of these.
    """
    times, steps = [], []
    for begin_s, stage in _on_periods(channel, first):
        t, value = curve(stage)
        onsets = begin_s + _onsets_s(stage)
        signs = np.ones(len(onsets))
        if stage.train.alternate_polarity:
            signs = np.where(_indices(stage) % 2 == 1, -1.0, 1.0)
        if curve is _squares:
            signs = np.ones(len(onsets))
        times.append((onsets[:, None] + t).ravel())
        rise = np.diff(value, prepend=0.0)
        steps.append((signs[:, None] * rise).ravel())
    when, rise = np.concatenate(times), np.concatenate(steps)
    order = np.argsort(when, kind="stable")
    return when[order], np.cumsum(rise[order])


def _on_periods(channel: Channel, first: int) -> Iterator[tuple[float, Stage]]:
    stage = channel.stages[first]
    period_s = float(stage.exact_period_s)
    repeats = stage.duty_cycle.repeats
    begun = min(repeats, math.ceil(WINDOW_S / period_s) + 2)
    begin_s = 0.0
    for _ in range(begun):
        yield begin_s, stage
        begin_s += period_s
    end_s = begin_s
    position, passes = first, 0
    while True:
        position += 1
        if position == len(channel.stages):
            position, passes = 0, passes + 1
            if passes >= channel.repeats:
                return
        stage = channel.stages[position]
        period_s = float(stage.exact_period_s)
        for _ in range(min(stage.duty_cycle.repeats, math.ceil(3 / period_s) + 1)):
            if begin_s - end_s > 2 * WINDOW_S:
                return
            yield begin_s, stage
            begin_s += period_s


def _indices(stage: Stage) -> NDArray[np.int64]:
    """Return the events in the first and last two seconds of an on-period.

    Between those a train of constant rate repeats itself, and one that sweeps
    is slower than at its faster end.
    """
    n = stage.n_events
    near = math.ceil(2 * WINDOW_S * stage.train.highest_rate_hz) + 2
    if n <= 2 * near:
        members = np.arange(n)
    else:
        members = np.concatenate([np.arange(near), np.arange(n - near, n)])
    return np.repeat(members, stage.train.n_let)


def _onsets_s(stage: Stage) -> _Array:
    """Return the onsets of these events, N-let members apart, without jitter."""
    train = stage.train
    k = _indices(stage)
    on_s = stage.on_period_s
    onsets = np.array([train.onset_s(int(i), on_s) for i in k[:: train.n_let]])
    members = np.arange(train.n_let) * (train.n_let_interval_ms or 0.0) / 1000
    return (onsets[:, None] + members).ravel()


def _squares(stage: Stage) -> _Curve:
    """Return the running integral of the squared current of one event, mA² s."""
    event = stage.event
    if isinstance(event, Pulse) and event.shape == "rectangular":
        edges = [0.0, event.phase_width_us]
        values = [0.0, event.phase_width_us]
        if event.balanced and event.effective_recovery_shape == "rectangular":
            begin = event.phase_width_us + event.interphase_gap_us
            edges += [begin, event.duration_us]
            values += [values[-1], event.square_area_us]
            return _scaled(edges, values, stage.amplitude_ma**2)
        if not event.balanced:
            return _scaled(edges, values, stage.amplitude_ma**2)
    # Other shapes: 256 straight pieces, their sum made exact.
    t = np.linspace(0, event.duration_us, 257)
    middle = event.levels((t[:-1] + t[1:]) / 2)
    running = np.concatenate([[0.0], np.cumsum(middle**2)])
    running *= event.square_area_us / running[-1]
    return _scaled(t, running, stage.amplitude_ma**2)


def _charges(stage: Stage) -> _Curve:
    """Return the running net charge of one event, µC: nothing until its end if balanced."""
    event = stage.event
    return _scaled(
        [0.0, event.duration_us], [0.0, event.net_area_us * 1e3], stage.amplitude_ma
    )


def _scaled(
    t_us: list[float] | _Array, values: list[float] | _Array, factor: float
) -> _Curve:
    return np.asarray(t_us) * 1e-6, np.asarray(values) * 1e-6 * factor


# -- simultaneous current -----------------------------------------------------

#: A moved recovery phase reaches one frame further, at 8 kHz this long.
_LONGEST_FRAME_S = 1 / 8000
#: More on-periods than this are not laid side by side: channels count as on.
_MOST_ON_PERIODS = 5000


def total_current_ma(channels: tuple[Channel, ...]) -> tuple[float, bool]:
    """Return the largest sum of magnitudes at any instant, and whether it is exact.

    Exact for one channel, and for channels of one rate without jitter, sweep,
    N-lets or first interval whose on-periods keep the phase; else an upper
    bound. An event counts with its peak from its onset to its end and one frame
    at 8 kHz more (its recovery phase may be moved), gap included.
    """
    most, exact = 0.0, True
    known: dict[frozenset[int], tuple[float, bool]] = {}
    for together in _sets_on_together(channels):
        if together not in known:
            known[together] = _sum_of([channels[i] for i in sorted(together)])
        value, is_exact = known[together]
        if value > most or (value == most and is_exact):
            most, exact = value, is_exact
    return most, exact


def _sets_on_together(channels: tuple[Channel, ...]) -> set[frozenset[int]]:
    """Return which channels are in an on-period at the same time."""
    everything = {frozenset(range(len(channels)))}
    n = sum(s.duty_cycle.repeats * c.repeats for c in channels for s in c.stages)
    if n > _MOST_ON_PERIODS:
        return everything
    edges: list[tuple[float, int, int]] = []
    for i, channel in enumerate(channels):
        begin_s = channel.start_s
        for _ in range(channel.repeats):
            for stage in channel.stages:
                period_s = float(stage.exact_period_s)
                for _ in range(stage.duty_cycle.repeats):
                    end_s = begin_s + max(stage.on_period_s, stage.last_end_s)
                    edges.append((begin_s, 1, i))
                    edges.append((end_s + _LONGEST_FRAME_S, -1, i))
                    begin_s += period_s
    edges.sort()
    depth = [0] * len(channels)
    found = set()
    for _, step, i in edges:
        depth[i] += step
        if step > 0:
            found.add(frozenset(c for c, d in enumerate(depth) if d > 0))
    return found


def _sum_of(channels: list[Channel]) -> tuple[float, bool]:
    """Return the largest sum of channels that are on at the same time."""
    bound = sum(amplitude_ma(channel) for channel in channels)
    if len(channels) == 1:
        return bound, True
    periods = {_plain_period_s(channel) for channel in channels}
    if None in periods or len(periods) > 1:
        return bound, False
    period_s = periods.pop()
    assert period_s is not None
    arcs = []
    for channel in channels:
        stage = channel.stages[0]
        onset_s = channel.start_s + stage.train.phase_deg / 360 * period_s
        length_s = stage.event.duration_us * 1e-6 + _LONGEST_FRAME_S
        arcs.append((onset_s % period_s, length_s, stage.amplitude_ma))
    # the sum is largest where some event begins
    most = max(
        sum(
            peak
            for onset_s, length_s, peak in arcs
            if (begin_s - onset_s) % period_s < length_s
            or period_s - (begin_s - onset_s) % period_s < 1e-9
        )
        for begin_s, _, _ in arcs
    )
    return most, True


def _plain_period_s(channel: Channel) -> float | None:
    """Return the period of a channel that is one plain train, else None."""
    stage = channel.stages[0]
    train = stage.train
    if len(channel.stages) > 1 or train.jitter or train.n_let > 1:
        return None
    if train.rate_end_hz is not None or train.first_interval_ms is not None:
        return None
    if isinstance(stage.event, CustomPulse) and stage.event.duration_us <= 0:
        return None
    period_s = 1 / train.rate_hz
    if stage.duty_cycle.repeats * channel.repeats > 1:
        off_s = float(stage.exact_period_s) % period_s
        if min(off_s, period_s - off_s) > 1e-9:
            return None  # each on-period has another phase
    return period_s
