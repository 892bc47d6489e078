"""The command line: ``nmes-wave``.

Data goes to stdout, everything else to stderr. Exit codes: 0 done; 1 a limit or
a check failed; 2 bad usage or bad input; 3 the device failed; 130 interrupted.
An error is one line, never a traceback. Commands import what they need when
they run, so that the small ones start at once.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Annotated, TextIO

import typer

from nmes_wave.cli._screen import printable
from nmes_wave.cli._signals import orderly_signals
from nmes_wave.errors import LimitError, NmesWaveError, SinkError, StateError

__all__ = ["main"]

FAILED, BAD_INPUT, DEVICE_FAILED, INTERRUPTED = 1, 2, 3, 130
#: What a shell reports of a program whose reader went away.
BROKEN_PIPE = 141

#: The commands in the order of the help, and the modules that hold them.
COMMANDS = {
    "demo": "demo",
    "presets": "catalogue",
    "show": "show",
    "cite": "cite",
    "indications": "indications",
    "check": "check",
    "render": "render",
    "plot": "plot",
    "spec": "spec",
    "run": "run",
    "measure": "measure",
    "verify": "verify",
    "devices": "devices",
    "bench": "bench",
}


def _app(arguments: Sequence[str]) -> typer.Typer:
    """Return the application with the command that is asked for, else with all.

    A command alone starts in half the time of all of them.
    """
    asked = next(iter(arguments), "")
    app = typer.Typer(
        add_completion=False,
        rich_markup_mode="rich",
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback(invoke_without_command=True)(_begin)
    for name in [asked] if asked in COMMANDS else COMMANDS:
        module = import_module(f"nmes_wave.cli.{COMMANDS[name]}")
        app.command(name)(getattr(module, name))
    return app


def _begin(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.")
    ] = False,
) -> None:
    """Stimulation waveforms, exact to the sample: describe, check, render, deliver.

    Engineering and research software for test loads and electrodes, not a
    medical device. Begin with [bold]nmes-wave demo[/bold].
    """
    if version:
        from importlib.metadata import version as version_of

        typer.echo(f"nmes-wave {version_of('nmes-wave')}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code.

    Parameters
    ----------
    arguments
        None: those of the process.
    """
    # A caller may have closed them (`>&-`): then Python has none.
    sys.stdout = sys.stdout or _nowhere()
    sys.stderr = sys.stderr or _nowhere()
    for stream in (sys.stdout, sys.stderr):
        # µ and Ω on a terminal that has no such letters are no reason to fail.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        with orderly_signals():
            _invoke(sys.argv[1:] if arguments is None else list(arguments))
            sys.stdout.flush()
    except typer.Exit as end:
        return int(end.exit_code)
    except (KeyboardInterrupt, typer.Abort) as error:
        return _fail(INTERRUPTED, f"interrupted{': ' * bool(str(error))}{error}")
    except BrokenPipeError:
        # Python flushes once more at exit, and would complain then.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except LimitError as error:
        return _fail(FAILED, f"over the limits: {error}")
    except (SinkError, StateError) as error:
        return _fail(DEVICE_FAILED, str(error))
    except NmesWaveError as error:
        return _fail(BAD_INPUT, str(error))
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        return _fail(BAD_INPUT, f"{place}{error.strerror or error}")
    except MemoryError:
        return _fail(BAD_INPUT, "not enough memory for this")
    except Exception as error:
        if hasattr(error, "format_message"):  # typer's own, and click's in older ones
            return _fail(BAD_INPUT, error.format_message())
        raise
    return 0


def _nowhere() -> TextIO:
    return Path(os.devnull).open("w")  # until the process ends


def _invoke(arguments: list[str]) -> None:
    # Not app(): it turns errors into panels and interrupts into its own codes.
    command = typer.main.get_command(_app(arguments))
    with command.make_context("nmes-wave", arguments) as context:
        command.invoke(context)


def _fail(code: int, message: str) -> int:
    """Print one line, whatever a name or a file put into the message."""
    typer.echo(f"nmes-wave: {printable(' '.join(message.split()))}", err=True)
    return code
