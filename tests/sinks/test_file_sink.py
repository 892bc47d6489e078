"""What FileSink writes, read back bit for bit by programs that know nothing of it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nmes_wave.output import Output, SampleFormat
from nmes_wave.sinks import plain
from nmes_wave.sinks.file import FileSink

FORMATS: list[SampleFormat] = ["int16", "int24", "int32", "float32"]
SUBTYPES = {"int16": "PCM_16", "int24": "PCM_24", "int32": "PCM_32", "float32": "FLOAT"}
HELD = [
    (suffix, dtype)
    for suffix in (".wav", ".rf64", ".flac")
    for dtype in FORMATS
    if suffix != ".flac" or dtype in ("int16", "int24")
]


def sox(*arguments: Any, program: str = "sox") -> bytes:
    if shutil.which(program) is None:
        if os.environ.get("NMES_WAVE_REQUIRE_AUDIO") == "1":
            pytest.fail(f"{program} is not installed")
        pytest.skip(f"{program} is not installed")
    done = subprocess.run(
        [program, *map(str, arguments)], capture_output=True, check=True, timeout=60
    )
    assert b"WARN" not in done.stderr, done.stderr
    return done.stdout


def make_output(dtype: SampleFormat = "int24", rate: float = 48_000) -> Output:
    return Output(sample_rate_hz=rate, full_scale_ma=(80.0, 40.5), dtype=dtype)


def make_codes(
    output: Output, n_channels: int = 2, frames: int = 5001
) -> np.ndarray[Any, Any]:
    """Noise over the whole range, the extremes of both signs first."""
    top = output.max_code
    codes = np.random.default_rng(1).integers(
        -top, top, (frames, n_channels), endpoint=True
    )
    codes[:6] = np.array([top, -top, 0, 1, -1, 1 - top])[:, None]
    if output.dtype == "float32":
        return (codes / 2**23).astype(np.float32)
    return codes.astype(output.numpy_dtype)


def write(path: Path, output: Output, codes: np.ndarray[Any, Any]) -> Path:
    """Write in blocks of 0, 1, 2, ... frames; announce too few of them."""
    sink = FileSink(path)
    sink.open(output, codes.shape[1], len(codes) // 2)
    start = 0
    for frames in range(len(codes) + 1):
        sink.write(codes[start : start + frames])
        start += frames
        if start >= len(codes):
            break
    assert sink.n_frames == len(codes)
    sink.close()
    sink.close()
    return path


def read_soundfile(path: Path, dtype: SampleFormat) -> np.ndarray[Any, Any]:
    asked = {"int24": "int32"}.get(dtype, dtype)
    samples: np.ndarray[Any, Any] = soundfile.read(path, dtype=asked, always_2d=True)[0]
    return samples >> 8 if dtype == "int24" else samples


def from_bytes(data: bytes, dtype: SampleFormat, n_channels: int) -> np.ndarray:
    """Read interleaved little-endian samples without NumPy's help for int24."""
    if dtype == "int24":
        triples = (data[i : i + 3] for i in range(0, len(data), 3))
        codes = [int.from_bytes(t, "little", signed=True) for t in triples]
        return np.array(codes, np.int32).reshape(-1, n_channels)
    kind = {"int16": "<i2", "int32": "<i4", "float32": "<f4"}[dtype]
    return np.frombuffer(data, kind).reshape(-1, n_channels)


@pytest.mark.parametrize(("suffix", "dtype"), HELD)
def test_soundfile_reads_the_codes(
    suffix: str, dtype: SampleFormat, tmp_path: Path
) -> None:
    output = make_output(dtype)
    codes = make_codes(output)
    path = write(tmp_path / f"a{suffix}", output, codes)
    np.testing.assert_array_equal(read_soundfile(path, dtype), codes)
    info = soundfile.info(path)
    assert info.subtype == SUBTYPES[dtype]
    assert info.format == suffix[1:].upper()
    assert (info.samplerate, info.channels, info.frames) == (48_000, 2, 5001)


