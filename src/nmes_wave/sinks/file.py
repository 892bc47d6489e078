"""A sink that writes a file: samples, or a table, a source, a dump; by suffix."""

from __future__ import annotations

import io
import json
import os
import stat
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nmes_wave.errors import FormatError, SinkLostError, SinkOpenError, StateError
from nmes_wave.files import file_path
from nmes_wave.output import FLOAT32_UNIT, Output
from nmes_wave.sinks.base import check_block
from nmes_wave.sinks.flac import FlacFile, load_soundfile
from nmes_wave.sinks.plain import Header, NoHeader, NpyHeader, PlainFile, WavHeader
from nmes_wave.sinks.pwl import CHANNELS as PWL_CHANNELS
from nmes_wave.sinks.pwl import PwlLines
from nmes_wave.sinks.table import CsvLines
from nmes_wave.sinks.text import Lines, TextFile
from nmes_wave.sinks.vcd import VcdLines

#: What holds the codes as such, and what is text for other tools.
SUFFIXES = (".wav", ".rf64", ".flac", ".npy", ".raw", ".pcm")
EXPORTS = (".csv", ".pwl", ".vcd")
#: Formats without a place for the calibration: it stands in a file beside them.
_WITH_SIDECAR = (".npy", ".raw", ".pcm", ".csv", ".pwl")

#: libsndfile reads no more.
WAV_CHANNELS = 1024
#: FLAC's own; above 65535 Hz libFLAC takes multiples of 10 only.
FLAC_CHANNELS = 8
FLAC_RATE_HZ = 655_350


