"""The table of docs/verifying.md: the smallest defect that is found at each noise.

``python tests/verification/smallest_defects.py`` prints it. Of one recording 20
events have the defect; it counts as found if all 20 are wrong and no other is.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from verification.recordings import (
    RATE_HZ,
    moved,
    noisy,
    part_of,
    plan_of,
    played,
    stage,
    strong,
    wider,
)

import nmes_wave as nw

NOISES_DB = (None, 40, 20)
FRAME_US = 1e6 / RATE_HZ
DEFECTS = {
    "weaker by, %": (
        lambda wave, size: (1 - size / 100) * wave,
        (1.1, 1.5, 2, 2.5, 3, 5, 10, 12, 15, 20, 30),
    ),
    "shifted by, µs": (
        lambda wave, size: moved(wave, size / FRAME_US),
        (11, 12, 13, 15, 17, 21, 26, 31, 42, 63),
    ),
    "wider by, frames": (wider, (1, 2, 3, 4, 5, 6, 8, 10)),
    "removed": (lambda wave, _: 0 * wave, (1,)),
    "inverted": (lambda wave, _: -wave, (1,)),
}


def is_found(change, size, db):
    """Whether twenty events of that defect are found, and no others."""
    plan = plan_of(stage(on_s=4.0, repeats=1))
    samples = played(plan)
    rows = strong(plan)[5::8][:20]
    for row in rows:
        wave = part_of(samples, row)
        wave[:] = change(wave.copy(), size)
    found = nw.verify(plan, samples if db is None else noisy(samples, db, 1), RATE_HZ)
    faulty = found.pulses[found.pulses["fault"] != ""]
    return len(rows) == 20 and faulty["frame"].tolist() == rows["frame"].tolist()


def smallest(name, db):
    """Return the smallest size from which on all larger ones are found."""
    change, sizes = DEFECTS[name]
    best = None
    for size in reversed(sizes):
        if not is_found(change, size, db):
            break
        best = size
    return best


if __name__ == "__main__":
    for name in DEFECTS:
        cells = [smallest(name, db) for db in NOISES_DB]
        sys.stdout.write(f"{name}: {cells}\n")
