"""Compare the speed of two commits on one machine: ``compare.py BASE [HEAD]``.

Both are built from scratch, side by side, and run by turns in fresh processes, in
the order base head head base, so that what drifts (heat, other load) meets both.
Without HEAD the working tree is compared, changes that are not committed included.

Each process gives the least of several samples. Printed are the medians of these,
their ratio head / base, and a 95 % interval of it: the bootstrap over rounds, 2000
resamples, percentiles. Few rounds make it too narrow: take twenty before you believe
a difference of a few percent. Beside it stand the instructions of one run, counted
by callgrind: they hardly depend on the load of the machine, but say nothing of
memory, and valgrind's processor has no AVX-512.

Exit codes: 0 done; 1 a scenario became slower than the threshold for certain, that
is with its whole interval; 2 bad usage, or a build or the head failed; 130
interrupted.

Nothing is left behind: the two trees lie in a temporary directory, no worktree is
registered in the repository, and the working tree's own build is not touched.
"""

from __future__ import annotations

import argparse
import io
import json
import math
import os
import random
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compare_worker import SCENARIOS, UNCOUNTED

WORKER = Path(__file__).with_name("compare_worker.py").resolve()
ROUNDS = 7
#: Fewer resample to a handful of values: identical trees came out "faster" with two.
LEAST_ROUNDS = 5
THRESHOLD_PERCENT = 5.0
RESAMPLES = 2000
#: What `compare_worker.py` calls about each run, and nothing else does: callgrind
#: dumps its counts before it.
MARKER = "getppid"


class CompareError(Exception):
    """What the user must know, in one line."""


# -- trees --------------------------------------------------------------------


def git(repository: Path, *arguments: str) -> bytes:
    done = subprocess.run(
        ["git", "-C", repository, *arguments], capture_output=True, check=False
    )
    if done.returncode:
        words = done.stderr.decode(errors="replace").strip().splitlines()
        raise CompareError(f"git {arguments[0]}: {words[-1] if words else 'failed'}")
    return done.stdout


def check_out(repository: Path, commit: str | None, tree: Path) -> str:
    """Fill `tree` with a commit, or with the working tree; return what it is."""
    tree.mkdir()
    if commit is not None:
        found = git(repository, "rev-parse", "--verify", f"{commit}^{{commit}}")
        hashed = found.decode().strip()
        packed = git(repository, "archive", hashed)
        with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
            archive.extractall(tree, filter="data")
        return f"{commit} ({hashed[:10]})"
    listed = git(
        repository, "ls-files", "-z", "--cached", "--others", "--exclude-standard"
    )
    for name in sorted(set(listed.decode().split("\0")) - {""}):
        source = repository / name
        if source.is_file():  # one that was removed is listed still
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, tree / name)
    changed = git(repository, "status", "--porcelain").strip()
    return f"working tree ({'with changes' if changed else 'as committed'})"


