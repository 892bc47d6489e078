"""What one channel delivers at worst.

What happens in any one second is found from the events themselves. Of repeated
on-periods and passes only as many are laid out as one second can see, and of a
long on-period only the events near its ends and the ends of its ramps: all
other seconds are like one of those, or less. So an hour costs what a minute
does.
"""

from __future__ import annotations

import math
from fractions import Fraction
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from nmes_wave.spec import Burst, Channel, Event, Pulse, Stage

#: Two instants this close are one: times are float64 seconds.
TOUCH_S = 1e-9
#: On-periods of more events (an N-let is one) are laid out in part.
MAX_WHOLE = 10_000
#: More events than this are not laid out; the amplitude bounds them then.
MAX_EVENTS = 2_000_000
#: Load of IEC and FDA output figures, ohm.
LOAD_OHM = 500.0

_Array = NDArray[np.float64]
_Index = NDArray[np.intp]

_EVENT = np.dtype(
    [
        ("onset_s", np.float64),
        ("latest_s", np.float64),  # onset with all the jitter it can have
        ("duration_s", np.float64),
        # Both relative to the channel's largest amplitude, I:
        ("square_s", np.float64),  # integral of (i/I)²
        ("charge_s", np.float64),  # integral of i/I, signed
        ("shape", np.float64),  # equal for one event, whatever its level or width
    ]
)
_Events = NDArray[np.void]


class ChannelExposure:
    """The worst-case quantities of one channel, at full intensity.

    Parameters
    ----------
    channel
        What is delivered.

    Notes
    -----
    A one-second window slides over the whole channel, the silence before and
    after included. It holds the events whose onsets lie in a half-open second
    ``[s, s + 1)``: two events of one shape, cut by the two ends of a second,
    lie a second or more apart, and what is inside of both adds up to one event
    at most. So 50 Hz are 50 events, and 33.3 Hz are 34 in the worst second:
    for a whole-numbered rate the r.m.s. of a symmetrical rectangular train is
    ``I sqrt(2 t f)``, and else that of the next whole number, which such a
    second does hold. Where events of different shapes are cut (the border of
    two stages), both count whole. Ramps, sweeps, N-lets and first intervals
    count event by event; jitter counts every event that it can bring into the
    second. The result is never too low, and exceeds the highest second by less
    than one event and what jitter may do.

    Two simplifications, both upwards: a sweep of more than 10,000 events in one
    on-period counts as its fast end at full envelope, and a channel that lays
    more than 2 million events (1 µs on-periods, say) into a few seconds counts
    as a direct current of its amplitude.
    """

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._stages = channel.stages

    @cached_property
    def amplitude_ma(self) -> float:
        """Largest ``amplitude_ma`` of the stages."""
        return max(stage.amplitude_ma for stage in self._stages)

    @property
    def phase_width_us(self) -> float:
        """Widest first phase of a pulse, half carrier cycle, or custom lobe."""
        return max(stage.event.phase_width_us for stage in self._stages)

    @property
    def charge_per_phase_uc(self) -> float:
        """Largest charge of one phase (lobe, half carrier cycle)."""
        return max(s.event.phase_area_us * s.amplitude_ma for s in self._stages) / 1000

    @property
    def shannon_k(self) -> float | None:
        """Shannon's k of the largest phase on the smallest electrode.

        ``10^k = Q D = Q²/A``, Q in µC per phase, A in cm² (Shannon 1992). None
        without electrodes or without charge.
        """
        area_cm2 = self._channel.smallest_area_cm2
        charge_uc = self.charge_per_phase_uc
        if area_cm2 is None or charge_uc == 0:
            return None
        return 2 * math.log10(charge_uc) - math.log10(area_cm2)

    @property
    def rate_hz(self) -> float:
        """Highest rate of the trains: of bursts, not of their carrier.

        The fast end of a sweep; N-lets and first intervals do not count here.
        """
        return max(stage.train.highest_rate_hz for stage in self._stages)

    @cached_property
    def rms_ma(self) -> float:
        """Highest root mean square over any one second."""
        if self._events is None:
            return self.amplitude_ma
        square = _highest(self._events, self._events["square_s"])
        for stage in self._stages:
            if _is_long(stage) and _sweeps(stage):
                part = self._part(stage)
                square = max(square, _most_events(stage) * _square_s(stage, part))
        return self.amplitude_ma * math.sqrt(min(1.0, square))

    @property
    def rms_density_ma_cm2(self) -> float | None:
        """`rms_ma` over the smallest electrode; None without electrodes."""
        area_cm2 = self._channel.smallest_area_cm2
        return None if area_cm2 is None else self.rms_ma / area_cm2

    @property
    def power_density_w_cm2(self) -> float | None:
        """Mean power into 500 Ω over the smallest electrode, highest second."""
        area_cm2 = self._channel.smallest_area_cm2
        if area_cm2 is None:
            return None
        rms_a = self.rms_ma * 1e-3
        return rms_a * rms_a * LOAD_OHM / area_cm2

    @cached_property
    def net_dc_ua(self) -> float:
        """Highest magnitude of the mean current over any one second.

        Events count whole, in the second of their onset, so it is 0 where all
        are balanced: what a second's end cuts off one is no direct current.
        With ``alternate_polarity`` neighbours cancel, and what is left over is
        counted exactly, jitter aside; where shapes differ too, one event is
        added for what the ends of a second may cut.
        """
        if all(stage.event.net_area_us == 0 for stage in self._stages):
            return 0.0
        most_ua = 1000 * self.amplitude_ma
        if self._events is None:
            return most_ua
        charge = _highest_net(self._events)
        for stage in self._stages:
            alternates = stage.train.alternate_polarity
            if _is_long(stage) and (_sweeps(stage) or alternates):
                # Any run of N-lets that alternate leaves one of them at most.
                n = stage.train.n_let if alternates else _most_events(stage)
                charge = max(charge, n * abs(_charge_s(stage, self._part(stage))))
        return most_ua * min(1.0, charge)

    def _part(self, stage: Stage) -> float:
        return stage.amplitude_ma / self.amplitude_ma if self.amplitude_ma else 0.0

    @cached_property
    def _events(self) -> _Events | None:
        """The events that one-second windows see; None if they are too many."""
        passes = _seen(self._channel.repeats, self._channel.exact_pass_s)
        counts = [_seen(s.duty_cycle.repeats, s.exact_period_s) for s in self._stages]
        sizes = zip(counts, map(_n_laid_out, self._stages), strict=True)
        if passes * sum(n * size for n, size in sizes) > MAX_EVENTS:
            return None
        shapes: dict[Event, int] = {}
        one = {
            stage: _events_of(
                stage,
                self._part(stage),
                shapes.setdefault(stage.event, len(shapes)),
            )
            for stage in dict.fromkeys(self._stages)
        }
        parts, begin = [], Fraction(0)
        for _ in range(passes):
            for stage, n in zip(self._stages, counts, strict=True):
                begins = float(begin) + float(stage.exact_period_s) * np.arange(n)
                shift = np.repeat(begins, len(one[stage]))
                events = np.tile(one[stage], n)
                events["onset_s"] += shift
                events["latest_s"] += shift
                parts.append(events)
                begin += n * stage.exact_period_s
        return np.concatenate(parts)


