"""Measures recordings: detect, learn the event, fit each, find the rhythm."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from nmes_wave.measuring.channel import summarized
from nmes_wave.measuring.detecting import LONGEST_S, Detector, Ground, Spots
from nmes_wave.measuring.events import FIT_DTYPE, Fitter
from nmes_wave.measuring.learning import learn
from nmes_wave.measuring.measurement import Measurement
from nmes_wave.measuring.refining import refined
from nmes_wave.measuring.samples import Rows, Samples

Done = Callable[[float], None]


def measure(
    samples: Rows,
    sample_rate_hz: float,
    ma_per_unit: float | Sequence[float] = 1.0,
    *,
    done: Done | None = None,
) -> Measurement:
    """Find and measure the pulses in a recording.

    Parameters
    ----------
    samples
        ``(frames,)`` or ``(frames, channels)``, integers or floats, as stored;
        an array, a `numpy.memmap` or a `Recording`: it is read in blocks, twice.
    sample_rate_hz
        1 kHz to 10 MHz.
    ma_per_unit
        Milliamperes for 1 in `samples`, a number or one per channel.
    done
        Called with the part of the work that is done, 0..1.

    Returns
    -------
    Measurement

    Raises
    ------
    SpecError
        If the array is none of these, holds what is no number, or its largest
        magnitude is not 0 and lies outside 1e-30 to 1e30 mA.

    Notes
    -----
    Nothing has to be known of the pulses. Phases less than about a millisecond
    apart are one event; a channel whose phases are longer than 1.1 ms is not
    measured. Within 15 ms of a pulse, what is smaller than a fifth of
    it counts as its ringing, its tail or crosstalk. White noise makes a false
    detection in less than one of ten thousand recordings of a minute.
    """
    source = Samples(samples, sample_rate_hz, ma_per_unit)
    tell = done or (lambda part: None)
    detector = Detector(source)
    grounds = detector.survey()
    spots = _detected(detector, grounds, lambda part: tell(0.5 * part))
    source.check_size()
    longest = source.frames(LONGEST_S)
    too_long = [s.stop - s.start > longest for s in spots]
    spots = [s.where(~long) for s, long in zip(spots, too_long, strict=True)]
    fitters: list[Fitter | None] = []
    for c, (found, ground) in enumerate(zip(spots, grounds, strict=True)):
        pattern = learn(source, c, found, ground)
        if pattern is None:
            fitters.append(None)
            continue
        pattern = refined(source, c, found, ground, pattern)
        fitters.append(Fitter(pattern, ground))
    fits = _fitted(source, spots, fitters, lambda part: tell(0.5 + 0.5 * part))
    channels = tuple(
        summarized(
            rows,
            None if fitter is None else fitter.pattern,
            ground,
            source.rate_hz,
            source.n_frames,
            unmeasured=int(long.sum()) + (0 if fitter else len(found)),
        )
        for rows, fitter, ground, found, long in zip(
            fits, fitters, grounds, spots, too_long, strict=True
        )
    )
    tell(1.0)
    return Measurement(
        channels=channels, sample_rate_hz=source.rate_hz, n_frames=source.n_frames
    )


def _detected(detector: Detector, grounds: list[Ground], done: Done) -> list[Spots]:
    parts: list[list[Spots]] = [[] for _ in grounds]
    for start, stop in detector.samples.spans():
        block = detector.block(start, stop)
        for part, found in zip(
            parts, detector.find(block, start, grounds), strict=True
        ):
            part.append(found)
        done(stop / detector.samples.n_frames)
    return [detector.joined(part) for part in parts]


def _fitted(
    source: Samples, spots: list[Spots], fitters: list[Fitter | None], done: Done
) -> list[NDArray[np.void]]:
    parts = [[np.zeros(0, FIT_DTYPE)] for _ in spots]
    before = max((f.before for f in fitters if f), default=0)
    after = max((f.after for f in fitters if f), default=0)
    for start, stop in source.spans():
        ranges = [np.searchsorted(s.start, [start, stop]) for s in spots]
        if any(low < high for low, high in ranges):
            data = source.read(start - before, stop + after)
            for c, (fitter, (low, high)) in enumerate(
                zip(fitters, ranges, strict=True)
            ):
                if fitter and low < high:
                    some = np.zeros(len(spots[c]), bool)
                    some[low:high] = True
                    column = np.ascontiguousarray(data[:, c])
                    found = fitter.measure(column, start - before, spots[c].where(some))
                    parts[c].append(found)
        done(stop / source.n_frames)
    return [np.concatenate(part) for part in parts]
