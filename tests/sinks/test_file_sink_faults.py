"""What FileSink refuses, and what is left when the disk or the user ends it."""

from __future__ import annotations

import errno
import io
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from nmes_wave.errors import (
    FormatError,
    SinkLostError,
    SinkOpenError,
    SinkUnavailableError,
    SpecError,
    StateError,
)
from nmes_wave.output import Output, SampleFormat
from nmes_wave.sinks.file import SUFFIXES, FileSink

posix = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX")


def make_output(dtype: SampleFormat = "int24", rate: float = 48_000) -> Output:
    return Output(sample_rate_hz=rate, full_scale_ma=100.0, dtype=dtype)


def zeros(frames: int, n_channels: int = 2) -> np.ndarray[Any, Any]:
    return np.zeros((frames, n_channels), np.int32)


@pytest.mark.parametrize("name", ["a.mp3", "a", "a.wav.gz", ".wav"])
def test_an_unknown_suffix_lists_the_known_ones(name: str) -> None:
    known = r"\.wav, \.rf64, \.flac, \.npy, \.raw, \.pcm"
    with pytest.raises(FormatError, match=f"{name}: .*; the format is one of {known}"):
        FileSink(name)


@pytest.mark.parametrize(
    ("name", "output", "n_channels", "why"),
    [
        ("a.flac", make_output("int32"), 2, "FLAC holds int16 and int24, not int32"),
        ("a.flac", make_output("float32"), 2, "int16 and int24, not float32"),
        ("a.flac", make_output(), 9, "FLAC holds 8 channels, not 9"),
        ("a.flac", make_output(rate=655_360), 2, "up to 655350 Hz.* not 655360 Hz"),
        ("a.flac", make_output(rate=88_201), 2, "in steps of 10 Hz, not 88201 Hz"),
        ("a.flac", make_output(rate=44_100.5), 2, r"whole hertz, not 44100\.5 Hz"),
        ("a.wav", make_output(rate=44_100.5), 2, r"WAV holds whole hertz, not 44100"),
        ("a.rf64", make_output(), 1025, "RF64 holds 1024 channels, not 1025"),
    ],
)
def test_what_a_format_cannot_hold_is_refused_in_one_line(
    name: str, output: Output, n_channels: int, why: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_bytes(b"the last recording")
    sink = FileSink(path)
    with pytest.raises(FormatError, match=why) as caught:
        sink.open(output, n_channels, 100)
    assert "\n" not in str(caught.value)
    sink.close()
    assert path.read_bytes() == b"the last recording"


def _libsndfile_takes(kind: str, rate: int, n_channels: int) -> bool:
    try:
        with soundfile.SoundFile(
            io.BytesIO(), "w", rate, n_channels, "PCM_24", format=kind
        ) as file:
            file.write(zeros(1, n_channels))
    except (soundfile.SoundFileError, AssertionError):
        return False
    return True


@pytest.mark.parametrize(
    ("rate", "n_channels"),
    [(r, 2) for r in (8000, 44_100, 65_535, 65_536, 88_200, 192_000, 384_010)]
    + [(r, 1) for r in (655_349, 655_350, 655_351, 655_360, 768_000)]
    + [(48_000, n) for n in (1, 8, 9, 1024, 1025)],
)
@pytest.mark.parametrize("suffix", [".flac", ".wav", ".rf64"])
def test_the_limits_are_libsndfiles(
    suffix: str, rate: int, n_channels: int, tmp_path: Path
) -> None:
    sink = FileSink(tmp_path / f"a{suffix}")
    try:
        sink.open(make_output(rate=rate), n_channels, 10)
        sink.write(zeros(10, n_channels))
        sink.close()
        took = True
    except FormatError:
        took = False
    assert took == _libsndfile_takes(suffix[1:].upper(), rate, n_channels)
    if took:
        info = soundfile.info(sink.path)
        found = info.samplerate, info.channels, info.frames
        assert found == (rate, n_channels, 10)


def test_a_missing_directory(tmp_path: Path) -> None:
    sink = FileSink(tmp_path / "no" / "a.wav")
    with pytest.raises(SinkOpenError, match=r"a\.wav: there is no directory .*no$"):
        sink.open(make_output(), 2, 1)
    sink.close()


def test_a_directory_of_that_name(tmp_path: Path) -> None:
    (tmp_path / "a.wav").mkdir()
    with pytest.raises(SinkOpenError, match=r"a\.wav: .*(directory|denied)"):
        FileSink(tmp_path / "a.wav").open(make_output(), 2, 1)


@pytest.fixture
def no_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Be somebody who may not write here; root may write anywhere."""
    tmp_path.chmod(0o555)
    monkeypatch.chdir(tmp_path)  # the directories above may be closed
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    yield
    if root:
        os.seteuid(0)
    tmp_path.chmod(0o755)


@posix
@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("exists", [True, False])
def test_no_permission(
    suffix: str, exists: bool, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    path = tmp_path / f"a{suffix}"
    if exists:
        path.write_bytes(b"the last recording")
        path.chmod(0o444)
    request.getfixturevalue("no_root")
    with pytest.raises(SinkOpenError, match=f"a{suffix}: Permission denied$"):
        FileSink(path.name).open(make_output(), 2, 1)
    found = [p.name for p in Path().iterdir()]
    assert found == ([path.name] if exists else [])
    if exists:
        assert Path(path.name).read_bytes() == b"the last recording"


def test_the_old_file_survives_where_the_sidecar_cannot_be_written(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a.npy"
    (tmp_path / "a.npy.json").mkdir()
    with pytest.raises(SinkOpenError, match=r"a\.npy: "):
        FileSink(path).open(make_output(), 2, 1)
    assert not path.exists()
    path.write_bytes(b"the last recording")
    with pytest.raises(SinkOpenError, match=r"a\.npy: "):
        FileSink(path).open(make_output(), 2, 1)
    assert path.read_bytes() == b"the last recording"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.npy", "a.npy.json"]


@pytest.mark.parametrize(
    "failure", ["raise OSError('sndfile library not found')", "import no_such_module"]
)
def test_flac_without_libsndfile_says_what_to_install(
    failure: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "soundfile.py").write_text(failure)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "soundfile")
    path = tmp_path / "a.flac"
    path.write_bytes(b"the last recording")
    with pytest.raises(SinkUnavailableError, match=r"pip install soundfile.*apt "):
        FileSink(path).open(make_output(), 2, 1)
    assert path.read_bytes() == b"the last recording"
    for suffix in (".wav", ".rf64", ".npy", ".raw"):
        sink = FileSink(tmp_path / f"a{suffix}")
        sink.open(make_output(), 2, 1)
        sink.write(zeros(1))
        sink.close()


def test_a_libsndfile_without_flac(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    formats = {k: v for k, v in soundfile._formats.items() if k != "FLAC"}
    monkeypatch.setattr(soundfile, "_formats", formats)
    with pytest.raises(SinkOpenError, match=r"a\.flac: libsndfile: Unknown format"):
        FileSink(tmp_path / "a.flac").open(make_output(), 2, 1)
    assert not list(tmp_path.iterdir())


def test_nothing_heavy_is_imported_before_it_is_needed() -> None:
    program = (
        "import sys, nmes_wave.sinks.file, nmes_wave.sinks.conformance\n"
        "assert 'soundfile' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], timeout=60, check=True)


def test_calls_out_of_order(tmp_path: Path) -> None:
    sink = FileSink(tmp_path / "a.wav")
    with pytest.raises(StateError, match="is not open"):
        sink.write(zeros(1))
    sink.open(make_output(), 2, 1)
    sink.write(zeros(5))
    with pytest.raises(StateError, match="close it first"):
        sink.open(make_output(), 2, 1)
    with pytest.raises(SpecError, match=r"\(frames, 2\) of int32"):
        sink.write(zeros(1, 3))
    sink.close()
    with pytest.raises(StateError, match="is not open"):
        sink.write(zeros(1))
    assert soundfile.info(sink.path).frames == 5
    sink.open(make_output(), 3, 1)
    sink.close()
    assert soundfile.info(sink.path).channels == 3
    assert soundfile.info(sink.path).frames == 0


@posix
def test_a_longer_file_is_replaced_wholly(tmp_path: Path) -> None:
    for suffix in SUFFIXES:
        path = tmp_path / f"a{suffix}"
        path.write_bytes(b"\xff" * 100_000)
        sink = FileSink(path)
        sink.open(make_output(), 2, 1)
        sink.write(zeros(4))
        sink.close()
        assert path.stat().st_size < 12_000
        assert b"\xff" * 100 not in path.read_bytes()


FULL_DISK = """
import resource, sys
import numpy as np
from nmes_wave.errors import SinkLostError, StateError
from nmes_wave.output import Output
from nmes_wave.sinks.file import FileSink

path, n_channels, limit = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
codes = np.random.default_rng(2).integers(-(2**23), 2**23, (60_000, n_channels))
codes = codes.astype(np.int32)
sink = FileSink(path)
sink.open(Output(sample_rate_hz=48_000, full_scale_ma=1), n_channels, 60_000)
try:
    for i in range(60):
        sink.write(codes[1000 * i : 1000 * (i + 1)])
except SinkLostError as error:
    print(error)
try:
    sink.write(codes)
except StateError as error:
    print(error)
sink.close()
print(sink.n_frames)
"""


@posix
@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(("n_channels", "limit"), [(1, 100_001), (2, 100_004)])
def test_a_full_disk_ends_it_cleanly(
    suffix: str, n_channels: int, limit: int, tmp_path: Path
) -> None:
    path = tmp_path / f"a{suffix}"
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, path, str(n_channels), str(limit)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stderr == ""
    lost, closed, told = done.stdout.splitlines()
    assert lost.startswith(f"{path}: {os.strerror(errno.EFBIG)} after {told} frames (")
    assert closed == f"{path}: is not open"

    n_frames = int(told)
    codes = np.random.default_rng(2).integers(-(2**23), 2**23, (60_000, n_channels))
    if suffix == ".flac":
        # only whole blocks arrived, of 4096 frames, and libFLAC held one back
        with soundfile.SoundFile(path) as file:
            found = file.read(4096 * (n_frames // 4096 - 1), "int32", always_2d=True)
        assert len(found) >= 8192
        whole = FileSink(tmp_path / "whole.flac")
        whole.open(Output(sample_rate_hz=48_000, full_scale_ma=1), n_channels, 60_000)
        whole.write(codes.astype(np.int32))
        whole.close()
        arrived, uncut = path.read_bytes(), whole.path.read_bytes()
        streaminfo = 4 + 4 + 34
        assert arrived[streaminfo:] == uncut[streaminfo : len(arrived)]
        assert uncut[len(arrived) :].startswith(b"\xff\xf8")  # the next block
        np.testing.assert_array_equal(found >> 8, codes[: len(found)])
        return
    if suffix == ".npy":
        found = np.load(path)
    elif suffix in (".wav", ".rf64"):
        found = soundfile.read(path, dtype="int32", always_2d=True)[0] >> 8
    else:
        data = np.frombuffer(path.read_bytes(), np.uint8).reshape(-1, 3)
        wide = np.pad(data, ((0, 0), (1, 0))).view("<i4") >> 8
        found = wide.reshape(-1, n_channels)
    np.testing.assert_array_equal(found, codes[:n_frames])
    frame_bytes = n_channels * (4 if suffix == ".npy" else 3)
    # every whole frame that fits is there
    assert limit - 300 <= path.stat().st_size <= limit
    assert n_frames >= (limit - 300) // frame_bytes


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_device_that_is_full(tmp_path: Path) -> None:
    full = os.strerror(errno.ENOSPC)
    for suffix in (".wav", ".rf64", ".npy"):
        path = tmp_path / f"a{suffix}"
        path.symlink_to("/dev/full")
        with pytest.raises(SinkOpenError, match=f"{full}$"):
            FileSink(path).open(make_output(), 2, 1)
        assert path.is_symlink()
    for suffix in (".raw", ".flac"):  # these write nothing when opened
        path = tmp_path / f"a{suffix}"
        path.symlink_to("/dev/full")
        sink = FileSink(path)
        sink.open(make_output(), 2, 1)
        with pytest.raises(SinkLostError, match=rf"{full} after 0 frames \(0\.000 s\)"):
            sink.write(zeros(1))
        sink.close()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_disk_that_is_full_at_the_end(tmp_path: Path) -> None:
    sink = FileSink(tmp_path / "a.flac")
    sink.open(make_output(), 2, 1)
    sink.write(zeros(480))  # libFLAC holds a block until it is full
    stream: Any = sink._stream
    with Path("/dev/full").open("wb") as full:
        os.dup2(full.fileno(), stream._guard.file.fileno())
    lost = rf"{os.strerror(errno.ENOSPC)} after 480 frames \(0\.010 s\); the file "
    with pytest.raises(SinkLostError, match=lost):
        sink.close()
    sink.close()


@posix
def test_raw_goes_into_a_pipe(tmp_path: Path) -> None:
    path = tmp_path / "a.raw"
    os.mkfifo(path)
    arrived = []
    reader = threading.Thread(target=lambda: arrived.append(path.read_bytes()))
    reader.start()
    sink = FileSink(path)
    sink.open(make_output(), 2, 1)
    sink.write(zeros(3))
    sink.close()
    reader.join(timeout=10)
    assert arrived == [bytes(18)]
