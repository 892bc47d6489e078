"""What `compare.py` runs in a process of its own, on one of the two trees."""

from __future__ import annotations

import json
import math
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

#: Each sample repeats the scenario until it takes as long as this.
SAMPLE_S = 0.02
SAMPLES = 7

# What a scenario may use: the public names that every commit has.
COMMON = """
import subprocess, sys
import numpy as np
import nmes_wave as nw

def protocol(n_channels=8, on_s=60.0, event=None):
    stage = nw.Stage(
        event=event or nw.Pulse(phase_width_us=300.0),
        train=nw.Train(rate_hz=50.0),
        envelope=nw.Envelope(ramp_up_s=0.3, ramp_down_s=0.2),
        duty_cycle=nw.DutyCycle(on_s=on_s),
        amplitude_ma=20.0,
    )
    electrodes = [nw.Electrode(area_cm2=25.8)]
    return nw.StimProtocol(
        name="compare",
        channels=[
            nw.Channel(name=f"{i}", stages=[stage], electrodes=electrodes)
            for i in range(n_channels)
        ],
    )

def plan(dtype="int24", **parts):
    output = nw.Output(sample_rate_hz=48_000, full_scale_ma=100.0, dtype=dtype)
    return nw.build_plan(protocol(**parts), output)

def rendered(plan):
    block = np.ones((plan.n_frames, plan.n_channels), plan.output.numpy_dtype)
    return lambda: plan.render_into(block, 0)
"""
# Each defines `run`; one call of it is what is measured.
SCENARIOS = {
    "sparse": "run = rendered(plan(on_s=10.0))",
    "sparse-int16": "run = rendered(plan('int16', on_s=10.0))",
    "russian": "run = rendered("
    "plan(on_s=2.0, event=nw.Burst(carrier_hz=2500.0, cycles=25)))",
    "blocks": """
made = plan(on_s=10.0)
block = np.ones((64, made.n_channels), made.output.numpy_dtype)
def run():
    for start in range(0, 64_000, 64):
        made.render_into(block, start)
""",
    "build": """
described = protocol(on_s=3600.0)
output = nw.Output(sample_rate_hz=48_000, full_scale_ma=100.0)
run = lambda: nw.build_plan(described, output)
""",
    "pulses": "made = plan()\nrun = lambda: made.pulses()",
    "import": """
command = [sys.executable, "-c", "import nmes_wave"]
run = lambda: subprocess.run(command, check=True)
""",
}
#: Scenarios whose work is done in another process, which callgrind does not follow.
UNCOUNTED = {"import"}


def prepared(scenario: str) -> Callable[[], Any]:
    names: dict[str, Any] = {}
    exec(COMMON + SCENARIOS[scenario], names)
    run: Callable[[], Any] = names["run"]
    return run


def fastest_s(run: Callable[[], Any]) -> float:
    """Return seconds of one run, the least of `SAMPLES`: what disturbs only adds."""
    run()
    number = 1
    while (took := seconds(run, number)) < SAMPLE_S:
        number = max(number + 1, math.ceil(number * SAMPLE_S / max(took, 1e-6)))
    return min(seconds(run, number) for _ in range(SAMPLES)) / number


def seconds(run: Callable[[], Any], number: int) -> float:
    begun = time.perf_counter()
    for _ in range(number):
        run()
    return time.perf_counter() - begun


def main(task: str, scenarios: Sequence[str]) -> None:
    """Print a line of JSON for each scenario; `count` marks the runs instead."""
    import nmes_wave

    tree = Path(os.environ["PYTHONPATH"])
    if not Path(nmes_wave.__file__).is_relative_to(tree):
        raise SystemExit(f"measures {nmes_wave.__file__}, not what is in {tree}")
    for scenario in scenarios:
        line: dict[str, Any] = {"scenario": scenario}
        try:
            run = prepared(scenario)
            run()
            if task == "time":
                line["seconds"] = fastest_s(run)
            else:
                os.getppid()
                run()
                os.getppid()
        except Exception as error:  # an old commit may lack a name
            line["error"] = f"{type(error).__name__}: {error}"
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
