"""Plans and sweeps on Dask: two worker processes against this one, bit for bit."""

from __future__ import annotations

import functools
import importlib
import json
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import nmes_wave as nw

dask = pytest.importorskip("dask")
distributed = pytest.importorskip("distributed")
zarr = pytest.importorskip("zarr")
nd = importlib.import_module("nmes_wave.dask")

OUTPUT = nw.Output(sample_rate_hz=48_000, full_scale_ma=100.0)


@pytest.fixture(scope="module")
def client():
    """Start a cluster of two worker processes."""
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=":0"
        ) as two,
        distributed.Client(two) as client,
    ):
        yield client


def protocol(rate_hz=50.0, phase_width_us=300.0, amplitude_ma=20.0, n_channels=2):
    stage = nw.Stage(
        event=nw.Pulse(phase_width_us=phase_width_us),
        train=nw.Train(rate_hz=rate_hz, jitter=0.1),
        duty_cycle=nw.DutyCycle(on_s=0.5, off_s=0.1, repeats=2),
        envelope=nw.Envelope(ramp_up_s=0.2),
        amplitude_ma=amplitude_ma,
    )
    channels = [nw.Channel(name=f"{i}", stages=[stage]) for i in range(n_channels)]
    return nw.StimProtocol(name=f"{rate_hz:g} Hz", channels=channels)


def plan(dtype="int24", trigger=None):
    output = nw.Output(
        sample_rate_hz=48_000, full_scale_ma=[100.0, 80.0], dtype=dtype, trigger=trigger
    )
    return nw.build_plan(protocol(), output)


SWEEP = [
    *(functools.partial(protocol, rate_hz=rate) for rate in (20.0, 50.0, 80.0)),
    protocol(rate_hz=33.0),
    protocol(rate_hz=400.0),  # more than a limit allows
    protocol(phase_width_us=10.0),  # shorter than a frame
    functools.partial(protocol, 600.0, 1000.0),  # events overlap: no protocol at all
]


@pytest.mark.parametrize("dtype", ["int16", "int24", "int32", "float32"])
def test_an_array_computed_on_a_cluster_is_the_rendered_plan(client, dtype):
    made = plan(dtype, trigger=nw.Trigger())
    lazy = nd.array(made, 5000)
    assert lazy.chunks == ((5000,) * 11 + (2600,), (3,))
    assert lazy.dtype == made.output.numpy_dtype
    codes = lazy.compute()
    assert codes.dtype == lazy.dtype
    np.testing.assert_array_equal(codes, made.render())
    kept = lazy.persist()
    np.testing.assert_array_equal(kept.compute(), made.render())
    ma = nd.to_ma(made, lazy)
    assert (ma.dtype, ma.shape) == (np.float64, (made.n_frames, 2))
    np.testing.assert_array_equal(ma.compute(), made.to_ma(made.render()))


PLAN = plan()
CODES = PLAN.render()
INDEX = st.integers(-PLAN.n_frames, PLAN.n_frames)
ROWS = st.one_of(
    st.slices(PLAN.n_frames),
    st.builds(slice, INDEX, INDEX),
    st.integers(-PLAN.n_frames, PLAN.n_frames - 1),
    st.lists(st.integers(0, PLAN.n_frames - 1), min_size=1, max_size=4),
)
COLUMNS = st.one_of(st.just(slice(None)), st.slices(2), st.integers(-2, 1))


@settings(max_examples=60, deadline=None)
@given(rows=ROWS, columns=COLUMNS, chunk=st.integers(997, 70_000))
def test_any_slice_is_that_of_the_rendered_plan(rows, columns, chunk):
    lazy = nd.array(PLAN, chunk)[rows, columns]
    codes = lazy.compute(scheduler="synchronous")
    assert lazy.shape == codes.shape
    np.testing.assert_array_equal(codes, CODES[rows, columns])


def test_a_slice_renders_its_frames_and_no_whole_chunk(monkeypatch):
    ranges = []
    render = nw.Plan.render

    def noted(self, start=0, stop=None):
        ranges.append((start, stop))
        return render(self, start, stop)

    monkeypatch.setattr(nw.Plan, "render", noted)
    lazy = nd.array(PLAN, 20_000)
    lazy[19_990:20_010].compute(scheduler="synchronous")
    assert sorted(ranges) == [(19_990, 20_000), (20_000, 20_010)]


