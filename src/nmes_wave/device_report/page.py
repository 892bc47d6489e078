"""The report as one HTML file that needs nothing else.

Built as a tree by the standard library: its serializer escapes every text, so
that none can be forgotten, and no template language is needed for one page.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from nmes_wave.device_report.guidance import NOTES, STATEMENTS
from nmes_wave.device_report.modes import Mode
from nmes_wave.device_report.pictures import draw, inline
from nmes_wave.device_report.quantity import one_line
from nmes_wave.device_report.rows import BLANK, Entry, Row
from nmes_wave.device_report.style import STYLE
from nmes_wave.device_report.tracings import Tracing
from nmes_wave.report import Finding, Report

if TYPE_CHECKING:
    from nmes_wave.device_report.document import DeviceReport

_Content = str | Element


def page(report: DeviceReport, drawn: Callable[[int], None]) -> str:
    """Return the page; `drawn` is called with the tracings that are done."""
    tracings = _Pictures(report, drawn)
    main = _e(
        "main",
        _e("h1", f"Device report: {report.title}"),
        _e("ul", *(_e("li", s) for s in STATEMENTS), class_="statements", role="note"),
        _facts("How this report was made", report.header()),
        _contents(report),
        _e("h2", "Section 1. Output waveforms", id="section-1"),
        *(tracings.of(mode) for mode in report.modes),
        _e("h2", "Section 2. Basic unit characteristics", id="section-2"),
        _unit(report),
        _e("h2", "Section 3. Output specifications", id="section-3"),
        *(_specification(report, mode) for mode in report.modes),
        _e("h2", "Notes of the guidance", id="notes"),
        _e("ul", *(_e("li", note) for note in NOTES)),
        _e("h2", "The protocol against its limits", id="limits"),
        _limits(report.check),
    )
    html = _e(
        "html",
        _e(
            "head",
            _e("meta", charset="utf-8"),
            _e("meta", name="viewport", content="width=device-width, initial-scale=1"),
            _e("title", f"Device report: {report.title}"),
            _e("style", STYLE),
        ),
        _e("body", main),
        lang="en",
    )
    text = ElementTree.tostring(html, encoding="unicode", method="html")
    return f"<!DOCTYPE html>\n{text}\n"


def _e(tag: str, *content: _Content, class_: str = "", **attributes: str) -> Element:
    """Return an element with texts and elements in it."""
    element = Element(tag, attributes | ({"class": class_} if class_ else {}))
    last: Element | None = None
    for item in content:
        if isinstance(item, Element):
            element.append(item)
            last = item
        elif last is None:
            element.text = (element.text or "") + item
        else:
            last.tail = (last.tail or "") + item
    return element


def _table(caption: str, headings: Iterable[str], *bodies: Element) -> Element:
    heads = (_e("th", text, scope="col") for text in headings)
    return _e(
        "table",
        _e("caption", caption),
        _e("thead", _e("tr", *heads)),
        *bodies,
    )


def _facts(caption: str, facts: dict[str, str]) -> Element:
    rows = (
        _e("tr", _e("th", name, scope="row"), _e("td", text))
        for name, text in facts.items()
    )
    return _e("table", _e("caption", caption), _e("tbody", *rows), class_="facts")


def _contents(report: DeviceReport) -> Element:
    """Return links to the sections, and to each mode's tracings and table."""
    modes = (
        _e(
            "li",
            mode.name,
            " — ",
            _e("a", "tracings", href=f"#tracings-{mode.number}"),
            ", ",
            _e("a", "specifications", href=f"#mode-{mode.number}"),
        )
        for mode in report.modes
    )
    return _e("nav", _e("h2", "Output modes"), _e("ul", *modes))


# -- section 1 -----------------------------------------------------------------


