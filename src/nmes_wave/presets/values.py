"""What a preset says field by field: values with sources, and what is missing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from nmes_wave.errors import UnknownKeyError
from nmes_wave.presets.evidence import NOT_FOUND, citation_key
from nmes_wave.presets.vocabulary import FIELDS, Field, Waveform
from nmes_wave.spec._fields import Range, Spec
from nmes_wave.spec._file import nearest

Kind = Literal["reported", "secondary", "derived", "assumed"]
#: What a preset is: a protocol that was tried on people, a waveform whose timing
#: is the user's, or ranges that a review recommends.
PresetKind = Literal["study", "waveform", "range"]

_NEEDED: dict[str, tuple[str, ...]] = {
    "reported": ("source", "quote"),
    "secondary": ("source", "quote"),
    "derived": ("source", "note"),
    "assumed": ("note",),
}


@dataclass(frozen=True, kw_only=True)
class SourcedValue(Spec):
    """One value of a preset and where it comes from.

    Parameters
    ----------
    field
        Name in the vocabulary (`nmes_wave.presets.vocabulary.FIELDS`).
    value
        The value, of the field's type; of a range, the one that is used.
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
        Conflicts, doubts, formulas, reasons; why this value of a range.
    low, high
        Ends of the published range; None without one, or without that end.
    group
        The group of channels that it is for, by its muscle; empty: all channels.
    phase
        The phase of a progressive protocol; empty: all of it.

    Raises
    ------
    SpecError
        For a field outside the vocabulary, a value or unit that is not the
        field's, a value outside its range, or what its kind needs and is not
        there.
    """

    field: str
    value: object
    unit: str = ""
    kind: Kind
    source: str = ""
    quote: str = ""
    note: str = ""
    low: object = None
    high: object = None
    group: str = ""
    phase: str = ""

    def _check(self) -> None:
        known = _known(self, self.field)
        _conform_ends(self, known)
        value = known.conform("SourcedValue.value", self.value)
        object.__setattr__(self, "value", value)
        _check_source(self, known, self.kind)
        if not self.is_range:
            return
        if not Range(ge=_number(self.low), le=_number(self.high)).holds(value):
            raise self._refuse("value", f"must lie in {ends(self.low, self.high)}")
        if not self.note.strip():
            raise self._refuse("note", "must say why this value of the range")

    @property
    def is_range(self) -> bool:
        """Whether the source prints a range."""
        return self.low is not None or self.high is not None

    @property
    def citation(self) -> str:
        """Key of the citation; empty for an assumed value."""
        return citation_key(self.source)

    def __str__(self) -> str:
        """``field = value unit``, the range, and which channels or phase."""
        text = stated(self.field, self.value)
        if self.is_range:
            published = f"{ends(self.low, self.high)} {self.unit}".rstrip()
            text += f" (published: {published})"
        where = self.group or self.phase
        return f"{where}: {text}" if where else text


@dataclass(frozen=True, kw_only=True)
class SourcedRange(Spec):
    """A range that a review recommends, to hold a protocol against.

    Parameters
    ----------
    field
        Name in the vocabulary; numeric.
    low, high
        The ends, both inside; None: open. Equal: one value.
    event
        The kind of event that it is for; None: any.
    unit, kind, source, quote, note
        As of a `SourcedValue`.

    Raises
    ------
    SpecError
        For a field that has no ranges, ends that are not its, or a lack of
        source.
    """

    field: str
    low: object = None
    high: object = None
    event: Literal["pulse", "burst"] | None = None
    unit: str = ""
    kind: Literal["reported", "secondary", "derived"]
    source: str
    quote: str = ""
    note: str = ""

    def _check(self) -> None:
        known = _known(self, self.field)
        _conform_ends(self, known)
        _check_source(self, known, self.kind)
        if self.low is None and self.high is None:
            raise self._refuse("low", "low or high must be given")

    @property
    def citation(self) -> str:
        """Key of the citation."""
        return citation_key(self.source)

    def __str__(self) -> str:
        """``field: low to high unit``."""
        words = f"{self.field}: {ends(self.low, self.high)} {self.unit}".rstrip()
        return f"{words}, of a {self.event}" if self.event else words


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
    kinds
        The kinds of presets it is for.
    unless
        Fields of which a source for one makes the assumption needless.
    several_channels
        Whether it is for presets with more than one channel alone.
    share_of_on
        The most that the value may be of the shortest on-time (None: no matter):
        a ramp of 2 s does not fit a contraction of 2 s.
    """

    field: str
    value: object
    reason: str
    waveforms: tuple[Waveform, ...] = ()
    kinds: tuple[PresetKind, ...] = ("study", "waveform")
    unless: tuple[str, ...] = ()
    several_channels: bool = False
    share_of_on: float | None = None

    def _check(self) -> None:
        self.sourced()
        for name in self.unless:
            if name not in FIELDS:
                raise self._refuse("unless", nearest(name, [*FIELDS]))

    def sourced(self, remark: str = "", on_s: float | None = None) -> SourcedValue:
        """Return it as a value.

        Parameters
        ----------
        remark
            What a preset adds to the reason.
        on_s
            Shortest on-time of the preset.
        """
        if self.field not in FIELDS:
            raise self._refuse("field", nearest(self.field, [*FIELDS]))
        value, words = self.value, [self.reason, remark]
        if self.share_of_on is not None and on_s is not None:
            most = round(self.share_of_on * on_s, 6)
            if isinstance(value, float | int) and value > most:
                value = most
                words[0] += (
                    f" Here it is shortened to {self.share_of_on:g} of the shortest "
                    f"on-time, {on_s:g} s."
                )
        return SourcedValue(
            field=self.field,
            value=value,
            unit=FIELDS[self.field].unit,
            kind="assumed",
            note=" ".join(word for word in words if word),
        )