def count_compiled_plans():
    """Count, in the process that runs this, the plans compiled from now on."""
    import nmes_wave.plan

    nmes_wave.plan._compiled = 0
    if not hasattr(nmes_wave.plan, "_true_plan"):
        true = nmes_wave.plan._true_plan = nmes_wave.plan.CompiledPlan

        def counting(*arguments):
            nmes_wave.plan._compiled += 1
            return true(*arguments)

        nmes_wave.plan.CompiledPlan = counting


def compiled_plans():
    import nmes_wave.plan

    return nmes_wave.plan._compiled


def test_a_worker_compiles_a_plan_once_and_not_with_each_chunk(client):
    client.run(count_compiled_plans)
    # more than each of the two workers can take at first, so that both get some
    total = nd.array(PLAN, 500).astype("int64").sum(axis=0)
    assert total.compute().tolist() == [0, 0]
    assert set(client.run(compiled_plans).values()) == {1}


def test_a_chunk_holds_what_dask_is_configured_for():
    # a frame of two int24 columns is eight bytes
    with dask.config.set({"array.chunk-size": "80 kB"}):
        assert nd.array(PLAN).chunksize == (10_000, 2)
    assert nd.array(PLAN).chunksize == (PLAN.n_frames, 2)


def test_equal_plans_have_equal_names_and_others_have_not():
    names = [
        nd.array(made, frames).name
        for made, frames in [(PLAN, 9), (plan(), 9), (plan("int32"), 9), (PLAN, 8)]
    ]
    assert names[0] == names[1]
    assert len(set(names)) == 3


@pytest.mark.parametrize("frames", [0, -1, 1.5, True, "auto"])
def test_a_chunk_that_cannot_be_is_refused(frames):
    with pytest.raises(nw.SpecError, match=r"chunk_frames = .*at least 1"):
        nd.array(PLAN, frames)


def test_what_is_no_plan_and_no_whole_frame_is_refused():
    with pytest.raises(nw.SpecError, match="must be a Plan"):
        nd.array(protocol())
    codes = nd.array(PLAN)
    with pytest.raises(nw.SpecError, match=r"must be \(frames, 2\)"):
        nd.to_ma(PLAN, codes[:, :1])
    with pytest.raises(nw.SpecError, match="codes = 'ndarray': must be a Dask array"):
        nd.to_ma(PLAN, CODES)
    with pytest.raises(nw.SpecError, match="'float64': must be int32, the codes"):
        nd.to_ma(PLAN, nd.to_ma(PLAN, codes))


def test_a_sweep_is_what_one_process_finds_and_refusals_are_rows(client):
    rows = nd.sweep(SWEEP, OUTPUT).compute()
    assert [row.index for row in rows] == list(range(7))
    assert [row.passed for row in rows] == [True] * 4 + [False] * 3
    for row in rows[:4]:
        made = SWEEP[row.index]
        made = made() if callable(made) else made
        assert row.protocol == made
        assert row.report == nw.check(made)
        pulses = nw.build_plan(made, OUTPUT).pulses()
        assert row.pulses.dtype == pulses.dtype
        assert row.pulses.tobytes() == pulses.tobytes()
    refused, off_grid, impossible = rows[4:]
    assert refused.error.startswith("LimitError: rate_hz on 0: 400 Hz is above")
    assert refused.report == nw.check(protocol(rate_hz=400.0))
    assert not refused.report.passed
    assert off_grid.error.startswith("SpecError: channels[0].stages[0].event")
    assert off_grid.report.passed
    assert impossible.error.startswith("SpecError: Stage.event")
    assert (impossible.protocol, impossible.report) == (None, None)
    assert [row.pulses.size for row in rows[4:]] == [0, 0, 0]


def test_limits_of_a_sweep_are_those_given():
    rows = nd.sweep([protocol()], OUTPUT, nw.Limits(max_amplitude_ma=10.0))
    (row,) = rows.compute(scheduler="synchronous")
    assert row.error.startswith("LimitError: amplitude_ma on 0: 20 mA is above")
    assert row.limits.max_amplitude_ma == 10.0


def test_a_mistake_in_a_function_of_the_user_is_no_row():
    def careless():
        raise ZeroDivisionError("mine")

    rows = nd.sweep([careless], OUTPUT)
    with pytest.raises(ZeroDivisionError, match="mine"):
        rows.compute(scheduler="synchronous")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (([], OUTPUT), "protocols = .*at least one"),
        (([protocol()], None), "output = None: must be an Output"),
        (([protocol()], OUTPUT, 5), "limits = 5: must be Limits"),
    ],
)
def test_a_sweep_that_cannot_be_is_refused_at_once(arguments, words):
    with pytest.raises(nw.SpecError, match=words):
        nd.sweep(*arguments)


