"""Specs as TOML and their JSON Schema, both read off the annotations.

Generic over `Spec` classes: this module knows no particular one. ``tomllib``
reads; ``tomli_w`` writes, with the shortest decimals that read back to the same
float64, so the round trip is exact.
"""

from __future__ import annotations

import dataclasses
import os
import types
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

from nmes_wave.errors import FormatError, SpecError, UnknownKeyError
from nmes_wave.spec._fields import Range, Spec, field_types

#: Version of the file format.
FORMAT = 1
#: A protocol is some kilobytes; beyond this it is the wrong file.
MAX_FILE_BYTES = 4_000_000

_S = TypeVar("_S", bound=Spec)


def to_toml(spec: Spec) -> str:
    """Return `spec` as TOML text."""
    import tomli_w

    return tomli_w.dumps({"format": FORMAT, **to_dict(spec)})


def from_toml(cls: type[_S], text: str) -> _S:
    """Read `cls` from TOML text."""
    import tomllib

    if not isinstance(text, str):
        raise FormatError(f"must be text (str), not {type(text).__name__}")
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise FormatError(f"not TOML: {error}") from None
    except RecursionError:
        raise FormatError("not a protocol: nested too deeply") from None
    except ValueError as error:
        raise FormatError(f"not a protocol: {error}") from None  # 5000 digits
    version = data.pop("format", None)
    if version != FORMAT or isinstance(version, bool):
        raise FormatError(
            f"format = {version!r}: this version reads files that begin with "
            f"format = {FORMAT}"
        )
    return from_dict(cls, data, "")


def load(cls: type[_S], path: str | Path) -> _S:
    """Read `cls` from a file."""
    path = Path(path)
    try:
        # By what is read, not by what stat says: a device has no size.
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
        if len(data) > MAX_FILE_BYTES:
            raise FormatError(
                f"{path}: too large for a protocol file; at most "
                f"{MAX_FILE_BYTES / 1e6:g} MB is read"
            )
        text = data.decode()
    except OSError as error:
        raise FormatError(f"{path}: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        raise FormatError(f"{path}: not UTF-8 text (byte {error.start})") from None
    try:
        return from_toml(cls, text)
    except SpecError:
        raise
    except FormatError as error:
        raise FormatError(f"{path}: {error}") from None


def save(spec: Spec, path: str | Path) -> None:
    """Write `spec` to a file, replacing it only when all is written."""
    import tempfile

    path = Path(path)
    try:
        path = path.resolve()  # of a link, the file that it names
        if path.exists() and not path.is_file():
            raise FormatError(f"{path}: is no regular file; give a file's name")
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(to_toml(spec))
            # mkstemp makes it private; a protocol file is as public as the umask says.
            mask = os.umask(0)
            os.umask(mask)
            Path(name).chmod(0o666 & ~mask)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise FormatError(f"{path}: {error.strerror or error}") from None


def to_dict(spec: Spec) -> dict[str, Any]:
    """Return `spec` as plain data, without None and defaults."""
    out: dict[str, Any] = {"type": spec.type_name} if spec.type_name else {}
    for f in dataclasses.fields(spec):
        value = getattr(spec, f.name)
        default = f.default
        if f.default_factory is not dataclasses.MISSING:
            default = f.default_factory()
        if value is None or value == default:
            continue
        out[f.name] = _plain(value)
    return out


def _plain(value: Any) -> Any:
    if isinstance(value, Spec):
        return to_dict(value)
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value


def from_dict(cls: type[_S], data: Any, place: str) -> _S:
    """Build `cls` from plain data that stands at `place` in its file."""
    if not isinstance(data, dict):
        raise SpecError(place or "file", data, f"must be a table of {cls.__name__}")
    hints = field_types(cls)
    known = [*hints, *(["type"] if cls.type_name else [])]
    for key in data:
        if key not in known:
            raise UnknownKeyError(_join(place, key), data[key], nearest(key, known))
    values = {}
    for f in dataclasses.fields(cls):
        at = _join(place, f.name)
        if f.name in data:
            values[f.name] = _build(hints[f.name], data[f.name], at)
        elif f.default is dataclasses.MISSING and (
            f.default_factory is dataclasses.MISSING
        ):
            raise SpecError(at, None, "must be given")
    try:
        return cls(**values)
    except SpecError as error:
        if not place:
            raise
        inner = error.field.removeprefix(f"{cls.__name__}.")
        raise type(error)(_join(place, inner), error.value, error.allowed) from None


def _build(hint: Any, data: Any, place: str) -> Any:
    classes = _spec_classes(hint)
    if get_origin(hint) is tuple and get_args(hint)[-1] is Ellipsis:
        inner = get_args(hint)[0]
        if not isinstance(data, list):
            raise SpecError(place, data, "must be an array")
        return tuple(
            _build(inner, item, f"{place}[{i}]") for i, item in enumerate(data)
        )
    if len(classes) > 1:
        return from_dict(_tagged(classes, data, place), data, place)
    if classes:
        return from_dict(classes[0], data, place)
    return data  # the spec that it becomes part of looks at it


def _tagged(classes: list[type[Spec]], data: Any, place: str) -> type[Spec]:
    names = {c.type_name: c for c in classes}
    tag = data.get("type") if isinstance(data, dict) else None
    if not isinstance(tag, str) or tag not in names:
        choices = ", ".join(map(repr, names))
        raise SpecError(f"{place}.type", tag, f"must be one of {choices}")
    return names[tag]


def _spec_classes(hint: Any) -> list[type[Spec]]:
    if get_origin(hint) in (Union, types.UnionType):
        return [c for member in get_args(hint) for c in _spec_classes(member)]
    return [hint] if isinstance(hint, type) and issubclass(hint, Spec) else []


def _join(place: str, key: str) -> str:
    return f"{place}.{key}" if place else key


def nearest(key: str, known: list[str]) -> str:
    """Say which of the known names is meant, and list them."""
    import difflib

    close = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    names = f"valid are {', '.join(known)}"
    return f"did you mean {close[0]}? ({names})" if close else names


def schema(cls: type[Spec]) -> dict[str, Any]:
    """Return the JSON Schema of `cls` as the root of a file."""
    definitions: dict[str, Any] = {}
    root = _object_schema(cls, definitions)
    root["properties"] = {"format": {"const": FORMAT}, **root["properties"]}
    root["required"] = ["format", *root["required"]]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"nmes_wave {cls.__name__}",
        **root,
        "$defs": definitions,
    }


