"""Sphinx configuration; nothing here needs the network."""

from importlib.metadata import version

project = "nmes_wave"
author = "The nmes_wave developers"
project_copyright = f"2026, {author}"
release = version("nmes-wave")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
default_role = "py:obj"
myst_heading_anchors = 3

# Annotations carry ranges (Annotated[float, Range(...)]), which no signature
# should show; the docstrings say them in words.
autodoc_typehints = "none"
autodoc_member_order = "bysource"
napoleon_google_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False

html_theme = "furo"
html_title = f"nmes_wave {release}"