def test_a_plan_in_zarr_holds_the_samples_and_can_be_made_again(client, tmp_path):
    made, path = plan(trigger=nw.Trigger()), tmp_path / "plan.zarr"
    nd.to_zarr(made, path, chunk_frames=10_000)
    stored = zarr.open_array(path, mode="r")
    assert stored.chunks == (10_000, 3)
    assert stored.dtype == made.output.numpy_dtype
    np.testing.assert_array_equal(stored[:], made.render())
    # by what stands in the file alone, read as text
    about = json.loads((path / "zarr.json").read_text("utf-8"))["attributes"]
    assert about["versions"]["nmes-wave"] == nw.__version__
    assert about["plan"]["output"]["full_scale_ma"] == [100.0, 80.0]
    again = about["plan"]["output"]
    again["trigger"] = nw.Trigger(
        **{name: value for name, value in again["trigger"].items() if value is not None}
    )
    again = nw.build_plan(
        nw.StimProtocol.from_toml(about["plan"]["protocol_toml"]),
        nw.Output(**again),
        nw.Limits(**about["plan"]["limits"]),
    )
    np.testing.assert_array_equal(again.render(), stored[:])


def test_a_sweep_in_zarr_holds_tables_reports_and_errors(client, tmp_path):
    path = tmp_path / "sweep.zarr"
    rows = nd.sweep(SWEEP, OUTPUT)
    nd.sweep_to_zarr(rows, path)
    root = zarr.open_group(path, mode="r")
    assert sorted(root.group_keys()) == [str(i) for i in range(7)]
    for row, line in zip(rows.compute(), root.attrs["rows"], strict=True):
        group = root[str(row.index)]
        for column in row.pulses.dtype.names:
            assert group[column].dtype == row.pulses.dtype[column]
            assert group[column][:].tobytes() == row.pulses[column].tobytes()
        about = dict(group.attrs)
        assert {name: about[name] for name in line} == line
        assert line == {
            "index": row.index,
            "name": row.name,
            "passed": row.passed,
            "error": row.error,
        }
        if row.protocol is None:
            assert about["report"] is None
            continue
        assert about["report"] == row.report.to_dict()
        text = about["plan"]["protocol_toml"]
        assert nw.StimProtocol.from_toml(text) == row.protocol


def test_writing_can_wait_and_be_done_again(tmp_path):
    # A scheduler runs a task again when its worker is lost.
    path = tmp_path / "sweep.zarr"
    rows = nd.sweep(SWEEP[:2], OUTPUT)
    later = nd.sweep_to_zarr(rows, path, compute=False)
    assert "rows" not in zarr.open_group(path, mode="r").attrs
    for _ in range(2):
        later.compute(scheduler="synchronous")
    root = zarr.open_group(path, mode="r")
    assert [line["index"] for line in root.attrs["rows"]] == [0, 1]
    later = nd.to_zarr(PLAN, tmp_path / "plan.zarr", compute=False)
    stored = zarr.open_array(tmp_path / "plan.zarr", mode="r")
    assert not stored[:].any()
    assert "complete" not in stored.attrs
    for _ in range(2):
        assert later.compute() is None
    stored = zarr.open_array(tmp_path / "plan.zarr", mode="r")
    np.testing.assert_array_equal(stored[:], CODES)
    assert stored.attrs["complete"] is True


def test_a_plan_that_broke_off_is_not_complete(tmp_path, monkeypatch):
    render = nw.Plan.render

    def broken(self, start=0, stop=None):
        if start:
            raise OSError("gone")
        return render(self, start, stop)

    monkeypatch.setattr(nw.Plan, "render", broken)
    with (
        dask.config.set(scheduler="synchronous"),
        pytest.raises(OSError, match="gone"),
    ):
        nd.to_zarr(PLAN, tmp_path / "plan.zarr", chunk_frames=20_000)
    assert "complete" not in zarr.open_array(tmp_path / "plan.zarr", mode="r").attrs