@dataclass(frozen=True, kw_only=True)
class NotFound(Spec):
    """A field that no text gives, and that nothing needs to be assumed for.

    Parameters
    ----------
    field
        Name in the vocabulary; ``everything_else``: all that is not told.
    note
        What came near; may be empty.
    """

    field: str
    note: str = ""

    def __str__(self) -> str:
        """One line."""
        words = self.field.replace("_", " ") if self.field == ALL_ELSE else self.field
        return f"{words}: {NOT_FOUND}" + (f". {self.note}" if self.note else "")


#: Stands for every other field, in an entry.
ALL_ELSE = "everything_else"


@dataclass(frozen=True, kw_only=True)
class Parameter(Spec):
    """A field of a waveform that is the user's to choose.

    Parameters
    ----------
    field
        Name in the vocabulary.
    note
        What is known of it; may be empty.
    """

    field: str
    note: str = ""

    def __str__(self) -> str:
        """One line."""
        words = f"{self.field}, in {self.unit}" if self.unit else self.field
        return f"{words}: {self.note}" if self.note else words

    @property
    def unit(self) -> str:
        """The field's unit."""
        return FIELDS[self.field].unit


@dataclass(frozen=True, kw_only=True)
class Omission(Spec):
    """What a study did and the protocol does not contain.

    Parameters
    ----------
    what
        In words.
    source, quote
        As of a `SourcedValue`.
    note
        Why it is left out.
    """

    what: str
    source: str
    quote: str
    note: str = ""

    @property
    def citation(self) -> str:
        """Key of the citation."""
        return citation_key(self.source)


@dataclass(frozen=True, kw_only=True)
class Phase(Spec):
    """One published state of a progressive protocol.

    Parameters
    ----------
    name
        Name, for ``Preset.protocol(phase=…)``.
    note
        What is not known of the way to the next one.
    """

    name: str
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Group(Spec):
    """Channels that share their values.

    Parameters
    ----------
    muscle
        What they stimulate; unique in the preset.
    channels
        Their names.
    """

    muscle: str
    channels: tuple[str, ...]

    def _check(self) -> None:
        if not self.channels:
            raise self._refuse("channels", "must name a channel")


def in_words(value: object) -> str:
    """Return a value as a table shows it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        joint = ", " if value and isinstance(value[0], tuple) else " × "
        return joint.join(in_words(part) for part in value)
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def ends(low: object, high: object) -> str:
    """Return a range in words."""
    if low is None:
        return f"up to {in_words(high)}"
    if high is None:
        return f"from {in_words(low)}"
    return in_words(low) if low == high else f"{in_words(low)} to {in_words(high)}"


def stated(field: str, value: object) -> str:
    """Return ``field = value unit``."""
    return f"{field} = {in_words(value)} {FIELDS[field].unit}".rstrip()


def _known(spec: SourcedValue | SourcedRange, field: str) -> Field:
    known = FIELDS.get(field)
    if known is None:
        raise UnknownKeyError(
            field, getattr(spec, "value", None), nearest(field, [*FIELDS])
        )
    return known


def _conform_ends(spec: SourcedValue | SourcedRange, known: Field) -> None:
    """Give both ends the field's type, and see that they are in order."""
    for name in ("low", "high"):
        end = getattr(spec, name)
        if end is None:
            continue
        if not known.numeric:
            raise spec._refuse(name, f"{spec.field} has no ranges")
        end = known.conform(f"{type(spec).__name__}.{name}", end)
        object.__setattr__(spec, name, end)
    low, high = _number(spec.low), _number(spec.high)
    if low is not None and high is not None and low > high:
        raise spec._refuse("low", f"must be at most high, {in_words(spec.high)}")


def _check_source(spec: SourcedValue | SourcedRange, known: Field, kind: Kind) -> None:
    if spec.unit != known.unit:
        raise spec._refuse("unit", f"must be {known.unit!r} for {spec.field}")
    for name in _NEEDED[kind]:
        if not getattr(spec, name).strip():
            raise spec._refuse(name, f"must be given where kind is {kind!r}")
    if kind == "assumed":
        if spec.source:
            raise spec._refuse("source", "an assumed value has none")
    elif not spec.source.partition(",")[2].strip():
        raise spec._refuse("source", "must be a citation key, a comma and the place")


def _number(end: Any) -> float | None:
    return None if end is None else float(end)