class FileSink:
    """Writes a file, its format chosen by the suffix.

    Parameters
    ----------
    path
        ``.wav``, ``.rf64``, ``.flac``, ``.npy``, ``.raw`` or ``.pcm``; or, for
        other tools, ``.csv``, ``.pwl`` or ``.vcd``; ``~`` is the home
        directory. An existing file is replaced by `open`, and only after the
        format, the place and the permission have been found good.

    Attributes
    ----------
    path : Path
    n_frames : int
        Frames written since `open`. After `SinkLostError` those in the file; of
        a FLAC, whose last block is lost, those that were handed over.

    Raises
    ------
    FormatError
        If the suffix is none of these.

    Notes
    -----
    The first six formats hold the codes bit for bit, channels interleaved,
    little-endian.

    ======= ================================================= =================
    suffix  holds                                             int24 in
    ======= ================================================= =================
    .wav    all four formats, 1024 channels, whole hertz      3 bytes (PCM_24)
    .rf64   the same                                          the same
    .flac   int16 and int24, 8 channels, whole hertz up to    24 bits
            655350, above 65535 in steps of 10
    .npy    everything, an array (frames, channels)           int32
    .raw    everything, without a header; .pcm is the same    3 bytes
    ======= ================================================= =================

    A WAV becomes an RF64 when it passes 4 GiB, however it came to be so long:
    every WAV keeps room for the larger header. ``.rf64`` is one from the first
    byte.

    Three are text, of any format and rate:

    ======= ==================================================================
    .csv    a row for each frame: ``time_s``, milliamperes of each channel
            (RFC 4180; a float64 reads back as it was)
    .pwl    for circuit simulators: seconds and amperes, up to 20 channels; a
            frame's current is held, a step begins with its frame and lasts 1 ns
    .vcd    for waveform viewers: the codes in two's complement; times to half
            a nanosecond, exact where a frame is a whole number of nanoseconds
    ======= ==================================================================

    PWL and VCD hold changes only: an hour of silence costs nothing. A
    trigger's column is in parts of full scale in CSV and PWL.

    *Calibration.* WAV, RF64 and FLAC carry a comment (tags ``ICMT`` and
    ``COMMENT``), a line of JSON with ``dtype``, ``full_scale_ma`` and
    ``full_scale_sample``: ``sample / full_scale_sample * full_scale_ma`` is in
    milliamperes. VCD has the same in its first ``$comment``. NPY, raw, CSV and
    PWL have no place for that, nor for the rate: a file beside them,
    ``NAME.npy.json`` or ``NAME.raw.json``, tells them, and ``sample_rate_hz``,
    ``n_channels`` and ``byte_order`` (not of text, whose numbers are currents
    already).

    *Cut short.* When the disk is full, WAV, RF64 and NPY keep every whole frame
    that arrived, and their header tells how many; so it does when the process
    is killed. Raw is cut to whole frames (unless killed). FLAC is cut to whole
    blocks, of 4096 frames as a rule, and tells no length: sox and flac decode
    it, soundfile reads it only by a number of frames that is there. A FLAC of
    no frames at all is an empty file. Text is cut to whole pieces of 16,384
    frames or less (unless killed: then to what was written, where the last line
    can be a part); its end is missing, and **a PWL cut short holds its last
    current for ever**, as every PWL does.
    """

    paced = False
    hardware = False

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = file_path(path)
        self._suffix = self.path.suffix.lower()
        if self._suffix not in SUFFIXES + EXPORTS:
            given = f"suffix {self.path.suffix}" if self._suffix else "without a suffix"
            raise FormatError(
                f"{self.path}: {given}; the format is one of "
                f"{', '.join(SUFFIXES + EXPORTS)}"
            )
        self.n_frames = 0
        self._stream: PlainFile | FlacFile | TextFile | None = None

    def open(self, output: Output, n_channels: int, n_frames: int) -> None:
        """Create or replace the file; see `Sink.open`.

        Raises
        ------
        FormatError
            If the format cannot hold the rate, dtype or number of channels.
        SinkUnavailableError
            For FLAC, if soundfile or libsndfile is missing.
        SinkOpenError
            If the file cannot be made.
        StateError
            If it is open.
        """
        if self._stream is not None:
            raise StateError(f"{self.path}: is open already; close it first")
        reason = _unfit(self._suffix, output, n_channels)
        if reason:
            raise FormatError(f"{self.path}: {reason}")
        if self._suffix == ".flac":
            load_soundfile()
        self._output, self._n_channels, self.n_frames = output, n_channels, 0
        try:
            is_new = not self.path.exists()
            file = io.FileIO(self.path, "wb", opener=_open_uncut)
            try:
                self._stream = self._begin(file)
            except BaseException:
                file.close()
                if is_new:
                    self.path.unlink(missing_ok=True)
                raise
        except FileNotFoundError:
            raise SinkOpenError(
                f"{self.path}: there is no directory {self.path.parent}"
            ) from None
        except OSError as error:
            raise SinkOpenError(f"{self.path}: {_reason(error)}") from None

    def _begin(self, file: io.FileIO) -> PlainFile | FlacFile | TextFile:
        output, n_channels = self._output, self._n_channels
        unit = FLOAT32_UNIT if output.dtype == "float32" else 1
        about: dict[str, object] = {
            "dtype": output.dtype,
            "full_scale_ma": output.full_scale_ma,
            "full_scale_sample": output.max_code * unit,
        }
        if output.trigger is not None:
            about["trigger_column"] = n_channels - 1
        if self._suffix in (*_WITH_SIDECAR, ".vcd"):
            about["sample_rate_hz"] = output.sample_rate_hz
            about["n_channels"] = n_channels
        if self._suffix in _WITH_SIDECAR:
            if self._suffix not in EXPORTS:
                about["byte_order"] = "little"
            _write_sidecar(self.path.with_name(self.path.name + ".json"), about)
        if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            file.truncate(0)
        comment = json.dumps(about)
        if self._suffix == ".flac":
            return FlacFile(file, output, n_channels, comment)
        lines: Lines
        if self._suffix in EXPORTS:
            if self._suffix == ".csv":
                lines = CsvLines(output, n_channels)
            elif self._suffix == ".pwl":
                lines = PwlLines(output, n_channels)
            else:
                lines = VcdLines(output, n_channels, comment)
            return TextFile(file, lines)
        header: Header
        if self._suffix == ".npy":
            header = NpyHeader(output, n_channels)
        elif self._suffix in (".wav", ".rf64"):
            rf64 = self._suffix == ".rf64"
            header = WavHeader(output, n_channels, comment, always_rf64=rf64)
        else:
            header = NoHeader()
        return PlainFile(file, header, output, n_channels)

    def write(self, block: NDArray[np.generic]) -> None:
        """Append a block; see `Sink.write`.

        Raises
        ------
        SinkLostError
            If it cannot be written, as on a full disk. The file is finished
            and closed then, with what came before.
        StateError
            If it is not open.
        SpecError
            If the block's shape, dtype or codes are not what was announced.
        """
        if self._stream is None:
            raise StateError(f"{self.path}: is not open")
        check_block(block, self._output, self._n_channels)
        try:
            self._stream.write(block)
        except OSError as error:
            raise self._lost(self._stream, error) from None
        self.n_frames = self._stream.n_frames

    def close(self) -> None:
        """Finish the file; see `Sink.close`.

        Raises
        ------
        SinkLostError
            If what is still held cannot be written.
        """
        if self._stream is None:
            return
        try:
            self._stream.close()
        except OSError as error:
            raise self._lost(self._stream, error) from None
        self._stream = None

    def _lost(
        self, stream: PlainFile | FlacFile | TextFile, error: OSError
    ) -> SinkLostError:
        self._stream = None
        stream.abandon()
        self.n_frames = stream.n_frames
        seconds = self.n_frames / self._output.sample_rate_hz
        return SinkLostError(
            f"{self.path}: {_reason(error)} after {self.n_frames} frames "
            f"({seconds:.3f} s); the file keeps what came before"
        )


