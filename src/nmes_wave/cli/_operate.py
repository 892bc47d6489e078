"""``run`` on a terminal: a view of the session, and keys that operate it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import blessed
from rich.console import Console, Group
from rich.live import Live

from nmes_wave.cli._screen import console
from nmes_wave.cli._view import view
from nmes_wave.errors import NmesWaveError
from nmes_wave.status import State

if TYPE_CHECKING:
    from nmes_wave.session import Session

#: Time between two looks at the session, and two drawings of it.
REFRESH_S = 0.1
#: What a key adds to the intensity.
STEP, FINE_STEP = 0.05, 0.01
STEPS = {
    "KEY_UP": STEP,
    "+": STEP,
    "=": STEP,  # the plus key of many keyboards, without shift
    "KEY_DOWN": -STEP,
    "-": -STEP,
    "_": -STEP,
    "KEY_RIGHT": FINE_STEP,
    "KEY_LEFT": -FINE_STEP,
}
#: The space bar, alone or with the control key.
EMERGENCY = (" ", "\0")


class Keyboard(blessed.Terminal):
    """The terminal's keys.

    Parameters
    ----------
    emergency
        Called at once when the space bar arrives, whatever stands before it: an
        escape sequence that is cut must not swallow it.
    """

    def __init__(self, emergency: Callable[[], None]) -> None:
        # Without styling: blessed asks the terminal nothing, and waits for nothing.
        super().__init__(stream=sys.__stderr__, force_styling=None)
        self._emergency = emergency

    def getch(self, decode_latin1: bool = False) -> str:
        """Return the next byte; one that is no UTF-8 is no reason to fail."""
        key: str = super().getch(decode_latin1=True)
        if key in EMERGENCY:
            self._emergency()
        return key

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Give key by key, echo nothing; Ctrl-C and Ctrl-Z remain signals."""
        cbreak = self.cbreak()
        cbreak.__enter__()
        try:
            if sys.platform != "win32":
                import termios

                # Ctrl-S would block the next drawing, and with it the keys.
                number = sys.stdin.fileno()
                modes = termios.tcgetattr(number)
                modes[0] &= ~termios.IXON
                termios.tcsetattr(number, termios.TCSANOW, modes)
            yield
        finally:
            # termios.error, which is no OSError: the terminal has gone
            with suppress(Exception):
                cbreak.__exit__(None, None, None)

    def pressed(self, timeout_s: float) -> Iterator[str]:
        """Yield the names of the keys that were pressed; waits for the first."""
        # A lone escape means nothing here: no need to wait for what follows it.
        while key := self.inkey(timeout=timeout_s, esc_delay=0.05):
            yield key.name or str(key)
            timeout_s = 0


class Operator:
    """What the keys do.

    Parameters
    ----------
    session
        What they operate.
    intensity
        That the session starts with.

    Attributes
    ----------
    asked : float
        The intensity that the keys have reached; the session's follows it.
    said : str
        Why the last key was refused.
    """

    def __init__(self, session: Session, intensity: float) -> None:
        self.asked = intensity
        self.said = ""
        self._session = session

    def press(self, key: str) -> None:
        """Do what a key means; most mean nothing."""
        session = self._session
        self.said = ""
        try:
            if key in STEPS:
                asked = stepped(self.asked, STEPS[key])
                session.set_intensity(asked)
                self.asked = asked
            elif key in ("p", "P"):
                if session.state is State.PAUSED:
                    session.resume()
                else:
                    session.pause()
            elif key in ("s", "S"):
                session.stop()
        except NmesWaveError as error:
            self.said = str(error)


def stepped(asked: float, step: float) -> float:
    """Return the intensity one step on, from 0 to 1, without rounding's dust."""
    return min(1.0, max(0.0, round(asked + step, 6)))


@contextmanager
def operated(session: Session) -> Iterator[Callable[[float], None]]:
    """Yield what starts a session, at an intensity, and obeys keys to its end.

    Drawing and keys share a thread: where the terminal takes no more, nobody sees
    what is delivered, and the watchdog ends it.

    Raises
    ------
    StateError, SinkError
        The fault; an emergency stop is one.
    """
    keyboard = Keyboard(session.emergency_stop)
    screen = console(sys.stderr)

    def drive(intensity: float) -> None:
        operator = Operator(session, intensity)

        def now() -> Group:
            return view(session.plan, session.status, operator.asked, operator.said)

        def obey(live: Live) -> None:
            try:
                session.start(intensity)
                while not session.wait(0):
                    live.update(now(), refresh=True)
                    for key in keyboard.pressed(REFRESH_S):
                        operator.press(key)
            except BaseException:
                # Before the terminal is restored: it may be slow, or gone.
                session.emergency_stop()
                raise

        try:
            with keyboard.listening(), _screen(screen) as live:
                obey(live)
        except BaseException:
            with suppress(OSError):
                screen.print(now())  # stays behind
            raise

    yield drive


def _screen(screen: Console) -> Live:
    # The alternate screen: whatever else is written there, or how it is resized,
    # the next drawing puts it right.
    return Live(
        console=screen,
        screen=True,
        auto_refresh=False,
        redirect_stdout=False,
        redirect_stderr=False,
    )
