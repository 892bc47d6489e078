"""Where things are known from, and what was found: citations and findings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from nmes_wave.spec._fields import Count, Spec

#: Marks what nobody found, in citations and findings.
NOT_FOUND = "not found"


@dataclass(frozen=True, kw_only=True)
class Citation(Spec):
    """A publication; what could not be found says ``not found``.

    Parameters
    ----------
    key
        Name that sources use.
    authors, title, year, journal, pages, doi, url
        As printed; `journal` is the publisher or registry where there is none.
    entry
        What kind of publication it is, in BibTeX's words.
    corporate
        Whether the authors are one body.
    """

    key: str
    authors: str
    title: str
    year: str
    journal: str
    pages: str
    doi: str
    url: str
    entry: Literal["article", "misc", "book", "manual"] = "article"
    corporate: bool = False

    def __str__(self) -> str:
        """One line; what was not found says so."""
        where = " ".join(_or_not(self, name) for name in ("journal", "pages"))
        where += f" ({_or_not(self, 'year')})"
        parts = [_or_not(self, "authors"), _or_not(self, "title"), where]
        parts += [f"doi {self.doi}", _or_not(self, "url")]
        return f"[{self.key}] " + ". ".join(part.rstrip(".") for part in parts)


@dataclass(frozen=True, kw_only=True)
class Outcome(Spec):
    """What was measured at one time.

    Parameters
    ----------
    time
        When.
    result
        ``difference`` between the groups, ``no difference``, or ``mixed``;
        ``within group``: a change of one group, compared with no other.
    quote
        The words that say so.
    note
        What a reader should know of it, such as which group did better.
    """

    time: str
    result: Literal["difference", "no difference", "mixed", "within group"]
    quote: str
    note: str = ""

    def __str__(self) -> str:
        """One line."""
        note = f" {self.note}" if self.note else ""
        return f"{self.time}: {self.result}: “{self.quote}”{note}"


@dataclass(frozen=True, kw_only=True)
class Evidence(Spec):
    """What the study found, null results as plainly as the others.

    Parameters
    ----------
    source
        Citation key, then a comma and the place; ``not found`` without one.
    design, subjects
        Kind of study and how many took part (None: not found).
    outcomes
        In the order of time; empty: not found.
    limitations
        As the source says them; empty: not found.
    """

    source: str = NOT_FOUND
    design: str = NOT_FOUND
    subjects: Count | None = None
    outcomes: tuple[Outcome, ...] = ()
    limitations: tuple[str, ...] = ()

    def __str__(self) -> str:
        """One line for each finding."""
        subjects = NOT_FOUND if self.subjects is None else f"{self.subjects}"
        lines = [f"design: {self.design}", f"subjects: {subjects}"]
        lines += [str(outcome) for outcome in self.outcomes]
        if not self.outcomes:
            lines.append(f"outcomes: {NOT_FOUND}")
        lines += [f"limitation: “{words}”" for words in self.limitations]
        return "\n".join([*lines, f"source: {self.source}"])


def citation_key(source: str) -> str:
    """Return the citation key of a source (``key, place``)."""
    return source.partition(",")[0].strip()


def _or_not(citation: Citation, name: str) -> str:
    text: str = getattr(citation, name)
    return f"{name} {NOT_FOUND}" if text == NOT_FOUND else text