class _Pictures:
    """Draws, and tells how many are done."""

    def __init__(self, report: DeviceReport, drawn: Callable[[int], None]) -> None:
        self._report, self._drawn, self._n = report, drawn, 0

    def of(self, mode: Mode) -> Element:
        """Return the section with a mode's tracings."""
        figures = [self._figure(mode, t) for t in self._report.tracings(mode)]
        return _e(
            "section",
            _e("h3", mode.name, id=f"tracings-{mode.number}"),
            _e("p", f"Channels: {', '.join(mode.channels)}."),
            _e("div", *figures, class_="tracings"),
        )

    def _figure(self, mode: Mode, tracing: Tracing) -> Element:
        self._n += 1
        svg = inline(draw(tracing), f"t{self._n}-", tracing.description)
        self._drawn(self._n)
        caption = f"Tracing {self._n}. {tracing.description}."
        return _e("figure", svg, _e("figcaption", caption))


# -- sections 2 and 3 ----------------------------------------------------------


def _unit(report: DeviceReport) -> Element:
    bodies = []
    for row in report.unit:
        cells = [_stated(entry) for entry in row.entries]
        if row.note:
            cells.append(_e("p", row.note, class_="note"))
        source = row.source or "blank"
        bodies.append(
            _e(
                "tr",
                _e("th", row.name, scope="row"),
                _e("td", *cells),
                _e("td", source),
            )
        )
    headings = ("Characteristic", "Value", "Stated by")
    caption = "Basic unit characteristics"
    return _table(caption, headings, _e("tbody", *bodies))


def _stated(entry: Entry) -> Element:
    label = f"{entry.label}: " if entry.label else ""
    blank = entry.text == BLANK
    return _e("p", label, _e("span", entry.text, class_="blank" if blank else ""))


def _specification(report: DeviceReport, mode: Mode) -> Element:
    bodies = (_rows(row) for row in report.specification(mode))
    headings = ("No.", "Characteristic", "At, or part", "Value", "Sample calculation")
    table = _table(f"Output specifications. {mode.name}", headings, *bodies)
    return _e(
        "section",
        _e("h3", mode.name, id=f"mode-{mode.number}"),
        _e("p", f"Channels: {', '.join(mode.channels)}."),
        table,
    )


def _rows(row: Row) -> Element:
    lines = len(row.entries) + bool(row.note)
    span = {"rowspan": str(lines)}
    heads = (
        _e("td", row.number, class_="number", **span),
        _e("th", row.name, scope="rowgroup", **span),
    )
    trs = []
    for i, entry in enumerate(row.entries):
        cells = [_e("td", entry.label, class_="part")]
        if entry.calculation:
            cells.append(_e("td", entry.text, class_="value"))
            cells.append(_e("td", entry.calculation, class_="calculation"))
        else:
            class_ = "value" if entry.unit else ""
            cells.append(_e("td", entry.text, class_=class_, colspan="2"))
        trs.append(_e("tr", *(heads if i == 0 else ()), *cells))
    if row.note:
        trs.append(_e("tr", _e("td", row.note, colspan="3", class_="note")))
    return _e("tbody", *trs)


# -- the limits ------------------------------------------------------------------


def _limits(check: Report) -> Element:
    headings = ("Verdict", "Rule", "Channel", "Value", "Limit", "Source", "Note")
    rows = (_finding(finding) for finding in check.findings)
    caption = "The protocol against the limits that it was compiled with"
    return _table(caption, headings, _e("tbody", *rows))


def _finding(finding: Finding) -> Element:
    return _e("tr", *(_e("td", cell) for cell in finding_cells(finding)))


def finding_cells(finding: Finding) -> tuple[str, ...]:
    """Return a finding as texts: verdict, rule, channel, value, limit, source, note."""
    numbers = (
        "–" if number is None else f"{number:.4g} {finding.unit}".rstrip()
        for number in (finding.value, finding.limit)
    )
    channel = "all together" if finding.channel is None else one_line(finding.channel)
    return (
        finding.verdict.replace("_", " "),
        finding.rule,
        channel,
        *numbers,
        finding.source,
        finding.note,
    )
