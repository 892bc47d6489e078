"""What every player is measured by, ours and others; needs the standard library only.

A script beside this one opens its player as its own documentation does and hands
over how its callbacks are counted. The work comes as JSON, the first argument, and
the figures leave as JSON, the last line of standard output.
"""

from __future__ import annotations

import ctypes
import json
import random
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

#: The GIL is held for so long by one call of the C library.
HELD_US = 100_000
#: So many numbers are sorted in one call, which takes about as long.
SORTED = 300_000
#: Before anything is counted: streams lose blocks while they connect.
SETTLE_S = 0.5


def work() -> dict[str, Any]:
    """``sample_rate_hz``, ``block_frames``, ``channels``, ``phases`` and more.

    ``phases`` are pairs of a name of `PHASES` and its length in seconds.
    """
    asked: dict[str, Any] = json.loads(sys.argv[1])
    return asked


def sleep_in_c(seconds: float) -> None:
    """The main thread sleeps in C calls that hold the GIL."""
    usleep = ctypes.PyDLL(None).usleep
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        usleep(HELD_US)


def sort(seconds: float) -> None:
    """The main thread sorts long lists, which holds the GIL, and a core."""
    values = [random.random() for _ in range(SORTED)]
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        sorted(values)


PHASES = {"idle": time.sleep, "sleep": sleep_in_c, "sort": sort}


def measure(
    work: dict[str, Any],
    counted: Callable[[], tuple[int, int]],
    idle: Callable[[float], Any] = time.sleep,
) -> dict[str, Any]:
    """Go through the phases.

    Parameters
    ----------
    work
        What `work` returned.
    counted
        Returns callbacks and underruns since the stream was opened, of now.
    idle
        What the main thread does in the phase of that name, for so many seconds.

    Returns
    -------
    dict
        Of each phase its ``seconds``, callbacks (``blocks``), those that were
        ``due`` by the clock, ``underruns``, and ``cpu_share``, processor time of
        all threads by time.
    """
    idle(SETTLE_S)
    found = {}
    for name, seconds in work["phases"]:
        do = idle if name == "idle" else PHASES[name]
        (blocks, underruns), begun = counted(), time.monotonic()
        cpu_s = time.process_time()
        do(seconds)
        cpu_s = time.process_time() - cpu_s
        (blocks_then, underruns_then), ended = counted(), time.monotonic()
        took_s = ended - begun
        found[name] = {
            "seconds": took_s,
            "blocks": blocks_then - blocks,
            "due": took_s * work["sample_rate_hz"] / work["block_frames"],
            "underruns": underruns_then - underruns,
            "cpu_share": cpu_s / took_s,
        }
    return found


def answer(found: dict[str, Any], *distributions: str, **facts: Any) -> None:
    """Print what was found, with the versions of distributions."""
    versions = {name: version(name) for name in distributions}
    print(json.dumps({"versions": versions, "phases": found, **facts}))


def period(work: dict[str, Any]) -> Any:
    """One period of 50 Hz pulses of 300 µs each way, of all channels, as float32."""
    import numpy as np

    one = np.zeros((round(work["sample_rate_hz"] / 50), work["channels"]), np.float32)
    n = round(300e-6 * work["sample_rate_hz"])
    one[:n], one[n : 2 * n] = 0.2, -0.2
    return one
