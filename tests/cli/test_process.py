"""The command as a process: its start, its pipes, its terminal."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

MAIN = (
    sys.executable,
    "-c",
    "import sys; from nmes_wave.cli import main; sys.exit(main())",
)
PRESET = "tka-stevens-lapsley-2012"


def run(*arguments, **options):
    return subprocess.run(
        [*MAIN, *arguments], capture_output=True, text=True, timeout=60, **options
    )


def test_what_presets_does_not_need_is_not_imported():
    code = (
        "import sys\n"
        "from nmes_wave.cli import main\n"
        "main(['presets'])\n"
        "heavy = {'matplotlib', 'scipy', 'sounddevice', 'soundfile'}\n"
        "sys.exit(len(heavy & set(sys.modules)))\n"
    )
    assert subprocess.run([sys.executable, "-c", code], stdout=-3).returncode == 0


def test_help_and_version():
    for arguments in ([], ["--help"], ["run", "-h"]):
        result = run(*arguments)
        assert result.returncode == 0
        assert "Usage: nmes-wave" in result.stdout
    assert run("--version").stdout.startswith("nmes-wave 0.")


def test_a_reader_that_goes_away_is_no_traceback():
    process = subprocess.Popen(
        [*MAIN, "show", PRESET],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    assert process.stdout is not None
    process.stdout.close()
    assert process.wait(timeout=60) == 141
    assert process.stderr is not None
    assert process.stderr.read() == b""
    process.stderr.close()


def test_a_terminal_without_greek_letters():
    result = run("presets", env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert (result.returncode, result.stderr) == (0, "")
    assert "250 ?s" in result.stdout


@pytest.mark.skipif(os.name != "posix", reason="pseudo-terminals of POSIX")
@pytest.mark.parametrize("command", ["render", "plot", "run"])
def test_a_terminal_sees_the_progress_and_a_pipe_does_not(command, tmp_path):
    import pty

    arguments = [command, PRESET, "--amplitude-ma", "40", "--contractions", "1"]
    if command == "run":
        arguments += ["--sink", "file:a.wav", "--intensity", "1"]
    else:
        arguments += ["-o", {"render": "a.wav", "plot": "a.png"}[command]]
    quiet = run(*arguments, cwd=tmp_path)
    assert (quiet.returncode, quiet.stderr) == (0, "")

    terminal, end = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    process = subprocess.Popen(
        [*MAIN, *arguments], cwd=tmp_path, stdout=-3, stderr=end, env=environment
    )
    os.close(end)
    seen = b""
    try:
        while part := os.read(terminal, 4096):
            seen += part
    except OSError:  # EIO: the other end is closed
        pass
    os.close(terminal)
    assert process.wait(timeout=60) == 0
    assert " %" in seen.decode()
    assert "left" in seen.decode()