@pytest.mark.parametrize(("suffix", "dtype"), HELD)
def test_sox_reads_the_codes(suffix: str, dtype: SampleFormat, tmp_path: Path) -> None:
    output = make_output(dtype, rate=96_000)
    codes = make_codes(output)
    path = write(tmp_path / f"a{suffix}", output, codes)
    kind = ["-e", "float", "-b", "32"] if dtype == "float32" else ["-b", "32"]
    raw = sox(path, "-t", "raw", *kind, "-L", "-")
    samples = np.frombuffer(raw, "<f4" if dtype == "float32" else "<i4")
    shift = {"int16": 16, "int24": 8}.get(dtype, 0)
    if shift:
        samples = samples >> shift
    np.testing.assert_array_equal(samples.reshape(-1, 2), codes)
    asked = {"-s": "5001", "-r": "96000", "-c": "2"}
    told = {o: sox(o, path, program="soxi").decode().strip() for o in asked}
    assert told == asked


@pytest.mark.parametrize("dtype", ["int16", "int24", "int32"])
@pytest.mark.parametrize("n_channels", [1, 2, 7])
def test_the_standard_library_reads_the_wav(
    dtype: SampleFormat, n_channels: int, tmp_path: Path
) -> None:
    output = Output(sample_rate_hz=44_100, full_scale_ma=1.0, dtype=dtype)
    codes = make_codes(output, n_channels, frames=1001)
    path = write(tmp_path / "A.WAV", output, codes)
    with wave.open(str(path)) as file:
        assert file.getparams()[:4] == (
            n_channels,
            {"int16": 2, "int24": 3, "int32": 4}[dtype],
            44_100,
            1001,
        )
        data = file.readframes(2000)
    np.testing.assert_array_equal(from_bytes(data, dtype, n_channels), codes)
    assert path.stat().st_size % 2 == 0


@settings(max_examples=40, deadline=None)
@given(
    n_channels=st.integers(1, 9),
    dtype=st.sampled_from(FORMATS),
    sizes=st.lists(st.integers(0, 33), max_size=5),
    suffix=st.sampled_from([".wav", ".rf64"]),
)
@example(n_channels=1, dtype="int24", sizes=[2, 1], suffix=".wav")  # an odd size
@example(n_channels=1, dtype="int24", sizes=[2, 1], suffix=".rf64")
def test_any_length_is_a_whole_file(
    n_channels: int, dtype: SampleFormat, sizes: list[int], suffix: str
) -> None:
    output = Output(sample_rate_hz=8000, full_scale_ma=1.0, dtype=dtype)
    codes = make_codes(output, n_channels, frames=sum(sizes) + 6)[6:]
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / f"a{suffix}"
        sink = FileSink(path)
        sink.open(output, n_channels, 0)
        for part in np.split(codes, np.cumsum(sizes, dtype=int)[:-1]):
            sink.write(part)
        sink.close()
        np.testing.assert_array_equal(read_soundfile(path, dtype), codes)
        size = int.from_bytes(path.read_bytes()[4:8], "little")
        if suffix == ".rf64":  # 32 bits say nothing; ds64 stands first
            size = int.from_bytes(path.read_bytes()[20:28], "little")
        assert path.stat().st_size == size + 8


@pytest.mark.parametrize("dtype", FORMATS)
def test_numpy_loads_the_array(dtype: SampleFormat, tmp_path: Path) -> None:
    output = make_output(dtype, rate=30_000.3)
    codes = make_codes(output)
    path = write(tmp_path / "a.npy", output, codes)
    loaded = np.load(path)
    assert loaded.dtype == codes.dtype
    np.testing.assert_array_equal(loaded, codes)


