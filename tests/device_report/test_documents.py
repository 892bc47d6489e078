"""What is written: HTML, Markdown and JSON of one report."""

from __future__ import annotations

import datetime
import json
import re
from html.parser import HTMLParser
from urllib.parse import unquote
from xml.etree import ElementTree

import pytest

import nmes_wave as nw

HOSTILE = '<script>alert("1")</script> | $x$ \x1b[31m & 大腿'
VOID = {"meta"}


class Page(HTMLParser):
    """Collects tags, ids and texts, and that tags nest."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.ids, self.links, self.text, self.open = [], [], [], "", []
        self.cells, self.parts = [], []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.tags.append((tag, attributes))
        self.ids += [attributes["id"]] if "id" in attributes else []
        link = attributes.get("href") or attributes.get("src")
        self.links += [link] if link else []
        if tag not in VOID:
            self.open.append(tag)
        if tag in ("td", "th"):
            self.cells.append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data
        self.parts.append(data)
        if {"td", "th"} & {*self.open}:
            self.cells[-1] += data

    def count(self, tag):
        return sum(name == tag for name, _ in self.tags)


@pytest.fixture(scope="module")
def worked(stage, channel, report):
    """The report of a pulse, named so that it would hurt."""
    return report(channel(stage(), name=HOSTILE), name=HOSTILE, command=HOSTILE)


@pytest.fixture(scope="module")
def page(worked, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "a.html"
    worked.save(path)
    return path.read_text("utf-8")


def test_the_page_needs_nothing_else(page):
    found = Page(page)
    assert page.startswith('<!DOCTYPE html>\n<html lang="en">')
    assert found.count("script") == found.count("link") == found.count("img") == 0
    assert all(link.startswith("#") for link in found.links)
    for link in found.links:
        assert link[1:] in found.ids
    assert not re.search(r"@import|url\((?!#)", page)


def test_ids_are_unique(page):
    found = Page(page)
    assert len(found.ids) == len({*found.ids}) > 20


def test_names_are_text_and_nothing_else(page):
    found = Page(page)
    assert '<script>alert("1")</script> | $x$ �[31m & 大腿' in found.text
    assert "\x1b" not in page
    assert "onerror" not in page


def test_tables_have_captions_and_scopes(page):
    found = Page(page)
    assert found.count("table") == found.count("caption") == 4
    for tag, attributes in found.tags:
        if tag == "th":
            assert attributes["scope"] in ("col", "row", "rowgroup")


def test_every_tracing_has_words(page, worked):
    found = Page(page)
    pictures = [attributes for tag, attributes in found.tags if tag == "svg"]
    assert len(pictures) == found.count("figcaption") == 4
    for attributes in pictures:
        assert attributes["role"] == "img"
        assert "current from −" in attributes["aria-label"]
    for words in ("time from the first onset (µs)", "current (mA)", "baseline"):
        assert found.text.count(words) >= 3
    letters = " ".join(" ".join(found.parts).split())
    for setting in worked.tracings(worked.modes[0])[0].settings.values():
        assert setting in letters


def test_what_it_is_not_is_said_first(page):
    text = Page(page).text
    begin = text[: text.index("Section 1")]
    for words in ("Not a measurement", "Not a submission", "not a medical device"):
        assert words in begin


def test_the_figures_are_in_the_page_and_the_json(page, worked):
    cells = Page(page).cells
    figures = ("30 µC", "14.5 mA", "0.56 mA/cm²", "2.1 mA", "0.0041 W/cm²")
    assert [f for f in figures if f in cells] == [*figures]
    assert "not a medical device" in Page(page).text
    (mode,) = json.loads(worked.to_json())["modes"]
    rows = {row["number"]: row["entries"] for row in mode["specification"]}
    assert [*rows] == [*range(1, 17)]
    numbers = {e["label"]: (e["value"], e["unit"]) for e in rows[11] + rows[12]}
    assert numbers["r.m.s. current"] == (pytest.approx(14.491377), "mA")
    assert numbers["r.m.s. density"] == (pytest.approx(0.561681), "mA/cm²")
    assert numbers["power density"] == (pytest.approx(0.00406977), "W/cm²")
    assert rows[10][0]["value"] == 30
    assert mode["electrode_area_cm2"] == 25.8
    assert len(mode["tracings"]) == 4


def test_the_same_report_has_the_same_bytes(worked, page, tmp_path):
    import matplotlib as mpl

    # whatever the user's own settings for pictures are
    with mpl.rc_context({"axes.linewidth": 7, "font.size": 20}):
        worked.save(tmp_path / "b.html")
    assert (tmp_path / "b.html").read_text("utf-8") == page
    assert worked.to_json() == worked.to_json()


def test_the_date(stage, channel, report, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
    assert report(channel(stage()), date=None).header()["Date"] == "1970-01-02"
    day = datetime.date(2026, 1, 31)
    assert report(channel(stage()), date=day).header()["Date"] == "2026-01-31"
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "soon")
    with pytest.raises(nw.SpecError, match="whole number of seconds"):
        report(channel(stage()), date=None).header()


def test_markdown_with_pictures_beside_it(worked, tmp_path):
    done = []
    worked.save(tmp_path / "a b%20(c)#1.md", done.append)
    assert done == [1, 2, 3, 4]
    text = (tmp_path / "a b%20(c)#1.md").read_text("utf-8")
    pictures = re.findall(r"^!\[.*\]\((.*)\)$", text, re.M)
    assert len(pictures) == 4
    for link in pictures:
        assert re.fullmatch(r"[\w.%-]+", link)
        root = ElementTree.parse(tmp_path / unquote(link)).getroot()
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert "<script>" not in text
    assert "| 12 |" in text
    widths = {}
    for line in text.splitlines():
        if line.startswith("|"):
            cells = len(re.findall(r"(?<!\\)\|", line))
            widths[cells] = widths.get(cells, 0) + 1
    # two, three, five and seven columns, and never a cell too many
    assert sorted(widths) == [3, 4, 6, 8]


def test_json_says_what_the_page_says(worked):
    data = json.loads(worked.to_json())
    assert data["statements"][0].startswith("Computed from the description")
    assert data["header"]["Compliance voltage"] == "150 V (given)"
    assert data["check"]["passed"] is True
    assert {row["name"] for row in data["unit"]} >= {"Manufacturer", "Weight"}


def test_a_name_that_no_file_can_hold(stage, channel, report, tmp_path):
    made = report(channel(stage(), name="\udcff"))
    with pytest.raises(nw.FormatError, match="surrogates not allowed"):
        made.save(tmp_path / "a.json")


@pytest.mark.parametrize("name", ["a.pdf", "a", "a.htm"])
def test_another_suffix(worked, tmp_path, name):
    with pytest.raises(nw.FormatError, match=r"a report is \.html, \.md or \.json"):
        worked.save(tmp_path / name)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"compliance_v": 0}, "at least 0.001 and at most 1e\\+06 V"),
        ({"compliance_v": 1e308}, "at least 0.001 and at most 1e\\+06 V"),
        ({"compliance_v": 1e-320}, "at least 0.001 and at most 1e\\+06 V"),
        ({"tolerance_percent": -1}, "at least 0"),
    ],
)
def test_values_out_of_range(stage, channel, report, settings, words):
    with pytest.raises(nw.SpecError, match=words):
        report(channel(stage()), **settings)
