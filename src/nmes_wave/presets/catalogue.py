"""A folder of presets: one TOML file each, references, and the defaults.

``references.toml`` holds the citations by key, ``assumptions.toml`` the one
table of defaults for what no text gives, ``studies.toml`` and ``policy.toml``
what the policy names and says; every other ``.toml`` is a preset. Files are read
when first asked for. A file that is wrong in any way is refused whole: a preset
that lost a source must not look like one that has it.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from importlib.resources.abc import Traversable
from typing import Any, get_args

from nmes_wave.errors import FormatError, PresetError, SpecError
from nmes_wave.presets.evidence import NOT_FOUND, Citation, citation_key
from nmes_wave.presets.policy import Policy, read_policy
from nmes_wave.presets.preset import Preset, Status, status_of
from nmes_wave.presets.reading import Contents, heading, read
from nmes_wave.presets.studies import Study, read_studies
from nmes_wave.presets.values import ALL_ELSE, Assumption, NotFound, SourcedValue
from nmes_wave.presets.vocabulary import FIELDS
from nmes_wave.spec._fields import Spec
from nmes_wave.spec._file import from_dict, nearest

_REFERENCES = "references.toml"
_ASSUMPTIONS = "assumptions.toml"
_STUDIES = "studies.toml"
_POLICY = "policy.toml"
_TABLES = (_REFERENCES, _ASSUMPTIONS, _STUDIES, _POLICY)


@dataclass(frozen=True, kw_only=True)
class _Table(Spec):
    """The whole of ``assumptions.toml``."""

    assumptions: tuple[Assumption, ...]


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

    def names(
        self, status: Status | None = None, population: str | None = None
    ) -> tuple[str, ...]:
        """Return the names of the presets, sorted; see `nmes_wave.presets.names`."""
        if status is not None and status not in get_args(Status):
            known = [*get_args(Status)]
            raise PresetError(f"no status {status!r}: {nearest(str(status), known)}")
        if population is not None and not isinstance(population, str):
            raise SpecError("population", population, "must be text")
        if status is None and population is None:
            return tuple(self._names)
        words = _words(population or "")
        return tuple(
            name
            for name in self._names
            if words <= _words(_about(self.load(name)))
            and status in (None, self.load(name).status)
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
                key: from_dict(Citation, heading(data, "key", key, key), key)
                for key, data in self._read(_REFERENCES).items()
            }

    @cached_property
    def assumptions(self) -> tuple[Assumption, ...]:
        """The table of defaults."""
        with _place(_ASSUMPTIONS):
            return from_dict(_Table, self._read(_ASSUMPTIONS), "").assumptions

    @cached_property
    def studies(self) -> tuple[Study, ...]:
        """The studies and devices that the policy names."""
        with _place(_STUDIES):
            return read_studies(self._read(_STUDIES), self._names, self.citations)

    @cached_property
    def policy(self) -> Policy:
        """The policy."""
        with _place(_POLICY):
            return read_policy(self._read(_POLICY), self._names, self.citations)

    @cached_property
    def _names(self) -> list[str]:
        try:
            files = sorted(f.name for f in self._root.iterdir())
        except OSError as error:
            raise PresetError(f"no folder of presets: {error}") from None
        return [
            name.removesuffix(".toml")
            for name in files
            if name.endswith(".toml") and name not in _TABLES
        ]

    def _read(self, file: str) -> dict[str, Any]:
        try:
            return tomllib.loads(self._root.joinpath(file).read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            # tomllib lets through a plain ValueError of an endless number, and the
            # recursion of arrays in arrays.
            raise FormatError(f"{file}: {error}") from None

    def _read_preset(self, name: str) -> Preset:
        file = f"{name}.toml"
        data = self._read(file)
        with _place(file):
            contents = read(data)
            contents.check()
            keys = self._check_keys(contents)
            values, lacking = self._assume(contents)
        head = contents.head
        if name not in self.policy.presets:
            raise FormatError(
                f"{_POLICY}: no setting names {name}: put it into one, the one "
                "without touches if it touches nothing"
            )
        indications, exclusions = self.policy.touched(name)
        order = [*FIELDS]
        return Preset(
            name=name,
            kind=head.kind,
            title=head.title,
            population=head.population,
            muscle=head.muscle,
            values=tuple(sorted(values, key=lambda v: order.index(v.field))),
            not_found=tuple(lacking[f] for f in (*FIELDS, ALL_ELSE) if f in lacking),
            parameters=contents.parameters,
            ranges=head.ranges,
            groups=contents.groups,
            phases=contents.phases,
            omitted=head.omitted,
            citations=tuple(self.citations[key] for key in keys),
            evidence=head.evidence,
            indications=indications,
            exclusions=exclusions,
        )

    def _check_keys(self, contents: Contents) -> list[str]:
        head = contents.head
        cited = [(f"citations[{i}]", key) for i, key in enumerate(head.citations)]
        cited += [(f"values.{v.field}.source", v.citation) for v in contents.values]
        cited += [(f"ranges.{r.field}.source", r.citation) for r in head.ranges]
        cited += [("omitted.source", omission.citation) for omission in head.omitted]
        if head.evidence.source != NOT_FOUND:
            cited.append(("evidence.source", citation_key(head.evidence.source)))
        known = self.citations
        for place, key in cited:
            if key not in known:
                words = f"is not in {_REFERENCES}; {nearest(key, [*known])}"
                raise SpecError(place, key, words)
        return [*dict.fromkeys(key for _, key in cited)]

    def _assume(
        self, contents: Contents
    ) -> tuple[list[SourcedValue], dict[str, NotFound]]:
        """Return the values with what the table of defaults adds, and what is left.

        An entry gets nothing: no protocol is made of it.
        """
        values, lacking = [*contents.values], dict(contents.lacking)
        kind, waveform = contents.head.kind, contents.waveform
        if kind == "range" or (kind == "study" and status_of(values) == "entry"):
            return values, lacking
        if ALL_ELSE in lacking:
            words = f"is for entries; this is {status_of(values)}: name the fields"
            raise SpecError(f"not_found.{ALL_ELSE}", lacking[ALL_ELSE].note, words)
        told = contents.fields | {p.field for p in contents.parameters}
        on_s = [float(str(v.value)) for v in values if v.field == "on_s"]
        n_channels = sum(len(group.channels) for group in contents.groups)
        for row in self.assumptions:
            fits = kind in row.kinds and not told & {row.field, *row.unless}
            if row.waveforms and waveform not in row.waveforms:
                fits = False
            if row.several_channels and n_channels == 1:
                fits = False
            if not fits:
                continue
            missing = lacking.pop(row.field, None)
            remark = missing.note if missing else ""
            values.append(row.sourced(remark, min(on_s, default=None)))
            told.add(row.field)
            if row.field == "waveform":
                waveform = str(row.value)
        return values, lacking


def _about(preset: Preset) -> str:
    return f"{preset.name} {preset.title} {preset.population}"


def _words(text: str) -> set[str]:
    return {*re.findall(r"\w+", text.casefold())}


@contextmanager
def _place(file: str) -> Iterator[None]:
    try:
        yield
    except SpecError as error:
        raise FormatError(f"{file}: {error}") from None
