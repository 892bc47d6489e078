"""What a recording does to all pulses alike: droop, and edges that ring."""

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
#: A droop is one if it is so many standard errors from none ...
_CLEAR = 3.0
#: ... and takes this part of the level within the first phase; where steps that
#: ring meet, this part over the square of the width in frames: there ringing looks
#: like a droop (of 4.4 % at 6.6 frames, 1.5 % at 13, resampled by sox).
_LEAST, _LEAST_RINGING = 0.002, 3.0
#: Edges are sharp if a fit that takes them as such leaves this part of the level.
_SHARP = 0.02


def refined(
    samples: Samples, channel: int, spots: Spots, ground: Ground, pattern: Pattern
) -> Pattern:
    """Return the pattern with the droop and the edges that its events show."""
    fitter = Fitter(pattern, ground)
    chosen = some(strong(spots), _EVENTS)
    length = fitter.before + fitter.after
    firsts = spots.start[chosen] - fitter.before
    rows = [excerpt(samples, channel, int(f), length, ground) for f in firsts]
    # one after the other, as if they stood so in the recording
    start = fitter.before + length * np.arange(len(chosen))
    longest = np.minimum(spots.stop - spots.start, fitter.within)[chosen]
    moved = Spots(start=start, stop=start + longest, level=spots.level[chosen])
    x = np.concatenate(rows, axis=1)[0] + ground.offset_ma
    seen = fitter.inspect(x, moved)
    sharp = float(np.mean(seen.sharp_rest)) < _SHARP**2
    corner = float(np.median(seen.corner))
    error = 1.2533 * float(np.std(seen.corner)) / math.sqrt(len(chosen))
    width = float(pattern.row[pattern.model.WIDTH])
    ringing = pattern.meets and not sharp
    least = max(_LEAST, _LEAST_RINGING / width**2 if ringing else 0.0)
    if corner * width < least or corner < _CLEAR * error:
        corner = 0.0
    return replace(pattern, corner=corner, sharp=sharp)
