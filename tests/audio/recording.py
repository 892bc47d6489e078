"""What reached a device, and whether it is what was expected."""

import time
from collections.abc import Callable, Sequence

import numpy as np
from audio.clients import Process, wait_until

# What is handed to the device may still be on its way to the recorder's file: 50 ms
# in PulseAudio's monitor, one period in JACK, and the poll of the recorder.
TAIL_S = 0.15


def _decode(data: bytes, sample_format: str, channels: int) -> np.ndarray:
    """Bytes of whole frames as (frames, channels), int32 codes or float32."""
    if sample_format == "s24le":
        packed = np.frombuffer(data, np.uint8).reshape(-1, 3)
        wide = np.zeros((len(packed), 4), np.uint8)
        wide[:, 1:] = packed
        samples = wide.view("<i4").ravel() >> 8
    else:
        dtype = {"s16le": "<i2", "s32le": "<i4", "float32le": "<f4"}[sample_format]
        samples = np.frombuffer(data, dtype)
    wanted = np.float32 if sample_format == "float32le" else np.int32
    return samples.astype(wanted).reshape(-1, channels)


_BYTES = {"s16le": 2, "s24le": 3, "s32le": 4, "float32le": 4}


class Recorder:
    """A program that writes the samples which reach a device to its output.

    It is recording when the constructor returns: the frames that are lost while a
    recorder attaches come before its first byte, and that byte is waited for.
    """

    def __init__(
        self,
        argv: Sequence[str],
        env: dict[str, str],
        *,
        rate: int,
        channels: int,
        sample_format: str,
        server_alive: Callable[[], bool],
    ) -> None:
        self._rate, self._server_alive = rate, server_alive
        self._channels, self._format = channels, sample_format
        self._frame_bytes = channels * _BYTES[sample_format]
        self._process = Process(argv, env)
        wait_until(lambda: self.frames > 0 or self._process.poll() is not None, 5.0)
        self._started_s = time.monotonic()
        if not self.frames:
            self.end()
            raise AssertionError(f"the recorder got nothing: {self._process.err}")
        self._first_frames = self.frames

    @property
    def frames(self) -> int:
        """Frames recorded so far."""
        return self._process.data_size // self._frame_bytes

    def stop(self) -> np.ndarray:
        """Wait for what has been played until now; the recording.

        Returns
        -------
        ndarray
            (frames, channels), int32 codes (right-aligned: ±2**23 for s24le) or
            float32. After the server's death, what had been recorded.
        """
        # Counted on the clock, not from the frames that are there: on a busy
        # machine the recorder itself is late.
        elapsed_s = time.monotonic() - self._started_s + TAIL_S
        wanted = self._first_frames + int(elapsed_s * self._rate)
        complete = wait_until(
            lambda: self.frames >= wanted or not self._alive(), 5.0 + 0.2 * elapsed_s
        )
        stalled = f"the recorder has {self.frames} of {wanted} frames"
        self.end()
        if not complete:
            raise AssertionError(f"{stalled}: {self._process.err}")
        data = self._process.data
        whole = len(data) // self._frame_bytes * self._frame_bytes
        return _decode(data[:whole], self._format, self._channels)

    def _alive(self) -> bool:
        return self._server_alive() and self._process.poll() is None

    def end(self) -> None:
        """End the program without waiting for what is on its way."""
        # What it has recorded is in its file. Closing the stream would take 0.7 s
        # with JACK, and never end when the server has died.
        self._process.kill()
        self._process.end()


def trim(recording: np.ndarray) -> np.ndarray:
    """From the first to the last frame that is not silent."""
    frames = np.flatnonzero(recording.any(axis=1))
    if not len(frames):
        raise AssertionError(f"all {len(recording)} frames are silent")
    return recording[frames[0] : frames[-1] + 1]


def align(recording: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Find `expected` between the silence before and after it.

    Parameters
    ----------
    recording, expected : ndarray
        (frames, channels). The first frames that are not silent belong together.

    Returns
    -------
    ndarray
        The part of `recording` from the first to the last frame of `expected` that
        is not silent; it equals `expected` there.

    Raises
    ------
    AssertionError
        With the first difference and, where that explains it, the number of frames
        that were lost or repeated.
    """
    wanted, got = trim(expected), trim(recording)
    if got.shape[1] != wanted.shape[1] or got.dtype.kind != wanted.dtype.kind:
        raise AssertionError(
            f"recorded {got.shape[1]} channels of {got.dtype}, "
            f"expected {wanted.shape[1]} of {wanted.dtype}"
        )
    n = min(len(got), len(wanted))
    different = np.flatnonzero((got[:n] != wanted[:n]).any(axis=1))
    if len(got) == len(wanted) and not len(different):
        return got
    lengths = f"recorded {len(got)} frames from first to last sound, "
    lengths += f"expected {len(wanted)}"
    if not len(different):
        raise AssertionError(f"{lengths}; the first {n} are equal")
    at = int(different[0])
    channel = int(np.flatnonzero(got[at] != wanted[at])[0])
    raise AssertionError(
        f"{lengths}; {len(different)} of the first {n} differ, the first is {at}, "
        f"channel {channel}: recorded {got[at, channel]}, "
        f"expected {wanted[at, channel]}{_slip(got, wanted, at)}"
    )


def _slip(got: np.ndarray, wanted: np.ndarray, at: int) -> str:
    """What became of the frames at a difference, where the sound goes on after it."""
    audible = at + np.flatnonzero(got[at:].any(axis=1))[0]
    sample = got[audible : audible + 8]
    for shift in range(1, 1 << 16):
        for start, word in ((audible + shift, "lost"), (audible - shift, "inserted")):
            if start >= 0 and np.array_equal(wanted[start : start + 8], sample):
                return f"; {shift} frames were {word} there"
    return ""
