"""Other programs that render the same waveform, in an environment of their own.

Each is one file here and runs as a process of an interpreter that has what it
needs; `server` runs it there. So none of them is a dependency.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
import threading
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from nmes_wave.bench.peers.server import check
from nmes_wave.bench.scenarios import Scenario
from nmes_wave.bench.timing import Timing, seconds_of
from nmes_wave.errors import NmesWaveError
from nmes_wave.spec import DutyCycle, Train

_FOLDER = Path(__file__).parent
#: By the name that the table shows.
PEERS = {
    "NumPy, each channel": "numpy_channels",
    "NumPy tile": "numpy_tile",
    "pulse2percept": "pulse2percept",
    "Faust (DawDreamer)": "faust",
    "signalflow": "signalflow",
    "pyo": "pyo",
}
PEER_SCENARIOS = ("sparse-int24", "russian")
OURS = "nmes_wave"
TIMEOUT_S = 120.0
#: Where 48 kHz is no whole multiple of it: what cuts the period to frames shows.
UNEVEN_RATE_HZ, UNEVEN_S = 35.0, 20.0


class PeerError(NmesWaveError):
    """A peer that is missing, failed or took too long."""


@dataclass(frozen=True, kw_only=True)
class PeerResult:
    """One peer on one scenario.

    Parameters
    ----------
    peer, scenario
        Names; a row named `OURS` is our own.
    versions
        Of the peer's distribution and of NumPy there.
    error
        Why there is no result; empty if there is.
    render, array
        Rendering alone, and with fetching the array.
    ours_render, ours_array
        `Plan.render_into` a touched buffer, and `Plan.render`, in the same run
        in turn.
    check, uneven
        What `server.check` found at 50 Hz, and at 35 Hz, in periods that are no
        whole number of frames.
    """

    peer: str
    scenario: str
    versions: dict[str, str]
    error: str = ""
    render: Timing | None = None
    array: Timing | None = None
    ours_render: Timing | None = None
    ours_array: Timing | None = None
    check: dict[str, float] | None = None
    uneven: dict[str, float] | None = None


class Peer:
    """The process of one peer; a context manager that ends it.

    Parameters
    ----------
    python
        Interpreter of the environment that has the peer.
    script
        File of the peer.
    timeout_s
        Longest time for one answer.
    """

    def __init__(self, python: Path, script: Path, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._complaints = tempfile.TemporaryFile()
        command = [str(python), "-I", str(_FOLDER / "server.py"), str(script)]
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._complaints,
                text=True,
            )
        except OSError as error:
            self._complaints.close()
            raise PeerError(f"{python}: {error.strerror or error}") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.communicate()
        self._complaints.close()

    def ask(self, do: str, **facts: Any) -> dict[str, Any]:
        """Send a command and return its answer.

        Raises
        ------
        PeerError
            If it fails, ends, or does not answer in time.
        """
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        late = threading.Event()

        def give_up() -> None:
            late.set()
            self._process.kill()

        timer = threading.Timer(self._timeout_s, give_up)
        timer.start()
        try:
            stdin.write(json.dumps({"do": do, **facts}) + "\n")
            stdin.flush()
            line = stdout.readline()
        except OSError:
            line = ""
        finally:
            timer.cancel()
        if late.is_set():
            raise PeerError(f"{do}: no answer within {self._timeout_s:g} s")
        if not line:
            code = self._process.wait()
            self._complaints.seek(0)
            words = self._complaints.read().decode("utf-8", "replace").split("\n")
            last = next((f": {w}" for w in reversed(words) if w.strip()), "")
            raise PeerError(f"{do}: the process ended with exit code {code}{last}")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise PeerError(answer["error"])
        return answer


def compare(
    peer: str,
    scenario: Scenario,
    python: Path,
    *,
    rounds: int,
    timeout_s: float = TIMEOUT_S,
    script: Path | None = None,
) -> PeerResult:
    """Measure a peer and ourselves in turn, and check what it rendered.

    A failure is a result too; see `PeerResult.error`.
    """
    script = script or _FOLDER / f"{PEERS[peer]}.py"
    result = PeerResult(peer=peer, scenario=scenario.name, versions={})
    try:
        with Peer(python, script, timeout_s) as process:
            answer = process.ask("prepare", work=scenario.work())
            result = replace(result, versions=answer["versions"])
            result = replace(result, **_times(process, scenario, rounds))
            checked = process.ask("check")["check"]
            process.ask("prepare", work=_uneven(scenario).work())
            uneven = process.ask("check")["check"]
            return replace(result, check=checked, uneven=uneven)
    except PeerError as error:
        return replace(result, error=str(error))


def ourselves(scenario: Scenario) -> PeerResult:
    """Check what we render as the peers' results are."""
    found = [check(s.plan().render(), s.work()) for s in (scenario, _uneven(scenario))]
    return PeerResult(
        peer=OURS, scenario=scenario.name, versions={}, check=found[0], uneven=found[1]
    )


def _times(process: Peer, scenario: Scenario, rounds: int) -> dict[str, Any]:
    plan = scenario.plan()
    buffer = np.ones((plan.n_frames, plan.n_columns), plan.output.numpy_dtype)
    samples: dict[str, list[float]] = {
        name: [] for name in ("render", "array", "ours_render", "ours_array")
    }
    process.ask("run")  # the first one compiles and allocates
    for _ in range(rounds):
        answer = process.ask("run")
        samples["render"].append(answer["render_s"])
        samples["array"].append(answer["render_s"] + answer["fetch_s"])
        samples["ours_render"].append(seconds_of(lambda: plan.render_into(buffer, 0)))
        samples["ours_array"].append(seconds_of(plan.render))
    return {name: Timing.of(values) for name, values in samples.items()}


def _uneven(scenario: Scenario) -> Scenario:
    return replace(
        scenario,
        train=Train(rate_hz=UNEVEN_RATE_HZ),
        duty_cycle=DutyCycle(on_s=UNEVEN_S),
    )
