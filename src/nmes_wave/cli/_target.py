"""Files that a command writes: whole, or not at all."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from nmes_wave.cli._options import UsageError
from nmes_wave.errors import FormatError, SinkError
from nmes_wave.files import file_path

Target = Annotated[
    Path,
    typer.Option("-o", "--output", metavar="FILE", help="File to write."),
]


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Yield a place to write `path` at; it takes its name when all went well.

    The place is in a folder of its own beside `path`, so that what a format
    writes beside the file (a sidecar) comes along, and that nothing is left
    after an error.
    """
    path = file_path(path).resolve()  # of a link, the file that it names
    folder = path.parent
    if not folder.is_dir():
        raise UsageError(f"{path}: there is no folder {folder}")
    if path.is_dir():
        raise UsageError(f"{path}: is a folder; a file name is needed")
    if path.exists() and not path.is_file():
        raise UsageError(f"{path}: is no regular file, which would be replaced")
    try:
        beside = tempfile.TemporaryDirectory(dir=folder, prefix=".nmes-wave-")
    except OSError as error:
        reason = error.strerror or error
        raise UsageError(f"{path}: cannot be written: {reason}") from None
    with beside as place:
        try:
            yield Path(place) / path.name
        except (FormatError, SinkError) as error:
            told = str(error).replace(str(Path(place) / path.name), str(path))
            told = told.replace("the file keeps what came before", "nothing is left")
            raise type(error)(told) from None
        for file in Path(place).iterdir():
            file.replace(folder / file.name)
