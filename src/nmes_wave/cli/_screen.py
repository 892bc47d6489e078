"""What goes to the terminal: tables, facts, progress."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console

#: Width of tables that go to a file or a pipe.
PIPED_COLUMNS = 120


def console(file: IO[str] | None = None) -> Console:
    """Return a rich console for stdout (or `file`)."""
    from rich.console import Console

    class PipedConsole(Console):
        def on_broken_pipe(self) -> None:
            raise BrokenPipeError  # rich's own exits with 1, a failed check

    file = file or sys.stdout
    fixed = None if file.isatty() or "COLUMNS" in os.environ else PIPED_COLUMNS
    return PipedConsole(file=file, width=fixed, highlight=False, emoji=False)


def printable(text: str) -> str:
    """Return the text without what a terminal would obey: a file may hold it."""
    return "".join(c if c.isprintable() or c == "\n" else "?" for c in text)


def emit_json(data: Any) -> None:
    """Print data as JSON on stdout."""
    typer.echo(json.dumps(data, indent=2, ensure_ascii=False, default=str))


def emit_facts(facts: Mapping[str, str]) -> None:
    """Print names and values in two columns."""
    width = max(map(len, facts)) + 2
    for name, value in facts.items():
        typer.echo(f"  {name:<{width}}{value}")


def note(text: str) -> None:
    """Print a line for people, on stderr."""
    typer.echo(text, err=True)


@contextmanager
def progress(what: str, total: float) -> Iterator[Callable[[float], None]]:
    """Show a bar with the time left; yields a function of the amount done.

    Nothing is shown unless stderr is a terminal.
    """
    if not sys.stderr.isatty():
        yield lambda done: None
        return
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeRemainingColumn(),
        TextColumn("left"),
    )
    with Progress(*columns, console=console(sys.stderr), transient=True) as bars:
        task = bars.add_task(what, total=total)
        yield lambda done: bars.update(task, completed=done)


def is_operable() -> bool:
    """Whether somebody sits at a terminal that has keys and can show a view."""
    if not (sys.stdin and sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    if sys.platform != "win32":
        # Who reads or sets a terminal from the background is suspended.
        with suppress(OSError):  # it is not the one that controls us
            if os.tcgetpgrp(sys.stdin.fileno()) != os.getpgrp():
                return False
    return not console(sys.stderr).is_dumb_terminal
