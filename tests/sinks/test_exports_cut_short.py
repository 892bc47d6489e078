"""What is left of CSV, PWL and VCD when the disk or the user ends them."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from exports import export, make_plan
from tools import program

import nmes_wave as nw
from nmes_wave.errors import FormatError
from nmes_wave.sinks import text
from nmes_wave.sinks.file import EXPORTS, FileSink


@pytest.mark.parametrize("suffix", EXPORTS)
def test_scales_that_do_not_fit_are_refused_before_anything_is_written(
    suffix, tmp_path
):
    with pytest.raises(FormatError, match="3 channels have 2 numbers of full_scale"):
        FileSink(tmp_path / f"a{suffix}").open(make_plan().output, 3, 1)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("suffix", EXPORTS)
def test_cut_short_it_holds_whole_chunks(suffix, tmp_path, monkeypatch):
    monkeypatch.setattr(text, "CHUNK", 64)
    plan = make_plan(off_s=0.0)
    whole = export(plan, tmp_path / f"whole{suffix}").read_bytes()
    sink = FileSink(tmp_path / f"a{suffix}")
    sink.open(plan.output, 2, plan.n_frames)
    sink.write(plan.render(0, 1000))
    room = 700
    written = text.write_all

    def full(file, data):
        nonlocal room
        taken, room = min(room, len(data)), room - min(room, len(data))
        written(file, data[:taken])
        if taken < len(data):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(text, "write_all", full)
    with pytest.raises(
        nw.SinkLostError, match=r"No space left on device after 1\d\d\d"
    ):
        sink.write(plan.render(1000))
    found = sink.path.read_bytes()
    assert whole.startswith(found)
    assert found.endswith(b"\n")
    assert (sink.n_frames - 1000) % 64 == 0
    sink.close()


def test_a_longer_export_is_replaced_wholly(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b"\xff" * 10_000_000)
    export(make_plan(8000.0), path)
    assert b"\xff" not in path.read_bytes()


KILLED = """
import os, sys
import numpy as np
from nmes_wave.output import Output
from nmes_wave.sinks.file import FileSink

sink = FileSink(sys.argv[1])
sink.open(Output(sample_rate_hz=48_000, full_scale_ma=1.0), 1, 9)
for i in range(9):
    sink.write(np.arange(i * 4096, (i + 1) * 4096, dtype=np.int32)[:, None])
os._exit(1)
"""


@pytest.mark.parametrize("suffix", EXPORTS)
def test_a_killed_process_leaves_what_it_wrote(suffix, tmp_path):
    path = tmp_path / f"a{suffix}"
    command = [sys.executable, "-c", KILLED, path]
    assert subprocess.run(command, timeout=60, check=False).returncode == 1
    if suffix == ".csv":
        found = np.loadtxt(path, delimiter=",", skiprows=1)[:, 1]
        assert np.rint(found * 8388607).tolist() == [*range(9 * 4096)]
    elif suffix == ".pwl":
        found = np.loadtxt(path)
        assert found[-1] == pytest.approx([36863 / 48_000, 36863e-3 / 8388607])
    else:
        fst = tmp_path / "a.fst"
        to_fst = program("vcd2fst", "gtkwave")
        subprocess.run([to_fst, path, fst], check=True, timeout=60)
        to_vcd = program("fst2vcd", "gtkwave")
        back = subprocess.run([to_vcd, fst], capture_output=True, timeout=60)
        assert back.stdout.count(b"\nb") == 9 * 4096
