"""FLAC files, through soundfile."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmes_wave.errors import SinkUnavailableError
from nmes_wave.output import Output
from nmes_wave.sinks.plain import write_all


class FlacFile:
    """A FLAC file of int16 or int24 codes.

    Parameters
    ----------
    file
        Empty, unbuffered; closed by `close` and `abandon`.
    output, n_channels
        A rate, dtype and number of channels that FLAC holds.
    comment
        Text for the ``COMMENT`` tag.
    """

    def __init__(
        self, file: io.FileIO, output: Output, n_channels: int, comment: str
    ) -> None:
        soundfile = load_soundfile()
        self.n_frames = 0
        self._guard = _Guard(file)
        self._errors = (soundfile.SoundFileError, AssertionError)
        # libsndfile takes the top 24 bits of an int32.
        self._shift = 8 if output.dtype == "int24" else 0
        try:
            self._sound = soundfile.SoundFile(
                self._guard,
                "w",
                int(output.sample_rate_hz),
                n_channels,
                "PCM_24" if self._shift else "PCM_16",
                format="FLAC",
            )
        except (*self._errors, ValueError) as error:  # one built without FLAC
            raise OSError(f"libsndfile: {error}") from None
        self._sound.comment = comment

    def write(self, block: NDArray[np.generic]) -> None:
        """Append codes of shape (frames, channels)."""
        if len(block):
            codes: Any = block
            self._checked(self._sound.write, codes << self._shift)
            self.n_frames += len(block)

    def close(self) -> None:
        """Finish the file."""
        self._checked(self._sound.close)
        self._guard.file.close()

    def abandon(self) -> None:
        """After an error: leave the blocks that arrived whole."""
        with contextlib.suppress(*self._errors):
            self._sound.close()
        with contextlib.suppress(OSError):
            self._guard.file.close()

    def _checked(self, call: Callable[..., None], *args: Any) -> None:
        # soundfile finds a short write with an assert, which python -O removes,
        # and libsndfile says no more than "system error": the guard knows.
        try:
            call(*args)
        except self._errors as error:
            raise self._guard.error or OSError(f"libsndfile: {error}") from None
        if self._guard.error:
            raise self._guard.error


class _Guard:
    """A file for soundfile's callbacks, out of which no exception may come."""

    def __init__(self, file: io.FileIO) -> None:
        self.file = file
        self.error: OSError | None = None

    def write(self, data: bytes) -> int:
        if self.error:
            return 0
        start = self.file.tell()
        try:
            write_all(self.file, data)
        except OSError as error:
            self.error = error
            with contextlib.suppress(OSError):
                self.file.truncate(start)  # libFLAC writes a block at a time
            return 0
        return len(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self.file.seek(offset, whence)

    def tell(self) -> int:
        return self.file.tell()


def load_soundfile() -> ModuleType:
    """Import soundfile, or say what to install."""
    try:
        import soundfile
    except (ImportError, OSError) as error:  # OSError: the library under it
        raise SinkUnavailableError(
            f"FLAC needs the package soundfile and the library libsndfile ({error}): "
            "pip install soundfile, and where that brings no library, apt install "
            "libsndfile1 or brew install libsndfile; .wav, .npy and .raw need neither"
        ) from None
    module: ModuleType = soundfile
    return module