def _unfit(suffix: str, output: Output, n_channels: int) -> str | None:
    """Return why the format cannot hold these frames, None if it can."""
    name = suffix[1:].upper()
    if suffix in EXPORTS:
        n_scales = n_channels - (output.trigger is not None)
        scales = output.full_scale_ma
        if isinstance(scales, tuple) and len(scales) != n_scales:
            return f"{n_scales} channels have {len(scales)} numbers of full_scale_ma"
        if suffix == ".pwl" and n_channels > PWL_CHANNELS:
            return f"PWL holds {PWL_CHANNELS} channels, not {n_channels}; .csv holds it"
        return None
    if suffix not in (".wav", ".rf64", ".flac"):
        return None
    rate = output.sample_rate_hz
    if rate != int(rate):
        return f"{name} holds whole hertz, not {rate!r} Hz; .npy and .raw hold any rate"
    if suffix != ".flac":
        if n_channels > WAV_CHANNELS:
            return (
                f"{name} holds {WAV_CHANNELS} channels, not {n_channels}; "
                ".npy and .raw hold more"
            )
        return None
    if output.dtype not in ("int16", "int24"):
        return f"FLAC holds int16 and int24, not {output.dtype}; .wav holds it"
    if n_channels > FLAC_CHANNELS:
        return f"FLAC holds {FLAC_CHANNELS} channels, not {n_channels}; .wav holds more"
    if rate > FLAC_RATE_HZ or (rate > 65535 and rate % 10):
        return (
            f"FLAC holds rates up to {FLAC_RATE_HZ} Hz, above 65535 Hz in steps of "
            f"10 Hz, not {rate:.0f} Hz; .wav holds it"
        )
    return None


def _open_uncut(path: str, flags: int) -> int:
    """Open for writing, the old content kept until nothing can refuse any more."""
    return os.open(path, flags & ~os.O_TRUNC, 0o666)


def _write_sidecar(path: Path, about: dict[str, object]) -> None:
    """Replace it only when all is written: the old one belongs to the old file."""
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
        part.replace(path)
    except OSError:
        part.unlink(missing_ok=True)
        raise


def _reason(error: OSError) -> str:
    return error.strerror or str(error)
