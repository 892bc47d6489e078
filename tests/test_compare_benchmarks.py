"""`benchmarks/compare.py`: its statistics, its parsing, and whole runs.

The whole runs compare two commits of a stand-in for the package whose work is known,
so that they are quick and what they must find is certain.
"""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import compare
import compare_worker
import pytest
from tools import program

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"

STAND_IN = """
class Anything:
    def __init__(self, *arguments, **parts):
        pass
    def pulses(self):
        return work(WORK)
def __getattr__(name):
    if name.startswith("__"):
        raise AttributeError(name)
    return Anything
def build_plan(*arguments):
    work(2 * WORK)
    return Anything()
def work(n):
    for i in range(n):
        pass
"""
WORK = 50_000


# -- statistics ---------------------------------------------------------------


def rounds(n, *, slower=1.0, noise=0.1, seed=1):
    draw = random.Random(seed)

    def two(scale):
        return [scale * draw.lognormvariate(0, noise) for _ in range(2)]

    return [(two(1e-3), two(slower * 1e-3)) for _ in range(n)]


def test_the_interval_holds_the_true_ratio_about_as_often_as_it_says():
    held = 0
    for seed in range(40):
        ratio = compare.compared(rounds(20, slower=1.2, seed=seed))
        assert ratio.low <= ratio.value <= ratio.high
        held += ratio.low <= 1.2 <= ratio.high
    assert held >= 34


def test_a_clear_change_is_one_and_noise_is_none():
    assert compare.compared(rounds(10, slower=1.5)).verdict(5.0) == "SLOWER"
    assert compare.compared(rounds(10, slower=0.6)).verdict(5.0) == "faster"
    assert compare.compared(rounds(10)).verdict(5.0) == ""
    # slower for certain, but by less than what was asked to matter
    assert compare.compared(rounds(10, slower=1.5)).verdict(100.0) == ""


def test_medians_are_not_moved_by_one_disturbed_run():
    made = rounds(9, noise=0.01)
    made[4] = ([1e-3, 1e-3], [50e-3, 1e-3])
    ratio = compare.compared(made)
    assert ratio.value == pytest.approx(1.0, rel=0.02)
    assert ratio.verdict(5.0) == ""


def test_a_row_shows_times_ratio_interval_and_instructions():
    ratio = compare.Ratio(base=1e-3, head=2.5e-4, value=0.25, low=0.2, high=0.3)
    assert compare.row("sparse", ratio, (4_000_000, 1_000_000), 5.0).split() == [
        *("sparse", "1", "ms", "250", "µs", "0.250", "[0.200,", "0.300]"),
        *("4,000,000", "1,000,000", "0.2500", "faster"),
    ]
    slow = compare.Ratio(base=2.0, head=4.0, value=2.0, low=1.06, high=2.5)
    assert compare.row("import", slow, None, 5.0).endswith("2.500]  SLOWER")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(2.0, "2 s"), (1.5e-3, "1.5 ms"), (1e-6, "1 µs"), (2.5e-7, "250 ns")],
)
def test_times_are_readable(seconds, text):
    assert compare.readable(seconds) == text


# -- callgrind ----------------------------------------------------------------


def test_totals_of_dumps_are_read_in_the_order_of_their_numbers():
    names = ["counts.10", "counts", "counts.2", "counts.1"]
    ordered = sorted(map(Path, names), key=compare.dump_number)
    assert [path.name for path in ordered] == [
        *("counts.1", "counts.2", "counts.10", "counts")
    ]
    dump = "events: Ir\nfn=(1) x\n1 5\ntotals: 123456\n"
    assert compare.total_of(dump) == 123456
    with pytest.raises(compare.CompareError, match="without totals"):
        compare.total_of("events: Ir\n")


def test_what_is_between_the_markers_of_each_scenario_counts():
    # before the first, run, between, run, after the last
    assert compare.between_markers([900, 10, 50, 20, 70], 2) == [10, 20]
    with pytest.raises(compare.CompareError, match=r"4 parts, 5 were.*no-callgrind"):
        compare.between_markers([900, 10, 50, 20], 2)


# -- scenarios ----------------------------------------------------------------


@pytest.mark.parametrize("name", compare_worker.SCENARIOS)
def test_a_scenario_runs_on_this_tree(name):
    compare_worker.prepared(name)()


def test_the_least_sample_is_the_time_of_one_run():
    took = compare_worker.fastest_s(lambda: time.sleep(0.004))
    assert 0.004 <= took < 0.006


# -- whole runs ---------------------------------------------------------------


