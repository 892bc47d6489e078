"""Each example runs, without a warning, and shows what it says."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"
# What each must print, and the files that it must leave.
SHOWN = {
    "one_channel": (["11250 pulses", "net charge: 0 codes", "10 µC"], []),
    "four_channels_distributed": (
        ["at most: 1\n", "in codes: [0, 0, 0, 0]", " 75.000 ms  channel 3"],
        [],
    ),
    "russian_bursts": (
        [
            "PASS: rms_ma",
            "30 mA",
            "480 frames",
            "net charge: 0 codes",
            "CAUTION",
        ],
        [],
    ),
    "custom_pulse": (["5 µC", "net charge: 0 codes"], ["custom_pulse.png"]),
    "live_intensity": (
        ["asked 1.00, delivered now 1.00", "stopped after"],
        [],
    ),
    "delivered_record": (
        ["net charge 0.0 µC", "delivered events are as planned", "PASS"],
        ["session_events.json", "session_events.tsv"],
    ),
    "measure_a_recording": (
        ["398 pulses, rectangular", "rate: 33.30000 Hz", "missing pulses: 1"],
        [],
    ),
    "parameter_sweep": (
        ["12 protocols", "7.5 µC", "SpecError", "LimitError", "written to sweep.zarr"],
        ["sweep.zarr"],
    ),
    "render_and_read_back": (
        ["equal to the plan: True", "net charge: 0 codes"],
        ["contraction.wav"],
    ),
    "simulate_a_load": (
        ["30.0 V, 18.00 µC of 18.00 µC", "net -4.041 µC", "clipped: True"],
        ["simulate_a_load.png"],
    ),
}


def run(name: str, where: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", EXAMPLES / f"{name}.py", *arguments],
        cwd=where,
        # a loaded machine makes Dask log that a worker is slow to end
        env={**os.environ, "DASK_LOGGING__DISTRIBUTED": "error"},
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )


def test_every_example_is_listed():
    assert {path.stem for path in EXAMPLES.glob("*.py")} == set(SHOWN)


@pytest.mark.parametrize("name", SHOWN)
def test_an_example_runs_and_shows_what_it_says(name, tmp_path):
    words, files = SHOWN[name]
    if name == "parameter_sweep":
        pytest.importorskip("dask.array")
    done = run(name, tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    for word in words:
        assert word in done.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == files


def test_hardware_is_not_driven_without_a_calibration(tmp_path):
    done = run("live_intensity", tmp_path, "--sink", "audio")
    assert done.returncode == 2
    assert "--full-scale-ma" in done.stderr