def build(tree: Path) -> None:
    done = subprocess.run(
        [sys.executable, "setup.py", "-q", "build_ext", "--inplace"],
        cwd=tree,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        last = "\n".join(done.stdout.strip().splitlines()[-5:])
        raise CompareError(f"the build of the {tree.name} failed:\n{last}")


# -- measuring ----------------------------------------------------------------


def run_worker(
    tree: Path, task: str, scenarios: Sequence[str], prefix: Sequence[str] = ()
) -> dict[str, dict[str, Any]]:
    environment = {
        **os.environ,
        "PYTHONPATH": str(tree / "src"),
        "PYTHONHASHSEED": "0",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }
    done = subprocess.run(
        [*prefix, sys.executable, WORKER, task, *scenarios],
        cwd=tree,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        words = done.stderr.strip().splitlines()
        last = words[-1] if words else f"exit code {done.returncode}"
        raise CompareError(f"a run of the {tree.name} failed: {last}")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return {line["scenario"]: line for line in lines}


def instructions(valgrind: str, tree: Path, scenarios: Sequence[str]) -> dict[str, int]:
    """Return the instructions of one run of each scenario."""
    with tempfile.TemporaryDirectory() as folder:
        found = run_worker(
            tree,
            "count",
            scenarios,
            [
                valgrind,
                "--tool=callgrind",
                f"--dump-before={MARKER}",
                f"--callgrind-out-file={folder}/counts",
            ],
        )
        dumps = sorted(Path(folder).glob("counts*"), key=dump_number)
        totals = [total_of(dump.read_text("utf-8", "replace")) for dump in dumps]
    counted = [name for name in scenarios if "error" not in found[name]]
    return dict(zip(counted, between_markers(totals, len(counted)), strict=True))


def dump_number(path: Path) -> float:
    """Return its place; callgrind's last dump, at the end, has no number."""
    number = re.search(r"\.(\d+)$", path.name)
    return float(number[1]) if number else math.inf


def total_of(dump: str) -> int:
    found = re.search(r"^(?:totals|summary): (\d+)", dump, re.M)
    if found is None:
        raise CompareError("callgrind wrote a file without totals")
    return int(found[1])


def between_markers(totals: Sequence[int], n_scenarios: int) -> list[int]:
    """Return what was counted between the two markers of each scenario."""
    if len(totals) != 2 * n_scenarios + 1:
        raise CompareError(
            f"callgrind wrote {len(totals)} parts, {2 * n_scenarios + 1} were "
            "expected: try --no-callgrind"
        )
    return list(totals[1:-1:2])


# -- comparing ----------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Ratio:
    """Medians in seconds, head / base, and its 95 % interval."""

    base: float
    head: float
    value: float
    low: float
    high: float

    def verdict(self, threshold_percent: float) -> str:
        bound = 1 + threshold_percent / 100
        if self.low > bound:
            return "SLOWER"
        return "faster" if self.high < 1 / bound else ""


def compared(rounds: Sequence[tuple[Sequence[float], Sequence[float]]]) -> Ratio:
    """Compare (base, head) of each round; the bootstrap draws whole rounds."""

    def medians(chosen: Sequence[int]) -> tuple[float, float]:
        base = [seconds for i in chosen for seconds in rounds[i][0]]
        head = [seconds for i in chosen for seconds in rounds[i][1]]
        return statistics.median(base), statistics.median(head)

    n = len(rounds)
    base, head = medians(range(n))
    draw = random.Random(0)
    ratios = []
    for _ in range(RESAMPLES):
        drawn = medians(draw.choices(range(n), k=n))
        ratios.append(drawn[1] / drawn[0])
    ratios.sort()
    low, high = ratios[int(0.025 * RESAMPLES)], ratios[int(0.975 * RESAMPLES) - 1]
    return Ratio(base=base, head=head, value=head / base, low=low, high=high)


def readable(seconds: float) -> str:
    for unit, scale in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= scale:
            return f"{seconds / scale:.3g} {unit}"
    return f"{seconds / 1e-9:.3g} ns"


def row(
    name: str, ratio: Ratio, counts: tuple[int, int] | None, threshold: float
) -> str:
    text = f"{name:14}{readable(ratio.base):>10}{readable(ratio.head):>10}"
    text += f"{ratio.value:8.3f}  [{ratio.low:.3f}, {ratio.high:.3f}]"
    if counts is not None:
        text += f"{counts[0]:15,}{counts[1]:15,}{counts[1] / counts[0]:8.4f}"
    return f"{text}  {ratio.verdict(threshold)}".rstrip()


def compare(options: argparse.Namespace, folder: Path) -> int:
    trees = folder / "base", folder / "head"
    for tree, commit in zip(trees, (options.base, options.head), strict=True):
        name = check_out(options.repository, commit, tree)
        print(f"{tree.name}: {name}; building", flush=True)
        build(tree)
    base, head = trees
    names = list(options.scenario or SCENARIOS)
    times: dict[str, list[tuple[list[float], list[float]]]] = {n: [] for n in names}
    errors: dict[str, str] = {}
    for number in range(options.rounds):
        print(f"round {number + 1} of {options.rounds}", flush=True)
        for name in [n for n in names if n not in errors]:
            found: dict[Path, list[float]] = {base: [], head: []}
            for tree in (base, head, head, base):
                line = run_worker(tree, "time", [name])[name]
                if "error" in line:
                    errors[name] = f"not on the {tree.name}: {line['error']}"
                    break
                found[tree].append(line["seconds"])
            else:
                times[name].append((found[base], found[head]))
    counts: dict[Path, dict[str, int]] = {base: {}, head: {}}
    if options.valgrind is not None:
        counted = [n for n in names if n not in errors and n not in UNCOUNTED]
        for tree in trees if counted else ():
            print(f"counting instructions of the {tree.name}", flush=True)
            counts[tree] = instructions(options.valgrind, tree, counted)
    print(
        f"\n{'scenario':14}{'base':>10}{'head':>10}{'ratio':>8}  95 % bootstrap"
        + f"{'instructions':>14}{'head':>15}{'ratio':>8}"
        * (options.valgrind is not None)
    )
    slower = False
    for name in names:
        if name in errors:
            print(f"{name:14}{errors[name]}")
            continue
        ratio = compared(times[name])
        both = [counts[tree].get(name) for tree in trees]
        pair = (both[0], both[1]) if both[0] and both[1] else None
        print(row(name, ratio, pair, options.threshold))
        slower |= ratio.verdict(options.threshold) == "SLOWER"
    if any(words.startswith("not on the head") for words in errors.values()):
        return 2
    return int(slower)


def arguments(given: Sequence[str]) -> argparse.Namespace:
    summary, _, rest = (__doc__ or "").partition("\n")
    parser = argparse.ArgumentParser(
        description=summary,
        epilog=rest,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("base", help="a commit, tag or branch")
    parser.add_argument("head", nargs="?", help="another; without: the working tree")
    parser.add_argument(
        "--scenario", action="append", choices=SCENARIOS, help="again for more"
    )
    parser.add_argument("--rounds", type=int, default=ROUNDS, metavar="N")
    parser.add_argument(
        "--threshold",
        type=float,
        default=THRESHOLD_PERCENT,
        metavar="PERCENT",
        help=f"slower than this fails ({THRESHOLD_PERCENT:g})",
    )
    parser.add_argument("--no-callgrind", action="store_true")
    options = parser.parse_args(given)
    if options.rounds < LEAST_ROUNDS:
        words = f"at least {LEAST_ROUNDS} are needed for an interval"
        parser.error(f"--rounds {options.rounds}: {words}")
    if not options.threshold >= 0:
        parser.error(f"--threshold {options.threshold:g}: must be at least 0")
    options.valgrind = None if options.no_callgrind else shutil.which("valgrind")
    if options.valgrind is None and not options.no_callgrind:
        parser.error(
            "callgrind counts instructions and was not found: install valgrind, or "
            "give --no-callgrind"
        )
    return options


def main(given: Sequence[str]) -> int:
    options = arguments(given)
    # `timeout`, CI and a closed terminal must clean up as Ctrl-C does.
    for number in (signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)):
        signal.signal(number, signal.default_int_handler)
    try:
        top = git(Path(), "rev-parse", "--show-toplevel").decode().strip()
        options.repository = Path(top)
        with tempfile.TemporaryDirectory(prefix="compare-") as folder:
            return compare(options, Path(folder).resolve())
    except CompareError as error:
        print(f"compare.py: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("compare.py: interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
