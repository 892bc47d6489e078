"""Published protocols as presets, each value with its source.

A study gives what could be read of it; what no text gives is marked as not
found, or assumed from one documented table of defaults. Files are read when
first asked for.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from nmes_wave.presets.bibtex import bibtex
from nmes_wave.presets.catalogue import Catalogue
from nmes_wave.presets.evidence import NOT_FOUND, Citation, Evidence, Outcome
from nmes_wave.presets.policy import Policy, Touch
from nmes_wave.presets.preset import Preset, Status
from nmes_wave.presets.studies import Study
from nmes_wave.presets.values import (
    Assumption,
    Group,
    NotFound,
    Omission,
    Parameter,
    Phase,
    SourcedRange,
    SourcedValue,
)

__all__ = [
    "NOT_FOUND",
    "Assumption",
    "Citation",
    "Evidence",
    "Group",
    "NotFound",
    "Omission",
    "Outcome",
    "Parameter",
    "Phase",
    "Policy",
    "Preset",
    "SourcedRange",
    "SourcedValue",
    "Status",
    "Study",
    "Touch",
    "assumptions",
    "bibtex",
    "load",
    "names",
    "policy",
    "studies",
]


def names(
    status: Status | None = None, population: str | None = None
) -> tuple[str, ...]:
    """Return the names of the presets, sorted.

    Parameters
    ----------
    status
        ``complete``, ``partial`` or ``entry``; None: all.
    population
        Words, such as ``"knee arthroplasty"`` or ``"icu"``: those presets that
        have all of them, as whole words in any case, in name, title or
        population; None: all.

    Raises
    ------
    PresetError
        For a status that does not exist.
    SpecError
        For a population that is no text.
    """
    return _shipped().names(status, population)


def load(name: str) -> Preset:
    """Return a preset.

    Raises
    ------
    PresetError
        For a name that does not exist; it says the nearest one.
    """
    return _shipped().load(name)


def studies() -> tuple[Study, ...]:
    """Return the studies and devices that the policy names, in its order."""
    return _shipped().studies


def policy() -> Policy:
    """Return the policy: indications, exclusions, codes. It decides nothing."""
    return _shipped().policy


def assumptions() -> tuple[Assumption, ...]:
    """Return the table of defaults for what no text gives."""
    return _shipped().assumptions


@cache
def _shipped() -> Catalogue:
    return Catalogue(files(__name__).joinpath("data"))
