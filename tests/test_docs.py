"""What the README and the documentation show is run, page by page.

Of each page, in order and in one namespace: ``python`` blocks are executed,
``pycon`` blocks are doctests, ``toml`` blocks with a format are protocols, and
``console`` blocks are commands that must succeed. Other blocks (``sh``: what
needs a device, the network or a shell) are not run.
"""

from __future__ import annotations

import doctest
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import nmes_wave as nw

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
LANGUAGES = {"python", "pycon", "toml", "console", "sh", "json", "text"}
FENCE = re.compile(r"^```([a-z]+)\n(.*?)^```$", re.M | re.S)


def blocks(page: Path) -> Iterator[tuple[str, str, int]]:
    """Yield language, text and line number of each block."""
    text = page.read_text("utf-8")
    for found in FENCE.finditer(text):
        yield found[1], found[2], text[: found.start()].count("\n") + 2


def run_python(source: str, names: dict[str, Any], page: Path, line: int) -> None:
    # Empty lines in front, so that a traceback tells the page's own line.
    code = compile("\n" * (line - 1) + source, str(page), "exec")
    exec(code, names)


def run_doctest(source: str, names: dict[str, Any], page: Path, line: int) -> None:
    test = doctest.DocTestParser().get_doctest(
        source, names, page.name, str(page), line - 1
    )
    assert test.examples, f"{page.name}:{line} has no prompt"
    problems: list[str] = []
    runner = doctest.DocTestRunner(verbose=False, optionflags=doctest.ELLIPSIS)
    runner.run(test, out=problems.append, clear_globs=False)
    names.update(test.globs)
    assert not problems, "".join(problems)


def run_command(line: str) -> None:
    from nmes_wave.cli import main

    program, *arguments = shlex.split(line, comments=True)
    assert program == "nmes-wave"
    assert main(arguments) == 0, line


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_what_a_page_shows_runs(page, tmp_path, monkeypatch):
    if page.stem == "dask":
        pytest.importorskip("dask.array")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": page.stem}
    for language, text, line in blocks(page):
        assert language in LANGUAGES, f"{page.name}:{line}: {language}"
        if language == "python":
            run_python(text, names, page, line)
        elif language == "pycon":
            run_doctest(text, names, page, line)
        elif language == "toml" and text.startswith("format ="):
            nw.StimProtocol.from_toml(text)
        elif language == "console":
            for command in re.findall(r"^\$ (.*)$", text, re.M):
                run_command(command)


def test_blocks_are_found_and_run():
    kinds = {language for page in PAGES for language, _, _ in blocks(page)}
    assert {"python", "pycon", "toml", "console", "sh"} <= kinds


def test_a_wrong_line_on_a_page_is_an_error(tmp_path):
    page = tmp_path / "page.md"
    with pytest.raises(ZeroDivisionError, match="division") as caught:
        run_python("x = 1 / 0\n", {}, page, 7)
    assert caught.traceback[-1].lineno + 1 == 7
    with pytest.raises(AssertionError, match="Expected:"):
        run_doctest(">>> 1 + 1\n3\n", {}, page, 1)


def test_both_commands_of_the_readme_are_one_line_each():
    text = PAGES[0].read_text("utf-8")
    commands = re.findall(r"^(python3 -m venv .*)$", text, re.M)
    assert len(commands) == 2
    assert commands[0].endswith(".venv/bin/nmes-wave demo")
    assert commands[1].endswith(".venv/bin/python -m pytest")
    # what CI runs is found in the README by this line
    ci = (ROOT / ".ci" / "run").read_text("utf-8")
    assert "README.md" in ci
