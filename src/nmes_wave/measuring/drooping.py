"""The droop of a recording: the first-order high-pass of AC-coupled inputs."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from nmes_wave.measuring.detecting import Ground, Spots
from nmes_wave.measuring.events import Fitter
from nmes_wave.measuring.learning import Pattern, excerpt, some, strong
from nmes_wave.measuring.samples import Samples

#: Events that it is seen in, at most.
_EVENTS = 512
#: It is one if it is so many standard errors from none ...
_CLEAR = 3.0
#: ... and takes this part of the level within the first phase.
_LEAST = 0.002


def with_droop(
    samples: Samples, channel: int, spots: Spots, ground: Ground, pattern: Pattern
) -> Pattern:
    """Return the pattern with the corner of the droop that its events show."""
    fitter = Fitter(pattern, ground)
    chosen = some(strong(spots), _EVENTS)
    length = fitter.before + 2 * fitter.length
    firsts = spots.start[chosen] - fitter.before
    rows = [excerpt(samples, channel, int(f), length, ground) for f in firsts]
    # one after the other, as if they stood so in the recording
    start = fitter.before + length * np.arange(len(chosen))
    longest = np.minimum(spots.stop - spots.start, fitter.length)[chosen]
    moved = Spots(start=start, stop=start + longest, level=spots.level[chosen])
    corners = fitter.corner(np.concatenate(rows, axis=1)[0] + ground.offset_ma, moved)
    middle = float(np.median(corners))
    error = 1.2533 * float(np.std(corners)) / math.sqrt(len(corners))
    width = pattern.row[pattern.model.WIDTH]
    if middle * width < _LEAST or middle < _CLEAR * error:
        return pattern
    return replace(pattern, corner=middle)
