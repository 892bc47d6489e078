"""The grid that samples are produced on."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray

from nmes_wave.errors import SpecError
from nmes_wave.spec._fields import Range, Spec, conform, exact

SampleFormat = Literal["int16", "int24", "int32", "float32"]
FullScale = Annotated[float, Range(gt=0, unit="mA")]

#: Largest code of each format. A float32 sample is its code times 2^-23, so
#: that any converter's scaling of it is exact and ±1.0 never occurs.
MAX_CODE: dict[str, int] = {
    "int16": 32767,
    "int24": 8388607,
    "int32": 2147483647,
    "float32": 8388607,
}
_NUMPY_DTYPE: dict[str, np.dtype[np.generic]] = {
    "int16": np.dtype(np.int16),
    "int24": np.dtype(np.int32),
    "int32": np.dtype(np.int32),
    "float32": np.dtype(np.float32),
}
FLOAT32_UNIT = 2.0**-23


@dataclass(frozen=True, kw_only=True)
class Output(Spec):
    """Rate, number format, calibration and coupling of an output.

    Parameters
    ----------
    sample_rate_hz
        8 kHz to 768 kHz.
    full_scale_ma
        Current at full scale, a number or one per channel. Giving it declares
        the calibration: hardware is driven with a declared full scale only.
    dtype
        ``int16``, ``int24`` (in int32 arrays), ``int32`` or ``float32``.
    edges
        ``area``: exact charge, sub-sample timing. ``snap``: edges on the sample
        grid; the error stands in ``plan.delivery``.
    coupling
        ``ac`` refuses monophasic events; ``dc`` allows them where limits do.

    Raises
    ------
    SpecError
        For a value out of range.
    """

    sample_rate_hz: Annotated[float, Range(ge=8000, le=768_000, unit="Hz")]
    full_scale_ma: float | tuple[float, ...]
    dtype: SampleFormat = "int24"
    edges: Literal["area", "snap"] = "area"
    coupling: Literal["ac", "dc"] = "ac"

    def __post_init__(self) -> None:
        """Validate; `full_scale_ma` is a number or a sequence."""
        value = self.full_scale_ma
        if isinstance(value, np.ndarray):
            value = value.tolist()
        many = isinstance(value, (list, tuple))
        hint = tuple[FullScale, ...] if many else FullScale
        checked = conform("Output.full_scale_ma", value, hint)
        object.__setattr__(self, "full_scale_ma", 1.0)
        super().__post_init__()
        object.__setattr__(self, "full_scale_ma", checked)

    @property
    def max_code(self) -> int:
        """Largest code of the format."""
        return MAX_CODE[self.dtype]

    @property
    def numpy_dtype(self) -> np.dtype[np.generic]:
        """The arrays' dtype, int16, int32 (for int24 and int32) or float32."""
        return _NUMPY_DTYPE[self.dtype]

    def frames(self, seconds: float | Fraction) -> Fraction:
        """Return a time in frames, exactly."""
        if not isinstance(seconds, Fraction):
            seconds = exact(seconds)
        return seconds * exact(self.sample_rate_hz)

    def full_scales_ma(self, n_channels: int) -> tuple[float, ...]:
        """Return the full scale of each of `n_channels` channels.

        Raises
        ------
        SpecError
            If as many were not declared.
        """
        if isinstance(self.full_scale_ma, tuple):
            if len(self.full_scale_ma) != n_channels:
                raise SpecError(
                    "Output.full_scale_ma",
                    self.full_scale_ma,
                    f"must be one number, or {n_channels} for {n_channels} channels",
                )
            return self.full_scale_ma
        return (self.full_scale_ma,) * n_channels

    def ma_per_code(self, n_channels: int) -> NDArray[np.float64]:
        """Return milliamperes per code, shape ``(n_channels,)``."""
        return np.array(self.full_scales_ma(n_channels)) / self.max_code

    def to_ma(self, codes: NDArray[np.generic]) -> NDArray[np.float64]:
        """Return samples of shape ``(frames, channels)`` in mA, float64."""
        samples = np.asarray(codes, dtype=np.float64)
        if self.dtype == "float32":
            samples = samples / FLOAT32_UNIT
        return samples * self.ma_per_code(samples.shape[-1])