def _seen(repeats: int, length_s: Fraction) -> int:
    """How many of these repeats one second can see."""
    return min(repeats, math.ceil(1 / length_s) + 1)


# -- one stage ----------------------------------------------------------------


def _sweeps(stage: Stage) -> bool:
    return stage.train.rate_end_hz not in (None, stage.train.rate_hz)


def _is_long(stage: Stage) -> bool:
    return stage.n_events > MAX_WHOLE


def _most_events(stage: Stage) -> int:
    """Events in one second of the train's fast end, N-let members apart."""
    train = stage.train
    turns = train.highest_rate_hz + train.jitter
    return train.n_let * math.ceil(turns * (1 - TOUCH_S))


def _square_s(stage: Stage, part: float) -> float:
    """Most that one event at `part` of I adds to one second."""
    event = stage.event
    area_us = event.square_area_us
    if isinstance(event, Burst):
        half_cycles = math.ceil(1e6 / event.phase_width_us)
        area_us *= min(1.0, half_cycles / (2 * event.cycles))
    return part**2 * min(area_us * 1e-6, 1.0)


def _charge_s(stage: Stage, part: float) -> float:
    return part * stage.event.net_area_us * 1e-6


def _edge(stage: Stage) -> int:
    """Events (an N-let is one) in two seconds and a bit."""
    return 2 * math.ceil(stage.train.highest_rate_hz) + 4


def _n_laid_out(stage: Stage) -> int:
    n = stage.n_events
    if _is_long(stage):
        n = min(n, max(MAX_WHOLE, 10 * _edge(stage)))
    return n * stage.train.n_let


