"""A tracing as SVG, by Matplotlib."""

from __future__ import annotations

import io
import textwrap
from functools import partial
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import numpy as np

from nmes_wave.device_report.quantity import ohms
from nmes_wave.device_report.tracings import Tracing

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_INK, _LINE, _PALE = "#222222", "#0059A8", "#8A8A8A"
#: Inches, and letters of a line: on A4 two stand side by side at nearly this size.
_SIZE, _LETTERS = (3.6, 3.3), 56
_SVG = "http://www.w3.org/2000/svg"


def draw(tracing: Tracing) -> str:
    """Return the picture as the text of an SVG file; the same input, the same text."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context():
        mpl.rcdefaults()  # or a matplotlibrc of the user's would change the bytes
        mpl.rcParams["svg.fonttype"] = "none"  # letters stay letters
        mpl.rcParams["svg.hashsalt"] = "nmes_wave"
        figure = Figure(figsize=_SIZE, layout="constrained")
        heading: dict[str, Any] = {"ha": "left", "fontsize": 7.2, "color": _INK}
        figure.suptitle(_heading(tracing), x=0.015, **heading)
        _draw(figure.add_subplot(), tracing)
        file = io.StringIO()
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    return file.getvalue()


def _draw(ax: Axes, tracing: Tracing) -> None:
    unit, per_s = _unit(tracing)
    small: dict[str, Any] = {"fontsize": 7.5, "color": _INK}
    ax.axhline(0, color=_PALE, lw=0.7, zorder=1)
    ax.plot(tracing.t_s * per_s, tracing.ma, color=_LINE, lw=1.2, zorder=3)
    low, high = tracing.low_ma, tracing.high_ma
    room = 0.14 * (high - low) or 1.0
    ax.set_ylim(low - room, high + room)
    ax.set_xlim(tracing.t_s[0] * per_s, tracing.t_s[-1] * per_s)
    ax.annotate(
        "baseline",
        (0, 0),
        xycoords=("axes fraction", "data"),
        xytext=(3, 2),
        textcoords="offset points",
        fontsize=6.8,
        color="#555555",
    )
    if tracing.limit_ma is not None:
        for level in {low, high} & {tracing.limit_ma, -tracing.limit_ma}:
            ax.axhline(level, color="#B03A00", lw=0.8, ls=(0, (4, 3)), zorder=2)
    ax.set_xlabel(f"time from the first onset ({unit})", **small)
    ax.set_ylabel("current (mA)", **small)
    volts = tracing.load_ohm / 1000
    other = ax.secondary_yaxis(
        "right",
        functions=(partial(np.multiply, volts), partial(np.multiply, 1 / volts)),
    )
    other.set_ylabel(f"voltage across {ohms(tracing.load_ohm)} (V)", **small)
    for axis in (ax, other):
        axis.tick_params(labelsize=7.5, colors=_INK)
    ax.spines["top"].set_visible(False)
    ax.xaxis.set_major_formatter("{x:,.10g}")


def _heading(tracing: Tracing) -> str:
    items = [f"{name} {text}" for name, text in tracing.settings.items()]
    if tracing.limit_ma is not None:
        items.append(f"dashed: compliance limit {tracing.limit_ma:.4g} mA")
    # no break inside of a short item
    items = [i.replace(" ", "\xa0") if len(i) < 40 else i for i in items]
    settings = "; ".join(items)
    title = f"{tracing.title.capitalize()} into {ohms(tracing.load_ohm)}"
    paragraphs = (tracing.mode, title, settings)
    return "\n".join(
        line for text in paragraphs for line in textwrap.wrap(text, _LETTERS)
    )


def _unit(tracing: Tracing) -> tuple[str, float]:
    length_s = tracing.t_s[-1]
    for unit, per_s in (("µs", 1e6), ("ms", 1e3)):
        if length_s * per_s < 5000:
            return unit, per_s
    return "s", 1.0


def inline(svg: str, prefix: str, description: str) -> ElementTree.Element:
    """Return a picture as an element of an HTML page.

    Its ids get a prefix, since those of all pictures share the page; its style
    sheet, which would hold for the whole page, becomes attributes.
    """
    root = ElementTree.fromstring(svg)
    for element in root.iter():
        element.tag = element.tag.removeprefix(f"{{{_SVG}}}")
        for name in list(element.attrib):
            value = element.attrib.pop(name)
            if name == "id":
                value = f"{prefix}{value}"
            value = value.replace("url(#", f"url(#{prefix}")
            if name.endswith("href"):
                value = value.replace("#", f"#{prefix}", 1)
            element.set(name.rpartition("}")[2], value)
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in ("style", "metadata") or "}" in str(child.tag):
                parent.remove(child)
    root.attrib.pop("version", None)
    for name in ("width", "height"):
        root.attrib.pop(name, None)
    root.set("stroke-linejoin", "round")
    root.set("role", "img")
    root.set("aria-label", description)
    return root
