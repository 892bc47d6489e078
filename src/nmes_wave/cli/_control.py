r"""``run --control -``: a session operated by a script, line by line.

Commands come on standard input, one on a line, in UTF-8::

    intensity X [CHANNEL]   0 to 1 of the planned amplitude; all channels without one
    pause                   stop the plan's clock; what is in flight finishes
    resume                  go on where the clock stands; the gain rises from zero
    stop                    ramp down over half a second
    emergency               no further event, at once
    feed                    nothing but a sign of life
    status                  tell the status now
    load NAME               change to this preset or file, with the options of the run

Answers and events go to standard output, one JSON object on a line:

``{"event": "ok", "command": …}`` or ``{"event": "error", "command": …, "message": …}``
    The answer to a line, in their order; a line that is wrong changes nothing.
``{"event": "state", "state": …, "frame": …, "time_s": …}``
    On every change of state.
``{"event": "status", …}``
    What `Status` holds, with ``time_s`` of ``duration_s``: on request and once a
    second.
``{"event": "end", …}``
    The last status, once the device is closed: nothing comes after it.

Only lines that arrive feed the watchdog, whatever they say: this program must not
keep a stimulation alive whose script hangs. A script that has nothing to say sends
``feed``; one that does not read what it is told is found out too, as soon as the
pipe is full. The end of standard input, or of standard output, means ``stop``.
"""

from __future__ import annotations

import dataclasses
import json
import os
import queue
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from nmes_wave.cli._lines import Command, Lines, parse
from nmes_wave.cli._options import UsageError
from nmes_wave.cli._screen import printable
from nmes_wave.errors import NmesWaveError
from nmes_wave.status import State

if TYPE_CHECKING:
    from nmes_wave.plan import Plan
    from nmes_wave.session import Session
    from nmes_wave.status import Status

#: Lines that may wait; then the script does.
WAITING_LINES = 1000
#: Time between two looks at the session.
POLL_S = 0.02
#: Time between two status events that nobody asked for.
STATUS_S = 1.0


class Listener(threading.Thread):
    """Reads lines, and waits where reading blocks; `lines` ends with None.

    An emergency stop is obeyed here: it must not wait for the lines before it,
    one of which may be compiling a protocol. Nothing else is, and the watchdog
    is not fed: that is for the program that obeys.

    Parameters
    ----------
    read
        Returns the next bytes, none at the end.
    emergency
        What an emergency stop calls.
    """

    def __init__(
        self, read: Callable[[], bytes], emergency: Callable[[], None]
    ) -> None:
        super().__init__(name="nmes-wave-control", daemon=True)
        self.lines: queue.Queue[bytes | None] = queue.Queue(WAITING_LINES)
        self._read = read
        self._emergency = emergency

    def run(self) -> None:
        """Read to the end."""
        lines = Lines()
        try:
            while data := self._read():
                self._arrived(lines.cut(data))
        except OSError:
            pass  # a terminal that has gone
        # what stands behind the last line's end
        self._arrived([line for line in lines.cut(b"\n") if line])
        self.lines.put(None)

    def _arrived(self, lines: list[bytes]) -> None:
        for line in lines:
            self._look(line)
        for line in lines:
            self.lines.put(line)

    def _look(self, line: bytes) -> None:
        try:
            if parse(line).verb == "emergency":
                self._emergency()
        except UsageError:
            pass  # answered in its turn


class Teller:
    """Writes events, each flushed.

    Attributes
    ----------
    failure : OSError or None
        Why nobody hears them any more.
    """

    def __init__(self, write: Callable[[str], None]) -> None:
        self.failure: OSError | None = None
        self._write = write

    def tell(self, event: str, **facts: Any) -> None:
        """Write one event; nothing once that has failed."""
        if self.failure is not None:
            return
        try:
            self._write(json.dumps({"event": event, **facts}) + "\n")
        except OSError as error:
            self.failure = error


