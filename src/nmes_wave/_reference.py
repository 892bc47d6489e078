"""The oracle: what the samples must be, slowly and exactly.

Written from *Waveform mathematics* alone, apart from the compiled kernel, for
the tests to compare with; nothing else uses it, and it is never a fallback.

`reference_events` says which events a protocol has, `reference_codes` what
codes a list of events gives. The first reads the protocol's numbers as the
decimals that they print as (0.1 is one tenth); the second starts from
``plan.pulses()`` and takes every float64 as the number that it is. Both reckon
in rationals. Only half sines, exponentials and the onsets of a sweep are not
rational; they have 50 good digits.

An event is a row of pieces, each with an area (code·frames) and a curve that
says which part of it has flowed at u = 0..1 of the piece's width. The two phases
of a balanced pulse have areas that cancel, so its charge ends at exactly 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import astuple, dataclass, fields
from decimal import Decimal, localcontext
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nmes_wave.spec import Burst, CustomPulse, Pulse

if TYPE_CHECKING:
    from nmes_wave.output import Output
    from nmes_wave.spec import Envelope, Stage, StimProtocol, Train

#: ``jitter(seed, channel, stage, on_period, k)`` in 0..1, scaled by `Train.jitter`.
Jitter = Callable[[int, int, int, int, int], float]
Pulses = NDArray[np.void]
Where = tuple[int, int, int]  # channel, stage, on_period
Curve = Callable[[Fraction], Fraction]

_MAX_CODE = {"int16": 2**15 - 1, "int24": 2**23 - 1, "int32": 2**31 - 1}
_MAX_CODE["float32"] = _MAX_CODE["int24"]
_HALF = Fraction(1, 2)

# --- numbers -----------------------------------------------------------------

_DIGITS = 60
_PI = Decimal("3.14159265358979323846264338327950288419716939937510582097494459")


_WHOLE = Fraction(1, 10**12)


def _exact(value: float) -> Fraction:
    return Fraction(repr(value))


def _round_half_up(value: Fraction) -> int:
    return math.floor(value + _HALF)


def _decimal(value: Fraction) -> Decimal:
    return Decimal(value.numerator) / Decimal(value.denominator)


def _sqrt(value: Fraction) -> Fraction:
    with localcontext(prec=_DIGITS):
        return Fraction(_decimal(value).sqrt())


def _exp(value: Fraction) -> Fraction:
    with localcontext(prec=_DIGITS):
        return Fraction(_decimal(value).exp())


def _cos_pi(u: Fraction) -> Fraction:
    """Return cos(πu) for u = 0..1 by its power series."""
    with localcontext(prec=_DIGITS):
        square = (_PI * _decimal(u)) ** 2
        term = total = Decimal(1)
        n = 0
        while abs(term) > Decimal(10) ** -_DIGITS:
            n += 2
            term *= -square / (n * (n - 1))
            total += term
        return Fraction(total)


# --- events ------------------------------------------------------------------


@dataclass(frozen=True, order=True)
class ReferenceEvent:
    """A row of ``plan.pulses()``, exactly; ordered by onset, then by channel."""

    frame: Fraction
    channel: int
    stage: int
    on_period: int
    index: int
    amplitude_ma: Fraction
    phase_width_us: Fraction


def reference_events(
    protocol: StimProtocol,
    sample_rate_hz: float,
    edges: str = "area",
    jitter: Jitter | None = None,
) -> list[ReferenceEvent]:
    """Return every event of a protocol, by onset and then by channel.

    Parameters
    ----------
    protocol
        The protocol. Every event is enumerated: keep it short.
    sample_rate_hz
        Frames per second.
    edges
        With ``"snap"`` the onsets are rounded, half up, to whole frames.
    jitter
        Draws the jitter of an event, 0..1; None: onsets before jitter.
    """
    rate = _exact(sample_rate_hz)
    events = []
    for where, begin_s, stage in _on_periods(protocol):
        event, train = stage.event, stage.train
        length_s = _on_length_s(stage)
        for k in range(_n_events(train, length_s)):
            nominal_s = _onset_s(train, length_s, k, Fraction(0))
            onset_s = nominal_s
            if jitter is not None and train.jitter > 0:
                draw = Fraction(jitter(train.seed, *where, k)) * _exact(train.jitter)
                onset_s = _onset_s(train, length_s, k, draw)
            amplitude, width = _exact(stage.amplitude_ma), _exact(event.phase_width_us)
            if isinstance(event, Burst):
                width = 500_000 / _exact(event.carrier_hz)
            factor = _envelope(stage.envelope, nominal_s, length_s)
            if stage.envelope.modulates == "width":
                width *= factor
            else:
                amplitude *= factor
            for member in range(train.n_let):
                later_s = member * _exact(train.n_let_interval_ms or 0.0) / 1000
                frame = (begin_s + onset_s + later_s) * rate
                if edges == "snap":
                    frame = Fraction(_round_half_up(frame))
                events.append(ReferenceEvent(frame, *where, k, amplitude, width))
    return sorted(events)


def as_pulses(events: Iterable[ReferenceEvent]) -> Pulses:
    """Return events as a structured array, each number the nearest float64."""
    kinds = {"int": np.int64, "Fraction": np.float64}
    columns = [(f.name, kinds[str(f.type)]) for f in fields(ReferenceEvent)]
    return np.array([astuple(event) for event in events], columns)


def _on_periods(protocol: StimProtocol) -> Iterator[tuple[Where, Fraction, Stage]]:
    """Yield each on-period, its begin in seconds, and its stage."""
    for c, channel in enumerate(protocol.channels):
        begin_s = _exact(channel.start_s)
        for repeat in range(channel.repeats):
            for s, stage in enumerate(channel.stages):
                duty = stage.duty_cycle
                for i in range(duty.repeats):
                    # On-periods count on through the channel's repeats.
                    yield (c, s, repeat * duty.repeats + i), begin_s, stage
                    begin_s += _on_length_s(stage) + _exact(duty.off_s)


def _on_length_s(stage: Stage) -> Fraction:
    length = _exact(stage.duty_cycle.on_s)
    if not stage.duty_cycle.ramps_count_as_on:
        length += _exact(stage.envelope.ramp_up_s) + _exact(stage.envelope.ramp_down_s)
    return length


def _n_events(train: Train, length_s: Fraction) -> int:
    """Return how many k have k + p < phase(D) - 1e-6; an N-let is one."""
    if train.count is not None:
        return train.count
    f0 = _exact(train.rate_hz)
    f1 = _exact(train.rate_end_hz or train.rate_hz)
    phase = _exact(train.phase_deg) / 360
    room = (f0 + f1) / 2 * length_s - phase - Fraction(1, 10**6)
    if room > 0 and train.first_interval_ms is not None:
        moved = room - f0 * _exact(train.first_interval_ms) / 1000 + 1
        return max(1, math.ceil(moved))
    return max(0, math.ceil(room))


def _onset_s(train: Train, length_s: Fraction, k: int, jitter: Fraction) -> Fraction:
    """Return the time in the on-period at which the phase is k + p + jitter."""
    q = k + _exact(train.phase_deg) / 360 + jitter
    f0 = _exact(train.rate_hz)
    if train.rate_end_hz is not None:
        f1 = _exact(train.rate_end_hz)
        return 2 * q / (f0 + _sqrt(f0**2 + 2 * (f1 - f0) * q / length_s))
    if train.first_interval_ms is not None and k > 0:
        return (q - 1) / f0 + _exact(train.first_interval_ms) / 1000
    return q / f0


def _envelope(envelope: Envelope, t_s: Fraction, length_s: Fraction) -> Fraction:
    up_s, down_s = _exact(envelope.ramp_up_s), _exact(envelope.ramp_down_s)
    if t_s < up_s:
        r = t_s / up_s
    elif length_s - t_s < down_s:
        r = (length_s - t_s) / down_s
    else:
        return Fraction(1)
    if envelope.shape == "cosine":
        r = (1 - _cos_pi(r)) / 2
    elif envelope.shape == "exponential":
        r = (_exp(5 * r) - 1) / (_exp(Fraction(5)) - 1)
    foot = _exact(envelope.start_level)
    return foot + (1 - foot) * r


# --- codes -------------------------------------------------------------------


class _Piece(NamedTuple):
    """A stretch of an event, in frames; `part(u)` of `area` has flowed at u."""

    start: Fraction
    width: Fraction
    area: Fraction
    part: Curve


def reference_codes(
    protocol: StimProtocol, output: Output, pulses: Pulses, start: int, stop: int
) -> NDArray[np.int64]:
    """Return the codes of the frames [start, stop).

    Parameters
    ----------
    protocol, output
        What the pulses belong to.
    pulses
        Rows as of ``plan.pulses()``: all events that touch the frames, also
        those that begin before.
    start, stop
        Range of frames.

    Returns
    -------
    ndarray of int64, shape (stop - start, channels)
        Codes; those of float32 too are whole, before the factor 2^-23.
    """
    codes = np.zeros((stop - start, len(protocol.channels)), np.int64)
    for row in pulses:
        pieces = _pieces(protocol, output, row)
        begin, end = _touched(pieces)
        first, last = max(start, begin), min(stop, end)
        if first < last:
            charges = _running(pieces, range(first, last + 1))
            q = np.array([math.trunc(charge) for charge in charges])
            codes[first - start : last - start, row["channel"]] += q[1:] - q[:-1]
    return codes


def ideal_charge(
    protocol: StimProtocol, output: Output, row: np.void
) -> tuple[int, list[Fraction]]:
    """Return an event's first frame and C at the end of each frame it touches.

    C is the signed running charge, in code·frames, of the ideal event of level L
    (its recovery phase moved as ``edges`` demands); the codes are the
    differences of its truncations.
    """
    pieces = _pieces(protocol, output, row)
    begin, end = _touched(pieces)
    return begin, _running(pieces, range(begin + 1, end + 1))


def _touched(pieces: list[_Piece]) -> tuple[int, int]:
    last = pieces[-1]
    return math.floor(pieces[0].start), math.ceil(last.start + last.width)


def _running(pieces: list[_Piece], boundaries: range) -> list[Fraction]:
    """Return the charge that has flowed at each frame boundary."""
    charges = []
    whole, i = Fraction(0), 0
    for t in boundaries:
        while i < len(pieces) and pieces[i].start + pieces[i].width <= t:
            whole += pieces[i].area
            i += 1
        charge = whole
        if i < len(pieces) and pieces[i].start < t:
            start, width, area, part = pieces[i]
            charge += area * part((t - start) / width)
        charges.append(charge)
    return charges


def _pieces(protocol: StimProtocol, output: Output, row: np.void) -> list[_Piece]:
    stage = protocol.channels[row["channel"]].stages[row["stage"]]
    event = stage.event
    onset = Fraction(float(row["frame"]))
    level = event.polarity * _level(output, row)
    if stage.train.alternate_polarity and row["index"] % 2:
        level = -level
    if isinstance(event, Pulse):
        return _pulse(event, output, float(row["phase_width_us"]), onset, level)
    if isinstance(event, Burst):
        return _burst(event, output, onset, level)
    return _custom(event, output, onset, level)


def _frames(time_us: float, output: Output) -> Fraction:
    frames = Fraction(time_us) * Fraction(output.sample_rate_hz) / 10**6
    # Whole but for the last digits of its float64 is whole.
    whole = round(frames)
    return Fraction(whole) if abs(frames - whole) <= whole * _WHOLE else frames


def _level(output: Output, row: np.void) -> int:
    full_scale_ma = output.full_scale_ma
    if isinstance(full_scale_ma, tuple):
        full_scale_ma = full_scale_ma[row["channel"]]
    # In float64 and in this order, as the page has it; the row's amplitude is
    # already times the envelope, and the intensity is 1.
    x = float(row["amplitude_ma"]) / full_scale_ma * _MAX_CODE[output.dtype]
    return math.floor(x * (1 + 1e-12))


def _pulse(
    event: Pulse, output: Output, width_us: float, onset: Fraction, level: int
) -> list[_Piece]:
    width = _frames(width_us, output)
    recovery_width = width * Fraction(event.recovery_ratio)
    gap = _frames(event.interphase_gap_us, output)
    if output.edges == "snap":
        width = Fraction(max(1, _round_half_up(width)))
        recovery_width = Fraction(max(1, _round_half_up(recovery_width)))
        gap = Fraction(_round_half_up(gap))
    mean, part = _SHAPES[event.shape]
    first = _Piece(onset, width, level * width * mean, part)
    if not event.balanced:
        return [first]
    # The phases must not meet inside a frame.
    start = max(onset + width + gap, Fraction(math.ceil(onset + width)))
    _, part = _SHAPES[event.recovery_shape or event.shape]
    return [first, _Piece(start, recovery_width, -first.area, part)]


def _burst(event: Burst, output: Output, onset: Fraction, level: int) -> list[_Piece]:
    half = Fraction(output.sample_rate_hz) / (2 * Fraction(event.carrier_hz))
    mean, part = _SHAPES[_HALF_CYCLE[event.shape]]
    area = level * half * mean
    return [
        _Piece(onset + i * half, half, -area if i % 2 else area, part)
        for i in range(2 * event.cycles)
    ]


def _custom(
    event: CustomPulse, output: Output, onset: Fraction, level: int
) -> list[_Piece]:
    points = [(_frames(t, output), Fraction(a)) for t, a in event.points]
    lines = []
    for (t0, a), (t1, b) in pairwise(points):
        if a * b < 0:
            zero = t0 + (t1 - t0) * a / (a - b)
            lines += [(t0, zero, a, Fraction(0)), (zero, t1, Fraction(0), b)]
        else:
            lines.append((t0, t1, a, b))
    areas = [(t1 - t0) * (a + b) / 2 for t0, t1, a, b in lines]
    if event.balanced:
        positive = sum(area for area in areas if area > 0)
        negative = -sum(area for area in areas if area < 0)
        areas = [x * positive / negative if x < 0 else x for x in areas]
    return [
        _Piece(onset + t0, t1 - t0, level * area, _line(a, b))
        for (t0, t1, a, b), area in zip(lines, areas, strict=True)
        if area != 0
    ]


# --- shapes: mean level, and the part of the area that has flowed at u ---------


def _triangular(u: Fraction) -> Fraction:
    return 2 * u**2 if u <= _HALF else 1 - 2 * (1 - u) ** 2


def _exponential_rise(u: Fraction) -> Fraction:
    return (_exp(5 * u) - 1 - 5 * u) / (_exp(Fraction(5)) - 6)


def _line(a: Fraction, b: Fraction) -> Curve:
    """Return the curve of a straight line from level a to b, of one sign."""
    return lambda u: (2 * a * u + (b - a) * u**2) / (a + b)


_E5_MEAN = Fraction(1, 5) - 1 / (_exp(Fraction(5)) - 1)
_SHAPES: dict[str, tuple[Fraction, Curve]] = {
    "rectangular": (Fraction(1), lambda u: u),
    "half_sine": (2 / Fraction(_PI), lambda u: (1 - _cos_pi(u)) / 2),
    "triangular": (_HALF, _triangular),
    "exponential_rise": (_E5_MEAN, _exponential_rise),
    "exponential_decay": (_E5_MEAN, lambda u: 1 - _exponential_rise(1 - u)),
}
_HALF_CYCLE = {"sine": "half_sine", "square": "rectangular", "triangular": "triangular"}
