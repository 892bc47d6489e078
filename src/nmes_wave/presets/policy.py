"""The medical policy that the catalogue starts from, as data.

It informs; it decides nothing. For each preset it shows which words of the
policy its population touches, those that speak for and those that speak
against, and what the policy asks for that no text tells of the study.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Literal

from nmes_wave.errors import PresetError, SpecError
from nmes_wave.presets.evidence import citation_key
from nmes_wave.presets.studies import check_known
from nmes_wave.spec._fields import Spec
from nmes_wave.spec._file import from_dict, nearest

ClauseKind = Literal["condition", "indication", "criterion", "exclusion", "border"]

#: The kinds of clauses that speak for a use; the others speak against it.
_FOR: tuple[ClauseKind, ...] = ("indication", "criterion")


@dataclass(frozen=True, kw_only=True)
class Clause(Spec):
    """One statement of the policy.

    Parameters
    ----------
    key
        As the policy numbers it (``A1``, ``C3``; its not-medically-necessary
        list is ``N``, ``N1`` and so on), or what it is about (``FES``).
    kind
        ``condition``: asked for in every indication. ``indication``, and the
        ``criterion`` of one. ``exclusion``: not medically necessary.
        ``border``: another kind of stimulation, which the policy leaves out.
    title
        In a few words.
    quote
        The policy's words.
    under
        Key of the clause that it belongs to.
    see
        The document that the policy names for it.
    note
        What a reader should know of the words.
    """

    key: str
    kind: ClauseKind
    title: str
    quote: str
    under: str = ""
    see: str = ""
    note: str = ""

    def __str__(self) -> str:
        """One line."""
        see = f" See {self.see}." if self.see else ""
        note = f" ({self.note})" if self.note else ""
        return f"{self.key}: “{self.quote}”{see}{note}"


@dataclass(frozen=True, kw_only=True)
class Code(Spec):
    """A code that the policy lists.

    Parameters
    ----------
    code, system
        The code, and what it is a code of.
    quote
        The policy's words for it.
    note
        What a reader should know of it.
    """

    code: str
    system: str
    quote: str
    note: str = ""

    def __str__(self) -> str:
        """One line."""
        note = f" ({self.note})" if self.note else ""
        return f"{self.system} {self.code}: “{self.quote}”{note}"


@dataclass(frozen=True, kw_only=True)
class Contact(Spec):
    """The words of a clause that a setting touches.

    Parameters
    ----------
    key
        Key of the clause.
    quote
        The words of the clause.
    note
        What the clause asks for and no text read says.
    """

    key: str
    quote: str
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Setting(Spec):
    """Presets whose populations touch the same words for the same reason.

    Parameters
    ----------
    name
        Who they are.
    population
        Words that stand in the text of each of these presets; empty where
        nothing is touched.
    presets
        Names of the presets; one can stand in several settings.
    touches
        What they touch; empty: nothing.
    """

    name: str
    population: str
    presets: tuple[str, ...]
    touches: tuple[Contact, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Touch(Spec):
    """A clause whose words the population of a preset touches.

    Parameters
    ----------
    preset
        Name of the preset.
    clause
        The clause.
    population
        Words that stand in the preset's text.
    quote
        Words of the clause that they touch.
    note
        What the clause asks for and no text read says; empty: nothing.
    """

    preset: str
    clause: Clause
    population: str
    quote: str
    note: str = ""

    @property
    def key(self) -> str:
        """Key of the clause."""
        return self.clause.key

    def __str__(self) -> str:
        """One line."""
        note = f" {self.note}" if self.note else ""
        return f"{self.key} “{self.quote}”: {self.population}.{note}"


@dataclass(frozen=True, kw_only=True)
class Policy(Spec):
    """The policy. It informs; it decides nothing.

    Parameters
    ----------
    title
        What it is.
    source
        Citation key, then a comma and the place.
    scope
        What the policy says it addresses.
    disclaimer
        What the policy says its codes do not imply.
    clauses, codes
        In the policy's order.
    settings
        Which presets touch which clauses.
    """

    title: str
    source: str
    scope: str
    disclaimer: str
    clauses: tuple[Clause, ...]
    codes: tuple[Code, ...]
    settings: tuple[Setting, ...] = ()

    def _check(self) -> None:
        keys = [clause.key for clause in self.clauses]
        _check_once("clauses", keys)
        for clause in self.clauses:
            if clause.under:
                check_known(f"clauses.{clause.key}.under", [clause.under], keys)
        _check_once("settings", [setting.name for setting in self.settings])
        for setting in self.settings:
            place = f"settings, {setting.name!r}"
            _check_once(f"{place}, presets", setting.presets)
            check_known(place, [contact.key for contact in setting.touches], keys)
            for contact in setting.touches:
                if contact.quote not in self.clause(contact.key).quote:
                    at = f"{place}, {contact.key}, quote"
                    raise SpecError(at, contact.quote, "must be words of the clause")

    @property
    def condition(self) -> Clause:
        """What every indication asks for."""
        return self._of("condition")[0]

    @property
    def indications(self) -> tuple[Clause, ...]:
        """The indications and their criteria."""
        return self._of(*_FOR)

    @property
    def exclusions(self) -> tuple[Clause, ...]:
        """What is called not medically necessary."""
        return self._of("exclusion")

    @property
    def borders(self) -> tuple[Clause, ...]:
        """The kinds of stimulation that the policy leaves out."""
        return self._of("border")

    def clause(self, key: str) -> Clause:
        """Return a clause.

        Raises
        ------
        PresetError
            For a key that does not exist; it says the nearest one.
        """
        for clause in self.clauses:
            if clause.key == key:
                return clause
        keys = [clause.key for clause in self.clauses]
        raise PresetError(f"no clause {key!r}: {nearest(str(key), keys)}")

    @property
    def presets(self) -> tuple[str, ...]:
        """The names of the presets that stand in a setting, sorted."""
        names = {name for setting in self.settings for name in setting.presets}
        return tuple(sorted(names))

    def touched(self, preset: str) -> tuple[tuple[Touch, ...], tuple[Touch, ...]]:
        """Return what a preset touches, in the policy's order.

        Returns
        -------
        tuple
            What speaks for its use (indications and their criteria), and what
            speaks against it (the condition, exclusions and borders).
        """
        found = [
            Touch(
                preset=preset,
                clause=self.clause(contact.key),
                population=setting.population,
                quote=contact.quote,
                note=contact.note,
            )
            for setting in self.settings
            if preset in setting.presets
            for contact in setting.touches
        ]
        found.sort(key=lambda touch: self.clauses.index(touch.clause))
        return (
            tuple(touch for touch in found if touch.clause.kind in _FOR),
            tuple(touch for touch in found if touch.clause.kind not in _FOR),
        )

    def _of(self, *kinds: ClauseKind) -> tuple[Clause, ...]:
        return tuple(clause for clause in self.clauses if clause.kind in kinds)

    def __str__(self) -> str:
        """All of it, in plain text, without the presets."""
        sections: dict[str, tuple[Clause | Code, ...]] = {
            "Asked for in every indication": (self.condition,),
            "Indications": self.indications,
            "Not medically necessary": self.exclusions,
            "Other kinds of stimulation": self.borders,
            "Codes": self.codes,
        }
        lines = [self.title, f"“{self.scope}”"]
        for heading, members in sections.items():
            lines += ["", heading, *(f"  {member}" for member in members)]
        return "\n".join([*lines, "", f"“{self.disclaimer}”"])


def read_policy(
    data: dict[str, Any], presets: Collection[str], citations: Collection[str]
) -> Policy:
    """Return the policy of a parsed ``policy.toml``.

    Parameters
    ----------
    data
        The fields of `Policy`.
    presets, citations
        The names and keys that it may refer to.

    Raises
    ------
    SpecError
        For an unknown or missing field, words that are not the clause's, and a
        name or key that does not exist.
    """
    policy = from_dict(Policy, data, "")
    check_known("source", [citation_key(policy.source)], citations)
    for setting in policy.settings:
        check_known(f"settings, {setting.name!r}, presets", setting.presets, presets)
    return policy


def _check_once(place: str, names: Collection[str]) -> None:
    for name, times in Counter(names).items():
        if times > 1:
            raise SpecError(place, name, f"stands here {times} times, must stand once")
