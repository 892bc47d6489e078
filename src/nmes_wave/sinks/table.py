"""CSV: every frame a row, in milliamperes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nmes_wave.output import FLOAT32_UNIT, Output


class CsvLines:
    """RFC 4180: a header with the units, commas, decimal points, CR LF.

    Numbers are the shortest that read back as the same float64.

    Parameters
    ----------
    output, n_channels
        What to write; a trigger's column is in parts of full scale.
    """

    def __init__(self, output: Output, n_channels: int) -> None:
        self._output = output
        self._n_channels = n_channels

    def head(self) -> str:
        """Return the names of the columns."""
        names = [f"{name}_mA" for name in channel_names(self._output, self._n_channels)]
        if self._output.trigger is not None:
            names[-1] = "trigger"
        return ",".join(["time_s", *names]) + "\r\n"

    def body(self, block: NDArray[np.generic], start: int) -> str:
        """Return a row for each frame."""
        frames = np.arange(start, start + len(block))
        columns = [[*map(repr, (frames / self._output.sample_rate_hz).tolist())]]
        for column in values(self._output, block).T:
            # Few values are many frames: each is put into words once.
            distinct, which = np.unique(column, return_inverse=True)
            words = np.array([*map(repr, distinct.tolist())], dtype=object)
            columns.append(words[which].tolist())
        return "".join(",".join(row) + "\r\n" for row in zip(*columns, strict=True))

    def tail(self, n_frames: int) -> str:
        """Return nothing."""
        return ""


def channel_names(output: Output, n_columns: int) -> list[str]:
    """Return ``channel_0`` and so on, and ``trigger`` for its column."""
    names = [f"channel_{i}" for i in range(n_columns)]
    if output.trigger is not None:
        names[-1] = "trigger"
    return names


def values(output: Output, block: NDArray[np.generic]) -> NDArray[np.float64]:
    """Return milliamperes, and a trigger's column in parts of full scale."""
    ma = output.to_ma(block) + 0.0  # no negative zeros
    if output.trigger is None:
        return ma
    full_scale = output.max_code * (FLOAT32_UNIT if output.dtype == "float32" else 1)
    return np.hstack([ma, block[:, -1:].astype(np.float64) / full_scale])
