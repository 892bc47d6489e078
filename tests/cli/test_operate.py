"""``run`` on a terminal: a real pseudo-terminal, keys, and the screen they change."""

from __future__ import annotations

import os
import re
import select
import signal
import struct
import subprocess
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

import nmes_wave as nw

if os.name != "posix":
    pytest.skip("pseudo-terminals of POSIX", allow_module_level=True)

import fcntl
import pty
import termios

from nmes_wave.cli._operate import STEPS, stepped

# The terminal becomes the one that controls the process: Ctrl-C is a signal then.
MAIN = (
    "import fcntl, sys, termios\n"
    "fcntl.ioctl(0, termios.TIOCSCTTY, 0)\n"
    "from nmes_wave.cli import main\n"
    "sys.exit(main())\n"
)
#: The same from the background: another group of processes has the terminal.
BACKGROUND = (
    "import fcntl, subprocess, sys, termios\n"
    "fcntl.ioctl(0, termios.TIOCSCTTY, 0)\n"
    "code = 'import sys; from nmes_wave.cli import main; sys.exit(main())'\n"
    "run = [sys.executable, '-c', code, *sys.argv[1:]]\n"
    "sys.exit(subprocess.Popen(run, process_group=0).wait())\n"
)
PATIENCE_S = 20.0
UP, DOWN, RIGHT, LEFT = (f"\x1b[{letter}" for letter in "ABCD")
ALTERNATE, NORMAL = "\x1b[?1049h", "\x1b[?1049l"
HIDDEN, SHOWN = "\x1b[?25l", "\x1b[?25h"


