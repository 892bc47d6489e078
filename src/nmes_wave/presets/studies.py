"""The studies and devices that the policy names, and what was found.

What the policy says of a study stands apart from what the study's own text
adds or contradicts: neither corrects the other.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from nmes_wave.errors import SpecError, UnknownKeyError
from nmes_wave.presets.evidence import NOT_FOUND, Evidence, citation_key
from nmes_wave.spec._fields import Spec
from nmes_wave.spec._file import from_dict, nearest

StudyKind = Literal[
    "randomized trial",
    "controlled study",
    "systematic review",
    "meta-analysis",
    "guideline",
    "device",
]


@dataclass(frozen=True, kw_only=True)
class Remark(Spec):
    """What another source adds or contradicts.

    Parameters
    ----------
    source
        Citation key, then a comma and the place.
    quote
        The words that say so.
    note
        What follows from it.
    """

    source: str
    quote: str
    note: str = ""

    def __str__(self) -> str:
        """One line."""
        return f"“{self.quote}” [{self.source}] {self.note}".rstrip()


@dataclass(frozen=True, kw_only=True)
class Study(Spec):
    """A study, guideline or device that the policy names.

    Parameters
    ----------
    name
        First author and year, or the device.
    title
        What it is, in one line.
    kind
        Kind of study, or ``device``.
    population
        Who was studied, or whom it is for.
    quote
        The policy's words that introduce it.
    evidence
        Design, number of subjects, outcomes with their times, limitations: as
        the policy tells them.
    conclusions
        What its authors conclude or recommend, in the policy's words.
    citations
        Keys of its publications; empty: none was found.
    presets
        Names of the presets of its protocol; empty: there is none.
    also
        What other sources add or contradict.
    note
        Doubts, and what was not found.
    """

    name: str
    title: str
    kind: StudyKind
    population: str
    quote: str
    evidence: Evidence = field(default_factory=Evidence)
    conclusions: tuple[str, ...] = ()
    citations: tuple[str, ...] = ()
    presets: tuple[str, ...] = ()
    also: tuple[Remark, ...] = ()
    note: str = ""

    def __str__(self) -> str:
        """All that is known, in plain text."""
        lines = [
            f"{self.name} ({self.kind})",
            self.title,
            f"population: {self.population}",
            f"“{self.quote}”",
            *([] if self.kind == "device" else str(self.evidence).splitlines()),
            *(f"conclusion: “{words}”" for words in self.conclusions),
            *(f"also: {remark}" for remark in self.also),
            *([f"note: {self.note}"] if self.note else []),
            f"presets: {', '.join(self.presets) or 'none'}",
        ]
        return "\n  ".join(lines)


def read_studies(
    data: dict[str, Any], presets: Collection[str], citations: Collection[str]
) -> tuple[Study, ...]:
    """Return the studies of a parsed ``studies.toml``, in its order.

    Parameters
    ----------
    data
        A table for each study, under its name.
    presets, citations
        The names and keys that a study may refer to.

    Raises
    ------
    SpecError
        For a table that is no study, and for a name or key that does not exist.
    """
    return tuple(
        _read_study(name, table, presets, citations) for name, table in data.items()
    )


def _read_study(
    name: str, table: Any, presets: Collection[str], citations: Collection[str]
) -> Study:
    if isinstance(table, dict):
        if "name" in table:
            at = f"{name}.name"
            raise UnknownKeyError(at, table["name"], "the heading gives it")
        table = table | {"name": name}
    study = from_dict(Study, table, name)
    sources = [study.evidence.source, *(remark.source for remark in study.also)]
    keys = [*study.citations, *(citation_key(s) for s in sources if s != NOT_FOUND)]
    check_known(f"{name}.presets", study.presets, presets)
    check_known(f"{name} (citations and sources)", keys, citations)
    return study


def check_known(place: str, used: Iterable[str], known: Collection[str]) -> None:
    """Raise `SpecError` for the first of the used names that is not known."""
    for name in used:
        if name not in known:
            raise SpecError(place, name, f"does not exist; {nearest(name, [*known])}")
