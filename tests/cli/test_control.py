"""``run --control -``: commands on standard input, JSON events on standard output."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

import nmes_wave as nw
from nmes_wave.cli._lines import LONGEST_LINE, Command, Lines, parse
from nmes_wave.cli._options import UsageError
from nmes_wave.record import read_events

MAIN = (
    sys.executable,
    "-c",
    "import sys; from nmes_wave.cli import main; sys.exit(main())",
)
#: More than any answer takes, less than a hang.
PATIENCE_S = 20.0
on_posix = pytest.mark.skipif(os.name != "posix", reason="signals and FIFOs of POSIX")


class Script:
    """A script that runs the command, and hears every event as it comes."""

    def __init__(self, path, *arguments):
        self.process = subprocess.Popen(
            [*MAIN, "run", str(path), "--sink", "null", "--control", "-", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=path.parent,
        )
        self.heard = []
        self._events = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self.process.stdout:
            self._events.put(line)
        self._events.put(None)

    def send(self, line):
        text = line if isinstance(line, bytes) else line.encode()
        self.process.stdin.write(text + b"\n")
        self.process.stdin.flush()

    def until(self, **facts):
        """Return the next event that has these facts."""
        while (line := self._events.get(timeout=PATIENCE_S)) is not None:
            event = json.loads(line)
            self.heard.append(event)
            if facts.items() <= event.items():
                return event
        raise AssertionError(f"no {facts} in {self.heard}")

    def answer(self, line):
        """Send a line; return the answer to it."""
        self.send(line)
        while True:
            event = self.until()
            if event["event"] in ("ok", "error"):
                return event

    def end(self):
        """Return the exit code, stderr, and the last event."""
        last = self.until(event="end")
        assert self._events.get(timeout=PATIENCE_S) is None
        code = self.process.wait(timeout=PATIENCE_S)
        error = self.process.stderr.read().decode()
        assert "Traceback" not in error
        return code, error, last

    def states(self):
        return [e["state"] for e in self.heard if e["event"] == "state"]


@pytest.fixture
def script(tmp_path):
    """Start a script on a protocol of two channels that lasts a minute."""
    begun = []

    def begin(*arguments):
        path = tmp_path / "long.toml"
        save(path)
        begun.append(Script(path, *arguments))
        begun[-1].until(event="state", state="running")
        return begun[-1]

    yield begin
    for each in begun:
        each.process.kill()
        each.process.wait()
        each._reader.join()
        for stream in (each.process.stdout, each.process.stderr):
            stream.close()
        try:
            each.process.stdin.close()
        except BrokenPipeError:
            pass


def save(path, rate_hz=40, n_channels=2):
    stage = nw.Stage(
        event=nw.Pulse(phase_width_us=300),
        train=nw.Train(rate_hz=rate_hz),
        duty_cycle=nw.DutyCycle(on_s=60),
        amplitude_ma=20,
    )
    channels = [nw.Channel(name=f"c{i}", stages=[stage]) for i in range(n_channels)]
    nw.StimProtocol(name="long", channels=channels).save(path)


def test_a_script_operates_a_session(script):
    s = script("--watchdog-s", "10")
    assert s.answer("intensity 0.4") == {"event": "ok", "command": "intensity 0.4"}
    assert s.answer("intensity 0.2 1")["event"] == "ok"
    time.sleep(0.6)  # the slew: 0.4 takes 0.4 s
    assert s.answer("status")["event"] == "ok"
    status = s.until(event="status")
    assert status["intensity"] == pytest.approx([0.4, 0.2])
    assert status["pulses"] > 0
    assert status["fault"] is None
    assert 0.5 < status["time_s"] < status["duration_s"] == 60
    assert s.answer("pause")["event"] == "ok"
    at = s.until(event="state", state="paused")
    assert at["time_s"] == pytest.approx(at["frame"] / 48000, abs=1e-6)
    assert s.answer("RESUME \r")["event"] == "ok"
    s.until(event="state", state="running")
    assert s.answer("feed")["event"] == "ok"
    assert s.answer("stop")["event"] == "ok"
    s.until(event="state", state="stopped")
    code, error, last = s.end()
    assert code == 0
    assert error.startswith("intensity 0: silence")
    assert (last["state"], last["fault"]) == ("closed", None)
    assert s.states() == "running paused running stopping stopped".split()


def test_the_status_comes_by_itself_about_once_a_second(script):
    s = script("--watchdog-s", "10")
    begin = time.monotonic()
    first = s.until(event="status")
    second = s.until(event="status")
    assert 1.5 < time.monotonic() - begin < 4
    assert 0.9 < second["time_s"] - first["time_s"] < 2


def test_another_protocol_is_loaded(script, tmp_path):
    s = script("--watchdog-s", "10")
    save(tmp_path / "another one.toml", rate_hz=80)
    save(tmp_path / "wide.toml", n_channels=3)
    (tmp_path / "wrong.toml").write_text("format = 1\nname = 3\n")
    assert "No such file" in s.answer("load nowhere.toml")["message"]
    assert "wrong.toml" in s.answer("load wrong.toml")["message"]
    assert "n_channels" in s.answer("load wide.toml")["message"]
    s.answer("status")
    before = s.until(event="status")
    assert s.answer("load another one.toml")["event"] == "ok"
    time.sleep(0.2)
    s.answer("status")
    assert s.until(event="status")["frame"] < before["frame"] + 12000  # from 0 again
    s.answer("stop")
    assert s.end()[0] == 0


def test_what_is_loaded_is_meant_with_the_options_of_the_run(script, tmp_path):
    log = tmp_path / "log.tsv"
    run = script("--amplitude-ma", "5", "--intensity", "1", "--log", str(log))
    time.sleep(0.3)
    assert run.answer("load ./long.toml")["event"] == "ok"
    time.sleep(1.5)
    run.send("stop")
    run.end()
    events = read_events(log).events
    assert set(events["load"].tolist()) == {0, 1}
    for load in (0, 1):
        peak_ma = events["amplitude_ma"][events["load"] == load].max()
        assert peak_ma == pytest.approx(5.0, rel=1e-4)


def test_a_last_line_without_an_end_is_obeyed(script):
    run = script("--intensity", "1")
    run.process.stdin.write(b"emergency")
    run.process.stdin.close()
    code, _, last = run.end()
    assert code == 130
    assert last["fault"] == "emergency stop"


def test_the_end_of_its_input_stops_it(script):
    s = script("--watchdog-s", "10", "--intensity", "1")
    s.process.stdin.close()
    code, error, last = s.end()
    assert (code, error) == (0, "")
    assert s.states() == ["running", "stopping", "stopped"]
    assert last["fault"] is None


def test_a_silent_script_trips_the_watchdog_and_a_feeding_one_does_not(script):
    s = script("--watchdog-s", "0.5", "--intensity", "1")
    for _ in range(10):
        assert s.answer("feed")["event"] == "ok"
        time.sleep(0.1)
    begin = time.monotonic()
    fault = s.until(event="state", state="fault")
    assert 0.5 < time.monotonic() - begin < 2.5  # with half a second of ramp
    assert fault["fault"] == "watchdog"
    code, error, last = s.end()
    assert code == 3
    assert error.startswith("nmes-wave: the watchdog stopped delivery")
    assert last["fault"] == "watchdog"


BAD_LINES = [
    b"",
    b"   ",
    b"intensity",
    b"intensity much",
    b"intensity nan",
    b"intensity inf",
    b"intensity 0_1",
    b"intensity 0,5",
    b"intensity 1.01",
    b"intensity -0.1",
    b"intensity 0.5 2",
    b"intensity 0.5 -1",
    b"intensity 0.5 0 0",
    b"intensity 0.5 99999999999999999999",
    b"stop now",
    b"load",
    b"load \0",
    b"load /dev/null",
    b"load /",
    b"\xff\xfe",
    b"pause\0",
    b"\x1b[31mstop",
    b'{"command": "stop"}',
    b"stop" * 300_000,
]


def test_no_line_ends_it(script):
    s = script("--watchdog-s", "10")
    for line in BAD_LINES:
        answer = s.answer(line)
        assert answer["event"] == "error", line[:40]
        assert len(answer["command"]) <= 80
        assert answer["message"]
    s.answer("status")
    status = s.until(event="status")
    assert (status["state"], status["intensity"]) == ("running", [0, 0])
    s.answer("stop")
    assert s.end()[0] == 0
    assert s.states() == ["running", "stopping", "stopped"]


@on_posix
def test_an_emergency_stop_overtakes_what_is_being_obeyed(script, tmp_path):
    s = script("--watchdog-s", "10", "--intensity", "1")
    os.mkfifo(tmp_path / "slow.toml")  # it keeps who reads it waiting
    s.send("load slow.toml")
    s.send("pause")
    s.send("emergency")
    time.sleep(1)
    (tmp_path / "slow.toml").write_text("")
    s.until(event="error", command="load slow.toml")
    s.until(event="error", command="pause")
    s.until(event="ok", command="emergency")
    code, error, last = s.end()
    assert code == 130
    assert "no pulse after 0." in error
    assert last["fault"] == "emergency stop"
    assert last["time_s"] < 0.9


@on_posix
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGTSTP"])
def test_a_signal_is_an_emergency_stop(script, name):
    s = script("--watchdog-s", "10", "--intensity", "1")
    s.process.send_signal(getattr(signal, name))
    code, error, last = s.end()
    assert code == 130
    assert error.startswith("nmes-wave: interrupted: no pulse after ")
    assert last["fault"] == "emergency stop"
    assert s.states() == ["running", "fault"]


@on_posix
def test_whoever_no_longer_listens_is_gone(tmp_path):
    save(tmp_path / "long.toml")
    log = tmp_path / "log.tsv"
    run = ["run", "long.toml", "--sink", "null", "--control", "-", "--intensity", "1"]
    process = subprocess.Popen(
        [*MAIN, *run, "--watchdog-s", "10", "--log", str(log)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=tmp_path,
    )
    assert b"running" in process.stdout.readline()
    process.stdout.close()
    begin = time.monotonic()
    process.stdin.write(b"status\n")
    process.stdin.flush()
    assert process.wait(timeout=PATIENCE_S) == 141
    assert time.monotonic() - begin < 5
    assert process.stderr.read() == b""
    process.stderr.close()
    process.stdin.close()
    # a ramp, no emergency stop
    ramped = read_events(log).events["intensity"]
    assert ramped[0] == 1
    assert ramped[-1] < 0.1


def test_the_record_and_its_note(script, tmp_path):
    log = tmp_path / "log.tsv"
    s = script("--intensity", "1", "--log", str(log), "--note", "left leg")
    s.answer("stop")
    assert s.end()[0] == 0
    record = read_events(log)
    assert len(record.events)
    assert "left leg" in json.dumps(record.sidecar)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--control", "3"), "only - (standard input)"),
        (("--note", "left leg"), "--log FILE"),
        (("--watchdog-s", "0"), "watchdog_s"),
    ],
)
def test_options_that_do_not_fit(cli, protocol_file, arguments, words):
    result = cli("run", protocol_file, "--sink", "null", *arguments)
    assert (result.code, result.out) == (2, "")
    assert words in result.err


@on_posix
def test_a_closed_standard_input_is_refused(tmp_path):
    save(tmp_path / "long.toml")
    run = "run long.toml --sink null --control -"
    result = subprocess.run(
        ["sh", "-c", f'exec "$0" "$@" {run} <&-', *MAIN],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    assert (result.returncode, result.stdout) == (2, "")
    assert "standard input, which is closed" in result.stderr


@pytest.mark.parametrize(
    ("line", "command"),
    [
        (b"intensity 1", Command("intensity", value=1.0)),
        (b" Intensity  .5\t3 ", Command("intensity", value=0.5, channel=3)),
        (b"intensity 5e-1\r", Command("intensity", value=0.5)),
        (b"EMERGENCY", Command("emergency")),
        (b"load my file.toml", Command("load", file="my file.toml")),
        ("load µ.toml".encode(), Command("load", file="µ.toml")),
    ],
)
def test_lines_that_are_commands(line, command):
    assert parse(line) == command


@given(st.binary(max_size=60) | st.text(max_size=60).map(lambda t: t.encode()))
def test_any_bytes_are_a_command_or_refused(line):
    try:
        words = parse(line).verb
    except UsageError as error:
        words = str(error)
    assert words
    assert words.isprintable()


@given(st.binary(max_size=400), st.lists(st.integers(0, 400), max_size=8))
def test_lines_do_not_depend_on_how_they_arrive(data, cuts):
    lines, whole = Lines(), Lines()
    edges = [0, *sorted(cuts), len(data)]
    parts = [data[a:b] for a, b in pairwise(edges)]
    found = [line for part in parts for line in lines.cut(part)]
    assert found == whole.cut(data) == data.split(b"\n")[:-1]


def test_a_line_without_an_end_takes_no_memory():
    lines = Lines()
    for _ in range(100):
        assert lines.cut(b"x" * 100_000) == []
    (line,) = lines.cut(b"\n")
    assert len(line) == LONGEST_LINE + 1
    with pytest.raises(UsageError, match="at most 4096 bytes"):
        parse(line)
    assert lines.cut(b"stop\n") == [b"stop"]
