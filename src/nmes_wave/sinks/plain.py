"""Files that are a header and the codes: WAV, RF64, NPY and raw.

The header's size never changes and it is brought up to date with every block,
so that the file can be read while it grows and after the process was killed.
That is why libsndfile does not write these: it counts the frames in the header
when it closes, and of a killed process's file sox then reads nothing, nor does
libsndfile itself of an RF64. It also lets a WAV outgrow 4 GiB.
"""

from __future__ import annotations

import contextlib
import io
import os
import struct
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from nmes_wave.output import Output

#: Largest size that RIFF's 32 bits hold; a WAV beyond it becomes an RF64.
RIFF_LIMIT = 2**32 - 1
_SAMPLE_BYTES = {"int16": 2, "int24": 3, "int32": 4, "float32": 4}


class Header(Protocol):
    """The bytes before the samples, always as many."""

    #: Whether int24 stands in three bytes, not in an int32.
    packs: bool
    #: Whether an odd number of bytes of samples is followed by a zero.
    pads: bool

    def __call__(self, n_frames: int) -> bytes:
        """Return the header of a file of so many frames."""


class PlainFile:
    """A header and the codes, interleaved and little-endian.

    Parameters
    ----------
    file
        Empty, unbuffered; closed by `close` and `abandon`.
    header, output, n_channels
        What to write.
    """

    def __init__(
        self, file: io.FileIO, header: Header, output: Output, n_channels: int
    ) -> None:
        self.n_frames = 0
        self._file = file
        self._header = header
        self._packed = output.dtype == "int24" and header.packs
        self._dtype = output.numpy_dtype.newbyteorder("<")
        width = 3 if self._packed else self._dtype.itemsize
        self._frame_bytes = width * n_channels
        self._header_bytes = len(header(0))
        write_all(file, header(0))

    def write(self, block: NDArray[np.generic]) -> None:
        """Append codes of shape (frames, channels)."""
        data = block.astype(self._dtype, copy=False).reshape(-1).view(np.uint8)
        write_all(self._file, (_pack24(data) if self._packed else data).data)
        self.n_frames += len(block)
        self._update()

    def _update(self) -> None:
        if self._header_bytes:
            self._file.seek(0)
            write_all(self._file, self._header(self.n_frames))
            self._file.seek(0, os.SEEK_END)

    def close(self) -> None:
        """Finish the file."""
        if self._header.pads:
            self._trim()
        self._file.close()

    def _trim(self) -> None:
        samples = self.n_frames * self._frame_bytes
        pad = samples % 2 if self._header.pads else 0
        self._file.truncate(self._header_bytes + samples + pad)

    def abandon(self) -> None:
        """After an error: keep the whole frames that arrived, as far as possible."""
        with contextlib.suppress(OSError, ValueError):  # ValueError: closed by then
            samples = self._file.seek(0, os.SEEK_END) - self._header_bytes
            self.n_frames = max(0, samples) // self._frame_bytes
            self._update()
            self._trim()
        with contextlib.suppress(OSError):
            self._file.close()


class WavHeader:
    """WAV, as an RF64 when it must be.

    EBU Tech 3306: a ``JUNK`` chunk keeps the place of the ``ds64`` chunk, which
    holds the sizes in 64 bits.

    Parameters
    ----------
    output, n_channels
        A rate in whole hertz; channels such that a frame fits 16 bits.
    comment
        ASCII text for the ``ICMT`` tag.
    always_rf64
        RF64 from the first byte.
    """

    packs = True
    pads = True

    def __init__(
        self, output: Output, n_channels: int, comment: str, *, always_rf64: bool
    ) -> None:
        self._always_rf64 = always_rf64
        self._is_float = output.dtype == "float32"
        width = _SAMPLE_BYTES[output.dtype]
        rate = int(output.sample_rate_hz)
        self._frame_bytes = width * n_channels
        self._format = struct.pack(
            "<HHIIHH",
            3 if self._is_float else 1,
            n_channels,
            rate,
            rate * self._frame_bytes,
            self._frame_bytes,
            8 * width,
        )
        text = comment.encode("ascii") + b"\0"
        self._info = _chunk(b"LIST", b"INFO" + _chunk(b"ICMT", text))

    def __call__(self, n_frames: int) -> bytes:
        """Return the header of a file of so many frames."""
        samples = n_frames * self._frame_bytes
        ds64_bytes = 28
        size = 4 + 8 + ds64_bytes + len(self._body(0, 0)) + samples + samples % 2
        if self._always_rf64 or size > RIFF_LIMIT:
            sizes = struct.pack("<QQQI", size, samples, n_frames, 0)
            head = b"RF64\xff\xff\xff\xffWAVE" + _chunk(b"ds64", sizes)
            # all ones: it stands in ds64
            return head + self._body(2**32 - 1, 2**32 - 1)
        head = struct.pack("<4sI4s", b"RIFF", size, b"WAVE")
        junk = _chunk(b"JUNK", bytes(ds64_bytes))
        return head + junk + self._body(n_frames, samples)

    def _body(self, n_frames: int, samples: int) -> bytes:
        if self._is_float:  # what is not PCM tells an extension, and its frames
            fact = _chunk(b"fact", struct.pack("<I", n_frames))
            chunks = _chunk(b"fmt ", self._format + bytes(2)) + fact
        else:
            chunks = _chunk(b"fmt ", self._format)
        return chunks + self._info + struct.pack("<4sI", b"data", samples)


class NpyHeader:
    """NPY 1.0, an array of shape (frames, channels)."""

    packs = False
    pads = False

    def __init__(self, output: Output, n_channels: int) -> None:
        self._descr = output.numpy_dtype.newbyteorder("<").str
        self._n_channels = n_channels

    def __call__(self, n_frames: int) -> bytes:
        """Return the header of a file of so many frames."""
        # NumPy pads it so that a growing first axis does not move the data.
        header = io.BytesIO()
        shape = (n_frames, self._n_channels)
        np.lib.format.write_array_header_1_0(
            header, {"descr": self._descr, "fortran_order": False, "shape": shape}
        )
        return header.getvalue()


class NoHeader:
    """Raw."""

    packs = True
    pads = False

    def __call__(self, n_frames: int) -> bytes:
        """Return nothing."""
        return b""


def write_all(file: io.FileIO, data: bytes | memoryview) -> None:
    """Write everything: an unbuffered file writes less just before it fails."""
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack("<4sI", name, len(data)) + data + bytes(len(data) % 2)


def _pack24(data: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the low three bytes of every four."""
    four = data.reshape(-1, 4)
    three = np.empty((len(four), 3), np.uint8)
    for i in range(3):  # by columns: five times as fast as four[:, :3]
        three[:, i] = four[:, i]
    return three.reshape(-1)
