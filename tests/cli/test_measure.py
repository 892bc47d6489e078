"""``measure``: a file's pulses as text and as JSON, and files that are none."""

from __future__ import annotations

import json
import struct

import numpy as np
import pytest
import soundfile

import nmes_wave as nw
from nmes_wave.recordings import Recording

RATE_HZ = 48_000
OWN = [
    (suffix, dtype)
    for suffix in (".wav", ".rf64", ".flac", ".npy", ".raw")
    for dtype in ("int16", "int24", "float32")
    if suffix != ".flac" or dtype != "float32"
]


@pytest.fixture
def recording(cli, protocol_file):
    """What ``render`` makes of the protocol: 20 and 10 mA."""

    def make(name, *options):
        assert cli("render", protocol_file, "-o", name, *options).code == 0
        return name

    return make


def data(result):
    def refuse(word):
        raise AssertionError(f"{word} is no JSON")

    assert (result.code, result.err) == (0, "")
    return json.loads(result.out, parse_constant=refuse)


def assert_one_line(result, *words):
    assert (result.code, result.out) == (2, "")
    (line,) = result.err.splitlines()
    assert line.startswith("nmes-wave: ")
    for word in words:
        assert word in line


@pytest.mark.parametrize(("suffix", "dtype"), OWN)
def test_own_files_are_measured_as_planned(cli, recording, protocol, suffix, dtype):
    name = recording(f"a{suffix}", "--dtype", dtype, "--full-scale-ma", 50)
    found = data(cli("measure", name, "--json"))
    assert (found["file"], found["calibrated"]) == (name, True)
    assert found["sample_rate_hz"] == RATE_HZ
    assert len(found["channels"]) == len(protocol.channels)
    for planned, channel in zip(protocol.channels, found["channels"], strict=True):
        (stage,) = planned.stages
        assert channel["n_pulses"] == planned.n_pulses
        assert (channel["missing"], channel["extra"]) == (0, 0)
        assert channel["rate_hz"] == pytest.approx(40, rel=1e-6)
        # the widths are no whole number of frames: areas, in codes of 16 bits
        assert channel["phase_width_us"] == pytest.approx(300, abs=0.1)
        assert channel["recovery_width_us"] == pytest.approx(300, abs=0.1)
        assert channel["amplitude_ma"] == pytest.approx(stage.amplitude_ma, rel=1e-3)
        charge_uc = stage.amplitude_ma * 0.3
        assert channel["charge_per_phase_uc"] == pytest.approx(charge_uc, rel=1e-3)
        assert channel["net_charge_uc"] == pytest.approx(0, abs=1e-6)
        on_periods = channel["on_periods"]
        assert [row["on_s"] for row in on_periods] == pytest.approx([0.3] * 2, abs=1e-6)
        assert on_periods[0]["off_s"] == pytest.approx(0.2, abs=1e-6)


def test_the_report_for_people(cli, recording):
    result = cli("measure", recording("a.wav"))
    assert (result.code, result.err) == (0, "")
    assert "2 channels at 48000 Hz: 48 pulses" in result.out
    for words in ("channel 0: 24 pulses, rectangular", "20.000", "40.0000", " mA"):
        assert words in result.out
    assert "FS" not in result.out


def test_one_channel(cli, recording):
    name = recording("a.wav")
    (channel,) = data(cli("measure", name, "--channel", 1, "--json"))["channels"]
    assert channel["amplitude_ma"] == pytest.approx(10, rel=1e-4)
    for other in (-1, 2):
        result = cli("measure", name, "--channel", other)
        assert_one_line(result, f"channel = {other}: must be 0 to 1 in a.wav")