class Terminal:
    """A terminal with the command in it; stdout is not of it, as in a pipe."""

    def __init__(self, *arguments, columns=80, code=MAIN, **environment):
        self.columns = columns
        self.end, other = pty.openpty()
        size = struct.pack("HHHH", 30, columns, 0, 0)
        fcntl.ioctl(self.end, termios.TIOCSWINSZ, size)
        self.modes = termios.tcgetattr(self.end)
        self.seen = ""
        inherited = {k: v for k, v in os.environ.items() if k not in NOT_INHERITED}
        self.process = subprocess.Popen(
            [sys.executable, "-c", code, "run", *map(str, arguments)],
            stdin=other,
            stdout=subprocess.PIPE,
            stderr=other,
            start_new_session=True,
            env={**inherited, "TERM": "xterm-256color", **environment},
        )
        os.close(other)

    def press(self, keys):
        os.write(self.end, keys if isinstance(keys, bytes) else keys.encode())

    def screen(self):
        """Return the last drawing that is complete, as lines without colours."""
        drawings = self.seen.split("\x1b[H")
        return plain(drawings[-2] if len(drawings) > 2 else "").split("\n")

    def read(self, timeout_s=0.05):
        """Take what is there; False at the end."""
        if not select.select([self.end], [], [], timeout_s)[0]:
            return True
        try:
            part = os.read(self.end, 65536)
        except OSError:  # EIO: nobody has the other end any more
            return False
        self.seen += part.decode(errors="replace")
        return bool(part)

    def until(self, pattern):
        """Wait until the screen shows it; return the match."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            if match := re.search(pattern, "\n".join(self.screen())):
                return match
            if not self.read():
                break
        raise AssertionError(f"no {pattern!r} on the screen:\n{plain(self.seen)}")

    def finish(self):
        """Return exit code, stdout, and what was written after the view."""
        deadline = time.monotonic() + PATIENCE_S
        # the modes are lost when the last process leaves the terminal
        while self.read() and self.process.poll() is None:
            assert time.monotonic() < deadline, plain(self.seen)
        while self.read(0) and select.select([self.end], [], [], 0)[0]:
            pass
        out = self.process.stdout.read().decode()
        return (
            self.process.wait(PATIENCE_S),
            out,
            plain(self.seen.rpartition(NORMAL)[2]),
        )


#: Of the environment of the tests, what would change the view.
NOT_INHERITED = {"COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "TERM"}


def plain(text):
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text).replace("\r", "")


@pytest.fixture
def terminal(tmp_path):
    """Open a terminal with a run of 60 s on two channels, or as long as asked."""
    begun = []

    def begin(*arguments, on_s=3.0, repeats=20, n_channels=2, **options):
        path = tmp_path / "p.toml"
        stage = nw.Stage(
            event=nw.Pulse(phase_width_us=300),
            train=nw.Train(rate_hz=40),
            duty_cycle=nw.DutyCycle(on_s=on_s, repeats=repeats),
            amplitude_ma=20,
        )
        channels = [
            nw.Channel(name=f"muscle {i}", stages=[stage]) for i in range(n_channels)
        ]
        nw.StimProtocol(name="both [red] legs", channels=channels).save(path)
        begun.append(Terminal(path, "--sink", "null", *arguments, **options))
        return begun[-1]

    yield begin
    for each in begun:
        each.process.kill()
        each.process.wait()
        each.process.stdout.close()
        os.close(each.end)


@pytest.mark.parametrize("columns", [80, 40])
def test_the_view_tells_all_and_fits(terminal, columns):
    t = terminal("--intensity", "0.5", columns=columns)
    t.until("RUNNING")
    t.until(r"muscle 1 +1 of 20 +10\.0")
    lines = t.screen()
    assert {len(line) for line in lines} <= {columns}
    text = "\n".join(lines)
    for words in (
        "both [red] legs",
        "left of 1 min 0 s",
        "SPACE BAR (or Ctrl-C): EMERGENCY STOP",
        "intensity 0.50 asked, 0.50 delivered",
        "muscle 0",
        "underruns 0",
        "capped 0",
        "callback at worst",
        "stop at worst 0.6 ms",
        "up, down intensity ± 0.05",
        "right, left ± 0.01",
        "p pause, resume",
        "s stop, with a ramp",
    ):
        assert words in text
    t.press("s")
    assert t.finish()[0] == 0


def test_of_many_channels_the_leading_one_is_shown(terminal):
    t = terminal("--full-scale-ma", "30", n_channels=9)
    t.until("and 8 more")
    assert "\n".join(t.screen()).count("muscle") == 1
    t.press("s")
    assert t.finish()[0] == 0


def test_keys_operate_it(terminal):
    t = terminal()
    t.until(r"intensity 0\.00 asked, 0\.00 delivered")
    t.press(UP + "+=" + DOWN + RIGHT + RIGHT + LEFT)
    t.until(r"intensity 0\.11 asked, 0\.11 delivered")
    t.press("-_--")
    t.until(r"intensity 0\.00 asked, 0\.00 delivered")
    t.press("?x\x1b[5~\x1b[999z\t\r" + UP)  # most keys mean nothing
    t.press(b"\xff\xc3\xe9" + UP.encode())  # nor do bytes that are no text
    t.press("\x13")  # Ctrl-S: it must not hold the view, or the keys
    t.until(r"intensity 0\.10 asked, 0\.10 delivered")
    t.press("p")
    t.until("PAUSED")
    time.sleep(0.3)
    left_s = t.until(r"(\d+) s left")[1]
    time.sleep(1.2)
    t.read()
    assert t.until(r"(\d+) s left")[1] == left_s
    t.press("P")
    t.until("RUNNING")
    t.press("s" + UP)
    t.until("STOPPING")
    t.until("set_intensity: the session is stop")
    code, out, after = t.finish()
    assert (code, after.strip()) == (0, "")
    assert "pulses" in out


WAYS_OUT = {
    "space": (" ", 130),
    "space in a cut sequence": ("\x1b[ ", 130),
    "space after half a letter": (b"\xc3 ", 130),
    "control and space": ("\0", 130),
    "Ctrl-C": ("\x03", 130),
    "Ctrl-Z": ("\x1a", 130),
    "Ctrl-\\": ("\x1c", 130),
    "SIGTERM": (signal.SIGTERM, 130),
    "SIGHUP": (signal.SIGHUP, 130),
    "stop": ("s", 0),
    "end": (None, 0),
}


@pytest.mark.parametrize("way", WAYS_OUT)
def test_every_way_out_restores_the_terminal(terminal, way):
    how, expected = WAYS_OUT[way]
    t = terminal("--intensity", "1", on_s=1.0, repeats=1 if way == "end" else 20)
    t.until("RUNNING")
    assert not termios.tcgetattr(t.end)[3] & (termios.ICANON | termios.ECHO)
    if isinstance(how, signal.Signals):
        t.process.send_signal(how)
    elif how is not None:
        t.press(how)
    code, out, after = t.finish()
    assert code == expected, after
    assert termios.tcgetattr(t.end) == t.modes
    assert t.seen.count(ALTERNATE) == t.seen.count(NORMAL) == 1
    assert t.seen.rindex(SHOWN) > t.seen.rindex(HIDDEN)
    if expected:
        assert out == ""
        assert " FAULT " in after  # the last view stays
        assert "EMERGENCY STOP: no further pulse" in after
        assert re.search(r"nmes-wave: interrupted: no pulse after \d", after)
    else:
        assert "at intensity 1" in out
        assert after.strip() == ""


def test_a_terminal_that_takes_no_more_ends_it(terminal):
    t = terminal("--watchdog-s", "0.3", "--intensity", "1")
    t.until("RUNNING")
    time.sleep(5)  # nobody reads: the view stands, unseen
    code, _, after = t.finish()
    assert code == 3, after
    assert "WATCHDOG: no further pulse" in after
    assert "nmes-wave: the watchdog stopped delivery" in after
    assert termios.tcgetattr(t.end) == t.modes


@pytest.mark.parametrize(
    "options", [{"code": BACKGROUND}, {"TERM": "dumb"}], ids=["background", "dumb"]
)
def test_without_keys_there_is_no_view(terminal, options):
    t = terminal("--intensity", "1", on_s=0.5, repeats=1, **options)
    code, out, _ = t.finish()
    assert code == 0
    assert "at intensity 1" in out
    assert ALTERNATE not in t.seen
    assert "EMERGENCY" not in t.seen


@given(st.lists(st.sampled_from(sorted(STEPS.values())), max_size=60))
def test_steps_stay_in_range_and_on_hundredths(steps):
    asked = 0.0
    for step in steps:
        asked = stepped(asked, step)
        assert 0 <= asked <= 1
        assert asked == round(asked, 2)


def test_twenty_steps_are_all():
    asked = 0.0
    for _ in range(20):
        asked = stepped(asked, STEPS["KEY_UP"])
    assert asked == 1