def _object_schema(cls: type[Spec], definitions: dict[str, Any]) -> dict[str, Any]:
    properties = {
        name: _schema_of(hint, definitions) for name, hint in field_types(cls).items()
    }
    required = [
        f.name
        for f in dataclasses.fields(cls)
        if f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
    ]
    for f in dataclasses.fields(cls):
        if f.default is not dataclasses.MISSING and f.default is not None:
            properties[f.name]["default"] = _plain(f.default)
    if cls.type_name:
        properties = {"type": {"const": cls.type_name}, **properties}
        required = ["type", *required]
    return {
        "type": "object",
        "description": (cls.__doc__ or "").partition("\n")[0],
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


def _schema_of(hint: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    bounds = Range()
    if get_origin(hint) is Annotated:
        hint, bounds = get_args(hint)
    origin, args = get_origin(hint), get_args(hint)
    if origin is Literal:
        return {"enum": list(args)}
    if origin is tuple and args[-1] is Ellipsis:
        return {"type": "array", "items": _schema_of(args[0], definitions)}
    if origin is tuple:
        items = [_schema_of(a, definitions) for a in args]
        return {
            "type": "array",
            "prefixItems": items,
            "minItems": len(items),
            "maxItems": len(items),
        }
    if origin in (Union, types.UnionType):
        # TOML has no null: a field that may be None is simply left out.
        members = [a for a in args if a is not types.NoneType]
        if len(members) == 1:
            return _schema_of(members[0], definitions)
        return {"oneOf": [_schema_of(m, definitions) for m in members]}
    if isinstance(hint, type) and issubclass(hint, Spec):
        if hint.__name__ not in definitions:
            definitions[hint.__name__] = {}
            definitions[hint.__name__] = _object_schema(hint, definitions)
        return {"$ref": f"#/$defs/{hint.__name__}"}
    names = {float: "number", int: "integer", bool: "boolean", str: "string"}
    limits = {
        "exclusiveMinimum": bounds.gt,
        "minimum": bounds.ge,
        "exclusiveMaximum": bounds.lt,
        "maximum": bounds.le,
    }
    described = {"description": bounds.unit} if bounds.unit else {}
    return {
        "type": names[hint],
        **{key: value for key, value in limits.items() if value is not None},
        **described,
    }
