"""The processes that peers run in: what they answer, and how they fail."""

from __future__ import annotations

import importlib
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nmes_wave.bench import peers
from nmes_wave.bench.scenarios import SCENARIOS
from nmes_wave.spec import DutyCycle, Envelope

PYTHON = Path(sys.executable)
SHORT = {
    "duty_cycle": DutyCycle(on_s=2.0),
    "envelope": Envelope(ramp_up_s=0.5, ramp_down_s=0.5),
    "n_channels": 2,
}
SPARSE = replace(SCENARIOS["sparse-int24"], **SHORT)
RUSSIAN = replace(SCENARIOS["russian"], **SHORT)


@pytest.fixture
def compare(tmp_path):
    """Measure a peer whose file has these lines."""

    def run(source, timeout_s=20.0):
        script = tmp_path / "peer.py"
        script.write_text(source)
        return peers.compare(
            "pyo", SPARSE, PYTHON, rounds=2, timeout_s=timeout_s, script=script
        )

    return run


@pytest.mark.parametrize("peer", ["NumPy, each channel", "NumPy tile"])
@pytest.mark.parametrize("scenario", [SPARSE, RUSSIAN], ids=lambda s: s.name)
def test_a_peer_is_measured_in_turn_with_us_and_checked(peer, scenario):
    result = peers.compare(peer, scenario, PYTHON, rounds=2)
    assert result.error == ""
    assert result.versions == {"numpy": np.__version__}
    assert result.array.n == result.ours_render.n == result.ours_array.n == 2
    assert result.array.median_s >= result.render.median_s > 0
    assert result.check["events"] == 50
    # 35 Hz is 1371.43 frames: a tile has whole ones
    expected = 312.6 if peer == "NumPy tile" else 0.0
    frames_ppm = result.uneven["rate_resolution_ppm"]
    assert result.uneven["rate_error_ppm"] == pytest.approx(expected, abs=frames_ppm)


@pytest.mark.parametrize("name", ["numpy_channels", "numpy_tile"])
@pytest.mark.parametrize("scenario", [SPARSE, RUSSIAN], ids=lambda s: s.name)
def test_a_peer_renders_the_waveform_that_we_do(name, scenario):
    peer = importlib.import_module(f"nmes_wave.bench.peers.{name}")
    render, fetch = peer.voices(scenario.work())
    render()
    theirs = fetch()
    ours = scenario.plan().render()
    assert theirs.dtype == ours.dtype
    assert theirs.shape[1] == ours.shape[1]
    theirs, ours = (x[: 2 * 48_000].astype(float) for x in (theirs, ours))
    assert np.abs(theirs).max() == pytest.approx(np.abs(ours).max(), rel=0.03)
    # charge in each direction, ramps included; a phase of 14.4 frames is rounded
    for sign in (1, -1):
        totals = [np.clip(sign * x, 0, None).sum(axis=0) for x in (theirs, ours)]
        np.testing.assert_allclose(*totals, rtol=0.06)
    # 14 frames against 14.4, and our recovery phase begins on a frame of its own
    assert np.corrcoef(theirs[:, 0], ours[:, 0])[0, 1] > 0.9


def test_our_own_result_has_no_error():
    for scenario in (SPARSE, RUSSIAN):
        result = peers.ourselves(scenario)
        for found in (result.check, result.uneven):
            assert found["net"] == found["worst_pulse"] == 0
            assert abs(found["rate_error_ppm"]) <= found["rate_resolution_ppm"]


def test_what_a_peer_prints_is_no_answer(compare):
    source = Path(peers.__file__).with_name("numpy_tile.py").read_text("utf-8")
    noise = "\nimport os\nprint('hello', flush=True)\nos.system('echo hello')\n"
    assert compare(source + noise).error == ""


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("import no_such_peer", "ModuleNotFoundError: No module named 'no_such_peer'"),
        ("import os; os._exit(3)", "prepare: the process ended with exit code 3"),
        (
            "import os, sys; print('bus error', file=sys.stderr, flush=True); "
            "os._exit(9)",
            "exit code 9: bus error",
        ),
        (
            "DISTRIBUTION = 'numpy'\n"
            "def voices(work):\n    return lambda: 1 / 0, lambda: None",
            "ZeroDivisionError: division by zero",
        ),
        (
            "DISTRIBUTION = 'no-such-peer'\n"
            "def voices(work):\n    return lambda: 0, lambda: None",
            "PackageNotFoundError",
        ),
    ],
)
def test_a_peer_that_fails_is_a_line(compare, source, words):
    result = compare(source)
    assert words in result.error
    assert "\n" not in result.error
    assert result.array is None


def test_a_peer_that_hangs_is_given_up(compare):
    result = compare("import time; time.sleep(600)", timeout_s=0.5)
    assert result.error == "prepare: no answer within 0.5 s"


def test_an_interpreter_that_cannot_run(tmp_path):
    result = peers.compare("pyo", SPARSE, tmp_path, rounds=1)
    assert "denied" in result.error


def test_a_file_named_like_its_library_does_not_stand_for_it():
    # pyo.py lies beside the server: isolated, Python does not look there.
    result = peers.compare("pyo", SPARSE, PYTHON, rounds=1)
    assert result.error == "" or "No module named 'pyo'" in result.error
