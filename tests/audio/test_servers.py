"""The servers of the audio tests themselves: exact, private, and gone afterwards."""

import os
import re
import shutil
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from audio.clients import popen_client, run_client, wait_until
from audio.recording import align, trim
from audio.servers import JackServer, PulseServer

pytestmark = pytest.mark.audio

LEAD, LENGTH, TAIL = 24_000, 4_800, 9_600

PLAY = """
    import threading
    import sounddevice
    data, position, done = open({path!r}, "rb").read(), 0, threading.Event()

    def callback(out, frames, time, status):
        global position
        part = data[position : position + len(out)]
        out[:] = part + bytes(len(out) - len(part))
        position += len(out)
        if position > len(data) + 4 * len(out):
            done.set()

    with sounddevice.RawOutputStream(
        {rate}, channels={channels}, dtype={dtype!r}, latency=0.1,
        callback=callback, dither_off=True,
    ):
        assert done.wait(15)
"""


def random_codes(bits: int, channels: int) -> np.ndarray:
    """Random codes of that width, with silence before and after them."""
    top = 1 << (bits - 1)
    codes = np.zeros((LEAD + LENGTH + TAIL, channels), np.int32)
    generator = np.random.default_rng(bits)
    codes[LEAD:-TAIL] = generator.integers(-top, top, (LENGTH, channels))
    codes[LEAD] = codes[-TAIL - 1] = top - 1
    return codes


def play(
    server: PulseServer | JackServer, codes: np.ndarray, dtype: str, path: Path
) -> None:
    """Play codes (int16, int24, int32) or codes·2**-23 (float32) to the end."""
    if dtype == "int24":
        data = codes.astype("<i4").view(np.uint8).reshape(-1, 4)[:, :3].tobytes()
    elif dtype == "float32":
        data = (codes / 2**23).astype("<f4").tobytes()
    else:
        data = codes.astype(dtype).tobytes()
    path.write_bytes(data)
    names = {"path": str(path), "rate": server.rate, "channels": codes.shape[1]}
    run_client(PLAY.format(dtype=dtype, **names), server.env)


@pytest.mark.parametrize(
    ("dtype", "bits", "pulse_server"),
    [
        ("int16", 16, {"sample_format": "s16le"}),
        ("int24", 24, {"sample_format": "s24le"}),
        ("int32", 32, {"sample_format": "s32le"}),
        ("float32", 24, {"sample_format": "float32le"}),
        ("int24", 24, {"sample_format": "s32le"}),
        ("int24", 24, {"sample_format": "float32le"}),
    ],
    indirect=["pulse_server"],
)
def test_pulse_recording_equals_codes(
    pulse_server: PulseServer, dtype: str, bits: int, tmp_path: Path
) -> None:
    codes = random_codes(bits, pulse_server.channels)
    recorder = pulse_server.record()
    play(pulse_server, codes, dtype, tmp_path / "codes")
    if pulse_server.sample_format == "float32le":
        codes = (codes / 2**23).astype(np.float32)
    elif dtype == "int24" and pulse_server.sample_format == "s32le":
        codes = codes << 8
    found = align(recorder.stop(), codes)
    assert found.dtype == codes.dtype
    assert found.shape == (LENGTH, pulse_server.channels)


@pytest.mark.parametrize(
    ("dtype", "jack_server"),
    [
        ("float32", {"period": 128, "synchronous": True}),
        ("int24", {"synchronous": True}),
        ("float32", {"rate": 96_000, "period": 8192, "channels": 2}),
    ],
    indirect=["jack_server"],
)
def test_jack_recording_equals_codes(
    jack_server: JackServer, dtype: str, tmp_path: Path
) -> None:
    codes = random_codes(24, jack_server.channels)
    recorder = jack_server.record()
    play(jack_server, codes, dtype, tmp_path / "codes")
    found = align(recorder.stop(), (codes / 2**23).astype(np.float32))
    assert found.shape == (LENGTH, jack_server.channels)


@pytest.mark.parametrize(
    "pulse_server", [{"rate": 96_000, "channels": 4}], indirect=True
)
def test_pulse_records_first_channels_in_another_format(
    pulse_server: PulseServer, tmp_path: Path
) -> None:
    codes = random_codes(24, 4)
    recorder = pulse_server.record("s24le", channels=2)
    play(pulse_server, codes, "int24", tmp_path / "codes")
    align(recorder.stop(), codes[:, :2])


DEVICES = """
    import sounddevice
    device = sounddevice.query_devices(sounddevice.default.device[1])
    print(device["name"], device["max_output_channels"])
    print(*[device["name"] for device in sounddevice.query_devices()])
"""


