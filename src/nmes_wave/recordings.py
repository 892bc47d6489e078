"""Recordings in files, read frame by frame, with the calibration they tell."""

from __future__ import annotations

import json
import math
import os
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from nmes_wave.errors import FormatError, SpecError
from nmes_wave.files import file_path
from nmes_wave.spec._fields import is_number

#: Full scale of the integers that soundfile reads as ±1.
_PCM = {
    "PCM_S8": 2.0**7,
    "PCM_16": 2.0**15,
    "PCM_24": 2.0**23,
    "PCM_32": 2.0**31,
}
_RAW = (".raw", ".pcm")
_RAW_DTYPES = {"int16": "<i2", "int24": "u1", "int32": "<i4", "float32": "<f4"}
#: Far more than any recording has, and no overflow.
_MAX_COLUMNS = 2**20
#: libsndfile tells about 2**63 frames where a file tells none.
_NO_LENGTH = 2**53


class _Source(Protocol):
    """Where the frames come from."""

    n_frames: int
    n_columns: int

    def read(self, start: int, stop: int) -> NDArray[Any]:
        """Return ``(frames, columns)``, in units of the file."""

    def close(self) -> None:
        """Let go of the file."""


@dataclass(frozen=True, kw_only=True)
class Recording:
    """A recording in a file; made by `open_recording`.

    Behaves as an array of shape ``(frames, channels)`` whose rows can be sliced:
    only what is asked for is read. A context manager.

    Attributes
    ----------
    path
        Of the file.
    sample_rate_hz
        As the file tells, or as it was given.
    ma_per_unit
        One number per channel; None: the file tells no calibration. A unit is
        full scale, or of NPY and raw files a number as it is stored.
    columns
        Of the file, those of the channels; the trigger's is left out.
    """

    path: Path
    sample_rate_hz: float
    ma_per_unit: tuple[float, ...] | None
    columns: tuple[int, ...]
    source: _Source

    @property
    def shape(self) -> tuple[int, int]:
        """``(frames, channels)``."""
        return self.source.n_frames, len(self.columns)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the samples as they are read."""
        return np.dtype(np.float64)

    def __len__(self) -> int:
        return self.source.n_frames

    def __getitem__(self, rows: slice) -> NDArray[np.float64]:
        """Read some frames."""
        start, stop, step = rows.indices(len(self))
        block = self.source.read(start, max(start, stop))
        kept = block if len(self.columns) == block.shape[1] else block[:, self.columns]
        return kept[::step].astype(np.float64, copy=False)

    def only(self, channel: int) -> Recording:
        """Return the recording of one channel.

        Raises
        ------
        SpecError
            If there is no such channel.
        """
        if not 0 <= channel < len(self.columns):
            last = len(self.columns) - 1
            raise SpecError("channel", channel, f"must be 0 to {last} in {self.path}")
        scale = self.ma_per_unit
        return replace(
            self,
            columns=(self.columns[channel],),
            ma_per_unit=None if scale is None else (scale[channel],),
        )

    def close(self) -> None:
        """Let go of the file."""
        self.source.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def open_recording(
    path: str | os.PathLike[str], sample_rate_hz: float | None = None
) -> Recording:
    """Open a recording: WAV, RF64, FLAC and what else soundfile reads, NPY or raw.

    Parameters
    ----------
    path
        ``.npy`` is an array ``(frames,)`` or ``(frames, channels)``; ``.raw`` and
        ``.pcm`` need the JSON file beside them that `FileSink` writes.
    sample_rate_hz
        Of an array that does not tell its own; None otherwise.

    Raises
    ------
    FormatError
        If it cannot be read, is damaged or empty, or tells no sample rate.
    SpecError
        If `sample_rate_hz` is not that of the file.
    """
    place = file_path(path)
    if not place.is_file():
        what = "is a folder" if place.is_dir() else "there is no such file"
        raise FormatError(f"{place}: {what}")
    try:
        with place.open("rb"):
            pass
    except OSError as error:
        raise FormatError(f"{place}: {error.strerror or error}") from None
    if not place.stat().st_size:
        raise FormatError(f"{place}: is empty")
    suffix = place.suffix.lower()
    source: _Source
    told: float | None
    if suffix == ".npy" or suffix in _RAW:
        about = _beside(place)
        source = _Array(place) if suffix == ".npy" else _Raw(place, about)
        told, unit = about.get("sample_rate_hz"), 1.0
    else:
        source = _Sound(place)
        about, unit, told = source.about, source.unit, source.sample_rate_hz
    if not source.n_frames or not source.n_columns:
        source.close()
        raise FormatError(f"{place}: holds no samples")
    columns = tuple(
        c for c in range(source.n_columns) if c != about.get("trigger_column")
    )
    try:
        if not columns:
            raise FormatError(f"{place}: holds a trigger's column and no channel")
        rate_hz = _rate(place, told, sample_rate_hz)
        ma_per_unit = _calibration(place, about, unit, len(columns))
    except BaseException:
        source.close()
        raise
    return Recording(
        path=place,
        sample_rate_hz=rate_hz,
        ma_per_unit=ma_per_unit,
        columns=columns,
        source=source,
    )


class _Sound:
    """A file that libsndfile reads."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._module = soundfile = _soundfile(path)
        try:
            self._file = soundfile.SoundFile(path)
        except (soundfile.SoundFileError, OSError, TypeError) as error:
            raise FormatError(f"{path}: {_reason(error)}") from None
        self.n_frames = int(self._file.frames)
        self.n_columns = int(self._file.channels)
        self.sample_rate_hz = float(self._file.samplerate)
        self.unit = _PCM.get(self._file.subtype, 1.0)
        self.about = _about(self._file.comment)
        if self.n_frames >= _NO_LENGTH:
            self._file.close()
            raise FormatError(
                f"{path}: tells no length, it was cut short; flac or sox can decode "
                "it to a WAV file"
            )
        self._at = 0

    def read(self, start: int, stop: int) -> NDArray[Any]:
        """Return the frames [start, stop)."""
        try:
            if start != self._at:
                self._file.seek(start)
            block = self._file.read(stop - start, dtype="float64", always_2d=True)
        except (self._module.SoundFileError, OSError) as error:
            raise FormatError(
                f"{self._path}: damaged after frame {start}: {_reason(error)}"
            ) from None
        if len(block) != stop - start:
            raise FormatError(
                f"{self._path}: damaged: ends at frame {start + len(block)} of "
                f"{self.n_frames}"
            )
        self._at = stop
        return np.asarray(block)

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


