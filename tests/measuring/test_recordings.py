"""Files become recordings: those of `FileSink`, of others, and what is none."""

from __future__ import annotations

import json

import numpy as np
import pytest
import soundfile

import nmes_wave as nw
from nmes_wave.sinks.file import FileSink

RATE_HZ = 48_000.0
SCALES_MA = (80.0, 40.5)
FORMATS = [
    (suffix, dtype)
    for suffix in (".wav", ".rf64", ".flac", ".npy", ".raw", ".pcm")
    for dtype in ("int16", "int24", "int32", "float32")
    if suffix != ".flac" or dtype in ("int16", "int24")
]


def written(path, dtype="int24", frames=1000, trigger=None):
    output = nw.Output(
        sample_rate_hz=RATE_HZ, full_scale_ma=SCALES_MA, dtype=dtype, trigger=trigger
    )
    n_columns = output.n_columns(2)
    codes = np.random.default_rng(1).integers(
        -output.max_code, output.max_code, (frames, n_columns), endpoint=True
    )
    unit = 2.0**-23 if dtype == "float32" else 1
    codes = (codes * unit).astype(output.numpy_dtype)
    sink = FileSink(path)
    sink.open(output, n_columns, frames)
    sink.write(codes)
    sink.close()
    return output.to_ma(codes)


@pytest.mark.parametrize(("suffix", "dtype"), FORMATS)
def test_what_a_file_sink_wrote_is_in_milliamperes(tmp_path, suffix, dtype):
    path = tmp_path / f"a{suffix}"
    truth = written(path, dtype)
    with nw.open_recording(path) as recording:
        assert recording.shape == (1000, 2)
        assert recording.sample_rate_hz == RATE_HZ
        scale = np.array(recording.ma_per_unit)
        assert recording[0:1000] * scale == pytest.approx(truth, rel=1e-12, abs=1e-12)
        # any part, in any order
        for start, stop in ((990, 2000), (3, 7), (500, 500), (0, 10)):
            part = recording[start:stop] * scale
            assert part == pytest.approx(truth[start:stop], rel=1e-12, abs=1e-12)
        (one,) = (recording.only(1)[5:9] * recording.only(1).ma_per_unit).T
        assert one == pytest.approx(truth[5:9, 1], rel=1e-12)
        with pytest.raises(nw.SpecError, match="channel = 2: must be 0 to 1"):
            recording.only(2)


