"""Our session and other players on JACK's dummy driver, each in its own process."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from audio.clients import Process
from audio.servers import JackServer

SCRIPTS = Path(__file__).parents[1] / "live_peers"
OURS = "nmes_wave"
#: By the name that the table shows.
PEERS = {
    "sounddevice, Python callback": "sounddevice_callback",
    "rtmixer": "rtmixer_buffer",
    "psychtoolbox": "psychtoolbox_stream",
}
#: `JackServer` has room for no more channels than this.
FEW_CHANNELS = 32
BLOCK_FRAMES = 64


class WideJackServer(JackServer):
    """With room for hundreds of outputs, and without inputs and monitors."""

    def _argv(self) -> list[str]:
        argv = super()._argv()
        argv[argv.index("--port-max") + 1] = "2048"
        argv[argv.index("-C") + 1] = "0"
        argv.remove("-m")
        return argv


def server(channels: int) -> JackServer:
    """Return a server, not started, with the period of the measurements."""
    wide = channels > FEW_CHANNELS
    return (WideJackServer if wide else JackServer)(
        period=BLOCK_FRAMES, channels=channels
    )


def play(
    script: str, work: dict[str, Any], jack: JackServer, python: Path | None = None
) -> dict[str, Any]:
    """Run a player; what it answers, or ``{"error": why}``.

    Parameters
    ----------
    script
        Name of a file in `SCRIPTS`.
    work
        See `measuring.work`.
    jack
        A running server.
    python
        Interpreter; None: this one.
    """
    env = dict(jack.env)
    if python is not None:
        env.pop("PYTHONPATH", None)  # it leads to this environment's packages
    path = SCRIPTS / f"{script}.py"
    argv = [str(python or sys.executable), "-u", str(path), json.dumps(work)]
    timeout_s = 20.0 + sum(2 * seconds for _, seconds in work["phases"])
    with Process(argv, env) as process:
        try:
            process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return {"error": f"no answer within {timeout_s:g} s"}
        # By now: afterwards a library may fail to end, which is not measured.
        lines = process.out.strip().splitlines()
        complaints = process.err.strip().splitlines()
    if lines and lines[-1].startswith("{"):
        answer: dict[str, Any] = json.loads(lines[-1])
        return answer
    return {"error": _why(complaints, process.returncode)}


def _why(complaints: Sequence[str], status: int | None) -> str:
    said = next((line for line in reversed(complaints) if line.strip()), "")
    return f"ended with status {status}" + (f": {said.strip()}" if said else "")
