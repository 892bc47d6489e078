"""Live figures on JACK's dummy driver: python benchmarks/live_audio.py --json live.json

What callbacks take, as shares of their block, three ways: called one after the other,
paced by the clock, and by JACK; blocks lost while the main thread holds the GIL,
beside other players; the latency of commands; how many channels can be sustained.
A full run takes about six minutes, and wants an idle machine.

Other players live in an environment of their own, so that none is a dependency:

    python -m venv peers
    peers/bin/pip install sounddevice rtmixer psychtoolbox numpy
    python benchmarks/live_audio.py --peers-python peers/bin/python
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

# After the benchmarks' own folder, which is first.
sys.path.insert(1, str(Path(__file__).parents[1] / "tests"))

from audio.servers import JackServer
from live_figures.pictures import draw
from live_figures.run import measure
from live_figures.tables import markdown


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a minute, for a look")
    parser.add_argument("--peers-python", type=Path, metavar="PATH",
                        help="interpreter of the other players")  # fmt: skip
    parser.add_argument("--json", type=Path, metavar="PATH", help="all figures")
    parser.add_argument("--pictures", type=Path, metavar="FOLDER",
                        help="histograms as PNG")  # fmt: skip
    given = parser.parse_args(arguments)
    if missing := JackServer.missing():
        parser.error(f"needs {', '.join(missing)}")
    if given.peers_python and not given.peers_python.is_file():
        parser.error(f"--peers-python {given.peers_python}: there is no such file")
    words = ["python", *(sys.argv if arguments is None else [__file__, *arguments])]

    def doing(what: str) -> None:
        print(what, file=sys.stderr, flush=True)

    run = measure(
        command=shlex.join(words),
        quick=given.quick,
        peers_python=given.peers_python and given.peers_python.absolute(),
        doing=doing,
    )
    print(markdown(run))
    if not given.peers_python:
        print("The other players were not measured: no --peers-python.")
    if given.json:
        given.json.write_text(run.to_json() + "\n", encoding="utf-8")
    if given.pictures:
        for path in draw(run, given.pictures):
            doing(f"wrote {path}")
    return 1 if run.problems else 0


if __name__ == "__main__":
    sys.exit(main())
