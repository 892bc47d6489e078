"""What the engine costs, beside the machine's own limits and other programs.

``nmes-wave bench`` runs it; every figure that counts is a ratio within one run.
"""

from nmes_wave.bench.run import NAMES, Run, run
from nmes_wave.bench.scenarios import SCENARIOS, Scenario
from nmes_wave.bench.targets import TARGETS, Outcome, Target, outcomes

__all__ = [
    "NAMES",
    "SCENARIOS",
    "TARGETS",
    "Outcome",
    "Run",
    "Scenario",
    "Target",
    "outcomes",
    "run",
]
