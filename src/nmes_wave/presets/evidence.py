"""What is known and from where: values with sources, citations, findings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from nmes_wave.errors import UnknownKeyError
from nmes_wave.presets.vocabulary import FIELDS, Waveform
from nmes_wave.spec._fields import Count, Spec, conform
from nmes_wave.spec._file import nearest

#: Marks what nobody found, in citations and findings.
NOT_FOUND = "not found"

Kind = Literal["reported", "secondary", "derived", "assumed"]


@dataclass(frozen=True, kw_only=True)
class Citation(Spec):
    """A publication; what could not be found says ``not found``.

    Parameters
    ----------
    key
        Name that sources use.
    authors, title, year, journal, pages, doi, url
        As printed; `journal` is the publisher or registry where there is none.
    """

    key: str
    authors: str
    title: str
    year: str
    journal: str
    pages: str
    doi: str
    url: str

    def __str__(self) -> str:
        """One line; what was not found says so."""
        where = f"{self.journal} {_or_not(self, 'pages')} ({_or_not(self, 'year')})"
        parts = [_or_not(self, "authors"), _or_not(self, "title"), where]
        parts += [f"doi {self.doi}", _or_not(self, "url")]
        return f"[{self.key}] " + ". ".join(part.rstrip(".") for part in parts)


@dataclass(frozen=True, kw_only=True)
class SourcedValue(Spec):
    """One value of a preset and where it comes from.

    Parameters
    ----------
    field
        Name in the vocabulary (`nmes_wave.presets.vocabulary.FIELDS`).
    value
        The value, of the field's type.
    unit
        The field's unit.
    kind
        ``reported``: read in the study's own text or registration.
        ``secondary``: read in a review's table, a maker's or a teaching text.
        ``derived``: computed from such values; `note` has the formula.
        ``assumed``: nobody printed it; `note` has the reason.
    source
        Citation key, then a comma and the place; empty for ``assumed``.
    quote
        The words that say so.
    note
        Conflicts, doubts, formulas, reasons.

    Raises
    ------
    SpecError
        For a field outside the vocabulary, a value or unit that is not the
        field's, or what its kind needs and is not there.
    """

    field: str
    value: object
    unit: str = ""
    kind: Kind
    source: str = ""
    quote: str = ""
    note: str = ""

    def _check(self) -> None:
        known = FIELDS.get(self.field)
        if known is None:
            raise UnknownKeyError(
                self.field, self.value, nearest(self.field, [*FIELDS])
            )
        value = conform("SourcedValue.value", self.value, known.hint)
        object.__setattr__(self, "value", value)
        if self.unit != known.unit:
            raise self._refuse("unit", f"must be {known.unit!r} for {self.field}")
        needed = {
            "reported": ("source", "quote"),
            "secondary": ("source", "quote"),
            "derived": ("source", "note"),
            "assumed": ("note",),
        }
        for name in needed[self.kind]:
            if not getattr(self, name).strip():
                raise self._refuse(name, f"must be given where kind is {self.kind!r}")
        if self.kind == "assumed" and self.source:
            raise self._refuse("source", "an assumed value has none")

    @property
    def citation(self) -> str:
        """Key of the citation; empty for an assumed value."""
        return citation_key(self.source)

    def __str__(self) -> str:
        """``field = value unit``."""
        return stated(self.field, self.value)


@dataclass(frozen=True, kw_only=True)
class Assumption(Spec):
    """One row of the table of defaults for what no text gives.

    Parameters
    ----------
    field, value
        What is assumed.
    reason
        Why this value, and what depends on it.
    waveforms
        The waveforms it is for; empty: all.
    """

    field: str
    value: object
    reason: str
    waveforms: tuple[Waveform, ...] = ()

    def _check(self) -> None:
        self.sourced()

    def sourced(self, remark: str = "") -> SourcedValue:
        """Return it as a value; `remark` is what a preset adds to the reason."""
        if self.field not in FIELDS:
            raise self._refuse("field", nearest(self.field, [*FIELDS]))
        return SourcedValue(
            field=self.field,
            value=self.value,
            unit=FIELDS[self.field].unit,
            kind="assumed",
            note=f"{self.reason} {remark}".strip(),
        )


@dataclass(frozen=True, kw_only=True)
class NotFound(Spec):
    """A field that no text gives, and that nothing needs to be assumed for.

    Parameters
    ----------
    field
        Name in the vocabulary.
    note
        What came near; may be empty.
    """

    field: str
    note: str = ""

    def __str__(self) -> str:
        """One line."""
        return f"{self.field}: {NOT_FOUND}" + (f". {self.note}" if self.note else "")


@dataclass(frozen=True, kw_only=True)
class Outcome(Spec):
    """What was measured at one time.

    Parameters
    ----------
    time
        When.
    result
        ``difference`` between the groups, ``no difference``, or ``mixed``.
    quote
        The words that say so.
    """

    time: str
    result: Literal["difference", "no difference", "mixed"]
    quote: str


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
        lines += [f"{o.time}: {o.result}: “{o.quote}”" for o in self.outcomes]
        if not self.outcomes:
            lines.append(f"outcomes: {NOT_FOUND}")
        lines += [f"limitation: “{words}”" for words in self.limitations]
        return "\n".join([*lines, f"source: {self.source}"])


def citation_key(source: str) -> str:
    """Return the citation key of a source (``key, place``)."""
    return source.partition(",")[0].strip()


def in_words(value: object) -> str:
    """Return a value as a table shows it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return " × ".join(in_words(part) for part in value)
    return str(value).removesuffix(".0")


def stated(field: str, value: object) -> str:
    """Return ``field = value unit``."""
    return f"{field} = {in_words(value)} {FIELDS[field].unit}".rstrip()


def _or_not(citation: Citation, name: str) -> str:
    text: str = getattr(citation, name)
    return f"{name} {NOT_FOUND}" if text == NOT_FOUND else text
