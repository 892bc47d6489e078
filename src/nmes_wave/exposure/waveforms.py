"""Waveforms of several channels, added instant by instant."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nmes_wave.exposure.channel import TOUCH_S
from nmes_wave.spec import Burst, CustomPulse, Pulse, Stage

#: Longest frame of an output: a recovery phase can begin this much late.
FRAME_S = 1 / 8000

#: A half sine is cut in so many pieces; it rises above their chords by less
#: than SAG.
PIECES = 32
SAG = (math.pi / PIECES) ** 2 / 8
_PIECES = {"half_sine": PIECES, "sine": PIECES, "triangular": 2}
#: Where a phase is highest, in parts of its width (just before it drops).
_PEAK = {"half_sine": 0.5, "triangular": 0.5, "exponential_rise": 1 - 1e-9}

_Array = NDArray[np.float64]
_Index = NDArray[np.intp]


class Waveforms:
    """The events of an on-period that last into [0, `length_s`].

    Parameters
    ----------
    channel
        Whose they are: waveforms of one channel are not added.
    stage
        Of constant rate, without jitter.
    begin_s
        Begin of the on-period, mostly before 0.
    length_s
        Where to stop.
    """

    def __init__(
        self, channel: int, stage: Stage, begin_s: float, length_s: float
    ) -> None:
        self.channel = channel
        self._event = stage.event
        train, envelope, on_s = stage.train, stage.envelope, stage.on_period_s
        reach_s = train.n_let_span_s + stage.event.duration_us * 1e-6 + FRAME_S
        shift = begin_s * train.rate_hz + train.phase_deg / 360
        first = math.floor(-reach_s * train.rate_hz - shift) - 1
        last = math.ceil(length_s * train.rate_hz - shift) + 2
        numbers = np.arange(max(0, first), min(stage.n_events, last))
        onset = train.onset_s(numbers, on_s)
        level = envelope.level(onset, on_s)
        member = np.arange(train.n_let) * ((train.n_let_interval_ms or 0.0) / 1000)
        by_width = envelope.modulates == "width"
        self._onset: _Array = (begin_s + onset[:, None] + member).ravel()
        self._width = np.repeat(level if by_width else np.ones_like(level), train.n_let)
        scale = np.ones_like(level) if by_width else level
        self._amplitude_ma = stage.amplitude_ma * np.repeat(scale, train.n_let)

    @property
    def n_corners(self) -> int:
        """About as many as `corners` returns."""
        event = self._event
        pieces = 2 * event.cycles if isinstance(event, Burst) else 2
        if isinstance(event, CustomPulse):
            return len(self._onset) * len(event.points)
        return len(self._onset) * pieces * _PIECES.get(event.shape, 1)

    @property
    def sag_ma(self) -> float:
        """How far the waveform rises above the chords between its corners."""
        event = self._event
        shapes = {getattr(event, "shape", ""), getattr(event, "recovery_shape", "")}
        round_ = shapes & {"half_sine", "sine"}
        return SAG * float(self._amplitude_ma.max(initial=0.0)) if round_ else 0.0

    def corners_s(self, late_s: float) -> _Array:
        """Return the times between which magnitudes are smooth and monotonic."""
        corners_us = _corners_us(self._event, self._width[:, None], late_s * 1e6)
        return (self._onset[:, None] + corners_us * 1e-6).ravel()

    def magnitude_ma(self, t_s: _Array, near_s: _Array, late_s: float) -> _Array:
        """Return the magnitude at `t_s`, of the event that holds `near_s`."""
        i = np.searchsorted(self._onset, near_s, side="right") - 1
        out = np.zeros(len(t_s))
        inside = i >= 0
        i = i[inside]
        t_us = (t_s[inside] - self._onset[i]) * 1e6
        if isinstance(self._event, Pulse):
            t_us = _as_described_us(self._event, t_us, self._width[i], late_s * 1e6)
        out[inside] = self._amplitude_ma[i] * np.abs(self._event.levels(t_us))
        return out


class Sums(NamedTuple):
    """Highest sum: one that is reached, and one that is not exceeded."""

    reached_ma: float
    bound_ma: float


def highest_sum(tracks: Sequence[Waveforms], length_s: float, late_s: float) -> Sums:
    """Return the highest sum of magnitudes within [0, `length_s`].

    Recovery phases are `late_s` late at most. Between two corners each waveform
    is monotonic, and straight, hollow (exponential) or at most its sag above
    the chord (sine): so the sum is below the larger of its two ends, plus the
    sags, and below the sum of what each is at its larger end.
    """
    corners = [np.array([0.0, length_s]), *(t.corners_s(late_s) for t in tracks)]
    cuts = np.unique(np.concatenate(corners).clip(0.0, length_s))
    wide = np.diff(cuts) > TOUCH_S
    begin, end = cuts[:-1][wide], cuts[1:][wide]
    if not len(begin):
        return Sums(0.0, 0.0)
    inset = 1e-14 * (1 + length_s)
    middle = (begin + end) / 2
    channels = sorted({track.channel for track in tracks})
    ends = np.zeros((2, len(channels), len(begin)))
    sag_ma = np.zeros(len(channels))
    for track in tracks:
        c = channels.index(track.channel)
        for row, t_s in zip(ends, (begin + inset, end - inset), strict=True):
            row[c] = np.maximum(row[c], track.magnitude_ma(t_s, middle, late_s))
        sag_ma[c] = max(sag_ma[c], track.sag_ma)
    sums = ends.sum(axis=1).max(axis=0)
    larger = ends.max(axis=0)
    bound = np.minimum(larger.sum(axis=0), sums + sag_ma @ (larger > 0))
    return Sums(float(sums.max()), float(bound.max()))


def _parts(shape: str) -> _Array:
    return np.linspace(0, 1, _PIECES.get(shape, 1) + 1)


def _corners_us(
    event: Pulse | Burst | CustomPulse, width: _Array, late_us: float
) -> _Array:
    """Return the corners of events; `width` scales phases, shape (events, 1)."""
    if not isinstance(event, Pulse):
        if isinstance(event, Burst):
            halves = np.arange(2 * event.cycles)[:, None] + _parts(event.shape)
            times = event.phase_width_us * halves.ravel()
        else:
            times = np.unique([segment[:2] for segment in event.segments()])
        return np.tile(times, (len(width), 1))
    first = event.phase_width_us * width
    corners = [first * _parts(event.shape)]
    if event.balanced:
        shape = event.effective_recovery_shape
        peak = _PEAK.get(shape, 0.0)
        parts = np.union1d(_parts(shape), peak)
        turn = first + event.interphase_gap_us
        recovery = turn + event.recovery_width_us * width * parts
        corners += [recovery[:, parts <= peak], recovery[:, parts >= peak] + late_us]
    return np.concatenate(corners, axis=1)


def _as_described_us(
    event: Pulse, t_us: _Array, width: _Array, late_us: float
) -> _Array:
    """Return where in the described pulse the scaled, late one is at `t_us`.

    A recovery phase that may be late is held at its peak so much longer: no
    lateness up to that is above it.
    """
    first = event.phase_width_us * width
    turn = first + event.interphase_gap_us
    peak = _PEAK.get(event.effective_recovery_shape, 0.0)
    peak_us = peak * event.recovery_width_us * width
    t = t_us - turn
    t = np.where(t < peak_us, t, np.maximum(peak_us, t - late_us))
    t = event.phase_width_us + event.interphase_gap_us + t / width
    # Inside the gap, however wide it is drawn: its begin.
    t = np.where(t_us < turn, event.phase_width_us, t)
    return np.where(t_us < first, t_us / width, t)
