"""Each pulse of a channel, measured."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nmes_wave.measuring.detecting import Ground, Ints, Spots
from nmes_wave.measuring.fitting import (
    SMOOTHED_NOISE,
    fit,
    integrals,
    matched,
    smoothed,
)
from nmes_wave.measuring.learning import HALF_FRAME, Pattern
from nmes_wave.measuring.samples import Floats
from nmes_wave.measuring.waveforms import Phases

#: As fitted, times in frames and levels in mA.
FIT_DTYPE = np.dtype(
    [
        ("onset", np.float64),
        ("onset_sd", np.float64),
        ("span", np.float64),
        ("polarity", np.int64),
        ("level", np.float64),
        ("width", np.float64),
        ("gap", np.float64),
        ("recovery_width", np.float64),
        ("recovery_level", np.float64),
        ("charge", np.float64),
        ("net", np.float64),
        ("rest", np.float64),  # r.m.s. that the waveform leaves, mA
    ]
)
#: Of a phase width in a width-modulated train.
_STRETCHES = (1.0, 0.82, 0.67, 0.55, 0.45, 0.37, 0.3, 0.25, 1.2)
#: A stretch is believed if it explains this many noise variances more.
_BELIEVED = 25.0
#: Frames around an event that are fitted.
_ROOM = 6
#: ... and before its onset its level is not read for the baseline.
_GUARD = 3
#: What an event may be off its prior: frames, parts of widths and levels.
_TIME_SD, _PART_SD, _LEVEL_SD = 2.0, 0.1, 0.3
_FIXED = 1e-6
_CHUNK = 2048


class Inspection(NamedTuple):
    """What `Fitter.inspect` saw, for each event."""

    #: Corner of the droop, radians per frame.
    corner: Floats
    #: Mean square that edges within a frame leave, part of the level's square.
    sharp_rest: Floats


class Fitter:
    """Measures the events of one channel.

    Parameters
    ----------
    pattern
        The channel's event.
    ground
        Its noise.
    """

    def __init__(self, pattern: Pattern, ground: Ground) -> None:
        self.pattern = pattern
        self.noise = ground.noise_rms_ma
        self.offset = ground.offset_ma
        self.rest = ground.mean_ma - ground.offset_ma
        model, row = pattern.model, pattern.row
        longest = pattern.length * (max(_STRETCHES) if model.scalable else 1.0)
        self.length = math.ceil(longest) + 2 * _ROOM
        #: Frames after its detection that an event can begin in: the widest detector
        #: sees a short one a scale before its onset.
        self.within = self.length + 2 * pattern.reach
        #: Frames by which an onset can lie before its detection: of a long
        #: recovery phase the end can be detected apart.
        self.search = pattern.length + _ROOM
        #: Frames that an event needs before its detection, and after it.
        self.before = pattern.before + self.search
        self.after = self.length + self.within
        stretches = _STRETCHES if model.scalable else (1.0,)
        rows = np.tile(row, (len(stretches), 1))
        rows[:, model.ONSET] = _ROOM
        rows[:, model.scalable] *= np.array(stretches)[:, None]
        rows[:, model.WIDTH] = np.maximum(rows[:, model.WIDTH], 0.5)
        self.shapes = smoothed(model.render(rows, self.length))

    def measure(self, x: Floats, first: int, spots: Spots) -> NDArray[np.void]:
        """Measure events in a stretch of one channel.

        Parameters
        ----------
        x
            Frames, in mA; frame 0 is frame `first` of the recording. Each event
            has `before` frames before its start, and `after` after its stop.
        spots
            The events.

        Returns
        -------
        ndarray
            `FIT_DTYPE`, in the order of `spots`.
        """
        x = x - self.offset
        parts = [np.zeros(0, FIT_DTYPE)]
        for at in range(0, len(spots), _CHUNK):
            start = spots.start[at : at + _CHUNK] - first
            stop = np.minimum(spots.stop[at : at + _CHUNK] - first, start + self.within)
            fits = self._measured(x, start, stop)
            fits["onset"] += first
            parts.append(fits)
        return np.concatenate(parts)

    def _measured(self, x: Floats, start: Ints, stop: Ints) -> NDArray[np.void]:
        model, pattern = self.pattern.model, self.pattern
        first, sign, rows, guess = self._windows(x, start, stop)
        if pattern.corner:
            rows = rows + pattern.corner * self._integrals(rows, sign)
        rows = self._about_baseline(rows)
        sd = self._prior(guess)
        found, rest, onset_sd, _ = fit(model, rows, guess, sd, self.noise)
        out = np.zeros(len(rows), FIT_DTYPE)
        out["onset"] = first + found[:, model.ONSET]
        out["onset_sd"] = onset_sd
        out["polarity"] = sign
        out["level"] = found[:, model.LEVEL]
        out["width"] = found[:, model.WIDTH]
        out["span"] = model.span(found)
        if isinstance(model, Phases) and model.recovery:
            out["gap"] = found[:, model.GAP]
            out["recovery_width"] = found[:, model.RECOVERY_WIDTH]
            out["recovery_level"] = found[:, model.RECOVERY_LEVEL]
        out["charge"] = model.charge(found)
        out["net"] = sign * rows.sum(axis=1)
        out["rest"] = rest
        return out

    def inspect(self, x: Floats, spots: Spots) -> Inspection:
        """Look at events for what is one of the recording, not of its pulses.

        The parameters are those of `measure`, frame 0 of `x` the first one.
        """
        model = self.pattern.model
        _, sign, rows, guess = self._windows(x - self.offset, spots.start, spots.stop)
        droop = self._about_baseline(self._integrals(rows, sign))
        rows = self._about_baseline(rows)
        sd = self._prior(guess)
        meets = self.pattern.meets
        if meets:
            # else a gap of part of a frame would be taken for a droop
            guess[:, Phases.GAP] = HALF_FRAME / 2
            sd[:, Phases.GAP] = HALF_FRAME
        found = fit(model, rows, guess, sd, self.noise, -droop)
        edges = sharpened(found.rows) if meets else found.rows
        left = rows + found.amount[:, None] * droop - model.render(edges, self.length)
        rest = np.mean(left**2, axis=1) - self.noise**2
        return Inspection(found.amount, rest / found.rows[:, model.LEVEL] ** 2)

    def _windows(
        self, x: Floats, start: Ints, stop: Ints
    ) -> tuple[Ints, Ints, Floats, Floats]:
        """Return first frame, sign, frames and first guess of each event.

        The frames begin where nothing else is before the event, and are turned
        such that it is positive. The first frame is that of the last `length`.
        """
        model, pattern = self.pattern.model, self.pattern
        low = start - self.before
        span = self.before + int((stop - start).max()) + self.length
        index = low[:, None] + np.arange(span)
        windows = x[np.minimum(index, len(x) - 1)]
        stretch, begin, ratio = self._located(windows, stop - low)
        sign = np.where(ratio < 0, -1, 1)
        picked = np.arange(_ROOM - pattern.before, self.length)
        rows = np.take_along_axis(windows, begin[:, None] + picked, axis=1)
        guess = np.tile(pattern.row, (len(rows), 1))
        guess[:, model.ONSET] = _ROOM
        guess[:, model.scalable] *= stretch[:, None]
        # the shapes are rendered at the pattern's own level
        guess[:, model.levels] *= np.abs(ratio)[:, None]
        return low + begin, sign, rows * sign[:, None], guess

    def _integrals(self, rows: Floats, sign: Ints) -> Floats:
        """Return the integrals of what `_windows` gives, about the level at rest."""
        return integrals(rows - sign[:, None] * self.rest)

    def _about_baseline(self, rows: Floats) -> Floats:
        """Return the last `length` frames about the level before the event."""
        quiet = rows[:, : self.pattern.before - _GUARD]
        about = rows[:, -self.length :] - quiet.mean(axis=1, keepdims=True)
        return np.asarray(about)

    def _located(self, windows: Floats, stop: Ints) -> tuple[Floats, Ints, Floats]:
        """Return stretch, first frame and ratio of the best match in each window.

        The onset lies `_ROOM` after that frame, and before `stop`.
        """
        seen = smoothed(windows - windows.mean(axis=1, keepdims=True))
        low = np.full(len(windows), self.pattern.before - _ROOM)
        high = np.minimum(stop - _ROOM, seen.shape[1] - self.shapes.shape[1])
        shape, lag, ratio = matched(seen, self.shapes[:1], low, high)
        if len(self.shapes) > 1:
            other, there, value = matched(seen, self.shapes, low, high)
            energy = np.einsum("nk,nk->n", self.shapes, self.shapes)
            gain = value**2 * energy[other] - ratio**2 * energy[0]
            least = _BELIEVED * (self.noise * SMOOTHED_NOISE) ** 2
            better = gain > np.maximum(least, 0.01 * ratio**2 * energy[0])
            shape = np.where(better, other, shape)
            lag = np.where(better, there, lag)
            ratio = np.where(better, value, ratio)
        return np.array(_STRETCHES)[shape], lag, ratio

    def _prior(self, guess: Floats) -> Floats:
        model = self.pattern.model
        sd = np.full(guess.shape, _TIME_SD)
        sd[:, 1] = np.maximum(_PART_SD * guess[:, 1], 1.0)
        size = np.maximum(np.abs(guess[:, [2]]), np.finfo(float).tiny)
        sd[:, model.levels] = _LEVEL_SD * guess[:, model.levels] + 1e-3 * size
        sd[:, [2]] = 3 * size
        if isinstance(model, Phases) and model.recovery:
            wide = guess[:, Phases.RECOVERY_WIDTH]
            sd[:, Phases.RECOVERY_WIDTH] = np.maximum(_PART_SD * wide, 1.0)
            if self.pattern.meets:
                guess[:, Phases.GAP] = 0.0
                sd[:, Phases.GAP] = _FIXED
        return sd


def sharpened(rows: Floats) -> Floats:
    """Move where two phases meet: no frame holds the end of one and the other.

    A renderer that keeps charge exact begins the recovery phase with a frame (so
    does this package's): the rest of the frame before it is the first phase's.
    """
    end = rows[:, 0] + rows[:, 1]
    first, back = rows[:, Phases.LEVEL], rows[:, Phases.RECOVERY_LEVEL]
    ratio = np.clip(back / np.where(first > 0, first, 1.0), 0.0, 1e3)
    # what the frames tell, per level of the first phase
    moment = end + ratio * (end + rows[:, Phases.GAP])
    frame = np.ceil(moment / (1 + ratio))
    # noise may move an end that lies at a frame's begin a little before it
    whole = moment - ratio * frame > frame - 1.25
    frame = np.where(whole, frame, frame - 1)
    return _parted(rows, np.minimum(moment - ratio * frame, frame), frame)


def halved(rows: Floats) -> Floats:
    """Put half a frame where two phases meet: it could be none or a whole one."""
    step = rows[:, 0] + rows[:, 1]
    first, back = rows[:, Phases.LEVEL], rows[:, Phases.RECOVERY_LEVEL]
    total = np.where(first + back > 0, first + back, 1.0)
    end = step - HALF_FRAME * back / total
    return _parted(rows, end, end + HALF_FRAME)


def _parted(rows: Floats, end: Floats, begin: Floats) -> Floats:
    out = rows.copy()
    stop = rows[:, [0, 1, Phases.GAP, Phases.RECOVERY_WIDTH]].sum(axis=1)
    out[:, Phases.WIDTH] = end - rows[:, 0]
    out[:, Phases.GAP] = begin - end
    out[:, Phases.RECOVERY_WIDTH] = stop - begin
    return out
