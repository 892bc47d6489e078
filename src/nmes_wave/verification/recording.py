"""A recording in milliamperes, read block by block."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmes_wave.errors import SpecError
from nmes_wave.output import FLOAT32_UNIT
from nmes_wave.plan import Plan
from nmes_wave.spec._fields import is_number

Floats = NDArray[np.float64]


class Recording:
    """Samples of a caller, as ``(channels, frames)`` blocks in mA.

    Parameters
    ----------
    plan
        Whose channels these are; a trigger's column is left out.
    samples
        ``(frames,)`` or ``(frames, channels)``, integers or floats; may be a
        `numpy.memmap`.
    sample_rate_hz
        Of the recording.
    ma_per_unit
        Milliamperes at 1.0, or at full scale of integers; None: the plan's full
        scale.
    """

    def __init__(
        self,
        plan: Plan,
        samples: Any,
        sample_rate_hz: float,
        ma_per_unit: float | Sequence[float] | None,
    ) -> None:
        if not isinstance(samples, np.ndarray) and hasattr(samples, "shape"):
            samples = samples[:]  # a file that is open, as `open_recording` has it
        data = samples if isinstance(samples, np.ndarray) else np.asarray(samples)
        if data.ndim == 1:
            data = data[:, np.newaxis]
        wanted = {plan.n_channels, plan.n_columns}
        if data.ndim != 2 or data.shape[1] not in wanted:
            raise SpecError(
                "recording",
                f"an array of shape {np.shape(samples)}",
                f"must have the shape (frames, {plan.n_channels}), as the plan has "
                f"{plan.n_channels} channels",
            )
        if data.dtype.kind not in "if":
            words = "must hold integers or floats"
            raise SpecError("recording", f"an array of {data.dtype}", words)
        if not is_number(sample_rate_hz) or not 1000 <= sample_rate_hz <= 10e6:
            raise SpecError("sample_rate_hz", sample_rate_hz, "must be 1e3 to 1e7 Hz")
        self.data = data
        self.n_channels = plan.n_channels
        self.n_frames = len(data)
        self.rate_hz = float(sample_rate_hz)
        self.order = np.arange(plan.n_channels)  # column of each channel
        self.scale = _units(plan, data.dtype) * _scales(plan, ma_per_unit)

    def read(self, start: int, stop: int) -> Floats:
        """Return the frames [start, stop); beyond the ends, the last sample holds."""
        low, high = max(start, 0), min(stop, self.n_frames)
        if high <= low:
            return np.zeros((self.n_channels, stop - start))
        block = self.data[low:high, : self.n_channels].T[self.order]
        out = block.astype(np.float64)
        out *= self.scale[self.order, np.newaxis]
        if not np.isfinite(out).all():
            frame = low + int(np.flatnonzero(~np.isfinite(out).all(axis=0))[0])
            raise SpecError(
                "recording", f"not a finite number at frame {frame}", "must be finite"
            )
        if low > start or high < stop:
            out = np.pad(out, ((0, 0), (low - start, stop - high)), mode="edge")
        return out


def _units(plan: Plan, dtype: np.dtype[Any]) -> float:
    """Return the recording's units (1.0 is full scale) per number in the array."""
    if dtype == plan.output.numpy_dtype:
        unit = FLOAT32_UNIT if dtype.kind == "f" else 1
        return 1.0 / (plan.output.max_code * unit)
    if dtype.kind == "f":
        return 1.0
    return 1.0 / float(np.iinfo(dtype).max)


def _scales(plan: Plan, ma_per_unit: float | Sequence[float] | None) -> Floats:
    if ma_per_unit is None:
        return np.array(plan.output.full_scales_ma(plan.n_channels))
    many = np.asarray(ma_per_unit, np.float64)
    if many.ndim == 0:
        many = np.full(plan.n_channels, float(many))
    if many.shape != (plan.n_channels,) or not (
        np.isfinite(many).all() and (many > 0).all()
    ):
        raise SpecError(
            "ma_per_unit",
            ma_per_unit,
            f"must be one number above 0, or {plan.n_channels} of them",
        )
    return many
