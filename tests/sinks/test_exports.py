"""What CSV, PWL and VCD hold, read back by the tools that they are for."""

from __future__ import annotations

import csv
import json
import re
import subprocess

import numpy as np
import pytest
from exports import SCALES, export, make_plan
from tools import program

import nmes_wave as nw
from nmes_wave.errors import FormatError
from nmes_wave.output import Output, Trigger
from nmes_wave.sinks import text
from nmes_wave.sinks.conformance import check_sink
from nmes_wave.sinks.file import EXPORTS, FileSink
from nmes_wave.sinks.pwl import RISE_S

FORMATS = ["int16", "int24", "int32", "float32"]


def integer_codes(plan):
    codes = plan.render()
    if plan.output.dtype == "float32":
        codes = np.rint(codes.astype(float) * 2**23)
    return codes.astype(np.int64)


def calibration(path):
    return json.loads(path.with_name(f"{path.name}.json").read_text())


@pytest.mark.parametrize("suffix", EXPORTS)
def test_they_keep_the_contract_of_a_sink(suffix, tmp_path):
    check_sink(lambda: FileSink(tmp_path / f"a{suffix}"))


# -- CSV ----------------------------------------------------------------------


@pytest.mark.parametrize("dtype", FORMATS)
def test_csv_reads_back_as_the_plans_milliamperes(dtype, tmp_path):
    plan = make_plan(dtype=dtype)
    path = export(plan, tmp_path / "a.csv")
    with path.open(newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["time_s", "channel_0_mA", "channel_1_mA"]
    found = np.array(rows, dtype=np.float64)
    assert np.array_equal(found[:, 0], np.arange(plan.n_frames) / 48_000)
    ma = plan.to_ma(plan.render())
    assert np.array_equal(found[:, 1:], ma)
    assert found[:, 1].max() == pytest.approx(80.0, rel=1e-4)
    assert np.array_equal(np.loadtxt(path, delimiter=",", skiprows=1)[:, 1:], ma)
    data = path.read_bytes()
    assert data.count(b"\r\n") == data.count(b"\n") == plan.n_frames + 1
    assert b"-0.0," not in data
    assert calibration(path)["full_scale_ma"] == list(SCALES)
    assert calibration(path)["sample_rate_hz"] == 48_000


def test_csv_of_a_trigger_has_it_in_parts_of_full_scale(tmp_path):
    plan = make_plan(trigger=Trigger(level=0.5))
    path = export(plan, tmp_path / "a.csv")
    table = np.genfromtxt(path, delimiter=",", names=True)
    assert table.dtype.names == ("time_s", "channel_0_mA", "channel_1_mA", "trigger")
    assert set(np.round(table["trigger"], 6)) == {0.0, 0.5}
    assert np.array_equal(table["trigger"] > 0, plan.render()[:, 2] > 0)


# -- PWL ----------------------------------------------------------------------


def at_frames(points, plan):
    """Value of each column in the middle of each frame, by interpolation."""
    middle = (np.arange(plan.n_frames) + 0.5) / plan.output.sample_rate_hz
    return np.column_stack([np.interp(middle, points[:, 0], c) for c in points.T[1:]])


@pytest.mark.parametrize("dtype", FORMATS)
@pytest.mark.parametrize("rate", [48_000.0, 30_000.3])
def test_pwl_is_the_plan_as_steps_of_a_nanosecond(dtype, rate, tmp_path):
    plan = make_plan(rate, dtype)
    path = export(plan, tmp_path / "a.pwl")
    points = np.loadtxt(path)
    assert np.array_equal(at_frames(points, plan), plan.to_ma(plan.render()) * 1e-3)
    steps = np.diff(points[:, 0])
    assert steps.min() == pytest.approx(RISE_S, abs=2e-12)
    # the charge of each channel, but for times being whole picoseconds
    charge = np.trapezoid(points[:, 1:], points[:, 0], axis=0)
    frame_c = plan.to_ma(plan.render()).sum(axis=0) / rate * 1e-3
    assert charge == pytest.approx(frame_c, abs=2e-14)
    assert points[-1, 0] == pytest.approx(plan.n_frames / rate, abs=2 * RISE_S)
    assert not points[-1, 1:].any()
    assert calibration(path)["n_channels"] == 2


def run_ngspice(deck, tmp_path):
    """Run a deck that writes ``out.txt``: time, value, time, value, ..."""
    (tmp_path / "deck.cir").write_text(deck)
    subprocess.run(
        [program("ngspice", "ngspice"), "-b", "deck.cir"],
        cwd=tmp_path,
        capture_output=True,
        check=True,
        timeout=60,
    )
    return np.loadtxt(tmp_path / "out.txt")


CONTROL = """
.control
set wr_singlescale
run
wrdata out.txt {vectors}
quit
.endc
.end
"""


def test_ngspice_drives_500_ohm_with_the_file_as_a_pwl_source(tmp_path):
    plan = make_plan(off_s=0.002)
    path = export(plan, tmp_path / "a.pwl")
    columns = [line.split() for line in path.read_text().splitlines()]
    deck = "export\n"
    for c in (0, 1):
        deck += f"I{c} 0 n{c} PWL(\n"
        deck += "".join(f"+ {row[0]} {row[1 + c]}\n" for row in columns)
        deck += f"+ )\nR{c} n{c} 0 500\n"
    deck += f".tran 5u {plan.duration_s:.9f} 0 5u\n"
    found = run_ngspice(deck + CONTROL.format(vectors="v(n0) v(n1)"), tmp_path)
    expected = plan.to_ma(plan.render()) * 0.5
    frame = np.floor(found[:, 0] * 48_000).astype(int)
    # not while it steps, nor where the printed time is no longer exact to 10 ns
    since = found[:, 0] - frame / 48_000
    inside = (since > 2e-8) & (since < 1 / 48_000 - 2e-8) & (frame < plan.n_frames)
    assert len(np.unique(frame[inside])) == plan.n_frames
    assert np.abs(found[inside, 1:] - expected[frame[inside]]).max() < 1e-6
    assert np.abs(found[:, 1]).max() == pytest.approx(40.0, rel=1e-4)


def test_a_pulse_in_the_first_frame_is_no_operating_point(tmp_path):
    stage = nw.Stage(
        event=nw.Pulse(phase_width_us=125.0),
        train=nw.Train(rate_hz=50.0),
        duty_cycle=nw.DutyCycle(on_s=0.04),
        amplitude_ma=40.0,
    )
    protocol = nw.StimProtocol(
        name="p", channels=[nw.Channel(name="a", stages=[stage])]
    )
    plan = nw.build_plan(protocol, Output(sample_rate_hz=48_000, full_scale_ma=100.0))
    lines = export(plan, tmp_path / "a.pwl").read_text().splitlines()
    assert lines[0].split() == ["0.000000000000", "0"]
    deck = "export\nI1 0 n PWL(\n" + "".join(f"+ {line}\n" for line in lines)
    deck += "+ )\nR1 n m 300\nR2 m 0 2k\nC1 m 0 1u\n.tran 1u 2m 0 1u\n"
    found = run_ngspice(deck + CONTROL.format(vectors="v(n)"), tmp_path)
    load = nw.SeriesRC(series_ohm=300.0, parallel_ohm=2000.0, capacitance_nf=1000.0)
    peak_v = nw.simulate(plan, load, stop=96).peak_voltage_v[0]
    assert np.abs(found[:, 1]).max() == pytest.approx(peak_v, rel=1e-3)


def test_ngspices_filesource_reads_all_channels_of_one_file(tmp_path):
    plan = make_plan(trigger=Trigger(width_us=200.0), off_s=0.002)
    export(plan, tmp_path / "a.pwl")
    deck = (
        "export\nA1 %vd([a 0 b 0 t 0]) source\n"
        '.model source filesource (file="a.pwl" amploffset=[0 0 0] '
        "amplscale=[1 1 1])\n"
        "R1 a 0 1k\nR2 b 0 1k\nR3 t 0 1k\n"
        f".tran 1u {plan.duration_s:.9f} 0 1u\n"
    )
    found = run_ngspice(deck + CONTROL.format(vectors="v(a) v(b) v(t)"), tmp_path)
    frame = np.floor(found[:, 0] * 48_000).astype(int)
    since = found[:, 0] - frame / 48_000
    inside = (since > 2e-8) & (since < 1 / 48_000 - 2e-8) & (frame < plan.n_frames)
    assert len(np.unique(frame[inside])) == plan.n_frames
    codes = plan.render()
    expected = np.column_stack([plan.to_ma(codes) * 1e-3, codes[:, 2] / 8388607])
    assert np.abs(found[inside, 1:] - expected[frame[inside]]).max() < 1e-6


def test_pwl_holds_as_many_channels_as_ngspice_reads_on_a_line(tmp_path):
    output = Output(sample_rate_hz=48_000, full_scale_ma=130.0)
    sink = FileSink(tmp_path / "a.pwl")
    sink.open(output, 20, 1)
    longest = -np.arange(7, 27, dtype=np.int32)[None] - 4_194_304
    sink.write(longest)
    sink.write(longest + 1)
    sink.close()
    assert max(map(len, sink.path.read_text().splitlines())) < 511
    with pytest.raises(FormatError, match=r"PWL holds 20 channels, not 21; \.csv"):
        FileSink(tmp_path / "b.pwl").open(output, 21, 1)


# -- VCD ----------------------------------------------------------------------


def parse_vcd(lines):
    """Names, widths, unit and changes (time, column, code), two's complement."""
    header, _, body = lines.partition("$enddefinitions $end\n")
    unit = re.search(r"\$timescale\s+(\d+)\s*([munp]s)\s+\$end", header)
    variables = re.findall(r"\$var \w+ (\d+) (\S+) (\w+)(?: \[.*?\])? \$end", header)
    column = {short: i for i, (_, short, _) in enumerate(variables)}
    width = int(variables[0][0])
    changes, time = [], None
    for line in body.splitlines():
        if line.startswith("#"):
            time = int(line[1:])
        elif line.startswith("b"):
            bits, short = line[1:].split()
            if "x" in bits:
                continue
            code = int(bits.rjust(width, "0"), 2)
            code -= (code >> (width - 1)) << width
            changes.append((time, column[short], code))
    scale = int(unit[1]) * {"ms": 1e-3, "us": 1e-6, "ns": 1e-9, "ps": 1e-12}[unit[2]]
    return [name for _, _, name in variables], scale, changes, time


def held(changes, scale, plan, n_columns):
    """The code of each column in the middle of each frame."""
    codes = np.zeros((plan.n_frames, n_columns), np.int64)
    middle = (np.arange(plan.n_frames) + 0.5) / plan.output.sample_rate_hz
    for c in range(n_columns):
        times = np.array([t * scale for t, column, _ in changes if column == c])
        values = np.array([code for _, column, code in changes if column == c])
        codes[:, c] = values[np.searchsorted(times, middle) - 1]
    return codes


@pytest.mark.parametrize("dtype", FORMATS)
def test_gtkwaves_converter_reads_the_codes_of_a_vcd(dtype, tmp_path):
    plan = make_plan(dtype=dtype, trigger=Trigger())
    path = export(plan, tmp_path / "a.vcd")
    to_fst, to_vcd = program("vcd2fst", "gtkwave"), program("fst2vcd", "gtkwave")
    fst = tmp_path / "a.fst"
    subprocess.run([to_fst, path, fst], check=True, capture_output=True, timeout=60)
    done = subprocess.run(
        [to_vcd, fst], check=True, capture_output=True, text=True, timeout=60
    )
    for dump in (done.stdout, path.read_text()):
        names, scale, changes, _ = parse_vcd(dump)
        assert names == ["channel_0", "channel_1", "trigger"]
        assert scale == 1e-9
        assert np.array_equal(held(changes, scale, plan, 3), integer_codes(plan))
    comment = path.read_text().split("$end")[0].removeprefix("$comment")
    about = json.loads(" ".join(comment.split()))
    assert about["full_scale_ma"] == list(SCALES)
    assert (about["dtype"], about["trigger_column"]) == (dtype, 2)


@pytest.mark.parametrize(
    ("rate", "scale"),
    [
        (8000.0, 1e-6),
        (62_500.0, 1e-6),
        (80_000.0, 1e-7),
        (64_000.0, 1e-9),
        (48_000.0, 1e-9),
        (44_100.0, 1e-9),
    ],
)
def test_times_of_a_vcd_are_exact_or_the_nearest(rate, scale, tmp_path):
    plan = make_plan(rate=rate)
    path = export(plan, tmp_path / "a.vcd")
    _, found, changes, end = parse_vcd(path.read_text())
    assert found == pytest.approx(scale)
    times = np.array([t for t, _, _ in changes]) * found
    frames = times * rate
    error_s = np.abs(frames - np.round(frames)) / rate
    assert error_s.max() < (1e-13 if (1e9 / rate).is_integer() else 0.5001e-9)
    assert end * found == pytest.approx(plan.n_frames / rate, abs=0.5001e-9)


def test_full_scale_of_both_signs_and_many_columns(tmp_path):
    output = Output(sample_rate_hz=48_000, full_scale_ma=1.0, dtype="int16")
    codes = np.zeros((4, 800), np.int16)
    codes[1], codes[2] = 32767, -32767
    codes[3] = np.arange(800)
    sink = FileSink(tmp_path / "a.vcd")
    sink.open(output, 800, 4)
    sink.write(codes)
    sink.close()
    names, _, changes, _ = parse_vcd(sink.path.read_text())
    assert len(set(names)) == 800
    columns = {c for _, c, _ in changes}
    assert columns == set(range(800))
    of_one = [code for _, c, code in changes if c == 799]
    assert of_one == [0, 32767, -32767, 799]


# -- all ----------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".pwl", ".vcd"])
def test_silence_costs_nothing(suffix, tmp_path):
    short = export(make_plan(8000.0, off_s=0.01), tmp_path / f"a{suffix}")
    long = export(make_plan(8000.0, off_s=100.0), tmp_path / f"b{suffix}", 100_000)
    assert long.stat().st_size <= short.stat().st_size * 1.2


@pytest.mark.parametrize("suffix", EXPORTS)
def test_blocks_and_chunks_do_not_show(suffix, tmp_path, monkeypatch):
    plan = make_plan(trigger=Trigger())
    whole = export(plan, tmp_path / f"a{suffix}", plan.n_frames).read_bytes()
    assert export(plan, tmp_path / f"b{suffix}", 1).read_bytes() == whole
    monkeypatch.setattr(text, "CHUNK", 100)
    assert export(plan, tmp_path / f"c{suffix}", 5000).read_bytes() == whole


@pytest.mark.parametrize("suffix", EXPORTS)
def test_of_no_frames(suffix, tmp_path):
    sink = FileSink(tmp_path / f"a{suffix}")
    sink.open(make_plan().output, 2, 0)
    sink.write(np.zeros((0, 2), np.int32))
    sink.close()
    head = {".csv": "time_s", ".pwl": "", ".vcd": "$comment"}[suffix]
    assert sink.path.read_text().startswith(head)


@pytest.mark.parametrize("suffix", EXPORTS)
def test_a_session_writes_them(suffix, tmp_path):
    plan = make_plan()
    path = tmp_path / f"a{suffix}"
    with nw.Session(plan, sink=f"file:{path}") as session:
        session.start(intensity=1.0)
        session.wait()
    expected = export(plan, tmp_path / f"b{suffix}").read_bytes()
    found = path.read_bytes()
    n = expected.rfind(b"\n", 0, len(expected) - 2)  # a session may add silence
    assert found[: n - 60] == expected[: n - 60]