def test_clients_see_their_server_only(
    pulse_server: PulseServer, jack_server: JackServer
) -> None:
    pulse = run_client(DEVICES, pulse_server.env).stdout.splitlines()
    assert pulse == ["default 32", "pulse monitor default"]
    jack = run_client(DEVICES, jack_server.env).stdout.splitlines()
    assert jack == ["system 8", "system"]


def test_jack_cable_reaches_another_client(jack_server: JackServer) -> None:
    # The monitors of what a cable brings to the outputs of `system`.
    recorder = jack_server.record()
    with popen_client(TONE, jack_server.env) as client:
        client.wait_for("playing")
        jack_server.connect("PortAudio:out_0", "system:playback_5")
        time.sleep(0.1)
        # PortAudio itself has plugged its one channel into the first output.
        assert "recorder:in_0" in jack_server.ports()
    recording = trim(recorder.stop())
    assert np.flatnonzero(recording.any(axis=0)).tolist() == [0, 4]
    with pytest.raises(AssertionError, match="system:playback_99"):
        jack_server.connect("system:capture_1", "system:playback_99")


TONE = """
    import time
    import sounddevice
    blocks = 0

    def callback(out, *_):
        global blocks
        out[:] = b"\\0\\0\\0\\x3f" * (len(out) // 4)
        blocks += 1

    with sounddevice.RawOutputStream(
        48_000, channels=1, dtype="float32", callback=callback
    ):
        while blocks < 5:
            time.sleep(0.01)
        print("playing")
        time.sleep(60)
"""


def test_jack_recording_is_silent_after_client_was_killed(
    jack_server: JackServer,
) -> None:
    recorder = jack_server.record()
    with popen_client(TONE, jack_server.env) as client:
        client.wait_for("playing")
        client.kill()
        client.wait()
        # The server may repeat the last block for up to half a second.
        time.sleep(0.6)
        recording = recorder.stop()
    assert recording[:, 0].any()
    assert not recording[-jack_server.period :].any()


def processes_of(directory: Path) -> set[int]:
    """The ids of all processes with that directory in their environment."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            environment = (process / "environ").read_bytes()
        except OSError:
            continue
        if f"{directory}\0".encode() in environment:
            found.add(int(process.name))
    return found


def shared_files(server: PulseServer | JackServer) -> dict[Path, int]:
    """Files in shared memory that are this server's, each with its inode."""
    maps = [Path(f"/proc/{n}/maps").read_text() for n in processes_of(server.directory)]
    paths = set(
        map(Path, re.findall(r"/dev/shm/jack[-_][\w.-]+$", "".join(maps), re.M))
    )
    paths |= set(Path("/dev/shm").glob(f"*_{server.env['JACK_DEFAULT_SERVER']}_*"))
    paths.discard(Path("/dev/shm/jack-shm-registry"))
    return {path: path.stat().st_ino for path in paths}


def use(server: PulseServer | JackServer, ending: str) -> dict[Path, int]:
    """Record a client; then fail, kill the server, or leave in good order."""
    with server:
        recorder = server.record()
        with popen_client(TONE, server.env) as client:
            client.wait_for("playing")
            assert len(processes_of(server.directory)) == 3
            if ending == "fail":
                raise RuntimeError(ending)
            time.sleep(0.2)
            files = shared_files(server)
            if ending == "kill":
                server.kill()
                assert not server.alive
            assert trim(recorder.stop()).any()
    return files


@pytest.mark.parametrize("ending", ["end", "kill"])
def test_nothing_is_left(
    server_class: type[PulseServer | JackServer], ending: str
) -> None:
    server = server_class()
    files = use(server, ending)
    # Two of memory, a socket, and a semaphore for each of four clients.
    assert len(files) == (7 if server_class is JackServer else 0)
    assert processes_of(server.directory) == set()
    assert not server.directory.exists()
    assert [p for p, n in files.items() if p.exists() and p.stat().st_ino == n] == []


def test_nothing_is_left_by_a_failing_test(
    server_class: type[PulseServer | JackServer],
) -> None:
    server = server_class()
    with pytest.raises(RuntimeError, match="fail"):
        use(server, "fail")
    assert processes_of(server.directory) == set()
    assert not server.directory.exists()


def test_no_server_is_started_for_clients_of_a_dead_one(
    pulse_server: PulseServer,
) -> None:
    pulse_server.kill()
    result = run_client(
        "import sounddevice; print(sounddevice.query_devices())", pulse_server.env
    )
    assert result.stdout.strip() == ""
    assert processes_of(pulse_server.directory) == set()