@contextmanager
def controlled(
    session: Session, compiled: Callable[[str], Plan]
) -> Iterator[Callable[[float], None]]:
    """Yield what starts a session, at an intensity, and obeys lines to its end.

    Enter it before the session: the last event comes when that is closed.

    Raises
    ------
    UsageError
        Without a standard input.
    StateError, SinkError
        The fault.
    OSError
        If standard output has failed; the session was stopped.
    """
    # A closed one: its number may be that of another file by now.
    if sys.stdin is None:
        raise UsageError("--control - reads standard input, which is closed")
    number = sys.stdin.fileno()
    # Not by sys.stdin: its lock would be held for ever at the interpreter's end.
    listener = Listener(lambda: os.read(number, 1 << 16), session.emergency_stop)
    teller = Teller(_print)
    control = Control(session, compiled, teller)

    def drive(intensity: float) -> None:
        listener.start()
        session.start(intensity)
        try:
            control.run(listener.lines)
        except BaseException:
            session.emergency_stop()
            control.look()
            raise

    try:
        yield drive
    finally:
        if control.state is not None:
            teller.tell("end", **facts_of(session, session.status))
    if teller.failure is not None:
        raise teller.failure


class Control:
    """Obeys lines and tells what happens, until the session has ended.

    Parameters
    ----------
    session
        Started.
    compiled
        Returns the plan that a name means.
    teller
        Told everything.

    Attributes
    ----------
    state : State or None
        That was told last.
    """

    def __init__(
        self, session: Session, compiled: Callable[[str], Plan], teller: Teller
    ) -> None:
        self.state: State | None = None
        self._compiled = compiled
        self._session = session
        self._teller = teller

    def run(self, lines: queue.Queue[bytes | None]) -> None:
        """Obey until the end.

        Raises
        ------
        StateError, SinkError
            The fault.
        """
        told = time.monotonic()
        while self.look() not in (State.STOPPED, State.FAULT, State.CLOSED):
            # Never session.wait: it would feed the watchdog.
            try:
                line = lines.get(timeout=POLL_S)
            except queue.Empty:
                pass
            else:
                if line is None:
                    self._session.stop()
                else:
                    self.obey(line)
            if self._teller.failure is not None:
                self._session.stop()
            if time.monotonic() - told >= STATUS_S:
                told = time.monotonic()
                self.tell_status()
        for _ in range(WAITING_LINES):
            try:
                line = lines.get(timeout=POLL_S)
            except queue.Empty:
                break
            if line is not None:
                self.obey(line)
        self._session.wait(0)  # raises the fault

    def look(self) -> State:
        """Return the state; tell it when it is another one."""
        status = self._session.status
        if status.state is not self.state:
            self.state = status.state
            facts = facts_of(self._session, status)
            short = {key: facts[key] for key in ("state", "frame", "time_s")}
            if status.fault:
                short["fault"] = status.fault
            self._teller.tell("state", **short)
        return status.state

    def tell_status(self) -> None:
        """Tell the status, and before it a state that is new."""
        self.look()
        self._teller.tell("status", **facts_of(self._session, self._session.status))

    def obey(self, line: bytes) -> None:
        """Obey a line and answer it; whatever it is, it raises nothing."""
        text = printable(line[:80].decode(errors="replace").strip())
        with suppress(NmesWaveError):  # a fault: its state is told
            self._session.feed()
        try:
            command = parse(line)
            self._do(command)
        # What a file makes of a protocol can go wrong in any way.
        except Exception as error:
            message = str(error) or type(error).__name__
            self._teller.tell("error", command=text, message=message)
            return
        self._teller.tell("ok", command=text)
        if command.verb == "status":
            self.tell_status()

    def _do(self, command: Command) -> None:
        session = self._session
        match command.verb:
            case "intensity":
                session.set_intensity(command.value, command.channel)
            case "pause":
                session.pause()
            case "resume":
                session.resume()
            case "stop":
                session.stop()
            case "emergency":
                session.emergency_stop()
            case "feed":
                session.feed()
            case "load":
                session.load(self._compiled(command.file))


def facts_of(session: Session, status: Status) -> dict[str, Any]:
    """Return a status as JSON's types, with the time in the plan in seconds."""
    time_s = status.frame / session.plan.output.sample_rate_hz
    return {
        **dataclasses.asdict(status),
        "time_s": round(time_s, 6),
        "duration_s": session.plan.duration_s,
    }


def _print(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
