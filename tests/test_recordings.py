"""What `FileSink` wrote is read back bit for bit, block by block, however long."""

from __future__ import annotations

import os
import struct
import tracemalloc
from itertools import pairwise

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

import nmes_wave as nw
from nmes_wave.sinks.file import FileSink

RATE_HZ = 48_000
N_FRAMES = 5000  # more than a block of FLAC
SUFFIXES = (".wav", ".rf64", ".flac", ".npy", ".raw", ".pcm")
DTYPES = ("int16", "int24", "int32", "float32")
FORMATS = [
    (suffix, dtype)
    for suffix in SUFFIXES
    for dtype in DTYPES
    if suffix != ".flac" or dtype in ("int16", "int24")
]
#: Per full scale of an integer file, soundfile's ±1.
PCM_UNIT = {"int16": 2.0**15, "int24": 2.0**23, "int32": 2.0**31, "float32": 1.0}


def output_of(dtype, full_scale_ma=(80.0, 40.5, 7.3), **more):
    return nw.Output(
        sample_rate_hz=RATE_HZ, full_scale_ma=full_scale_ma, dtype=dtype, **more
    )


def noise(output, n_columns, n_frames=N_FRAMES):
    """Every code may come, the ends do."""
    top = output.max_code
    codes = np.random.default_rng(7).integers(
        -top, top, (n_frames, n_columns), endpoint=True
    )
    codes[0], codes[-1] = top, -top
    unit = 2.0**-23 if output.dtype == "float32" else 1
    return (codes * unit).astype(output.numpy_dtype)


def write(path, output, codes):
    sink = FileSink(path)
    sink.open(output, codes.shape[1], len(codes))
    for start in range(0, len(codes), 1234):
        sink.write(np.ascontiguousarray(codes[start : start + 1234]))
    sink.close()


@pytest.fixture(scope="module", params=FORMATS, ids="".join)
def written(request, tmp_path_factory):
    """A file of three channels; its path, dtype, codes and milliamperes."""
    suffix, dtype = request.param
    path = tmp_path_factory.mktemp("recordings") / f"a{suffix}"
    output = output_of(dtype)
    codes = noise(output, 3)
    write(path, output, codes)
    return path, dtype, codes, output.to_ma(codes)


def test_the_codes_are_read_bit_for_bit(written):
    path, dtype, codes, _ = written
    unit = 1.0 if path.suffix in (".npy", ".raw", ".pcm") else PCM_UNIT[dtype]
    with nw.open_recording(path) as recording:
        assert recording.shape == codes.shape
        assert recording.sample_rate_hz == RATE_HZ
        assert recording[:].dtype == recording.dtype == np.float64
        assert np.array_equal(recording[:] * unit, codes)


def test_its_calibration_gives_milliamperes_to_a_rounding(written):
    path, _, _, current_ma = written
    with nw.open_recording(path) as recording:
        read_ma = recording[:] * np.array(recording.ma_per_unit)
    np.testing.assert_array_max_ulp(read_ma, current_ma, maxulp=2)
    assert read_ma.max(axis=0) == pytest.approx([80.0, 40.5, 7.3], rel=1e-15)


@given(
    cuts=st.lists(st.integers(0, N_FRAMES), max_size=12),
    step=st.sampled_from([None, 1, 3]),
)
@settings(max_examples=15, deadline=None)
def test_blocks_in_any_order_are_parts_of_the_whole(written, cuts, step):
    path, *_ = written
    with nw.open_recording(path) as recording:
        whole = recording[:]
        for start, stop in pairwise(cuts):
            part = recording[start:stop:step]
            assert np.array_equal(part, whole[start:stop:step])
        assert np.array_equal(recording[-100:], whole[-100:])
        assert recording[N_FRAMES : N_FRAMES + 9].shape == (0, 3)


