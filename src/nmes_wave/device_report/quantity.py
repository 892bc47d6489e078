"""Numbers with units, as a person reads them."""

from __future__ import annotations

import math

#: Decimals of a result, where it has two significant digits with them.
_DECIMALS = {"mA/cm²": 2, "W/cm²": 4}
#: Below this a result is written in powers of ten.
_TINY = 1e-6


def given(value: float, unit: str) -> str:
    """Return a setting: as many digits as it was given with, up to ten."""
    return f"{value:.10g} {unit}".rstrip()


def result(value: float, unit: str) -> str:
    """Return a result with one decimal (densities more), or two digits."""
    size = abs(value)
    if size < _TINY:
        return given(float(f"{value:.2g}"), unit)
    decimals = max(_DECIMALS.get(unit, 1), 1 - math.floor(math.log10(size)))
    text = f"{value:.{decimals}f}".rstrip("0").rstrip(".")
    return f"{text.replace('-', '−')} {unit}".rstrip()


def step(value: float, unit: str) -> str:
    """Return a number inside of a calculation: with four digits or more."""
    whole = len(str(int(abs(value))))
    return f"{value:.{max(4, whole)}g} {unit}".replace("-", "−", value < 0).rstrip()


def ohms(load_ohm: float) -> str:
    """Return a load as ``500 Ω`` or ``2 kΩ``."""
    kilo = load_ohm >= 1000
    return f"{load_ohm / 1000:g} kΩ" if kilo else f"{load_ohm:g} Ω"


def one_line(text: str, length: int = 120) -> str:
    """Return a text of the user's without what no file or terminal can hold."""
    words = " ".join(text.split())
    words = "".join(c if c.isprintable() else "�" for c in words)
    return words if len(words) <= length else words[: length - 1] + "…"
