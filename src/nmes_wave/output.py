"""The grid that samples are produced on."""

from __future__ import annotations

import math
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
class Trigger(Spec):
    """A marker on a column of its own, sample-locked to chosen events.

    For the trigger input of an EMG or EEG recorder. The column follows those of
    the channels; it stands outside the rules for balance and limits, so it is
    **never wired to a person**.

    Parameters
    ----------
    at
        What is marked: every ``event`` that is delivered, the first event of
        each ``on_period``, or of each ``stage`` (delivered or not: an on-period
        at intensity 0 is marked too).
    channel
        Whose events; None: those of all channels.
    width_us
        Length of a marker, rounded to whole frames. Markers that overlap merge.
    level
        Part of full scale. An audio interface's output is AC-coupled and rings:
        leave it headroom.

    Raises
    ------
    SpecError
        For a value out of range.
    """

    at: Literal["event", "on_period", "stage"] = "event"
    channel: Annotated[int, Range(ge=0)] | None = None
    width_us: Annotated[float, Range(gt=0, le=1e6, unit="us")] = 1000.0
    level: Annotated[float, Range(gt=0, le=1)] = 0.5


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
    trigger
        A further column that marks events; None: there is none.

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
    trigger: Trigger | None = None

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
        if self.trigger is not None and self.trigger_frames < 1:
            raise SpecError(
                "Output.trigger.width_us",
                self.trigger.width_us,
                f"must be at least one frame, {1e6 / self.sample_rate_hz:g} us at "
                f"{self.sample_rate_hz:g} Hz",
            )

    @property
    def max_code(self) -> int:
        """Largest code of the format."""
        return MAX_CODE[self.dtype]

    @property
    def numpy_dtype(self) -> np.dtype[np.generic]:
        """The arrays' dtype, int16, int32 (for int24 and int32) or float32."""
        return _NUMPY_DTYPE[self.dtype]

    @property
    def trigger_frames(self) -> int:
        """Length of a trigger marker in frames; 0 without a trigger."""
        if self.trigger is None:
            return 0
        frames = self.frames(exact(self.trigger.width_us) / 1_000_000)
        return math.floor(frames + Fraction(1, 2))

    def n_columns(self, n_channels: int) -> int:
        """Return the columns of rendered frames: channels, and the trigger."""
        return n_channels + (self.trigger is not None)

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
        """Return samples of shape ``(frames, channels)`` in mA, float64.

        A trigger's column is left out: it is no current.
        """
        samples = np.asarray(codes, dtype=np.float64)
        if self.trigger is not None:
            samples = samples[..., :-1]
        if self.dtype == "float32":
            samples = samples / FLOAT32_UNIT
        return samples * self.ma_per_code(samples.shape[-1])
