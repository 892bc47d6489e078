"""A folder of presets: one TOML file each, references, and the defaults.

``references.toml`` holds the citations by key, ``assumptions.toml`` the one
table of defaults for what no text gives; every other ``.toml`` is a preset.
Files are read when first asked for. A file that is wrong in any way is refused
whole: a preset that lost a source must not look like one that has it.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from importlib.resources.abc import Traversable
from typing import Any, get_args

from nmes_wave.errors import FormatError, PresetError, SpecError, UnknownKeyError
from nmes_wave.presets.evidence import (
    NOT_FOUND,
    Assumption,
    Citation,
    Evidence,
    NotFound,
    SourcedValue,
    citation_key,
)
from nmes_wave.presets.preset import Preset, Status
from nmes_wave.presets.vocabulary import FIELDS
from nmes_wave.spec._fields import Spec
from nmes_wave.spec._file import from_dict, nearest

_REFERENCES = "references.toml"
_ASSUMPTIONS = "assumptions.toml"


@dataclass(frozen=True, kw_only=True)
class _Table(Spec):
    """The whole of ``assumptions.toml``."""

    assumptions: tuple[Assumption, ...]


@dataclass(frozen=True, kw_only=True)
class _Head(Spec):
    """A preset file without its tables of fields."""

    title: str
    population: str
    muscle: str
    citations: tuple[str, ...]
    evidence: Evidence


class Catalogue:
    """The presets of one folder.

    Parameters
    ----------
    root
        The folder, a path or a package resource.
    """

    def __init__(self, root: Traversable) -> None:
        self._root = root
        self._loaded: dict[str, Preset] = {}

    def names(self, status: Status | None = None) -> tuple[str, ...]:
        """Return the names of the presets, sorted; see `nmes_wave.presets.names`."""
        if status is not None and status not in get_args(Status):
            known = [*get_args(Status)]
            raise PresetError(f"no status {status!r}: {nearest(str(status), known)}")
        return tuple(
            name
            for name in self._names
            if status is None or self.load(name).status == status
        )

    def load(self, name: str) -> Preset:
        """Return one preset; see `nmes_wave.presets.load`."""
        if name not in self._names:
            raise PresetError(f"no preset {name!r}: {nearest(str(name), self._names)}")
        if name not in self._loaded:
            self._loaded[name] = self._read_preset(name)
        return self._loaded[name]

    @cached_property
    def citations(self) -> dict[str, Citation]:
        """All citations by their keys."""
        with _place(_REFERENCES):
            return {
                key: from_dict(Citation, _with(data, "key", key, key), key)
                for key, data in self._read(_REFERENCES).items()
            }

    @cached_property
    def assumptions(self) -> tuple[Assumption, ...]:
        """The table of defaults."""
        with _place(_ASSUMPTIONS):
            return from_dict(_Table, self._read(_ASSUMPTIONS), "").assumptions

    @cached_property
    def _names(self) -> list[str]:
        files = sorted(f.name for f in self._root.iterdir())
        return [
            name.removesuffix(".toml")
            for name in files
            if name.endswith(".toml") and name not in (_REFERENCES, _ASSUMPTIONS)
        ]

    def _read(self, file: str) -> dict[str, Any]:
        try:
            return tomllib.loads(self._root.joinpath(file).read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise FormatError(f"{file}: {error}") from None

    def _read_preset(self, name: str) -> Preset:
        file = f"{name}.toml"
        data = self._read(file)
        with _place(file):
            values = _read_values(data.pop("values", None))
            lacking = _read_lacking(data.pop("not_found", None))
            head = from_dict(_Head, data, "")
            _check_fields(values, lacking)
            keys = self._check_keys(head, values)
        self._assume(values, lacking)
        return Preset(
            name=name,
            title=head.title,
            population=head.population,
            muscle=head.muscle,
            values=tuple(values[field] for field in FIELDS if field in values),
            not_found=tuple(lacking[f] for f in FIELDS if f in lacking),
            citations=tuple(self.citations[key] for key in keys),
            evidence=head.evidence,
        )

    def _check_keys(self, head: _Head, values: dict[str, SourcedValue]) -> list[str]:
        cited = [(f"citations[{i}]", key) for i, key in enumerate(head.citations)]
        cited += [(f"values.{v.field}.source", v.citation) for v in values.values()]
        if head.evidence.source != NOT_FOUND:
            cited.append(("evidence.source", citation_key(head.evidence.source)))
        known = self.citations
        for place, key in cited:
            if key not in known:
                words = f"is not in {_REFERENCES}; {nearest(key, [*known])}"
                raise SpecError(place, key, words)
        return [*dict.fromkeys(key for _, key in cited)]

    def _assume(
        self, values: dict[str, SourcedValue], lacking: dict[str, NotFound]
    ) -> None:
        """Move to `values` what is lacking and has a default."""
        for default in self.assumptions:
            waveform = values.get("waveform")
            if default.waveforms and (
                waveform is None or waveform.value not in default.waveforms
            ):
                continue
            if default.field not in values and default.field in lacking:
                remark = lacking.pop(default.field).note
                values[default.field] = default.sourced(remark)


@contextmanager
def _place(file: str) -> Iterator[None]:
    try:
        yield
    except SpecError as error:
        raise FormatError(f"{file}: {error}") from None


def _with(data: Any, name: str, value: str, place: str) -> Any:
    """Return a table with the key that its heading gives."""
    if not isinstance(data, dict):
        return data
    if name in data:
        raise UnknownKeyError(f"{place}.{name}", data[name], "the heading gives it")
    return data | {name: value}


def _tables(data: Any, place: str) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise SpecError(place, data, "must be a table of fields")
    for field in data:
        if field not in FIELDS:
            at = f"{place}.{field}"
            raise UnknownKeyError(at, data[field], nearest(field, [*FIELDS]))
    return data


def _read_values(data: Any) -> dict[str, SourcedValue]:
    values = {}
    for field, table in _tables(data, "values").items():
        place = f"values.{field}"
        value = from_dict(SourcedValue, _with(table, "field", field, place), place)
        if value.kind == "assumed":
            words = f"only {_ASSUMPTIONS} may assume; put the field under not_found"
            raise SpecError(f"{place}.kind", value.kind, words)
        values[field] = value
    return values


def _read_lacking(data: Any) -> dict[str, NotFound]:
    lacking = {}
    for field, note in _tables(data, "not_found").items():
        place = f"not_found.{field}"
        lacking[field] = from_dict(NotFound, {"field": field, "note": note}, place)
    return lacking


def _check_fields(
    values: dict[str, SourcedValue], lacking: dict[str, NotFound]
) -> None:
    """Every field is found or not found, so that none is merely forgotten."""
    waveform = str(values["waveform"].value) if "waveform" in values else None
    for name, field in FIELDS.items():
        if name in values and name in lacking:
            raise SpecError(f"not_found.{name}", lacking[name].note, "has a value too")
        given = name in values or name in lacking
        if given and not field.applies(waveform):
            place = f"values.{name}" if name in values else f"not_found.{name}"
            raise SpecError(place, name, f"does not apply to the waveform {waveform}")
        demanded = waveform is not None or not field.waveforms
        if demanded and field.applies(waveform) and not given:
            raise SpecError(f"values.{name}", None, "must be given, or be in not_found")
