"""What stands between samples and a current source in an audio output."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray

from nmes_wave.spec._fields import Range, Spec

#: Samples of the finer grid for each sample.
_OVERSAMPLING = 8
#: Samples that the filter sees at once, and the window's β.
_TAPS, _BETA = 65, 7.0

_Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class OutputChain(Spec):
    """AC coupling and reconstruction filter of an audio output.

    Parameters
    ----------
    ac_corner_hz
        Corner of the coupling, a first-order high-pass; None: DC-coupled. It
        makes a flat phase droop and leaves a tail of the other sign.
    reconstruction
        ``kaiser``: a linear-phase low-pass at half the sample rate, a sinc of
        65 samples under a Kaiser window with β = 7, with gain 1 at DC, without
        its delay. It is an example: converters differ, and most of their
        datasheets give neither. Its output is held on a grid eight times as
        fine. None: each sample is held for its time.

    Raises
    ------
    SpecError
        For a value out of range.
    """

    ac_corner_hz: Annotated[float, Range(gt=0, le=1000, unit="Hz")] | None = None
    reconstruction: Literal["kaiser"] | None = None

    @property
    def oversampling(self) -> int:
        """Samples after the reconstruction for each one before."""
        return _OVERSAMPLING if self.reconstruction else 1

    @property
    def reach_frames(self) -> int:
        """Frames before and after a sample that its reconstruction touches."""
        return _TAPS // 2 if self.reconstruction else 0

    @cached_property
    def _filter(self) -> _Array:
        """Taps at the middles of the finer samples, around that of a sample."""
        n = _TAPS * _OVERSAMPLING
        place = (np.arange(n) + 0.5 - n / 2) / _OVERSAMPLING
        phases = (np.sinc(place) * np.kaiser(n, _BETA)).reshape(_TAPS, -1)
        # Each phase has the gain 1, so that no charge is lost.
        taps: _Array = (phases / phases.sum(axis=0)).ravel()
        return taps

    def reconstruct(self, samples: _Array) -> _Array:
        """Return samples on the finer grid.

        Parameters
        ----------
        samples
            Shape ``(reach_frames + n + reach_frames,)``.

        Returns
        -------
        ndarray
            Shape ``(n * oversampling,)``: those of the n samples in the middle.
        """
        if not self.reconstruction:
            return samples
        from scipy.signal import upfirdn

        reach, fine = self.reach_frames, self.oversampling
        out = np.zeros((len(samples) + 2 * reach) * fine)
        at = np.flatnonzero(samples)
        # Runs of samples whose filters overlap are filtered together.
        runs = np.split(at, np.flatnonzero(np.diff(at) > 2 * reach) + 1)
        for run in runs if len(at) else ():
            first, last = run[0], run[-1] + 1
            filtered = upfirdn(self._filter, samples[first:last], fine)
            out[first * fine :][: len(filtered)] += filtered
        return out[2 * reach * fine : len(samples) * fine]
