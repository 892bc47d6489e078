"""VCD: the codes as integers, for viewers of logic and waveforms."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from nmes_wave.output import FLOAT32_UNIT, Output
from nmes_wave.sinks.table import channel_names
from nmes_wave.sinks.text import Changes
from nmes_wave.spec._fields import exact

#: Coarsest first; the last one is taken where no frame is a whole number of any.
_TIMESCALES = (("1 us", 10**6), ("100 ns", 10**7), ("10 ns", 10**8), ("1 ns", 10**9))
_BITS = {"int16": 16, "int24": 24, "int32": 32, "float32": 24}


class VcdLines:
    """IEEE 1364 value change dump: two's complement, only what changes.

    The time unit is the coarsest of 1 µs, 100, 10 and 1 ns that a frame is a
    whole number of. Where none is (48 kHz), it is 1 ns and each time is rounded
    for itself, by half a nanosecond at most.

    Parameters
    ----------
    output, n_channels
        What to write; float32 samples as their 24-bit codes.
    comment
        ASCII text for the header, without ``$``.
    """

    def __init__(self, output: Output, n_channels: int, comment: str) -> None:
        self._output = output
        self._comment = comment
        self._bits = _BITS[output.dtype]
        self._changes = Changes()
        self._names = channel_names(output, n_channels)
        self._last: list[int | None] = [None] * n_channels
        period_s = 1 / exact(output.sample_rate_hz)
        for scale, units in _TIMESCALES:
            self._scale, self._frame = scale, period_s * units
            if self._frame.denominator == 1:
                break

    def head(self) -> str:
        """Return the declarations."""
        lines = ["$comment", *textwrap.wrap(self._comment, 100), "$end"]
        lines += [f"$timescale {self._scale} $end", "$scope module nmes_wave $end"]
        for i, name in enumerate(self._names):
            lines.append(f"$var wire {self._bits} {_id(i)} {name} $end")
        lines += ["$upscope $end", "$enddefinitions $end"]
        return "\n".join(lines) + "\n"

    def body(self, block: NDArray[np.generic], start: int) -> str:
        """Return, for each change, its time and the codes that changed."""
        rows = self._changes.rows(block)
        codes = np.asarray(block[rows])
        if self._output.dtype == "float32":
            codes = np.rint(codes.astype(np.float64) / FLOAT32_UNIT)
        lines = []
        all_codes: Iterable[list[int]] = codes.astype(np.int64).tolist()
        for frame, row in zip((rows + start).tolist(), all_codes, strict=True):
            lines.append(f"#{self._time(frame)}\n")
            for i, code in enumerate(row):
                if code != self._last[i]:
                    lines.append(f"b{self._binary(code)} {_id(i)}\n")
            self._last = [*row]
        return "".join(lines)

    def tail(self, n_frames: int) -> str:
        """Return the time of the end."""
        return f"#{self._time(n_frames)}\n" if n_frames else ""

    def _binary(self, code: int) -> str:
        # What is left out on the left counts as zeros: a negative code needs all.
        return f"{code % (1 << self._bits):b}"

    def _time(self, frame: int) -> int:
        return round(frame * self._frame)


def _id(i: int) -> str:
    """Return the short name of a column: printable ASCII, without ``#`` and ``$``."""
    name = ""
    while True:
        i, digit = divmod(i, 26)
        name = chr(ord("a") + digit) + name
        if i == 0:
            return name
        i -= 1
