"""Paths as users write them."""

from __future__ import annotations

import os
from pathlib import Path

from nmes_wave.errors import FormatError


def file_path(path: str | os.PathLike[str]) -> Path:
    """Return the path with ``~`` replaced by the home directory.

    Raises
    ------
    FormatError
        If it is no path, or names the home of a user that there is not.
    """
    if not isinstance(path, (str, os.PathLike)):
        raise FormatError(f"{path!r}: a path is needed, not {type(path).__name__}")
    try:
        return Path(path).expanduser()
    except (RuntimeError, TypeError) as error:
        raise FormatError(f"{path}: {error}") from None
