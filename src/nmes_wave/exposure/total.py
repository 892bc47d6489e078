"""The sum of magnitudes over channels, at its highest instant.

The timeline is cut where an on-period, a ramp or a train begins or ends. Between
two cuts, trains of one constant rate repeat every period, and rising (falling)
envelopes are highest in the last (first) periods: there the waveforms are added.
Of on-periods that repeat together one common cycle is looked at, so an hour
costs what a minute does; and the places with the largest sum of amplitudes come
first, so most are never looked at.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from typing import TypeVar

from nmes_wave.exposure.waveforms import FRAME_S, Waveforms, highest_sum
from nmes_wave.spec import Channel, Stage, StimProtocol
from nmes_wave.spec._fields import exact

#: On-periods that are looked at; adding waveforms counts as ADDING of them.
BUDGET = 20_000
ADDING = 80
#: Sums end here: the amplitude of a stage is finite.
MOST_MA = sys.float_info.max
#: Corners of waveforms that are added at a time.
MAX_CORNERS = 300_000


@dataclass(frozen=True, kw_only=True)
class TotalCurrent:
    """The highest sum of magnitudes over channels.

    Attributes
    ----------
    reached_ma
        Reached by the waveforms as they are described.
    bound_ma
        Never exceeded. Equal to `reached_ma` for equal rates without jitter or
        sweep, unless events of two channels follow each other within 125 µs;
        up to 0.2 % above it where half sines overlap out of phase.
    """

    reached_ma: float
    bound_ma: float


def total_current(protocol: StimProtocol) -> TotalCurrent:
    """Return the highest sum of magnitudes over channels at any instant.

    Channels whose on-periods never meet are not added. Where they meet with
    equal rates, and neither jitter nor sweep, the waveforms are added instant by
    instant: pulses that never coincide do not add. Elsewhere the bound is the
    sum of amplitudes, each at its highest envelope meanwhile.

    Parameters
    ----------
    protocol
        What is delivered.

    Returns
    -------
    TotalCurrent
        Both values in mA.

    Notes
    -----
    With ``edges="area"`` a recovery phase begins on a frame boundary, up to one
    frame late. The bound lets each recovery phase begin anywhere up to 125 µs
    late (a frame at the lowest sample rate, 8 kHz): two channels whose events
    follow each other more closely can share a frame, and are added.

    Where channels repeat with cycles of their own that have no common one, so
    that their on-periods meet in thousands of ways, the bound is the sum of
    amplitudes of those that may meet.
    """
    channels = _together(protocol.channels)
    reached = max(s.amplitude_ma for c in channels for s in c.stages)
    bound = reached
    budget = BUDGET
    for meeting in _largest_first(_meetings(channels)):
        if meeting.sum_ma <= reached:
            break
        budget -= meeting.n_on_periods
        if budget < 0:
            bound = max(bound, meeting.sum_ma)
            break
        for stretch in _largest_first(meeting.stretches()):
            if stretch.sum_ma <= reached:
                break
            budget -= ADDING
            if budget < 0:
                bound = max(bound, stretch.sum_ma)
                break
            low, high = stretch.highest_ma(reached)
            reached, bound = max(reached, low), max(bound, high)
    return TotalCurrent(reached_ma=reached, bound_ma=max(reached, bound))


def _together(channels: Iterable[Channel]) -> list[Channel]:
    """Return what adds up: channels of one timeline become one, of their sum.

    Not where there is jitter, which each channel draws for itself.
    """
    sums: dict[object, Channel] = {}
    for i, channel in enumerate(channels):
        stages = channel.stages
        drawn = i if any(stage.train.jitter for stage in stages) else None
        timeline = [(s.event, s.train, s.duty_cycle, s.envelope) for s in stages]
        key = (channel.start_s, channel.repeats, *timeline, drawn)
        if key in sums:
            pairs = zip(sums[key].stages, stages, strict=True)
            stages = tuple(
                replace(a, amplitude_ma=min(a.amplitude_ma + b.amplitude_ma, MOST_MA))
                for a, b in pairs
            )
        sums[key] = replace(channel, stages=stages)
    return list(sums.values())


# -- intervals ----------------------------------------------------------------


@dataclass(frozen=True, eq=False, repr=False)
class _Interval:
    channel: int
    start: Fraction  # onset of the first event
    stop: Fraction  # end of the last event, and a frame


_I = TypeVar("_I", bound=_Interval)


def _between_cuts(
    items: Iterable[_I], cuts: Iterable[Fraction]
) -> Iterator[tuple[Fraction, Fraction, tuple[_I, ...]]]:
    """Yield what lies between two cuts, where items of two channels reach in."""
    waiting = sorted(items, key=lambda item: item.start, reverse=True)
    active: list[_I] = []
    for a, b in pairwise(sorted(set(cuts))):
        while waiting and waiting[-1].start <= a:
            active.append(waiting.pop())
        active = [item for item in active if item.stop > a]
        if len({item.channel for item in active}) > 1:
            yield a, b, tuple(active)


@dataclass(frozen=True, eq=False, repr=False)
class _OnPeriod(_Interval):
    stage: Stage
    begin: Fraction

    def later(self, shift: Fraction) -> _OnPeriod:
        """Return the same on-period `shift` seconds later."""
        start, stop, begin = (t + shift for t in (self.start, self.stop, self.begin))
        return replace(self, start=start, stop=stop, begin=begin)

    @property
    def risen(self) -> Fraction:
        """End of the ramp up."""
        return self.begin + exact(self.stage.envelope.ramp_up_s)

    @property
    def falls(self) -> Fraction:
        """Begin of the ramp down."""
        end = self.begin + self.stage.exact_on_period_s
        return end - exact(self.stage.envelope.ramp_down_s)

    def cuts(self) -> list[Fraction]:
        """Where the train or the envelope is not what it was before."""
        found = [self.start, self.stop, self.risen, self.falls]
        if self.stage.train.first_interval_ms is not None:
            second = self.stage.train.onset_s(1, self.stage.on_period_s)
            found.append(self.begin + Fraction(second))
        return found

    def highest_ma(self, a: Fraction, b: Fraction) -> float:
        """Return the largest amplitude of an event that lasts into [a, b]."""
        stage = self.stage
        train, envelope, on_s = stage.train, stage.envelope, stage.on_period_s
        if envelope.modulates == "width":
            return stage.amplitude_ma
        slowest_hz = min(train.rate_hz, train.rate_end_hz or train.rate_hz)
        reach_s = train.n_let_span_s + stage.event.duration_us * 1e-6 + FRAME_S
        first_s = float(a - self.begin) - reach_s - train.jitter / slowest_hz
        last_s = float(b - self.begin)
        if last_s < envelope.ramp_up_s:
            return stage.amplitude_ma * envelope.level(last_s, on_s)
        if first_s > on_s - envelope.ramp_down_s:
            return stage.amplitude_ma * envelope.level(first_s, on_s)
        return stage.amplitude_ma


@dataclass(frozen=True, eq=False, repr=False)
class _Strand(_Interval):
    """On-periods of a channel that come again and again."""

    once: tuple[_OnPeriod, ...]
    period: Fraction
    repeats: int

    @property
    def only(self) -> _OnPeriod | None:
        """The on-period, where there is but one."""
        return self.once[0] if len(self.once) == self.repeats == 1 else None

    def cuts(self) -> list[Fraction]:
        """Where it begins and ends; of an only on-period all cuts."""
        return [self.start, self.stop] if self.only is None else self.only.cuts()

    def cycle_s(self, a: Fraction, b: Fraction) -> Fraction | None:
        """Return after how long it is as it was, between two cuts."""
        if self.repeats > 1:
            return self.period
        if self.only and self.only.risen <= a and b <= self.only.falls:
            return 1 / exact(self.only.stage.train.rate_hz)
        return None

    def numbers(self, a: Fraction, b: Fraction) -> range:
        """Return which of the repeats can reach into [a, b]."""
        first = (a - self.once[-1].stop) // self.period
        last = (b - self.once[0].start) // self.period
        return range(max(0, first), min(self.repeats, last + 1))

    def on_periods(self, a: Fraction, b: Fraction) -> Iterator[_OnPeriod]:
        """Yield the on-periods that reach into [a, b]."""
        for n in self.numbers(a, b):
            for on_period in self.once:
                shifted = on_period.later(n * self.period)
                if shifted.start < b and shifted.stop > a:
                    yield shifted


def _strands(index: int, channel: Channel) -> Iterator[_Strand]:
    begin = exact(channel.start_s)
    listed: list[_OnPeriod] = []
    # A list of stages that repeats is one strand, with all its on-periods.
    listing = channel.repeats > 1 and len(channel.stages) > 1
    for stage in channel.stages:
        period, repeats = stage.exact_period_s, stage.duty_cycle.repeats
        start = begin + Fraction(stage.first_onset_s)
        stop = begin + Fraction(stage.last_end_s + FRAME_S)
        first = _OnPeriod(index, start, stop, stage, begin)
        if listing:
            listed += (first.later(n * period) for n in range(min(repeats, BUDGET + 1)))
        else:
            repeats *= channel.repeats
            stop += (repeats - 1) * period
            yield _Strand(index, start, stop, (first,), period, repeats)
        begin += stage.exact_duration_s
    if listing:
        period, repeats = channel.exact_pass_s, channel.repeats
        stop = listed[-1].stop + (repeats - 1) * period
        yield _Strand(index, listed[0].start, stop, tuple(listed), period, repeats)


# -- where channels meet ------------------------------------------------------


@dataclass(frozen=True, eq=False, repr=False)
class _Meeting:
    """Strands of two channels or more, between two cuts."""

    a: Fraction
    b: Fraction
    strands: tuple[_Strand, ...]
    sum_ma: float

    @property
    def n_on_periods(self) -> int:
        """On-periods that `stretches` looks at, about."""
        return sum(len(s.numbers(self.a, self.b)) * len(s.once) for s in self.strands)

    def stretches(self) -> Iterator[_Stretch]:
        """Yield the pieces in which trains and envelopes are of one kind."""
        found = [o for s in self.strands for o in s.on_periods(self.a, self.b)]
        inner = (t for o in found for t in o.cuts() if self.a < t < self.b)
        for a, b, on_periods in _between_cuts(found, [self.a, self.b, *inner]):
            highest = _highest_by_channel(
                (o.channel, o.highest_ma(a, b)) for o in on_periods
            )
            yield _Stretch(a, b, on_periods, highest)


def _meetings(channels: list[Channel]) -> Iterator[_Meeting]:
    strands = [s for i, c in enumerate(channels) for s in _strands(i, c)]
    cuts = (t for strand in strands for t in strand.cuts())
    for a, b, active in _between_cuts(strands, cuts):
        cycles = [c for c in (s.cycle_s(a, b) for s in active) if c is not None]
        if len(cycles) == len(active):
            # The second cycle has what the one before reaches over into it.
            b = min(b, a + 2 * _common_multiple(cycles))
        highest = _highest_by_channel(
            (s.channel, max(o.stage.amplitude_ma for o in s.once)) for s in active
        )
        yield _Meeting(a, b, active, highest)


def _common_multiple(lengths: list[Fraction]) -> Fraction:
    tops = math.lcm(*(length.numerator for length in lengths))
    return Fraction(tops, math.gcd(*(length.denominator for length in lengths)))


def _highest_by_channel(amplitudes: Iterable[tuple[int, float]]) -> float:
    """Return the sum over channels of the largest amplitude of each."""
    highest: dict[int, float] = {}
    for channel, amplitude_ma in amplitudes:
        highest[channel] = max(amplitude_ma, highest.get(channel, 0.0))
    return sum(highest.values())


_P = TypeVar("_P", "_Meeting", "_Stretch")


def _largest_first(places: Iterable[_P]) -> list[_P]:
    return sorted(places, key=lambda place: place.sum_ma, reverse=True)


@dataclass(frozen=True, eq=False, repr=False)
class _Stretch:
    """On-periods of two channels or more, between two cuts."""

    a: Fraction
    b: Fraction
    on_periods: tuple[_OnPeriod, ...]
    sum_ma: float

    def highest_ma(self, known_ma: float) -> tuple[float, float]:
        """Return a sum that is reached (`known_ma` is), and one never exceeded."""
        trains = [o.stage.train for o in self.on_periods]
        steady = all(
            t.jitter == 0 and t.rate_end_hz in (None, t.rate_hz) for t in trains
        )
        if not steady or len({t.rate_hz for t in trains}) > 1:
            return known_ma, self.sum_ma
        a, b = self._decisive(2 / exact(trains[0].rate_hz))
        tracks = [
            Waveforms(o.channel, o.stage, float(o.begin - a), float(b - a))
            for o in self.on_periods
        ]
        if sum(track.n_corners for track in tracks) > MAX_CORNERS:
            return known_ma, self.sum_ma
        _, high = highest_sum(tracks, float(b - a), late_s=FRAME_S)
        if high <= known_ma:
            return known_ma, high
        low, _ = highest_sum(tracks, float(b - a), late_s=0.0)
        return low, min(high, self.sum_ma)

    def _decisive(self, length: Fraction) -> tuple[Fraction, Fraction]:
        """Return the `length` in which amplitudes are highest, or all of it."""
        rising = any(self.b <= o.risen for o in self.on_periods)
        falling = any(self.a >= o.falls for o in self.on_periods)
        widths = any(o.stage.envelope.modulates == "width" for o in self.on_periods)
        if (rising or falling) and (widths or rising == falling):
            return self.a, self.b
        if rising:
            return max(self.a, self.b - length), self.b
        return self.a, min(self.b, self.a + length)