@pytest.mark.parametrize("dtype", FORMATS)
@pytest.mark.parametrize("suffix", [".raw", ".pcm"])
def test_raw_is_little_endian_and_interleaved(
    suffix: str, dtype: SampleFormat, tmp_path: Path
) -> None:
    output = make_output(dtype)
    codes = make_codes(output)
    path = write(tmp_path / f"a{suffix}", output, codes)
    np.testing.assert_array_equal(from_bytes(path.read_bytes(), dtype, 2), codes)


def test_sox_reads_raw_int24(tmp_path: Path) -> None:
    output = make_output()
    codes = make_codes(output)
    path = write(tmp_path / "a.raw", output, codes)
    kind = ["-t", "raw", "-e", "signed", "-b", 24, "-L", "-r", 48_000, "-c", 2]
    raw = sox(*kind, path, "-t", "raw", "-b", 32, "-L", "-")
    np.testing.assert_array_equal(np.frombuffer(raw, "<i4").reshape(-1, 2) >> 8, codes)


@pytest.mark.parametrize("dtype", FORMATS)
@pytest.mark.parametrize("suffix", [".npy", ".raw"])
def test_the_sidecar_tells_what_the_format_cannot(
    suffix: str, dtype: SampleFormat, tmp_path: Path
) -> None:
    output = make_output(dtype, rate=30_000.3)
    write(tmp_path / f"a{suffix}", output, make_codes(output))
    about = json.loads((tmp_path / f"a{suffix}.json").read_text())
    assert about == {
        "dtype": dtype,
        "full_scale_ma": [80.0, 40.5],
        "full_scale_sample": (1 - 2**-23 if dtype == "float32" else output.max_code),
        "sample_rate_hz": 30_000.3,
        "n_channels": 2,
        "byte_order": "little",
    }
    assert {p.name for p in tmp_path.iterdir()} == {f"a{suffix}", f"a{suffix}.json"}


@pytest.mark.parametrize(("suffix", "dtype"), HELD)
def test_the_comment_turns_samples_into_milliamperes(
    suffix: str, dtype: SampleFormat, tmp_path: Path
) -> None:
    output = make_output(dtype)
    codes = make_codes(output)
    path = write(tmp_path / f"a{suffix}", output, codes)
    with soundfile.SoundFile(path) as file:
        about = json.loads(file.comment)
    samples = read_soundfile(path, dtype).astype(float)
    ma = samples / about["full_scale_sample"] * about["full_scale_ma"]
    np.testing.assert_allclose(ma, output.to_ma(codes), rtol=1e-12)
    if suffix == ".flac":  # sox looks for a WAV's comment behind the samples only
        assert b"full_scale_ma" in sox("-a", path, program="soxi")


@pytest.mark.parametrize("suffix", [".wav", ".rf64", ".npy", ".raw"])
@pytest.mark.parametrize("blocks", [0, 2])
def test_no_frames_make_an_empty_file(suffix: str, blocks: int, tmp_path: Path) -> None:
    sink = FileSink(tmp_path / f"a{suffix}")
    sink.open(make_output(), 2, 0)
    for _ in range(blocks):
        sink.write(np.zeros((0, 2), np.int32))
    sink.close()
    if suffix == ".raw":
        assert sink.path.read_bytes() == b""
    elif suffix == ".npy":
        assert np.load(sink.path).shape == (0, 2)
    else:
        assert read_soundfile(sink.path, "int24").shape == (0, 2)


@pytest.mark.parametrize("suffix", [".wav", ".rf64", ".npy"])
def test_it_can_be_read_while_it_grows(suffix: str, tmp_path: Path) -> None:
    output = make_output()
    codes = make_codes(output, frames=30)
    sink = FileSink(tmp_path / f"a{suffix}")
    sink.open(output, 2, 30)
    for n in (10, 20, 30):
        sink.write(codes[n - 10 : n])
        so_far = (
            np.load(sink.path)
            if suffix == ".npy"
            else read_soundfile(sink.path, "int24")
        )
        np.testing.assert_array_equal(so_far, codes[:n])
    sink.close()


