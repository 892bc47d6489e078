"""Every quote of every preset stands in the evidence, in words about that preset."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from nmes_wave import presets

HERE = Path(__file__).parent
NAMES = presets.names()


def plain(text: str) -> str:
    return " ".join(text.split())


ROWS = [
    (names.split(), place, words)
    for line in (HERE / "quotes.txt").read_text(encoding="utf-8").splitlines()
    if not line.startswith("#")
    for names, place, words in [line.split("\t")]
]
POLICY = plain(
    re.sub(r"-\n\s*", "-", (HERE / "evidence/policy.txt").read_text(encoding="utf-8"))
)


@cache
def raw(name: str) -> dict[str, Any]:
    path = files("nmes_wave.presets").joinpath("data", f"{name}.toml")
    return tomllib.loads(path.read_text(encoding="utf-8"))


def quotes(data: object, source: str = "") -> Iterator[tuple[str, str]]:
    """Yield every quote with the source of its table, or of the one around it."""
    if isinstance(data, list):
        for item in data:
            yield from quotes(item, source)
    if isinstance(data, dict):
        source = data.get("source", source)
        if data.get("quote"):
            yield plain(data["quote"]), source
        for words in data.get("limitations", ()):
            yield plain(words), source
        for item in data.values():
            yield from quotes(item, source)


def stands(name: str, quote: str, source: str) -> bool:
    """Whether the evidence about a preset has the words."""
    of_policy = source.partition(",")[0] == "policy" and quote in POLICY
    return of_policy or any(
        name in names and quote in words for names, _, words in ROWS
    )


@pytest.mark.parametrize("name", NAMES)
def test_every_quote_stands_in_the_evidence(name: str) -> None:
    assert [q for q, source in quotes(raw(name)) if not stands(name, q, source)] == []


def test_no_row_of_evidence_is_left_that_nobody_quotes() -> None:
    for names, _, words in ROWS:
        own = [quote for name in names for quote, _ in quotes(raw(name))]
        assert any(quote in words for quote in own), words


def test_nothing_is_quoted_from_what_is_recalled() -> None:
    # Of the page on protocols: tables of studies, waveforms, and what was added.
    # Sections 5 to 8 are values from memory, traps, and plans.
    start = "protocols.md, section "
    sections = {p.removeprefix(start) for _, p, _ in ROWS if p.startswith(start)}
    assert sections <= {"1", "2", "3", "4", "9", "10"}


def sizes(data: object) -> Iterator[dict[str, Any]]:
    """Yield the tables whose value is a list of lengths."""
    if isinstance(data, list):
        for item in data:
            yield from sizes(item)
    elif isinstance(data, dict):
        if isinstance(data.get("value"), list):
            yield data
        for item in data.values():
            yield from sizes(item)


@pytest.mark.parametrize("name", [n for n in NAMES if [*sizes(raw(n))]])
def test_every_length_of_an_electrode_is_in_its_words(name: str) -> None:
    for table in sizes(raw(name)):
        words = table["quote"] + table.get("note", "")
        lengths = re.findall(r"\d+(?:\.\d+)?", str(table["value"]))
        for length in lengths:
            digits = re.escape(length.removesuffix(".0"))
            assert re.search(rf"(?<![\d.]){digits}(?!\d|\.\d)", words), length