def test_server_ends_with_a_killed_test_run(
    server_class: type[PulseServer | JackServer],
) -> None:
    code = f"""
        import sys, time
        sys.path.insert(0, {str(Path(__file__).parents[1])!r})
        from audio.clients import popen_client
        from audio.servers import {server_class.__name__}
        with {server_class.__name__}() as server:
            recorder = server.record()
            sleep = "import time; print('up'); time.sleep(60)"
            client = popen_client(sleep, server.env)
            client.wait_for("up")
            print(server.directory)
            print("ready")
            time.sleep(60)
    """
    with popen_client(code, dict(os.environ)) as run:
        run.wait_for("ready")
        directory = Path(run.out.split()[0])
        assert len(processes_of(directory)) == 3
        run.kill()
        run.wait()
        assert wait_until(lambda: not processes_of(directory), 5.0)
    shutil.rmtree(directory)
    with server_class() as next_one:  # at once: a name may still belong to a zombie
        assert next_one.alive


def test_failing_client_shows_code_and_output() -> None:
    with pytest.raises(AssertionError, match=r"(?s)status 1, expected 0.*seen.*wrong"):
        run_client("print('seen')\nraise ValueError('wrong')", dict(os.environ))
    run_client("raise SystemExit(3)", dict(os.environ), returncode=3)
    run_client("import warnings; warnings.warn('x')", dict(os.environ), returncode=1)


def test_client_that_hangs_shows_where_and_ends_with_its_children() -> None:
    code = """
        import subprocess, time
        print(subprocess.Popen(["sleep", "60"]).pid)
        def stuck():
            time.sleep(60)
        stuck()
    """
    with pytest.raises(AssertionError, match=r"(?s)not end within 1 s.*in stuck") as e:
        run_client(code, dict(os.environ), timeout_s=1.0)
    child = int(str(e.value).partition("--- stdout\n")[2].split()[0])
    assert wait_until(lambda: not Path(f"/proc/{child}/exe").exists(), 2.0)


def test_client_can_be_suspended() -> None:
    # Otherwise a test that SIGTSTP does not suspend a client could not fail.
    with popen_client(
        "import time; print('up'); time.sleep(60)", dict(os.environ)
    ) as client:
        client.wait_for("up")
        client.send_signal(signal.SIGTSTP)
        state = Path(f"/proc/{client.pid}/stat")
        assert wait_until(lambda: state.read_text().split(") ")[1][0] == "T", 2.0)


def test_client_that_does_not_print_fails() -> None:
    with (
        popen_client("print('this')", dict(os.environ)) as client,
        pytest.raises(AssertionError, match=r"(?s)did not print 'that'.*this"),
    ):
        client.wait_for("that")


@pytest.mark.parametrize("fixture", ["pulse_server", "jack_server"])
@pytest.mark.parametrize("required", [False, True])
def test_missing_program_skips_or_fails(
    fixture: str,
    required: bool,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("NMES_WAVE_REQUIRE_AUDIO", "1" if required else "0")
    outcome = pytest.fail.Exception if required else pytest.skip.Exception
    with pytest.raises(outcome, match=r"Server needs .*setpriv"):
        request.getfixturevalue(fixture)


NOISE = np.random.default_rng(5).integers(-99, 99, (400, 2), np.int32)
QUIET = np.zeros((50, 2), np.int32)


def test_align_finds_expected_between_silence() -> None:
    expected = np.concatenate([QUIET, QUIET, NOISE, QUIET])
    recording = np.concatenate([QUIET, NOISE, QUIET, QUIET])
    np.testing.assert_array_equal(align(recording, expected), NOISE)
    np.testing.assert_array_equal(trim(recording), NOISE)


@pytest.mark.parametrize(
    ("recording", "message"),
    [
        (QUIET, "all 50 frames are silent"),
        (NOISE[:, :1], "recorded 1 channels of int32, expected 2 of int32"),
        (NOISE / 100, "recorded 2 channels of float64"),
        (NOISE[:300], "recorded 300 frames .* expected 400; the first 300 are equal"),
        (
            np.concatenate([NOISE[:100], NOISE[112:]]),
            "the first is 100, channel 0: .*; 12 frames were lost there",
        ),
        (
            np.concatenate([NOISE[:200], NOISE[190:]]),
            "the first is 200, .*; 10 frames were inserted there",
        ),
        (
            np.concatenate([NOISE[:100], QUIET, NOISE[100:]]),
            "the first is 100, .*; 50 frames were inserted there",
        ),
        (NOISE + (np.arange(800).reshape(400, 2) == 601), "1 of the first 400 differ"),
    ],
)
def test_align_explains_difference(recording: np.ndarray, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        align(recording, NOISE)
