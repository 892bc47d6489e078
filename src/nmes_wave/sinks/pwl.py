"""PWL: the current as a piecewise linear source of a circuit simulator."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nmes_wave.output import Output
from nmes_wave.sinks.table import values
from nmes_wave.sinks.text import Changes

#: Time that a step takes: from the beginning of its frame on.
RISE_S = 1e-9
#: ngspice's filesource reads lines of up to 511 characters.
CHANNELS = 20


class PwlLines:
    """Time in seconds and amperes, separated by spaces; nothing but numbers.

    A frame's current is held for the frame, and only frames that change it are
    written: the old value at the frame's beginning, the new one `RISE_S` later.
    Every edge is late by half of that, so charges are exact.

    Parameters
    ----------
    output, n_channels
        What to write: a column each; a trigger's in parts of full scale.
    """

    def __init__(self, output: Output, n_channels: int) -> None:
        self._output = output
        self._changes = Changes()
        self._now = " 0" * n_channels

    def head(self) -> str:
        """Return nothing: LTspice's files are numbers only."""
        return ""

    def body(self, block: NDArray[np.generic], start: int) -> str:
        """Return two lines for each change; one for a first frame of silence."""
        rows = self._changes.rows(block)
        amperes = values(self._output, block[rows])
        n = len(amperes.T) - (self._output.trigger is not None)
        amperes[:, :n] *= 1e-3
        lines = []
        for frame, row in zip((rows + start).tolist(), amperes.tolist(), strict=True):
            after = "".join(f" {value!r}" if value else " 0" for value in row)
            # also into the first frame: what a source has at time 0 is taken for
            # its direct current, and capacitors are charged by it
            if frame or after != self._now:
                lines.append(self._step(frame, after))
            else:
                lines.append(f"{0:.12f}{after}\n")
            self._now = after
        return "".join(lines)

    def tail(self, n_frames: int) -> str:
        """Return the end: no current after it."""
        zero = "".join(" 0" for _ in self._now.split())
        if self._now == zero:
            return f"{self._time_s(n_frames):.12f}{zero}\n" if n_frames else ""
        return self._step(n_frames, zero)

    def _step(self, frame: int, after: str) -> str:
        begin_s = self._time_s(frame)
        end_s = begin_s + RISE_S
        return f"{begin_s:.12f}{self._now}\n{end_s:.12f}{after}\n"

    def _time_s(self, frame: int) -> float:
        return frame / self._output.sample_rate_hz