class _Array:
    """An NPY file."""

    def __init__(self, path: Path) -> None:
        # FloatingPointError: a shape that overflows
        wrong = (ValueError, OSError, EOFError, SyntaxError, TypeError, ArithmeticError)
        try:
            with np.errstate(over="raise"):
                rows = np.load(path, mmap_mode="r", allow_pickle=False)
        except wrong as error:
            raise FormatError(f"{path}: not an array: {error}") from None
        if not isinstance(rows, np.ndarray) or rows.ndim not in (1, 2):
            raise FormatError(f"{path}: not an array (frames,) or (frames, channels)")
        if rows.dtype.kind not in "iuf":
            raise FormatError(f"{path}: holds {rows.dtype}, not integers or floats")
        self._rows = rows if rows.ndim == 2 else rows[:, np.newaxis]
        self.n_frames, self.n_columns = self._rows.shape

    def read(self, start: int, stop: int) -> NDArray[Any]:
        """Return the frames [start, stop)."""
        return self._rows[start:stop]

    def close(self) -> None:
        """Let go of the file."""
        del self._rows


class _Raw:
    """Samples without a header, as the JSON file beside them describes."""

    def __init__(self, path: Path, about: dict[str, Any]) -> None:
        if not about:
            raise FormatError(
                f"{path}: raw samples need {path.name}.json beside them, which tells "
                "what they are; a WAV or NPY file tells it itself"
            )
        n_columns, self._dtype = about.get("n_channels"), about.get("dtype")
        known = isinstance(n_columns, int) and 0 < n_columns <= _MAX_COLUMNS
        if not known or self._dtype not in [*_RAW_DTYPES]:
            raise FormatError(f"{path}.json: tells no dtype or no n_channels")
        data = np.memmap(path, np.uint8, mode="r")
        width = 3 if self._dtype == "int24" else 4 - 2 * (self._dtype == "int16")
        assert isinstance(n_columns, int)
        self.n_columns = n_columns
        self.n_frames = len(data) // (width * n_columns)
        whole = data[: self.n_frames * width * n_columns]
        self._rows = whole.reshape(self.n_frames, width * n_columns)

    def read(self, start: int, stop: int) -> NDArray[Any]:
        """Return the frames [start, stop)."""
        block = np.ascontiguousarray(self._rows[start:stop])
        if self._dtype != "int24":
            return block.view(_RAW_DTYPES[str(self._dtype)])
        wide = np.zeros((*block.shape[:1], self.n_columns, 4), np.uint8)
        wide[:, :, 1:] = block.reshape(len(block), self.n_columns, 3)
        codes: NDArray[Any] = wide.view("<i4")[:, :, 0] >> 8
        return codes

    def close(self) -> None:
        """Let go of the file."""
        del self._rows