def test_one_channel_is_a_column_with_its_own_scale(written):
    path, *_ = written
    with nw.open_recording(path) as recording:
        whole = recording[:]
        for channel in range(3):
            one = recording.only(channel)
            assert one.shape == (N_FRAMES, 1)
            assert np.array_equal(one[10:4200], whole[10:4200, [channel]])
            assert one.ma_per_unit == (recording.ma_per_unit[channel],)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_trigger_is_left_out(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    output = output_of("int16", (80.0, 40.5), trigger=nw.Trigger())
    codes = noise(output, output.n_columns(2))
    write(path, output, codes)
    with nw.open_recording(path) as recording:
        assert recording.shape == (N_FRAMES, 2)
        read_ma = recording[:] * np.array(recording.ma_per_unit)
    np.testing.assert_array_max_ulp(read_ma, output.to_ma(codes), maxulp=2)


@pytest.mark.parametrize("suffix", [".npy", ".raw"])
def test_a_rate_of_no_whole_hertz(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    output = nw.Output(sample_rate_hz=44_056.25, full_scale_ma=50.0, dtype="int24")
    write(path, output, noise(output, 2))
    with nw.open_recording(path) as recording:
        assert recording.sample_rate_hz == 44_056.25


@pytest.mark.parametrize(
    "dtype", [">i2", "<i4", "u1", "<u2", "i8", "f2", "<f4", ">f8", "longdouble"]
)
@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_of_any_numbers(tmp_path, dtype, order):
    numbers = np.arange(200).reshape(100, 2).astype(dtype)
    np.save(tmp_path / "a.npy", np.asarray(numbers, order=order))
    with nw.open_recording(tmp_path / "a.npy", 1000.0) as recording:
        assert recording.ma_per_unit is None
        assert np.array_equal(recording[:], numbers)
        assert np.array_equal(recording.only(1)[3:5], numbers[3:5, 1:])


@pytest.mark.parametrize(
    ("suffix", "subtype", "step"),
    [
        (".wav", "PCM_U8", 2.0**-7),
        (".wav", "PCM_24", 2.0**-23),
        (".wav", "DOUBLE", 0.0),
        (".aiff", "PCM_16", 2.0**-15),
        (".caf", "PCM_32", 2.0**-31),
        (".w64", "FLOAT", 2.0**-24),
        (".flac", "PCM_S8", 2.0**-7),
    ],
)
def test_foreign_files_are_parts_of_full_scale(tmp_path, suffix, subtype, step):
    samples = np.random.default_rng(3).uniform(-0.9, 0.9, (N_FRAMES, 2))
    path = tmp_path / f"a{suffix}"
    soundfile.write(path, samples, 44_100, subtype)
    with nw.open_recording(path) as recording:
        assert (recording.sample_rate_hz, recording.ma_per_unit) == (44_100, None)
        assert np.abs(recording[:] - samples).max() <= step


def lengthened(path, n_frames, frame_bytes):
    """Let a short RF64 or raw file have many frames, which take no place on disk."""
    with path.open("r+b") as file:
        head = file.read(4096)
        data = 0
        if path.suffix == ".rf64":
            data = head.index(b"data") + 8
            sizes = head.index(b"ds64") + 8
            n_bytes = n_frames * frame_bytes
            file.seek(sizes)
            file.write(struct.pack("<QQQ", data - 8 + n_bytes, n_bytes, n_frames))
        file.truncate(data + n_frames * frame_bytes)


@pytest.mark.parametrize("suffix", [".rf64", ".raw"])
def test_hours_are_opened_and_not_loaded(tmp_path, suffix):
    # two hours of eight channels: 8.3 GB
    path, n_frames = tmp_path / f"a{suffix}", 7200 * RATE_HZ
    output = output_of("int24", 25.0)
    codes = noise(output, 8)
    write(path, output, codes)
    try:
        lengthened(path, n_frames, 24)
    except OSError as error:
        pytest.skip(f"no files of 8.3 GB here: {error}")
    if path.stat().st_blocks * 512 > 1e8:
        path.unlink()
        pytest.skip("the file system has no sparse files")
    tracemalloc.start()
    try:
        with nw.open_recording(path) as recording:
            assert recording.shape == (n_frames, 8)
            first, last = recording[:N_FRAMES], recording[n_frames - 1000 :]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    unit = PCM_UNIT["int24"] if suffix == ".rf64" else 1.0
    assert np.array_equal(first * unit, codes)
    assert last.shape == (1000, 8)
    assert not last.any()
    assert peak < 5e6


def test_it_is_closed(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, np.zeros((100, 1)), RATE_HZ)
    with nw.open_recording(path) as recording:
        recording[:10]
    path.unlink()  # Windows refuses for one that is open
    with pytest.raises(nw.FormatError, match=r"a\.wav"):
        recording[50:60]


@pytest.mark.parametrize("suffix", [".wav", ".rf64"])
def test_a_file_that_was_cut_while_open(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    output = output_of("int16")
    write(path, output, noise(output, 3))
    with nw.open_recording(path) as recording:
        os.truncate(path, path.stat().st_size // 2)
        assert recording[:100].shape == (100, 3)
        with pytest.raises(nw.FormatError, match=rf"damaged: ends at .* of {N_FRAMES}"):
            recording[:]


def test_a_path_of_the_home_directory(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    np.save(tmp_path / "a.npy", np.zeros(10))
    with nw.open_recording("~/a.npy", 1000.0) as recording:
        assert recording.path == tmp_path / "a.npy"
