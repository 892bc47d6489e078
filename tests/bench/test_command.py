"""``nmes-wave bench``."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from nmes_wave.bench import NAMES, Run, tables
from nmes_wave.bench.peers import PEERS
from nmes_wave.bench.stages import Measurement
from nmes_wave.bench.timing import Timing
from nmes_wave.cli import main


@pytest.fixture
def bench(capsys, tmp_path, monkeypatch):
    """Run the command in an empty folder, 100 columns wide."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")

    def call(*arguments):
        code = main(["bench", *arguments])
        return code, *capsys.readouterr()

    return call


def test_the_command_measures_and_writes(bench):
    arguments = ("--quick", "--scenario", "session", "--json", "a.json")
    code, out, err = bench(*arguments)
    assert code == 0
    assert "build_plan, 60 min, 8 channels" in out
    assert "few rounds" in err
    stored = Run.from_json(Path("a.json").read_text("utf-8"))
    assert stored.command == " ".join(["nmes-wave bench", *arguments])
    assert stored.quick
    assert stored.machine["cores"] >= 1
    code, out, _ = bench("--read", "a.json", "--markdown")
    assert (code, out) == (0, tables.markdown(stored))


def test_peers_are_rows_and_those_that_are_missing_are_lines(bench, monkeypatch):
    for name in {*PEERS} - {"NumPy tile"}:
        monkeypatch.delitem(PEERS, name)
    monkeypatch.setitem(PEERS, "Lost", "no_such_file")
    code, out, _ = bench(
        "--quick", "--scenario", "sparse-int24", "--peers-python", sys.executable
    )
    assert code == 0
    assert "\nsparse, against NumPy tile " in out
    assert "\nnmes_wave " in out
    (tile,) = (line for line in out.splitlines() if line.startswith("NumPy tile "))
    assert tile.split()[-4:] == ["0", "0", "0", "+313"]
    assert "\nLost was not measured: FileNotFoundError: " in out


def test_no_cell_is_cut_at_100_columns(bench):
    slow, fast = Timing.of([1e3]), Timing.of([1e-6])
    rows = [
        Measurement(
            scenario=name,
            stage=stage,
            timing=slow if stage == "build" else fast,
            beside={"fill": fast, "memset": fast},
            frames=10**6,
            samples=10**7,
            sample_rate_hz=48_000.0,
        )
        for name in NAMES
        for stage in ("build", "first block", "render", "array")
    ]
    stored = Run(
        command="",
        date="",
        machine=dict.fromkeys(
            ("processor", "cores", "system", "python", "numpy", "nmes_wave"), "x"
        ),
        load=(None, None),
        quick=False,
        measurements=tuple(rows),
        peers=(),
    )
    Path("a.json").write_text(stored.to_json(), "utf-8")
    code, out, _ = bench("--read", "a.json")
    assert code == 0
    assert "…" not in out
    assert all(f"\n{name} " in out for name in NAMES[:-1])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--scenario", "nothing"], "must be one of"),
        (["--json", "no/such/folder.json"], "there is no folder"),
        (["--peers-python", "no-such-python"], "there is no such file"),
        (["--peers-python", sys.executable, "--scenario", "sweep"], "russian only"),
        (["--read", "no.json"], "No such file"),
        (["--read", "bad.json"], "bad.json: holds no run"),
        (["--read", "bad.json", "--quick"], "--read measures nothing"),
    ],
)
def test_bad_input_is_one_line(bench, arguments, words):
    Path("bad.json").write_text("{}", "utf-8")
    code, out, err = bench(*arguments)
    assert (code, out) == (2, "")
    assert words in err
    assert err.count("\n") == 1
