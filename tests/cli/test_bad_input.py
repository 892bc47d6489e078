"""Whatever is wrong: one clear line, the right exit code, and nothing left."""

from __future__ import annotations

import sys

import pytest

PRESET = "tka-stevens-lapsley-2012"
RENDER = ("render", PRESET, "-o", "out.wav", "--amplitude-ma", "40")
PULSE = 'event = { type = "pulse", phase_width_us = 250.0 }'
FILE = f"""format = 1
name = "test"
[[channels]]
name = "a"
[[channels.stages]]
amplitude_ma = 40.0
{PULSE}
train = {{ rate_hz = 50.0 }}
duty_cycle = {{ on_s = 1.0 }}
"""


def assert_refused(result, code, *words):
    assert result.code == code, result
    assert result.out == ""
    lines = result.err.splitlines()
    assert len(lines) == 1, result.err
    assert lines[0].startswith("nmes-wave: ")
    assert "Traceback" not in result.err
    for word in words:
        assert word in lines[0]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["chek"], ["No such command", "check"]),
        (["render"], ["NAME"]),
        (["render", PRESET], ["--output"]),
        (["check", PRESET, "--amplitude"], ["--amplitude"]),
        (["presets", "--status", "completed"], ["completed", "complete"]),
        (["show", "tka-stevens-lapsley-2021"], ["did you mean", PRESET]),
        (["check", PRESET, "--amplitude-ma", "forty"], ["--amplitude-ma", "number"]),
        (["check", PRESET, "--amplitude-ma", "nan"], ["nan", "finite"]),
        (["check", PRESET, "--amplitude-ma", "inf"], ["inf", "finite"]),
        (["check", PRESET, "--amplitude-ma", "-1"], ["-1", "at least 0"]),
        (["check", PRESET, "--amplitude-ma", "9", "--contractions", "0"], ["0", "1"]),
        (["check", PRESET, "--amplitude-ma", "9", "--limits", "mine"], ["mine"]),
        ([*RENDER, "--full-scale-ma", "30"], ["40", "30 mA"]),
        ([*RENDER, "--full-scale-ma", "nan"], ["full_scale_ma", "finite"]),
        ([*RENDER, "--full-scale-ma", "50", "--full-scale-ma", "60"], ["must be one"]),
        ([*RENDER, "--sample-rate-hz", "1000"], ["1000", "8000"]),
        ([*RENDER, "--sample-rate-hz", "inf"], ["finite"]),
        ([*RENDER, "--dtype", "int8"], ["int8", "int16"]),
        ([*RENDER, "--edges", "round"], ["round", "snap"]),
        ([*RENDER, "-o", "nowhere/out.wav"], ["nowhere"]),
        ([*RENDER, "-o", "."], ["folder"]),
        ([*RENDER, "-o", "/proc/out.wav"], ["/proc/out.wav: cannot be written"]),
        ([*RENDER, "-o", "out.mp3"], ["out.mp3: ", ".wav"]),
        ([*RENDER, "-o", "out"], ["out: ", ".wav"]),
        ([*RENDER, "-o", "out.flac", "--dtype", "float32"], ["out.flac: ", "float32"]),
        (["plot", *RENDER[1:]], ["out.wav", ".png"]),
        (["run", PRESET, "--amplitude-ma", "9"], ["--full-scale-ma", "hardware"]),
        (["run", PRESET, "--full-scale-ma", "9"], ["--amplitude-ma", "maximal tol"]),
        (["run", PRESET, "--sink", "speaker"], ["no sink 'speaker'", "audio, null"]),
        (["run", PRESET, "--sink", "null", "--device", "1"], ["audio sink"]),
        (
            [
                "run",
                PRESET,
                "--amplitude-ma",
                "9",
                "--sink",
                "null",
                "--intensity",
                "2",
            ],
            ["intensity", "0 to 1"],
        ),
        (["demo", "--output-dir", "nowhere"], ["nowhere"]),
        (["check", "nowhere.toml"], ["nowhere.toml", "No such file"]),
        (["check", "./"], ["directory"]),
    ],
    ids=lambda x: " ".join(map(str, x)) if isinstance(x, list) else "",
)
def test_bad_usage_is_one_line_and_exit_code_2(cli, tmp_path, arguments, words):
    assert_refused(cli(*arguments), 2, *words)
    assert [*tmp_path.iterdir()] == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("not toml at all", ["not TOML", "line 1"]),
        ("", ["format"]),
        (FILE.replace("rate_hz", "rate"), ["train.rate", "did you mean rate_hz"]),
        (FILE.replace("= 50.0", '= "fifty"'), ["train.rate_hz", "number"]),
        (FILE.replace("250.0", "nan"), ["phase_width_us", "finite"]),
        (FILE.replace("250.0", "inf"), ["phase_width_us", "finite"]),
        (FILE.replace("250.0", "-250.0"), ["phase_width_us", "greater than 0"]),
        (FILE.replace("250.0", "11000.0"), ["22 ms", "20 ms"]),
        (FILE.replace("40.0", "true"), ["amplitude_ma", "number"]),
        (
            FILE.replace('"a"', '"a\\nb\\u001b[31m"').replace("rate_hz", "x"),
            ["train.x"],
        ),
        (FILE + "[" * 5000, ["TOML"]),
    ],
)
def test_a_wrong_file_is_named_with_its_place(cli, tmp_path, text, words):
    path = tmp_path / "wrong.toml"
    path.write_text(text)
    result = cli("render", "./wrong.toml", "-o", "out.wav")
    assert_refused(result, 2, "wrong.toml: ", *words)
    assert [*tmp_path.iterdir()] == [path]


