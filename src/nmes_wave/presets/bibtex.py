"""Citations as BibTeX."""

from __future__ import annotations

import re

from nmes_wave.presets.evidence import NOT_FOUND, Citation

#: ``14(1):131-8``: volume, number where there is one, pages.
_PAGES = re.compile(r"(?P<volume>\d+)(?:\((?P<number>[^)]+)\))?:(?P<pages>\S+)")


def bibtex(citation: Citation) -> str:
    """Return a citation as a BibTeX entry.

    What was not found is left out, and named in a comment above the entry.

    Parameters
    ----------
    citation
        As in ``preset.citations``.

    Returns
    -------
    str
        The entry, without a line break at its end.
    """
    fields = {
        "author": _authors(citation),
        "title": f"{{{_escaped(citation.title)}}}",  # keeps its capitals
        "year": citation.year,
        ("journal" if citation.entry == "article" else "howpublished"): _escaped(
            citation.journal
        ),
        **_pages(citation.pages),
        "doi": citation.doi,
        "url": citation.url,
    }
    missing = [
        name
        for name in ("authors", "title", "year", "journal", "pages", "doi", "url")
        if getattr(citation, name) == NOT_FOUND
    ]
    lines = [f"% {NOT_FOUND}: {', '.join(missing)}"] if missing else []
    lines.append(f"@{citation.entry}{{{citation.key},")
    lines += [
        f"  {name} = {{{text}}},"
        for name, text in fields.items()
        if text.strip("{}") != NOT_FOUND
    ]
    return "\n".join([*lines, "}"])


def _authors(citation: Citation) -> str:
    names = _escaped(citation.authors)
    if citation.corporate:
        return f"{{{names}}}"
    names = re.sub(r",? et al\.?$", ", others", names)
    return " and ".join(name.strip() for name in names.split(","))


def _pages(text: str) -> dict[str, str]:
    found = _PAGES.fullmatch(text)
    if found is None:
        return {"pages": _escaped(text)}
    parts = {name: part for name, part in found.groupdict().items() if part}
    parts["pages"] = re.sub(r"[-–]+", "--", parts["pages"])
    return parts


def _escaped(text: str) -> str:
    return re.sub(r"([&%$#_])", r"\\\1", text)
