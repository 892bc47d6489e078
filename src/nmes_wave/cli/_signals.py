"""Signals that end a command: in order, through every ``with`` on the way."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

#: What asks a program to end; Windows has not all of them.
ENDING = ("SIGINT", "SIGTERM", "SIGHUP")


@contextmanager
def orderly_signals(*more: str) -> Iterator[list[int]]:
    """Let signals raise KeyboardInterrupt, once: the first one, and no other.

    Whoever is unwinding (a session that drains, a file that is removed) must
    not be interrupted again by an impatient second Ctrl-C.

    Parameters
    ----------
    *more
        Names of further signals, such as SIGTSTP.

    Yields
    ------
    list of int
        The numbers of those that raise.
    """
    if threading.current_thread() is not threading.main_thread():
        yield []  # only the main thread may set handlers
        return
    names = [name for name in (*ENDING, *more) if hasattr(signal, name)]
    numbers = [getattr(signal, name) for name in names]
    before = {n: signal.getsignal(n) for n in numbers}
    # nohup has SIGHUP ignored, and means it
    caught = [n for n in numbers if before[n] is not signal.SIG_IGN]

    def interrupt(number: int, frame: FrameType | None) -> None:
        for n in caught:
            signal.signal(n, signal.SIG_IGN)
        raise KeyboardInterrupt

    for n in caught:
        signal.signal(n, interrupt)
    try:
        yield caught
    finally:
        for n in caught:
            signal.signal(n, before[n])
