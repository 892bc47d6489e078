"""Sphinx configuration; nothing here needs the network."""

import re
from importlib import metadata
from typing import Any

project = "nmes_wave"
author = "The nmes_wave developers"
project_copyright = f"2026, {author}"
release = metadata.version("nmes-wave")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
default_role = "py:obj"
myst_heading_anchors = 3

# Annotations carry ranges (Annotated[float, Range(...)]), which no signature
# should show; the docstrings say them in words.
autodoc_typehints = "none"
autodoc_member_order = "bysource"
python_use_unqualified_type_names = True
napoleon_google_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False

html_theme = "furo"
html_title = f"nmes_wave {release}"


def tidy(
    app: Any, what: str, name: str, thing: Any, options: Any, lines: list[str]
) -> None:
    """Finish what napoleon leaves of a docstring."""
    text = "\n".join(lines)
    # nmes_wave.Pulse, not the module that it comes from
    modules = r"nmes_wave\.(?:spec\.\w+|output|limits|plan|status|sinks\.base)\."
    text = re.sub(modules + "(?=[A-Z])", "nmes_wave.", text)
    # "stage, on_period : tuple of int" is two attributes of one description
    shared = r"^:(ivar|vartype) (\w+(?:, \w+)+):(.*(?:\n +.*)*)"
    text = re.sub(shared, apart, text, flags=re.M)
    lines[:] = text.split("\n")


def apart(field: re.Match[str]) -> str:
    """Repeat a field for each of its names."""
    kind, names, body = field.groups()
    return "\n".join(f":{kind} {name}:{body}" for name in names.split(", "))


def setup(app: Any) -> None:
    """Connect `tidy`, after napoleon (500)."""
    app.connect("autodoc-process-docstring", tidy, priority=600)
