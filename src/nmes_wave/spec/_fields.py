"""How a description checks itself: its annotations are its rules.

A spec is a frozen dataclass whose annotations say what each field may hold
(``Annotated[float, Range(gt=0, unit="µs")]``). `Spec.__post_init__` reads them,
turns what is equivalent (an int for a float, a list for a tuple, a NumPy
scalar) into the declared type, and raises `SpecError` for the rest. The file
reader and the JSON Schema use the same annotations, so a bound is written once.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import types
from collections.abc import Iterable
from fractions import Fraction
from numbers import Integral, Real
from typing import (
    Annotated,
    Any,
    ClassVar,
    Literal,
    TypeGuard,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

import numpy as np

from nmes_wave.errors import SpecError


@dataclasses.dataclass(frozen=True)
class Range:
    """The numbers that a field may hold, and their unit."""

    gt: float | None = None
    ge: float | None = None
    lt: float | None = None
    le: float | None = None
    unit: str = ""

    def holds(self, value: float) -> bool:
        """Whether `value` lies inside."""
        return (
            (self.gt is None or value > self.gt)
            and (self.ge is None or value >= self.ge)
            and (self.lt is None or value < self.lt)
            and (self.le is None or value <= self.le)
        )

    def describe(self) -> str:
        """Say the range in words."""
        parts = [
            f"{word} {bound:g}"
            for word, bound in (
                ("greater than", self.gt),
                ("at least", self.ge),
                ("less than", self.lt),
                ("at most", self.le),
            )
            if bound is not None
        ]
        return f"{' and '.join(parts) or 'any number'} {self.unit}".rstrip()


_ANY = Range()

#: Annotations that several specs share.
#: 31 years: a longer time is a slip of the pen.
LONGEST_S = 1e9
Positive_s = Annotated[float, Range(gt=0, le=LONGEST_S, unit="s")]
NonNegative_s = Annotated[float, Range(ge=0, le=LONGEST_S, unit="s")]
Positive_us = Annotated[float, Range(gt=0, unit="µs")]
NonNegative_us = Annotated[float, Range(ge=0, unit="µs")]
Positive_ms = Annotated[float, Range(gt=0, unit="ms")]
Positive_hz = Annotated[float, Range(gt=0, unit="Hz")]
Count = Annotated[int, Range(ge=1, le=2**53)]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Spec:
    """Base of all descriptions: frozen, keyword-only, validated when made."""

    type_name: ClassVar[str] = ""

    def __post_init__(self) -> None:
        """Validate every field against its annotation, then the whole."""
        for name, hint in field_types(type(self)).items():
            value = getattr(self, name)
            place = f"{type(self).__name__}.{name}"
            object.__setattr__(self, name, conform(place, value, hint))
        self._check()

    def _check(self) -> None:
        """Raise `SpecError` for what no single field can know."""

    def _refuse(self, field: str, allowed: str) -> SpecError:
        return SpecError(
            f"{type(self).__name__}.{field}", getattr(self, field), allowed
        )


_types: dict[type[Spec], dict[str, Any]] = {}


def field_types(cls: type[Spec]) -> dict[str, Any]:
    """Return the annotation of each dataclass field of `cls`."""
    if cls not in _types:
        hints = get_type_hints(cls, include_extras=True)
        _types[cls] = {f.name: hints[f.name] for f in dataclasses.fields(cls)}
    return _types[cls]


def conform(place: str, value: Any, hint: Any) -> Any:
    """Return `value` as the type `hint` declares, or raise `SpecError`."""
    if isinstance(hint, type):
        return _conform_class(place, value, hint, _ANY)
    origin = get_origin(hint)
    if origin is Annotated:
        hint, bounds = get_args(hint)
        return _conform_class(place, value, hint, bounds)
    if origin in (Union, types.UnionType):
        return _conform_union(place, value, get_args(hint))
    if origin is Literal:
        return _conform_choice(place, value, get_args(hint))
    return _conform_tuple(place, value, get_args(hint))


def _conform_class(place: str, value: Any, hint: Any, bounds: Range) -> Any:
    if hint is float:
        return _conform_number(place, value, bounds)
    if hint is int:
        return _conform_integer(place, value, bounds)
    if hint is bool:
        return _conform_bool(place, value)
    if not isinstance(value, hint):
        raise SpecError(place, value, f"must be {_named(hint)}")
    return value


def is_number(value: object) -> TypeGuard[float]:
    """Whether `value` is a real number of Python or NumPy; a bool is none."""
    return not isinstance(value, bool) and isinstance(
        value, (int, float, np.integer, np.floating)
    )


@functools.lru_cache(4096)
def exact(value: float) -> Fraction:
    """Return the decimal number that `value` prints as, exactly.

    ``0.1`` means one tenth here, not the double nearest to it: a user typed
    it, or a file holds it, in decimals. Timelines are summed in these, so that
    thirty times 0.1 s is three seconds.
    """
    return Fraction(repr(value))


def _conform_union(place: str, value: Any, members: tuple[Any, ...]) -> Any:
    if value is None and types.NoneType in members:
        return None
    classes = [m for m in members if m is not types.NoneType]
    if len(classes) == 1:
        return conform(place, value, classes[0])
    if not isinstance(value, tuple(classes)):
        names = ", ".join(_named(c) for c in classes)
        raise SpecError(place, value, f"must be one of {names}")
    return value


def _conform_choice(place: str, value: Any, choices: tuple[Any, ...]) -> Any:
    for choice in choices:
        if not isinstance(value, bool) and isinstance(value, (str, Integral, Real)):
            if value == choice:
                return choice
    raise SpecError(place, value, f"must be one of {', '.join(map(repr, choices))}")


def _conform_tuple(place: str, value: Any, args: tuple[Any, ...]) -> tuple[Any, ...]:
    if isinstance(value, (str, bytes, dict)) or not isinstance(value, Iterable):
        raise SpecError(place, value, "must be a sequence")
    items = tuple(value)
    if args[-1] is Ellipsis:
        hints = (args[0],) * len(items)
    elif len(args) != len(items):
        raise SpecError(place, value, f"must have {len(args)} items, has {len(items)}")
    else:
        hints = args
    return tuple(
        conform(f"{place}[{i}]", item, hint)
        for i, (item, hint) in enumerate(zip(items, hints, strict=True))
    )


def _conform_number(place: str, value: Any, bounds: Range) -> float:
    if isinstance(value, bool) or not isinstance(value, Real):
        raise SpecError(place, value, f"must be a number, {bounds.describe()}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise SpecError(place, value, f"must be finite, {bounds.describe()}")
    if not bounds.holds(number):
        raise SpecError(place, value, f"must be {bounds.describe()}")
    return number


def _conform_integer(place: str, value: Any, bounds: Range) -> int:
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise SpecError(place, value, f"must be a whole number, {bounds.describe()}")
    number = int(value)
    if not bounds.holds(number):
        raise SpecError(place, value, f"must be {bounds.describe()}")
    return number


def _conform_bool(place: str, value: Any) -> bool:
    if isinstance(value, (bool,)) or type(value).__name__ in ("bool_", "bool"):
        return bool(value)
    raise SpecError(place, value, "must be true or false")


def _named(hint: Any) -> str:
    return "text" if hint is str else f"a {getattr(hint, '__name__', hint)}"