def git(where, *arguments):
    command = ["git", "-c", "user.name=x", "-c", "user.email=x@localhost", *arguments]
    subprocess.run(command, cwd=where, check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path):
    """Return a repository with the stand-in committed."""
    program("git", "git")
    where = tmp_path / "repository"
    (where / "src" / "nmes_wave").mkdir(parents=True)
    (where / "setup.py").write_text("")
    # what every scenario imports, and valgrind takes ten seconds for
    (where / "src" / "numpy.py").write_text("")
    write(where, WORK)
    git(where, "init", "-q")
    git(where, "add", ".")
    git(where, "commit", "-q", "-m", "base")
    return where


def write(repository, work):
    package = repository / "src" / "nmes_wave" / "__init__.py"
    package.write_text(f"WORK = {work}{STAND_IN}")


def command(repository, *arguments):
    """Return what runs the comparison, and an environment with its own TMPDIR."""
    temporary = repository.parent / "temporary"
    temporary.mkdir(exist_ok=True)
    script = [sys.executable, str(BENCHMARKS / "compare.py"), *arguments]
    return script, {**os.environ, "TMPDIR": str(temporary)}, temporary


def run(repository, *arguments):
    line, environment, temporary = command(repository, *arguments)
    done = subprocess.run(
        line,
        cwd=repository,
        env=environment,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=300,
        check=False,
    )
    assert [*temporary.iterdir()] == []
    assert "Traceback" not in done.stderr
    return done


def measured(done, name):
    """Return ratio and interval of the row of a scenario."""
    (line,) = re.findall(rf"^{name} .*$", done.stdout, re.M)
    return [float(x) for x in re.findall(r"\d+\.\d{3}(?!\d)", line)[:3]]


def test_a_working_tree_that_does_twice_the_work_is_slower(repository):
    write(repository, 2 * WORK)
    status = subprocess.check_output(["git", "status", "--porcelain"], cwd=repository)
    done = run(repository, "HEAD", "--no-callgrind", "--rounds=5", "--scenario=pulses")
    assert done.stderr == ""
    assert "head: working tree (with changes)" in done.stdout
    ratio, low, high = measured(done, "pulses")
    assert low <= ratio <= high
    assert low > 1.05
    assert "SLOWER" in done.stdout
    assert done.returncode == 1
    after = subprocess.check_output(["git", "status", "--porcelain"], cwd=repository)
    assert after == status


def test_a_commit_that_lacks_a_name_is_a_row_and_no_crash(repository):
    git(repository, "tag", "old")
    package = repository / "src" / "nmes_wave" / "__init__.py"
    package.write_text(package.read_text().replace("def pulses", "def other"))
    git(repository, "commit", "-q", "-a", "-m", "without pulses")
    done = run(repository, "HEAD", "old", "--no-callgrind", "--scenario=pulses")
    assert "not on the base: AttributeError" in done.stdout
    assert done.returncode == 0
    done = run(repository, "old", "HEAD", "--no-callgrind", "--scenario=pulses")
    assert "not on the head: AttributeError" in done.stdout
    assert done.returncode == 2


def test_callgrind_counts_one_run_of_each_scenario_alone(repository):
    valgrind = program("valgrind", "valgrind")
    counted = compare.instructions(valgrind, repository, ["pulses", "build"])
    # the interpreter's start is a hundred times as much
    assert counted["build"] / counted["pulses"] == pytest.approx(2.0, rel=0.1)
    assert 1e6 < counted["pulses"] < 1e8


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_leaves_nothing_behind(repository, number):
    (repository / "setup.py").write_text("import time; time.sleep(100)")
    line, environment, temporary = command(repository, "HEAD", "--no-callgrind")
    git(repository, "commit", "-q", "-a", "-m", "slow to build")
    with subprocess.Popen(
        line,
        cwd=repository,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert "building" in process.stdout.readline()
        assert [*temporary.iterdir()] != []
        process.send_signal(number)
        _, words = process.communicate(timeout=60)
    assert (process.returncode, words) == (130, "compare.py: interrupted\n")
    assert [*temporary.iterdir()] == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere"], "git rev-parse: fatal: Needed a single revision"),
        (["HEAD", "--rounds=4"], "at least 5 are needed"),
        (["HEAD", "--threshold=-1"], "must be at least 0"),
        (["HEAD", "--scenario=fast"], "invalid choice: 'fast'"),
    ],
)
def test_bad_usage_is_one_line_and_exit_code_2(repository, arguments, words):
    done = run(repository, "--no-callgrind", *arguments)
    assert done.returncode == 2
    assert words in done.stderr.splitlines()[-1]


def test_a_build_that_fails_says_why(repository):
    (repository / "setup.py").write_text("raise SystemExit('no compiler')")
    done = run(repository, "HEAD", "--no-callgrind")
    assert done.returncode == 2
    assert "the build of the head failed:\nno compiler" in done.stderr
