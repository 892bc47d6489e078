"""A recording from a file, as ``verify`` takes it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmes_wave.errors import FormatError
from nmes_wave.files import file_path

#: Full scale of the formats' integers, which soundfile divides by.
_PCM = {"PCM_16": 2.0**15, "PCM_24": 2.0**23, "PCM_32": 2.0**31}


@dataclass(frozen=True)
class RecordingFile:
    """What a file holds; `ma_per_unit` None: it does not tell."""

    samples: NDArray[np.generic]
    sample_rate_hz: float
    ma_per_unit: list[float] | None


def read_recording(path: Path, sample_rate_hz: float) -> RecordingFile:
    """Read WAV, RF64, FLAC or NPY, with the calibration that our files carry.

    Parameters
    ----------
    path
        Of the file.
    sample_rate_hz
        Of an array that does not tell its own.

    Raises
    ------
    FormatError
        If it cannot be read.
    """
    path = file_path(path)
    if not path.is_file():
        raise FormatError(f"{path}: there is no such file")
    if path.suffix.lower() == ".npy":
        return _array(path, sample_rate_hz)
    import soundfile

    try:
        with soundfile.SoundFile(path) as file:
            samples = file.read(dtype="float32", always_2d=True)
            about = _about(file.comment)
            unit, rate_hz = _PCM.get(file.subtype, 1.0), float(file.samplerate)
    except (soundfile.SoundFileError, OSError) as error:
        reason = getattr(error, "error_string", None) or str(error)
        raise FormatError(
            f"{path}: no recording that can be read ({reason.rstrip('.')}); WAV, RF64, "
            "FLAC and NPY can"
        ) from None
    if not about:
        return RecordingFile(samples, rate_hz, None)
    scale = unit / about["full_scale_sample"]
    per_unit = [ma * scale for ma in _scales(about, samples.shape[1])]
    return RecordingFile(samples, rate_hz, per_unit)


def _array(path: Path, sample_rate_hz: float) -> RecordingFile:
    try:
        samples = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise FormatError(f"{path}: no array that can be read ({error})") from None
    beside = path.with_name(path.name + ".json")
    about = _about(beside.read_text("utf-8")) if beside.is_file() else {}
    if not about:
        return RecordingFile(samples, sample_rate_hz, None)
    # whatever the plan's own format is
    samples = np.divide(samples, about["full_scale_sample"], dtype=np.float32)
    n_channels = samples.shape[1] if samples.ndim == 2 else 1
    rate_hz = float(about.get("sample_rate_hz", sample_rate_hz))
    return RecordingFile(samples, rate_hz, _scales(about, n_channels))


def _about(text: str) -> dict[str, Any]:
    """Return what our own files say of themselves; nothing of others."""
    try:
        about = json.loads(text)
        float(about["full_scale_sample"])
        _scales(about, 1)
    except (ValueError, TypeError, KeyError):
        return {}
    return dict(about)


def _scales(about: dict[str, Any], n_channels: int) -> list[float]:
    scale = about["full_scale_ma"]
    many = scale if isinstance(scale, list) else [scale] * n_channels
    return [float(ma) for ma in many]
