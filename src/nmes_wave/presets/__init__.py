"""Published protocols as presets, each value with its source.

A study gives what could be read of it; what no text gives is marked as not
found, or assumed from one documented table of defaults. Files are read when
first asked for.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from nmes_wave.presets.catalogue import Catalogue
from nmes_wave.presets.evidence import (
    NOT_FOUND,
    Citation,
    Evidence,
    NotFound,
    Outcome,
    SourcedValue,
)
from nmes_wave.presets.preset import Preset, Status

__all__ = [
    "NOT_FOUND",
    "Citation",
    "Evidence",
    "NotFound",
    "Outcome",
    "Preset",
    "SourcedValue",
    "Status",
    "load",
    "names",
]


def names(status: Status | None = None) -> tuple[str, ...]:
    """Return the names of the presets, sorted.

    Parameters
    ----------
    status
        ``complete``, ``partial`` or ``entry``; None: all.

    Raises
    ------
    PresetError
        For a status that does not exist.
    """
    return _shipped().names(status)


def load(name: str) -> Preset:
    """Return a preset.

    Raises
    ------
    PresetError
        For a name that does not exist; it says the nearest one.
    """
    return _shipped().load(name)


@cache
def _shipped() -> Catalogue:
    return Catalogue(files(__name__).joinpath("data"))
