"""How long a new interpreter takes until it is of use."""

from __future__ import annotations

import subprocess
import sys

from nmes_wave.bench.stages import Measurement
from nmes_wave.bench.timing import Effort, Timing, in_turn

START_UP = "start-up"
_IMPORT = """
import sys, time
begun = time.perf_counter()
import {module}
print(time.perf_counter() - begun)
"""


def measure_start_up(effort: Effort) -> list[Measurement]:
    """Measure imports, without the interpreter's own start, and a command, with it."""
    samples: dict[str, list[float]] = {"import numpy": [], "import nmes_wave": []}
    for _ in range(min(effort.rounds, 15)):
        for name, values in samples.items():
            code = _IMPORT.format(module=name.split()[1])
            values.append(float(_output("-c", code)))
    numpy, ours = (Timing.of(values) for values in samples.values())
    command = in_turn(
        {
            "nmes-wave presets": lambda: _output("-m", "nmes_wave.cli", "presets"),
            "python -c pass": lambda: _output("-c", "pass"),
        },
        effort,
    )
    return [
        Measurement(
            scenario=START_UP,
            stage="import nmes_wave",
            timing=ours,
            beside={"import numpy": numpy},
        ),
        Measurement(
            scenario=START_UP,
            stage="nmes-wave presets",
            timing=command["nmes-wave presets"],
            beside={"python -c pass": command["python -c pass"]},
        ),
    ]


def _output(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, check=True
    )
    return done.stdout
