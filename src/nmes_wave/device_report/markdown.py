"""The report as Markdown, with a picture beside it for each tracing."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING
from urllib.parse import quote

from nmes_wave.device_report.guidance import NOTES, STATEMENTS
from nmes_wave.device_report.modes import Mode
from nmes_wave.device_report.page import finding_cells
from nmes_wave.device_report.pictures import draw
from nmes_wave.device_report.rows import Row

if TYPE_CHECKING:
    from nmes_wave.device_report.document import DeviceReport

#: What Markdown or the HTML in it would take for markup.
_MARKUP = re.compile(r"([\\`*_{}\[\]<>#|&~$])")


def markdown(
    report: DeviceReport, stem: str, drawn: Callable[[int], None]
) -> tuple[str, dict[str, str]]:
    """Return the text, and the pictures by the names of their files.

    Parameters
    ----------
    report
        What to write.
    stem
        Begin of the pictures' names.
    drawn
        Called with the number of tracings that are done.
    """
    pictures: dict[str, str] = {}
    lines = [f"# Device report: {_plain(report.title)}", ""]
    lines += [f"- {_plain(statement)}" for statement in STATEMENTS]
    facts = [(name, text) for name, text in report.header().items()]
    lines += ["", *_table(("Made", "how"), facts), "", "## Section 1. Output waveforms"]
    for mode in report.modes:
        lines += ["", f"### {_plain(mode.name)}", "", _channels(mode)]
        for i, tracing in enumerate(report.tracings(mode), 1):
            name = f"{stem}-mode-{mode.number}-{i}.svg"
            pictures[name] = draw(tracing)
            drawn(len(pictures))
            place = quote(name, errors="surrogateescape")
            lines += ["", f"![{_plain(tracing.description)}]({place})"]
    lines += ["", "## Section 2. Basic unit characteristics", ""]
    lines += _table(("Characteristic", "Value", "Stated by"), _unit(report.unit))
    lines += ["", "## Section 3. Output specifications"]
    for mode in report.modes:
        lines += ["", f"### {_plain(mode.name)}", "", _channels(mode), ""]
        headings = ("No.", "Characteristic", "At, or part", "Value", "Calculation")
        lines += _table(headings, _specification(report.specification(mode)))
    lines += ["", "## Notes of the guidance", ""]
    lines += [f"- {_plain(note)}" for note in NOTES]
    lines += ["", "## The protocol against its limits", ""]
    columns = ("Verdict", "Rule", "Channel", "Value", "Limit", "Source", "Note")
    lines += _table(columns, map(finding_cells, report.check.findings))
    return "\n".join(lines) + "\n", pictures


def _plain(text: str) -> str:
    return _MARKUP.sub(r"\\\1", text)


def _table(headings: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    yield f"| {' | '.join(headings)} |"
    yield "|" + "---|" * len(headings)
    for row in rows:
        yield f"| {' | '.join(map(_plain, row))} |"


def _channels(mode: Mode) -> str:
    return f"Channels: {_plain(', '.join(mode.channels))}."


def _unit(rows: tuple[Row, ...]) -> Iterator[tuple[str, ...]]:
    for row in rows:
        texts = [f"{e.label}: {e.text}" if e.label else e.text for e in row.entries]
        note = f" ({row.note})" if row.note else ""
        yield row.name, "; ".join(texts) + note, row.source or "blank"


def _specification(rows: tuple[Row, ...]) -> Iterator[tuple[str, ...]]:
    for row in rows:
        for i, entry in enumerate(row.entries):
            head = (row.number, row.name) if i == 0 else ("", "")
            yield (*head, entry.label, entry.text, entry.calculation)
        if row.note:
            yield "", "", "", row.note, ""
