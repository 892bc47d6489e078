"""Files that are lines of text: for spreadsheets, circuit and logic viewers."""

from __future__ import annotations

import contextlib
import io
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from nmes_wave.sinks.plain import write_all

#: Frames that become text at a time, however large a block is: words in Python take
#: ten times the room of samples.
CHUNK = 16_384


class Lines(Protocol):
    """What a format makes of the frames."""

    def head(self) -> str:
        """Return what stands before the first frame."""

    def body(self, block: NDArray[np.generic], start: int) -> str:
        """Return the lines of a block whose first frame is number `start`."""

    def tail(self, n_frames: int) -> str:
        """Return what stands after the last frame."""


class TextFile:
    """Lines of text, written a whole number of chunks at a time.

    Parameters
    ----------
    file
        Empty, unbuffered; closed by `close` and `abandon`.
    lines
        The format.
    """

    def __init__(self, file: io.FileIO, lines: Lines) -> None:
        self.n_frames = 0
        self._file = file
        self._lines = lines
        self._size = 0
        self._append(lines.head())

    def write(self, block: NDArray[np.generic]) -> None:
        """Append codes of shape (frames, channels)."""
        for start in range(0, len(block), CHUNK):
            part = block[start : start + CHUNK]
            self._append(self._lines.body(part, self.n_frames))
            self.n_frames += len(part)

    def _append(self, text: str) -> None:
        data = text.encode("ascii")
        write_all(self._file, data)
        self._size += len(data)

    def close(self) -> None:
        """Finish the file."""
        self._append(self._lines.tail(self.n_frames))
        self._file.close()

    def abandon(self) -> None:
        """After an error: cut off the chunk that did not arrive whole."""
        with contextlib.suppress(OSError, ValueError):  # ValueError: closed by then
            self._file.truncate(self._size)
        with contextlib.suppress(OSError):
            self._file.close()


class Changes:
    """Finds the frames that differ from the one before, across blocks."""

    def __init__(self) -> None:
        self._last: NDArray[np.generic] | None = None

    def rows(self, block: NDArray[np.generic]) -> NDArray[np.intp]:
        """Return their numbers in the block; the very first frame is one."""
        differs = np.empty(len(block), dtype=bool)
        differs[1:] = (block[1:] != block[:-1]).any(axis=1)
        if len(block):
            differs[0] = self._last is None or bool((block[0] != self._last).any())
            self._last = block[-1].copy()
        return np.flatnonzero(differs)
