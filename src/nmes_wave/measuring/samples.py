"""A recording in milliamperes, read block by block."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from nmes_wave.errors import SpecError
from nmes_wave.spec._fields import is_number

Floats = NDArray[np.float64]

#: Samples (frames times channels) that are read at a time.
_BLOCK = 1 << 20
#: What lies beyond the ends is the median of so much at the end.
_END_S = 10e-3
#: Beyond, squares of squares leave the range of floats; smaller samples are 0.
_LEAST, _MOST = 1e-30, 1e30
#: So many channels at most: more is an array that lies on its side.
MAX_CHANNELS = 1024


class Rows(Protocol):
    """What can be measured: an array, a memmap, or an open file."""

    @property
    def shape(self) -> tuple[int, ...]:
        """``(frames,)`` or ``(frames, channels)``."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the samples."""

    def __getitem__(self, rows: slice, /) -> Any:
        """Return some frames."""


class Samples:
    """Frames of a caller as float64 in mA.

    Parameters
    ----------
    rows
        See `Rows`.
    sample_rate_hz
        Of the recording.
    ma_per_unit
        A number, or one per channel.
    """

    def __init__(
        self, rows: Rows, sample_rate_hz: float, ma_per_unit: float | Sequence[float]
    ) -> None:
        if not all(hasattr(rows, name) for name in ("shape", "dtype", "__getitem__")):
            rows = np.asarray(rows)
        shape = tuple(rows.shape)
        if len(shape) not in (1, 2) or 0 in shape[1:]:
            raise SpecError(
                "samples",
                f"an array of shape {shape}",
                "must have the shape (frames,) or (frames, channels)",
            )
        if rows.dtype.kind not in "iuf":
            raise SpecError(
                "samples", f"an array of {rows.dtype}", "must hold integers or floats"
            )
        if not is_number(sample_rate_hz) or not 1e3 <= sample_rate_hz <= 1e7:
            raise SpecError("sample_rate_hz", sample_rate_hz, "must be 1e3 to 1e7 Hz")
        self.n_frames = shape[0]
        self.n_channels = shape[1] if len(shape) == 2 else 1
        if self.n_channels > MAX_CHANNELS:
            raise SpecError(
                "samples",
                f"an array of shape {shape}",
                f"must be (frames, channels) with at most {MAX_CHANNELS} channels",
            )
        self.rate_hz = float(sample_rate_hz)
        self._rows = rows
        self._seen = False  # anything but zeros,
        self._told = False  # that is not too small
        self._scale = _scales(ma_per_unit, self.n_channels)
        end = self.frames(_END_S)
        self._before = self._beyond(0, end)
        self._after = self._beyond(self.n_frames - end, self.n_frames)

    def _beyond(self, start: int, stop: int) -> Floats:
        there = self._read(max(0, start), min(stop, self.n_frames))
        if not len(there):
            return np.zeros(self.n_channels)
        middle: Floats = np.median(there, axis=0)
        return middle

    def frames(self, seconds: float) -> int:
        """Return a time in whole frames, at least one."""
        return max(1, round(seconds * self.rate_hz))

    def read(self, start: int, stop: int) -> Floats:
        """Return the frames [start, stop), (frames, channels).

        Beyond the ends each channel rests at the level that it has there.
        """
        low, high = max(start, 0), min(stop, self.n_frames)
        if high <= low:
            fill = self._before if stop <= 0 else self._after
            return np.tile(fill, (stop - start, 1))
        block = self._read(low, high)
        if low == start and high == stop:
            return block
        before = np.tile(self._before, (low - start, 1))
        after = np.tile(self._after, (stop - high, 1))
        return np.concatenate([before, block, after])

    def _read(self, low: int, high: int) -> Floats:
        block = np.asarray(self._rows[low:high]).reshape(-1, self.n_channels)
        out: Floats = block.astype(np.float64)
        with np.errstate(over="ignore", under="ignore"):
            out *= self._scale
        if not np.isfinite(out).all():
            frame = low + int(np.flatnonzero(~np.isfinite(out).all(axis=1))[0])
            raise SpecError(
                "samples", f"not a finite number at frame {frame}", "must be finite"
            )
        size = np.abs(out)
        peak = float(size.max(initial=0.0))
        if peak > _MOST:
            raise _outside(peak)
        self._told |= peak >= _LEAST
        if not self._seen:
            self._seen = bool(np.any(block))
        out[size < _LEAST] = 0.0
        return out

    def check_size(self) -> None:
        """Raise `SpecError` if all that was read is too small."""
        if self._seen and not self._told:
            raise _outside(None)

    def spans(self) -> Iterator[tuple[int, int]]:
        """Yield the whole recording in spans of a bounded size."""
        size = max(self.frames(0.1), _BLOCK // self.n_channels)
        for start in range(0, self.n_frames, size):
            yield start, min(start + size, self.n_frames)


def _outside(peak: float | None) -> SpecError:
    return SpecError(
        "samples",
        f"a peak under {_LEAST:g} mA" if peak is None else f"a peak of {peak:.3g} mA",
        f"must be 0 or {_LEAST:g} to {_MOST:g} mA; is ma_per_unit right?",
    )


def _scales(value: float | Sequence[float], n_channels: int) -> Floats:
    try:
        scales = np.asarray(value, np.float64)
    except (TypeError, ValueError):
        scales = np.array(np.nan)
    if scales.ndim == 0:
        scales = np.full(n_channels, float(scales))
    finite = bool(np.isfinite(scales).all())
    if scales.shape != (n_channels,) or not finite or not bool((scales > 0).all()):
        raise SpecError(
            "ma_per_unit",
            value,
            f"must be one number above 0, or {n_channels} of them",
        )
    return scales