@pytest.mark.parametrize("suffix", [".wav", ".rf64", ".npy", ".raw", ".flac"])
def test_a_killed_process_leaves_what_it_wrote(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a{suffix}"
    program = (
        "import os, sys, numpy as np\n"
        "from nmes_wave.output import Output\n"
        "from nmes_wave.sinks.file import FileSink\n"
        "sink = FileSink(sys.argv[1])\n"
        "sink.open(Output(sample_rate_hz=48000, full_scale_ma=1), 1, 9)\n"
        "for i in range(9):\n"
        "    sink.write(np.arange(i * 4096, (i + 1) * 4096, dtype=np.int32)[:, None])\n"
        "os._exit(1)\n"
    )
    subprocess.run([sys.executable, "-c", program, path], timeout=60, check=False)
    expected = np.arange(9 * 4096)
    if suffix == ".npy":
        np.testing.assert_array_equal(np.load(path)[:, 0], expected)
    elif suffix == ".raw":
        found = from_bytes(path.read_bytes(), "int24", 1)
        np.testing.assert_array_equal(found[:, 0], expected)
    else:
        raw = sox(path, "-t", "raw", "-b", 32, "-L", "-")
        samples = np.frombuffer(raw, "<i4") >> 8
        if suffix == ".flac":  # the last block was still being packed
            expected = expected[: 8 * 4096]
        np.testing.assert_array_equal(samples, expected)


def test_a_wav_that_outgrows_riff_becomes_rf64(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plain, "RIFF_LIMIT", 7000)
    output = make_output()
    codes = make_codes(output, frames=1500)
    sink = FileSink(tmp_path / "a.wav")
    sink.open(output, 2, 100)
    for start, name in ((0, "WAV"), (500, "WAV"), (1000, "RF64")):
        sink.write(codes[start : start + 500])
        assert soundfile.info(sink.path).format == name
        found = read_soundfile(sink.path, "int24")
        np.testing.assert_array_equal(found, codes[: start + 500])
    sink.close()
    raw = sox(sink.path, "-t", "raw", "-b", 24, "-L", "-")
    np.testing.assert_array_equal(from_bytes(raw, "int24", 2), codes)


@pytest.mark.skipif(sys.platform == "win32", reason="makes no sparse file")
@pytest.mark.parametrize("dtype", FORMATS)
def test_the_turn_to_rf64_is_at_4_gib(dtype: SampleFormat, tmp_path: Path) -> None:
    output = make_output(dtype)
    frame_bytes = 2 * {"int16": 2, "int24": 3}.get(dtype, 4)
    codes = make_codes(output, frames=6)
    sink = FileSink(tmp_path / "a.wav")
    sink.open(output, 2, 6)
    header = sink.path.stat().st_size
    # a sparse file that ends just below the limit
    frames = (2**32 - 1 + 8 - header) // frame_bytes - 6
    os.truncate(sink.path, header + frames * frame_bytes)
    stream: Any = sink._stream
    stream.n_frames = frames
    sink.write(codes[:0])  # goes to the end
    sink.write(codes)
    assert soundfile.info(sink.path).format == "WAV"
    assert sink.path.stat().st_size <= 2**32 - 1 + 8
    sink.write(codes)
    sink.close()
    assert sink.path.stat().st_size > 2**32 - 1 + 8
    with soundfile.SoundFile(sink.path) as file:
        assert file.format == "RF64"
        assert file.frames == frames + 12
        file.seek(frames)
        found = file.read(dtype={"int24": "int32"}.get(dtype, dtype))
    if dtype == "int24":
        found >>= 8
    np.testing.assert_array_equal(found, np.concatenate([codes, codes]))
    assert int(sox("-s", sink.path, program="soxi")) == frames + 12