def _soundfile(path: Path) -> ModuleType:
    try:
        import soundfile
    except (ImportError, OSError) as error:  # OSError: the library under it
        raise FormatError(
            f"{path}: needs the package soundfile ({error}); .npy and .raw do not"
        ) from None
    module: ModuleType = soundfile
    return module


def _reason(error: BaseException) -> str:
    text = str(getattr(error, "error_string", None) or error).rstrip(".")
    return f"no recording that can be read ({text}); WAV, RF64, FLAC, NPY and raw can"


def _beside(path: Path) -> dict[str, Any]:
    beside = path.with_name(path.name + ".json")
    if not beside.is_file():
        return {}
    try:
        return _about(beside.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise FormatError(f"{beside}: cannot be read: {error}") from None


def _about(text: str) -> dict[str, Any]:
    """Return what our own files say of themselves, nothing of others."""
    try:
        about = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(about, dict) or "full_scale_sample" not in about:
        return {}
    return about


def _rate(path: Path, told: Any, given: float | None) -> float:
    if given is not None and not (is_number(given) and 1e3 <= given <= 1e7):
        raise SpecError("sample_rate_hz", given, "must be 1e3 to 1e7 Hz")
    rate_hz: float | None = told if is_number(told) else given
    if rate_hz is None:
        raise FormatError(
            f"{path}: tells no sample rate; give sample_rate_hz (--sample-rate-hz)"
        )
    if given is not None and given != rate_hz:
        raise SpecError("sample_rate_hz", given, f"{path} has {rate_hz:g} Hz")
    return float(rate_hz)


def _calibration(
    path: Path, about: dict[str, Any], unit: float, n_channels: int
) -> tuple[float, ...] | None:
    if not about:
        return None
    full: Any = about["full_scale_sample"]
    scale: Any = about.get("full_scale_ma")
    many: list[Any] = scale if isinstance(scale, list) else [scale] * n_channels
    good = len(many) == n_channels and all(
        is_number(x) and math.isfinite(x) and x > 0 for x in [*many, full]
    )
    if not good:
        raise FormatError(
            f"{path}: its calibration does not fit: full_scale_ma {scale}, "
            f"full_scale_sample {full}, {n_channels} channels"
        )
    return tuple(float(ma) * unit / float(full) for ma in many)