def _kept(stage: Stage) -> _Index:
    """Return the indices of the events of an on-period that are laid out."""
    n, edge = stage.n_events, _edge(stage)
    if not _is_long(stage):
        return np.arange(n)
    rate_hz, envelope = stage.train.rate_hz, stage.envelope
    fall_s = stage.on_period_s - envelope.ramp_down_s
    centres = [0, int(rate_hz * envelope.ramp_up_s), int(rate_hz * fall_s), n]
    kept = []
    done = 0
    for centre in sorted(min(c, n) for c in centres):
        # No hole so short that a second sees across it.
        begin = done if centre - edge < done + edge else centre - edge
        done = min(n, max(done, centre + edge))
        kept.append(np.arange(begin, done))
    return np.concatenate(kept)


def _events_of(stage: Stage, part: float, shape: int) -> _Events:
    """Return the events of one on-period, from its begin."""
    train, envelope, on_s = stage.train, stage.envelope, stage.on_period_s
    kept = _kept(stage)
    onset = train.onset_s(kept, on_s)
    latest = train.onset_s(kept, on_s, train.jitter)
    level = envelope.level(onset, on_s)
    by_width = envelope.modulates == "width"
    sign = np.where(kept % 2, -1, 1) if train.alternate_polarity else 1

    events = np.zeros((len(kept), train.n_let), _EVENT)
    member = np.arange(train.n_let) * ((train.n_let_interval_ms or 0.0) / 1000)
    events["onset_s"] = onset[:, None] + member
    events["latest_s"] = latest[:, None] + member
    duration_s = np.full(len(kept), stage.event.duration_us * 1e-6)
    if by_width and isinstance(stage.event, Pulse):
        gap_s = stage.event.interphase_gap_us * 1e-6
        duration_s = gap_s + (duration_s - gap_s) * level
    events["duration_s"] = duration_s[:, None]
    # Both of a pulse's widths scale: its areas scale with them.
    power = 1 if by_width else 2
    events["square_s"] = (_square_s(stage, part) * level**power)[:, None]
    events["charge_s"] = (_charge_s(stage, part) * level * sign)[:, None]
    events["shape"] = shape
    flat: _Events = events.ravel()
    return flat


# -- any one second -----------------------------------------------------------


def _highest(events: _Events, weight: _Array) -> float:
    """Return the most weight that any one second holds; none is negative."""
    onset, duration, shape = (events[f] for f in ("onset_s", "duration_s", "shape"))
    until = _running(weight)
    # The second that begins as late as it can and still holds event i.
    stop = events["latest_s"] - TOUCH_S + 1
    end = np.searchsorted(onset, stop)
    # Where it cuts event i, it reaches further. What it then has of an event of
    # i's own shape is no more than what it has not of i (but for the difference
    # of two widths); those of other shapes count whole.
    far = np.searchsorted(onset, stop + duration)
    run = np.cumsum(np.diff(shape, prepend=shape[0]) != 0)
    cut = np.minimum(end, len(events) - 1)
    alike = (shape[cut] == shape) & (run[cut] == run[far - 1])
    wider = np.minimum(np.abs(duration[cut] - duration), weight[cut])
    wider[(far == end) | ~alike] = 0.0
    end = np.where((far > end) & ~alike, far, end)
    return float((until[end] - until[:-1] + wider).max())


def _highest_net(events: _Events) -> float:
    """Return the largest magnitude that any one second holds of `charge_s`."""
    onset, latest, charge = events["onset_s"], events["latest_s"], events["charge_s"]
    if charge.min() >= 0 or charge.max() <= 0:
        return _highest(events, np.abs(charge))
    until = _running(charge)
    # What a second holds changes where it begins or ends at an onset.
    changes = np.unique(np.concatenate([onset, latest, onset - 1, latest - 1]))
    begins = changes - TOUCH_S
    # A second holds a run of events; jitter leaves open where it begins and ends.
    top0, low0 = _extremes(
        until, np.searchsorted(latest, begins), np.searchsorted(onset, begins)
    )
    top1, low1 = _extremes(
        until, np.searchsorted(latest, begins + 1), np.searchsorted(onset, begins + 1)
    )
    highest = float(np.maximum(top1 - low0, top0 - low1).max())
    if any(len(np.unique(events[field])) > 1 for field in ("shape", "duration_s")):
        highest += float(np.abs(charge).max())
    return highest


def _extremes(values: _Array, first: _Index, last: _Index) -> tuple[_Array, _Array]:
    """Return the highest and lowest of values[first..last], ends included."""
    padded = np.append(values, 0.0)
    ends = np.column_stack([first, last + 1]).ravel()
    return np.maximum.reduceat(padded, ends)[::2], np.minimum.reduceat(padded, ends)[
        ::2
    ]


def _running(values: _Array) -> _Array:
    return np.concatenate([[0.0], np.cumsum(values)])
