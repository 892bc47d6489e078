"""A sink that keeps every frame in memory."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nmes_wave.errors import StateError
from nmes_wave.output import Output
from nmes_wave.sinks.base import check_block


class MemorySink:
    """Keeps every frame in memory, for tests and analysis.

    What was collected stays after `close`, until the sink is opened again:
    each `open` begins a new recording and forgets the one before. Opening a
    sink that is open is a `StateError`.

    Attributes
    ----------
    output : Output or None
        What it was last opened with; ``sink.output.to_ma(sink.codes())`` gives
        milliamperes.
    n_frames : int
        Frames collected so far.

    Examples
    --------
    >>> import numpy as np
    >>> sink = MemorySink()
    >>> sink.open(Output(sample_rate_hz=48000, full_scale_ma=100), 2, 3)
    >>> sink.write(np.array([[0, 0], [8388607, -8388607]], dtype=np.int32))
    >>> sink.close()
    >>> sink.codes().tolist()
    [[0, 0], [8388607, -8388607]]
    """

    paced = False
    hardware = False

    def __init__(self) -> None:
        self.output: Output | None = None
        self.n_frames = 0
        self._n_channels = 0
        self._blocks: list[NDArray[np.generic]] = []
        self._is_open = False

    def open(self, output: Output, n_channels: int, n_frames: int) -> None:
        """Forget what was collected and begin anew; see `Sink.open`.

        Raises
        ------
        StateError
            If it is open.
        """
        if self._is_open:
            raise StateError("MemorySink.open: it is open; close it first")
        self.output = output
        self.n_frames = 0
        self._n_channels = n_channels
        self._blocks = []
        self._is_open = True

    def write(self, block: NDArray[np.generic]) -> None:
        """Keep a copy of the block; see `Sink.write`.

        Raises
        ------
        StateError
            If it is not open.
        SpecError
            If the block's shape, dtype or codes are not what was announced.
        """
        if self.output is None or not self._is_open:
            raise StateError("MemorySink.write: it is not open")
        check_block(block, self.output, self._n_channels)
        self._blocks.append(block.copy())
        self.n_frames += len(block)

    def close(self) -> None:
        """Take no more frames; what was collected stays."""
        self._is_open = False

    def codes(self) -> NDArray[np.generic]:
        """Return what was collected, also while the sink is open.

        Returns
        -------
        ndarray, shape (n_frames, n_channels)
            A new array of ``output.numpy_dtype``.

        Raises
        ------
        StateError
            If it never was opened: it knows neither channels nor dtype.
        """
        if self.output is None:
            raise StateError("MemorySink.codes: it was never opened")
        empty = np.empty((0, self._n_channels), self.output.numpy_dtype)
        return np.concatenate([empty, *self._blocks])
