"""Runs one peer in the peers' own environment, at the word of the benchmark.

``python -I server.py PEER.py``: isolated, so that a file named ``pyo.py`` beside
this one does not stand for the library. Commands come as JSON on standard input,
one on a line, and are answered so on standard output. Needs NumPy and nothing of
this package, which need not be installed there.

A peer is a file with ``DISTRIBUTION``, the name that its version is asked of, and
``voices(work)``, which returns two functions: one renders the whole length, the
other returns what was rendered as an array of shape ``(frames, channels)``.
"""

from __future__ import annotations

import json
import os
import runpy
import sys
import time
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Less of the peak than this is silence, and so long before it an event begins.
SILENCE, SILENCE_MS = 1e-3, 1.0


def check(codes: NDArray[Any], work: dict[str, Any]) -> dict[str, float]:
    """Return charge balance and rate error of rendered frames.

    Parameters
    ----------
    codes
        Shape ``(frames, channels)``, any unit.
    work
        ``sample_rate_hz``, ``rate_hz``, ``ramp_up_s``, ``ramp_down_s``.

    Returns
    -------
    dict
        Of the worst channel: ``net``, the sum of all samples by the sum of their
        magnitudes; ``worst_pulse``, the same of the worst event outside the
        ramps; ``rate_error_ppm`` and ``rate_resolution_ppm``, from the first and
        the last onset there; ``events``, how many were found there, at least.
    """
    rate_hz = work["sample_rate_hz"]
    first = round(work["ramp_up_s"] * rate_hz)
    last = len(codes) - round(work["ramp_down_s"] * rate_hz)
    found: list[dict[str, float]] = []
    for column in np.asarray(codes).T:
        x = np.ascontiguousarray(column, np.float64)
        size = np.abs(x)
        if not size.any():
            raise ValueError("a channel is silent")
        active = np.flatnonzero(size > SILENCE * size.max())
        gaps = np.diff(active, prepend=-rate_hz)
        onsets = active[gaps > SILENCE_MS * 1e-3 * rate_hz]
        onsets = onsets[(onsets >= first) & (onsets < last)]
        if len(onsets) < 3:
            raise ValueError(f"{len(onsets)} events found, at least 3 are needed")
        # Each event from two frames before its onset, where a smooth edge may
        # begin, to the next; the last one is left out: it may be cut.
        nets, sums = (np.add.reduceat(y, onsets - 2)[:-1] for y in (x, size))
        frames = float(onsets[-1] - onsets[0])
        rate = (len(onsets) - 1) * rate_hz / frames
        found.append(
            {
                "net": abs(x.sum()) / size.sum(),
                "worst_pulse": float(np.max(np.abs(nets) / sums)),
                "rate_error_ppm": (rate / work["rate_hz"] - 1) * 1e6,
                "rate_resolution_ppm": 1e6 / frames,
                "events": -float(len(onsets)),
            }
        )
    worst = {key: max((f[key] for f in found), key=abs) for key in found[0]}
    worst["events"] = -max(f["events"] for f in found)
    return worst


def seconds_of(function: Any) -> tuple[float, Any]:
    """Call a function; return how long it took, and its result."""
    begun = time.perf_counter()
    result = function()
    return time.perf_counter() - begun, result


def main() -> None:
    """Answer commands until standard input ends."""
    # Libraries print on standard output: that goes to standard error instead.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    peer: dict[str, Any] = {}
    work: dict[str, Any] = {}
    render: Any = None
    fetch: Any = None
    for line in sys.stdin:
        command = json.loads(line)
        answer: dict[str, Any] = {}
        try:
            if command["do"] == "prepare":
                peer = peer or runpy.run_path(sys.argv[1])
                work, render, fetch = command["work"], None, None
                render, fetch = peer["voices"](work)
                names = {peer["DISTRIBUTION"], "numpy"}
                answer["versions"] = {name: version(name) for name in names}
                answer["python"] = sys.version.split()[0]
            elif command["do"] == "run":
                answer["render_s"], _ = seconds_of(render)
                answer["fetch_s"], _ = seconds_of(fetch)
            else:
                render()
                answer["check"] = check(fetch(), work)
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main()
