"""``bench``: what the engine costs here, beside the machine's limits and peers."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nmes_wave.cli._options import UsageError
from nmes_wave.cli._screen import console, emit_facts, note, printable, progress
from nmes_wave.cli._target import whole
from nmes_wave.errors import FormatError
from nmes_wave.files import file_path

if TYPE_CHECKING:
    from nmes_wave.bench import Run


def bench(
    quick: Annotated[
        bool, typer.Option("--quick", help="Few rounds: for a look, not for a figure.")
    ] = False,
    scenario: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Only this, such as sparse-int24. As often as needed.",
            show_default=False,
        ),
    ] = None,
    peers_python: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            help="Interpreter of an environment with the peers: measures them too.",
            show_default=False,
        ),
    ] = None,
    json: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Write all statistics as JSON.", show_default=False
        ),
    ] = None,
    read: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Measure nothing: print the tables of this JSON.",
            show_default=False,
        ),
    ] = None,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print Markdown instead.")
    ] = False,
) -> None:
    """Measure rendering, plan building and start-up, as ratios within one run."""
    from nmes_wave.bench import tables

    if read is not None:
        if quick or scenario or peers_python or json:
            raise UsageError("--read measures nothing: it goes with --markdown only")
        result = _read(read)
    elif json is None:
        result = _measure(quick, scenario or [], peers_python, None)
    else:
        with whole(json) as place:  # which says at once that it cannot be written
            result = _measure(quick, scenario or [], peers_python, json)
            place.write_text(result.to_json(), "utf-8")
    if markdown:
        typer.echo(tables.markdown(result), nl=False)
        return
    _print(result)


def _read(path: Path) -> Run:
    from nmes_wave.bench import Run

    try:
        return Run.from_json(file_path(path).read_text("utf-8"))
    except (FormatError, UnicodeDecodeError) as error:
        raise FormatError(f"{path}: {error}") from None


def _measure(
    quick: bool, scenarios: list[str], peers_python: Path | None, json: Path | None
) -> Run:
    from nmes_wave.bench import run
    from nmes_wave.bench.peers import PEER_SCENARIOS

    if peers_python is not None and not peers_python.is_file():
        raise UsageError(f"--peers-python {peers_python}: there is no such file")
    if peers_python and scenarios and not {*scenarios} & {*PEER_SCENARIOS}:
        raise UsageError(
            f"--peers-python: the peers render {' and '.join(PEER_SCENARIOS)} only"
        )
    words = ["nmes-wave", "bench", *["--quick"] * quick]
    for name in scenarios:
        words += ["--scenario", name]
    for option, path in (("--peers-python", peers_python), ("--json", json)):
        words += [option, str(path)] if path else []
    with progress("measuring", 1.0) as done:
        return run(
            scenarios,
            quick=quick,
            peers_python=peers_python,
            command=shlex.join(words),
            done=done,
        )


def _print(result: Run) -> None:
    from rich.table import Table
    from rich.text import Text

    from nmes_wave.bench.tables import facts, tables

    emit_facts({name: printable(text) for name, text in facts(result).items()})
    screen = console()
    for table in tables(result):
        screen.print()
        screen.print(Text(printable(table.title), "bold"))
        shown = Table(box=None, pad_edge=False, header_style="bold")
        for i, heading in enumerate(table.headings):
            shown.add_column(
                Text(heading),
                justify="right" if i else "left",
                no_wrap=True,
            )
        for row in table.rows:
            style = "bold red" if row[-1] == "NOT MET" else ""
            shown.add_row(*(Text(printable(cell), style) for cell in row))
        screen.print(shown)
        for text in table.notes:
            screen.print(Text(printable(text), "dim"))
    if result.quick:
        note("few rounds (--quick): for a look, not for a figure")