@pytest.mark.parametrize("dtype", ["PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
def test_a_foreign_file_is_in_parts_of_full_scale_unless_told(cli, recording, dtype):
    samples, rate_hz = soundfile.read(recording("a.wav"), always_2d=True)
    soundfile.write("foreign.wav", samples, rate_hz, dtype)
    result = cli("measure", "foreign.wav")
    assert (result.code, result.err) == (0, "")
    assert "no calibration" in result.out
    assert " FS, first phase positive" in result.out
    assert "mA" not in result.out
    found = data(cli("measure", "foreign.wav", "--json"))
    assert found["calibrated"] is False
    assert found["channels"][0]["amplitude_ma"] == pytest.approx(20 / 25, rel=1e-3)
    found = data(cli("measure", "foreign.wav", "--ma-per-unit", 25, "--json"))
    assert found["calibrated"] is True
    assert found["channels"][0]["amplitude_ma"] == pytest.approx(20, rel=1e-3)


@pytest.mark.parametrize("suffix", [".w64", ".aiff", ".caf", ".au"])
def test_other_formats_of_soundfile(cli, recording, suffix):
    samples, rate_hz = soundfile.read(recording("a.wav"), always_2d=True)
    soundfile.write(f"foreign{suffix}", samples, rate_hz, "PCM_24")
    found = data(cli("measure", f"foreign{suffix}", "--json"))
    assert [channel["n_pulses"] for channel in found["channels"]] == [24, 24]


def test_an_array_without_a_rate(cli, recording):
    np.save("bare.npy", np.load(recording("a.npy")) / 2**23)
    result = cli("measure", "bare.npy")
    assert_one_line(result, "bare.npy: tells no sample rate", "--sample-rate-hz")
    options = ("--sample-rate-hz", RATE_HZ, "--ma-per-unit", 25)
    found = data(cli("measure", "bare.npy", *options, "--json"))
    assert found["channels"][0]["n_pulses"] == 24
    assert found["channels"][0]["amplitude_ma"] == pytest.approx(20, rel=1e-4)


def test_a_rate_that_is_not_the_files(cli, recording):
    result = cli("measure", recording("a.wav"), "--sample-rate-hz", 44_100)
    assert_one_line(result, "sample_rate_hz = 44100.0: a.wav has 48000 Hz")


def test_silence_is_no_error(cli):
    soundfile.write("silence.wav", np.zeros((RATE_HZ, 2)), RATE_HZ)
    result = cli("measure", "silence.wav")
    assert (result.code, result.err) == (0, "")
    assert result.out.count("no pulses") == 2
    for channel in data(cli("measure", "silence.wav", "--json"))["channels"]:
        assert channel["n_pulses"] == 0
        assert channel["rate_hz"] is channel["amplitude_ma"] is None
        assert channel["on_periods"] == []


def npy(array):
    def write(path):
        np.save(path, array)

    return write


def part_of(whole, fraction):
    """The first part of a good file."""

    def write(path):
        made = path.with_name("whole" + path.suffix)
        whole(made)
        content = made.read_bytes()
        path.write_bytes(content[: int(len(content) * fraction)])

    return write


def sound(path):
    samples = np.random.default_rng(1).normal(0, 0.1, (20_000, 2))
    soundfile.write(path, samples, RATE_HZ, "PCM_16")


def hurt_flac(path):
    sound(path)
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 4000] = bytes(4000)
    path.write_bytes(content)


def raw_beside(path, **changes):
    path.write_bytes(bytes(6000))
    about = {
        "dtype": "int24",
        "full_scale_ma": 25.0,
        "full_scale_sample": 2**23 - 1,
        "sample_rate_hz": RATE_HZ,
        "n_channels": 2,
        "byte_order": "little",
    }
    path.with_name(path.name + ".json").write_text(json.dumps({**about, **changes}))


def raw(**changes):
    return lambda path: raw_beside(path, **changes)


def bytes_of(content):
    return lambda path: path.write_bytes(content)


def with_nan(path):
    samples = np.zeros((RATE_HZ, 1))
    samples[777] = np.nan
    np.save(path, samples)


RIFF = b"RIFF" + struct.pack("<I", 2**32 - 1) + b"WAVE"
AT_RATE = ("--sample-rate-hz", RATE_HZ)
BAD = [
    ("missing.wav", None, (), "there is no such file"),
    ("folder.wav", lambda path: path.mkdir(), (), "is a folder"),
    ("empty.wav", bytes_of(b""), (), "is empty"),
    ("text.wav", bytes_of(b"not audio\n" * 50), (), "no recording that can be read"),
    ("picture.flac", bytes_of(b"\x89PNG" * 99), (), "no recording that can be read"),
    ("endless.wav", bytes_of(RIFF), (), "no recording that can be read"),
    ("header.wav", part_of(sound, 0.0002), (), "no recording that can be read"),
    ("half.npy", part_of(npy(np.zeros(1000)), 0.5), AT_RATE, "not an array"),
    ("hurt.flac", hurt_flac, (), "damaged"),
    ("cut.flac", part_of(sound, 0.5), (), "damaged"),
    ("text.npy", bytes_of(b"hello"), AT_RATE, "not an array"),
    ("words.npy", npy(np.array(["a"])), AT_RATE, "not integers or floats"),
    ("truth.npy", npy(np.ones(99, bool)), AT_RATE, "holds bool"),
    ("complex.npy", npy(np.ones(99, complex)), AT_RATE, "holds complex128"),
    ("cube.npy", npy(np.zeros((9, 2, 2))), AT_RATE, "not an array (frames,)"),
    ("nan.npy", with_nan, AT_RATE, "not a finite number at frame 777"),
    ("slow.npy", npy(np.zeros(99)), ("--sample-rate-hz", 0), "must be 1e3 to 1e7 Hz"),
    ("bare.raw", bytes_of(bytes(600)), (), "need bare.raw.json beside them"),
    ("format.raw", raw(dtype="float64"), (), "tells no dtype"),
    ("none.raw", raw(n_channels=0), (), "no n_channels"),
    ("many.raw", raw(n_channels=10**6), (), "holds no samples"),
    ("rate.raw", raw(sample_rate_hz=0), (), "must be 1e3 to 1e7 Hz"),
    ("scale.raw", raw(full_scale_ma=-1), (), "calibration does not fit"),
    ("scales.raw", raw(full_scale_ma=[1, 2, 3]), (), "calibration does not fit"),
    ("good.wav", sound, ("--ma-per-unit", 0), "--ma-per-unit 0: must be above 0"),
    ("good.wav", sound, ("--ma-per-unit", "nan"), "nan: must be above 0"),
    ("good.wav", sound, ("--ma-per-unit", "inf"), "inf: must be above 0"),
    ("good.wav", sound, ("--ma-per-unit", "much"), "--ma-per-unit"),
    ("good.wav", sound, ("--channel", 1.5), "--channel"),
]


@pytest.mark.parametrize(
    ("name", "make", "options", "words"), BAD, ids=[f"{b[0]}-{b[3]}" for b in BAD]
)
@pytest.mark.parametrize("json_too", [(), ("--json",)], ids=["text", "json"])
def test_bad_input_is_one_line(cli, tmp_path, name, make, options, words, json_too):
    if make is not None:
        make(tmp_path / name)
    result = cli("measure", name, *options, *json_too)
    assert_one_line(result, words)


def test_what_is_huge_is_read_in_blocks(cli, tmp_path, monkeypatch):
    # 60 MB as float64 at once
    path = tmp_path / "long.raw"
    raw_beside(path, dtype="int16", n_channels=8, full_scale_ma=25.0)
    n_frames = 20 * RATE_HZ
    with path.open("r+b") as file:
        file.truncate(n_frames * 16)
    sizes = []
    read = Recording.__getitem__

    def noted(self, rows):
        block = read(self, rows)
        sizes.append(block.nbytes)
        return block

    monkeypatch.setattr(Recording, "__getitem__", noted)
    found = data(cli("measure", "long.raw", "--json"))
    assert found["n_frames"] == n_frames
    assert sum(sizes) >= n_frames * 8 * 8
    assert max(sizes) < 10e6


def test_progress_is_shown_at_a_terminal(cli, recording, monkeypatch):
    import nmes_wave.cli.measure as command

    parts = []

    class Bar:
        def __init__(self, what, total):
            assert (what, total) == ("measuring", 1.0)

        def __enter__(self):
            return parts.append

        def __exit__(self, *error):
            pass

    monkeypatch.setattr(command, "progress", Bar)
    assert cli("measure", recording("a.wav")).code == 0
    assert parts == sorted(parts)
    assert 0 < parts[0] < parts[-1] == 1.0


def test_what_is_measured_was_not_changed(cli, recording, tmp_path):
    before = (tmp_path / recording("a.npy")).read_bytes()
    assert cli("measure", "a.npy").code == 0
    assert (tmp_path / "a.npy").read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "a.npy",
        "a.npy.json",
        "short.toml",
    ]


def test_the_command_is_the_function(cli, recording):
    name = recording("a.flac")
    with nw.open_recording(name) as file:
        truth = nw.measure(file, file.sample_rate_hz, file.ma_per_unit)
    found = data(cli("measure", name, "--json"))
    assert found == {"file": name, **truth.to_dict()}