@pytest.mark.parametrize("n_partitions", [1, 2])
def test_rows_of_one_index_are_refused_and_the_first_is_kept(
    tmp_path, monkeypatch, n_partitions
):
    written = []
    create = zarr.Group.create_group

    def noted(self, name, **options):
        written.append(options["attributes"]["name"])
        return create(self, name, **options)

    monkeypatch.setattr(zarr.Group, "create_group", noted)
    sweeps = [nd.sweep([protocol(rate_hz=rate)], OUTPUT) for rate in (20.0, 50.0)]
    rows = dask.bag.concat(sweeps).repartition(n_partitions)
    later = nd.sweep_to_zarr(rows, tmp_path / "two.zarr", compute=False)
    with pytest.raises(nw.FormatError, match=r"two\.zarr: two rows have the index 0"):
        later.compute(scheduler="synchronous")
    root = zarr.open_group(tmp_path / "two.zarr", mode="r")
    assert "rows" not in root.attrs
    assert written == [root["0"].attrs["name"]]


def test_rows_of_one_index_written_at_the_same_moment_are_refused(
    tmp_path, monkeypatch
):
    # neither worker sees the group of the other
    monkeypatch.setattr(zarr.Group, "get", lambda self, path, default=None: None)
    rows = dask.bag.concat([nd.sweep(SWEEP[:1], OUTPUT)] * 2)
    later = nd.sweep_to_zarr(rows, tmp_path / "two.zarr", compute=False)
    with pytest.raises(nw.FormatError, match="two rows have the index 0"):
        later.compute(scheduler="synchronous")
    assert "rows" not in zarr.open_group(tmp_path / "two.zarr", mode="r").attrs


def test_what_is_no_bag_leaves_no_store(tmp_path):
    with pytest.raises(nw.SpecError, match=r"rows = \[1\]: must be a Dask bag"):
        nd.sweep_to_zarr([1], tmp_path / "none.zarr")
    assert list(tmp_path.iterdir()) == []


WRITERS = [
    functools.partial(nd.to_zarr, PLAN),
    functools.partial(nd.sweep_to_zarr, nd.sweep(SWEEP[:1], OUTPUT)),
]


@pytest.mark.parametrize("write", WRITERS)
@pytest.mark.parametrize("store", [None, "", 5, b"bytes.zarr", {}])
def test_what_is_no_place_is_refused(tmp_path, monkeypatch, write, store):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(nw.SpecError, match=r"store = .*: must be a path, a URL or"):
        write(store, compute=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("write", WRITERS)
def test_a_place_must_be_an_empty_directory_if_any(tmp_path, write):
    (tmp_path / "notes.txt").write_text("mine", "utf-8")
    for place in (tmp_path, tmp_path / "notes.txt"):
        with pytest.raises(nw.FormatError, match="exists and is no empty directory"):
            write(place, compute=False)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
    (tmp_path / "empty").mkdir()
    write(tmp_path / "empty", compute=False)
    assert (tmp_path / "empty" / "zarr.json").exists()
    write(zarr.storage.LocalStore(tmp_path / "store"), compute=False)
    assert (tmp_path / "store" / "zarr.json").exists()


@pytest.mark.parametrize("write", WRITERS)
@pytest.mark.parametrize("zarr_format", [2, 3])
def test_a_place_inside_an_array_is_refused(tmp_path, write, zarr_format):
    zarr.create_array(
        tmp_path / "a.zarr", shape=(1,), dtype="i4", zarr_format=zarr_format
    )
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(nw.FormatError, match=r"is inside the Zarr array .*a\.zarr"):
        write(tmp_path / "a.zarr" / "deep" / "er", compute=False)
    assert sorted(tmp_path.rglob("*")) == before


def test_nothing_is_written_over(tmp_path):
    rows = nd.sweep(SWEEP[:1], OUTPUT)
    nd.to_zarr(PLAN, tmp_path / "one.zarr")
    before = (tmp_path / "one.zarr" / "zarr.json").read_bytes()
    with pytest.raises(nw.FormatError, match=r"one\.zarr: .*exists"):
        nd.to_zarr(PLAN, tmp_path / "one.zarr")
    with pytest.raises(nw.FormatError, match=r"one\.zarr: .*exists"):
        nd.sweep_to_zarr(rows, tmp_path / "one.zarr")
    assert (tmp_path / "one.zarr" / "zarr.json").read_bytes() == before


def test_without_dask_the_import_says_what_to_install():
    code = """
import sys
sys.modules["dask"] = None
try:
    import nmes_wave.dask
except ImportError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    assert "pip install nmes-wave[dask]" in done.stdout
    assert done.stdout.count("\n") == 1