@pytest.mark.parametrize("suffix", [".wav", ".npy", ".raw"])
def test_a_trigger_is_no_channel(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    truth = written(path, trigger=nw.Trigger())
    assert truth.shape[1] == 2
    with nw.open_recording(path) as recording:
        assert recording[:] * recording.ma_per_unit == pytest.approx(truth)


def test_a_foreign_file_tells_no_calibration(tmp_path):
    path = tmp_path / "foreign.wav"
    samples = np.linspace(-0.5, 0.5, 1000)
    soundfile.write(path, samples, 44_100, "FLOAT")
    with nw.open_recording(path, 44_100) as recording:
        assert recording.ma_per_unit is None
        assert recording[:][:, 0] == pytest.approx(samples, abs=1e-7)
    with pytest.raises(nw.SpecError, match=r"48000: .* has 44100 Hz"):
        nw.open_recording(path, 48_000)


def test_an_array_needs_a_sample_rate(tmp_path):
    path = tmp_path / "a.npy"
    np.save(path, np.arange(100, dtype=np.int16))
    with pytest.raises(nw.FormatError, match="tells no sample rate"):
        nw.open_recording(path)
    with nw.open_recording(path, 1000.0) as recording:
        assert recording.shape == (100, 1)
        assert recording[10:12].tolist() == [[10.0], [11.0]]
        assert recording.ma_per_unit is None
    with pytest.raises(nw.SpecError, match="1e3 to 1e7"):
        nw.open_recording(path, 0.0)


def bad_files(folder):
    """Yield name, content and what the error must say."""
    written(folder / "good.wav", frames=20_000)
    written(folder / "good.flac", frames=20_000)
    good = (folder / "good.flac").read_bytes()
    middle = len(good) // 2
    yield "empty.wav", b"", "is empty"
    yield "empty.npy", b"", "is empty"
    yield "text.wav", b"no sound at all\n" * 100, "no recording that can be read"
    yield "picture.flac", b"\x89PNG" + bytes(1000), "no recording that can be read"
    yield (
        "header.wav",
        (folder / "good.wav").read_bytes()[:50],
        "no recording that|no samples",
    )
    yield "hurt.flac", good[:middle] + bytes(4000) + good[middle + 4000 :], "damaged"
    yield "short.flac", good[:middle], "damaged"
    yield "raw.raw", bytes(600), "raw samples need raw.raw.json"
    yield "text.npy", b"\x93NUMPY nothing", "not an array"
    np.save(folder / "words.npy", np.array(["a", "b"]))
    yield "words.npy", None, "not integers or floats"
    np.save(folder / "cube.npy", np.zeros((2, 2, 2)))
    yield "cube.npy", None, r"not an array \(frames,\)"
    np.save(folder / "none.npy", np.zeros((0, 2)))
    yield "none.npy", None, "holds no samples|not an array"
    np.save(folder / "cut.npy", np.zeros((1000, 2)))
    whole = (folder / "cut.npy").read_bytes()
    yield "cut.npy", whole[: len(whole) // 2], "not an array"
    huge = np.lib.format.header_data_from_array_1_0(np.zeros(1))
    huge["shape"] = (2**60, 2)
    with (folder / "huge.npy").open("wb") as file:
        np.lib.format.write_array_header_1_0(file, huge)
    yield "huge.npy", None, "not an array"


BAD = [
    "empty.wav",
    "empty.npy",
    "text.wav",
    "picture.flac",
    "header.wav",
    "hurt.flac",
    "short.flac",
    "raw.raw",
    "text.npy",
    "words.npy",
    "cube.npy",
    "none.npy",
    "cut.npy",
    "huge.npy",
]


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_read_is_said(tmp_path, name):
    found = {made: (content, words) for made, content, words in bad_files(tmp_path)}
    assert list(found) == BAD
    content, words = found[name]
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)

    def read():
        with nw.open_recording(path, RATE_HZ) as recording:
            return recording[:]

    with pytest.raises(nw.FormatError, match=words) as error:
        read()
    assert str(path) in str(error.value)


def test_a_file_that_becomes_shorter_while_it_is_read(tmp_path):
    path = tmp_path / "a.wav"
    written(path, frames=100_000)
    with nw.open_recording(path) as recording:
        recording[:1000]
        with path.open("r+b") as file:
            file.truncate(path.stat().st_size // 2)
        with pytest.raises(nw.FormatError, match=r"ends at frame 49... of 100000"):
            recording[1000:100_000]


def test_no_file_and_a_folder(tmp_path):
    with pytest.raises(nw.FormatError, match="no such file"):
        nw.open_recording(tmp_path / "none.wav")
    with pytest.raises(nw.FormatError, match="is a folder"):
        nw.open_recording(tmp_path)


@pytest.mark.parametrize(
    "changes",
    [{"full_scale_ma": [1.0]}, {"full_scale_ma": "x"}, {"full_scale_sample": 0}],
)
def test_a_calibration_that_does_not_fit(tmp_path, changes):
    path = tmp_path / "a.npy"
    written(path)
    beside = tmp_path / "a.npy.json"
    about = json.loads(beside.read_text("utf-8"))
    beside.write_text(json.dumps({**about, **changes}), "utf-8")
    with pytest.raises(nw.FormatError, match="calibration does not fit"):
        nw.open_recording(path)


def test_a_recording_is_measured_as_an_array_is(tmp_path):
    from measuring.made import plan_of, rendered

    plan = plan_of(rate_hz=35.0, on_s=1.0)
    path = tmp_path / "a.wav"
    sink = FileSink(path)
    sink.open(plan.output, 1, plan.n_frames)
    sink.write(plan.render())
    sink.close()
    with nw.open_recording(path) as recording:
        found = nw.measure(recording, recording.sample_rate_hz, recording.ma_per_unit)
    (channel,) = found.channels
    (truth,) = nw.measure(rendered(plan), plan.output.sample_rate_hz).channels
    assert channel.n_pulses == 35
    assert channel.amplitude_ma == pytest.approx(truth.amplitude_ma, rel=1e-6)
