"""The parts of a preset file, from plain data to frozen objects.

Every function takes what `tomllib` made and the place where it stands, and
raises `SpecError` with that place.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

from nmes_wave.errors import SpecError, UnknownKeyError
from nmes_wave.presets.evidence import Evidence
from nmes_wave.presets.values import (
    ALL_ELSE,
    Group,
    NotFound,
    Omission,
    Parameter,
    Phase,
    PresetKind,
    SourcedRange,
    SourcedValue,
)
from nmes_wave.presets.vocabulary import FIELDS
from nmes_wave.spec._fields import Spec
from nmes_wave.spec._file import from_dict, nearest

_P = TypeVar("_P", Group, Phase)
_NOTHING = Evidence()


@dataclass(frozen=True, kw_only=True)
class Head(Spec):
    """A preset file without its tables of fields."""

    title: str
    kind: PresetKind = "study"
    population: str
    muscle: str
    citations: tuple[str, ...]
    evidence: Evidence = _NOTHING
    omitted: tuple[Omission, ...] = ()
    ranges: tuple[SourcedRange, ...] = ()


@dataclass(frozen=True)
class Contents:
    """A whole preset file, checked in itself."""

    head: Head
    values: list[SourcedValue]
    lacking: dict[str, NotFound]
    parameters: tuple[Parameter, ...]
    groups: tuple[Group, ...]
    phases: tuple[Phase, ...]

    @property
    def waveform(self) -> str | None:
        """The waveform, the same on all channels; None: no source gives it."""
        return next((str(v.value) for v in self.values if v.field == "waveform"), None)

    @property
    def fields(self) -> set[str]:
        """Fields with a value."""
        return {v.field for v in self.values}

    def check(self) -> None:
        """Refuse a file in which a field is told twice, or not at all."""
        self._check_kind()
        self._check_channels()
        told = [*self.fields, *(p.field for p in self.parameters)]
        for name in self.lacking:
            if name in told:
                note = self.lacking[name].note
                raise SpecError(f"not_found.{name}", note, "has a value too")
        for name in [*told, *self.lacking]:
            if name != ALL_ELSE and not FIELDS[name].applies(self.waveform):
                place = "not_found" if name in self.lacking else "values"
                words = f"does not apply to the waveform {self.waveform}"
                raise SpecError(f"{place}.{name}", name, words)
        if ALL_ELSE in self.lacking:
            return
        told += self.lacking
        told += [FIELDS[name].instead_of for name in told]
        for name in self._demanded():
            if name not in told:
                words = "must be given, or be in not_found"
                raise SpecError(f"values.{name}", None, words)

    def _check_channels(self) -> None:
        names = [name for group in self.groups for name in group.channels]
        for name in names:
            if names.count(name) > 1:
                raise SpecError("groups.channels", name, "must be unique")

    def _check_kind(self) -> None:
        kind = self.head.kind
        for name, given, of_kind in (
            ("parameters", self.parameters, "waveform"),
            ("ranges", self.head.ranges, "range"),
        ):
            if given and kind != of_kind:
                raise SpecError(name, kind, f"is for kind = {of_kind!r} alone")
        if kind == "range" and not self.head.ranges:
            raise SpecError("ranges", None, "must be given where kind is 'range'")

    def _demanded(self) -> Iterable[str]:
        """Fields that must be told of, so that none is merely forgotten."""
        kind, waveform = self.head.kind, self.waveform
        for name, field in FIELDS.items():
            if field.optional or kind == "range":
                continue
            if kind == "waveform" and not (field.builds and name in _DELIVERED):
                continue
            if field.waveforms and waveform is None:
                continue
            if field.applies(waveform):
                yield name


#: What a waveform is; the rest of the vocabulary is about people.
_DELIVERED = [*FIELDS][: [*FIELDS].index("session_min")]


def read(data: dict[str, Any]) -> Contents:
    """Return the contents of a preset file."""
    data = dict(data)
    lacking = _read_lacking(data.pop("not_found", {}))
    empty = data.get("kind") == "range" or ALL_ELSE in lacking
    values = _read_values(data.pop("values", {} if empty else None), "values")
    parameters = _read_parameters(data.pop("parameters", {}))
    groups, of_groups = _read_parts(Group, "muscle", data.pop("groups", []), values)
    phases, of_phases = _read_parts(Phase, "name", data.pop("phases", []), values)
    if of_groups and of_phases:
        raise SpecError("phases", [*of_phases], "groups have values of their own too")
    if "evidence" not in data and data.get("kind", "study") == "study":
        raise SpecError("evidence", None, "must be given")
    head = from_dict(Head, data, "")
    return Contents(
        head=head,
        values=[*values, *of_groups, *of_phases],
        lacking=lacking,
        parameters=parameters,
        groups=groups or (Group(muscle=head.muscle, channels=(head.muscle,)),),
        phases=phases,
    )


def heading(data: Any, name: str, value: str, place: str) -> Any:
    """Return a table with the key that its heading gives."""
    if not isinstance(data, dict):
        return data
    if name in data:
        raise UnknownKeyError(f"{place}.{name}", data[name], "the heading gives it")
    return data | {name: value}


def _tables(data: Any, place: str, others: tuple[str, ...] = ()) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise SpecError(place, data, "must be a table of fields")
    for field in data:
        if field not in FIELDS and field not in others:
            at = f"{place}.{field}"
            raise UnknownKeyError(at, data[field], nearest(field, [*FIELDS]))
    return data


def _read_values(data: Any, place: str, **part: str) -> list[SourcedValue]:
    values = []
    for field, table in _tables(data, place).items():
        at = f"{place}.{field}"
        for name in ("field", "group", "phase"):
            table = heading(table, name, {"field": field, **part}.get(name, ""), at)
        value = from_dict(SourcedValue, table, at)
        if value.kind == "assumed":
            words = "only assumptions.toml may assume; put the field under not_found"
            raise SpecError(f"{at}.kind", value.kind, words)
        values.append(value)
    return values


def _read_lacking(data: Any) -> dict[str, NotFound]:
    lacking = {}
    for field, note in _tables(data, "not_found", (ALL_ELSE,)).items():
        place = f"not_found.{field}"
        lacking[field] = from_dict(NotFound, {"field": field, "note": note}, place)
    return lacking


def _read_parameters(data: Any) -> tuple[Parameter, ...]:
    found = []
    for field, note in _tables(data, "parameters").items():
        place = f"parameters.{field}"
        if not FIELDS[field].builds:
            raise SpecError(place, field, "is not part of what is delivered")
        found.append(from_dict(Parameter, {"field": field, "note": note}, place))
    return tuple(found)


def _read_parts(
    cls: type[_P], name_field: str, data: Any, common: list[SourcedValue]
) -> tuple[tuple[_P, ...], list[SourcedValue]]:
    """Read groups or phases: tables with values of their own.

    A field stands for all of them or in every one: where it stood in some alone,
    nobody could tell a forgotten value from one that is the same.
    """
    place = f"{cls.__name__.lower()}s"
    if not isinstance(data, list):
        raise SpecError(place, data, "must be an array of tables")
    parts: dict[str, _P] = {}
    values: list[SourcedValue] = []
    shared = {v.field for v in common} | {"waveform"}
    fields: set[str] | None = None
    for i, table in enumerate(data):
        at = f"{place}[{i}]"
        own = table.get("values", {}) if isinstance(table, dict) else {}
        table = {k: v for k, v in dict(table).items() if k != "values"}
        part = from_dict(cls, table, at)
        name = getattr(part, name_field)
        if name in parts:
            raise SpecError(f"{at}.{name_field}", name, "must be unique")
        found = _read_values(own, f"{at}.values", **{place[:-1]: name})
        here = {v.field for v in found}
        fields = here if fields is None else fields
        if here != fields or here & shared:
            field = min((here ^ fields) | (here & shared))
            words = "must stand in every one of them, or in values for all"
            raise SpecError(f"{at}.values.{field}", name, words)
        parts[name] = part
        values += found
    return tuple(parts.values()), values