def test_a_key_cannot_write_to_the_terminal(cli, tmp_path):
    (tmp_path / "wrong.toml").write_text(FILE + '"x\\n\\u001b]0;\\u0007" = 1\n')
    result = cli("check", "wrong.toml")
    assert_refused(result, 2, "unknown key")
    assert result.err.rstrip("\n").isprintable()


def test_bytes_that_are_not_text(cli, tmp_path):
    (tmp_path / "wrong.toml").write_bytes(b"\xff\xfe\x00")
    assert_refused(cli("check", "wrong.toml"), 2, "wrong.toml", "UTF-8")


def test_a_file_of_100_mb_is_refused_by_its_size(cli, tmp_path):
    with (tmp_path / "huge.toml").open("wb") as file:
        file.truncate(100_000_000)
    assert_refused(cli("check", "huge.toml"), 2, "huge.toml", "at most 4 MB")


def test_a_file_without_a_slash_is_suggested(cli, tmp_path):
    (tmp_path / "mine").write_text(FILE)
    assert_refused(cli("show", "mine"), 2, "./mine")
    assert cli("show", "./mine").code == 0


def test_over_a_limit_nothing_is_rendered(cli, tmp_path):
    arguments = [*RENDER[:-1], "140", "--full-scale-ma", "150"]
    result = cli(*arguments)
    assert_refused(result, 1, "amplitude_ma", "140", "100")
    assert [*tmp_path.iterdir()] == []


def test_an_existing_file_survives_an_error(cli, tmp_path):
    (tmp_path / "out.wav").write_text("mine")
    assert cli(*RENDER, "--full-scale-ma", "30").code == 2
    assert (tmp_path / "out.wav").read_text() == "mine"


def test_a_disk_that_fills_leaves_no_half_written_file(cli, tmp_path, monkeypatch):
    from nmes_wave.sinks.file import FileSink

    write, done = FileSink.write, []

    def full(self, block):
        if done:
            raise OSError(28, "No space left on device", str(self.path))
        done.append(write(self, block))

    monkeypatch.setattr(FileSink, "write", full)
    assert_refused(cli(*RENDER), 2, "No space left")
    assert done
    assert [*tmp_path.iterdir()] == []


def test_an_interrupted_render_leaves_nothing(cli, tmp_path, monkeypatch):
    from nmes_wave.sinks.file import FileSink

    def interrupt(self, block):
        raise KeyboardInterrupt

    monkeypatch.setattr(FileSink, "write", interrupt)
    result = cli(*RENDER)
    assert (result.code, result.err) == (130, "nmes-wave: interrupted\n")
    assert [*tmp_path.iterdir()] == []


@pytest.mark.parametrize("name", ["nul", "serial:1", "file:", "audio:3"])
def test_an_unknown_sink_is_bad_usage(cli, name):
    result = cli("run", PRESET, "--amplitude-ma", "9", "--sink", name)
    assert_refused(result, 2, repr(name), "null")


def test_without_portaudio_the_package_to_install_is_named(cli, monkeypatch):
    # What `import sounddevice` does on a machine without the library.
    class Missing:
        @staticmethod
        def find_spec(name, path=None, target=None):
            if name == "sounddevice":
                raise OSError("PortAudio library not found")

    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Missing, *sys.meta_path])
    assert cli("devices").code == 3
    result = cli("devices", "--json")
    assert_refused(result, 3, "PortAudio", "libportaudio2")
    run = ("run", PRESET, "--amplitude-ma", "9", "--full-scale-ma", "10")
    assert_refused(cli(*run), 3, "PortAudio", "libportaudio2")
