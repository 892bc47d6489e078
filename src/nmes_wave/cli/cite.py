"""``cite``: the publications behind a preset."""

from __future__ import annotations

import dataclasses
from typing import Annotated

import typer

from nmes_wave.cli._options import Json, load_preset
from nmes_wave.cli._screen import emit_json


def cite(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="A preset.", show_default=False)
    ],
    bibtex: Annotated[
        bool, typer.Option("--bibtex", help="Print nothing but the BibTeX entries.")
    ] = False,
    json: Json = False,
) -> None:
    """Print the references of a preset, and the same as BibTeX."""
    from nmes_wave.presets import bibtex as entry

    citations = load_preset(name).citations
    if json:
        emit_json([{**dataclasses.asdict(c), "bibtex": entry(c)} for c in citations])
        return
    if not bibtex:
        for citation in citations:
            typer.echo(str(citation))
        typer.echo()
    typer.echo("\n\n".join(map(entry, citations)))
