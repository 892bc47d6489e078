"""Loopbacks through real servers: what was played is what came back."""

from __future__ import annotations

import json
import signal
from textwrap import dedent

import pytest
from audio.clients import popen_client, run_client, wait_until
from audio.conftest import require
from audio.servers import JackServer, PulseServer
from audio.sessions import assert_events_balanced, finish, plan_of

import nmes_wave as nw

pytestmark = pytest.mark.audio

RATE_HZ = 48_000
SHARED = "shared=True, output_device='pulse', input_device='monitor'"
#: Of the JACK server's inputs, those that monitor its first outputs.
MONITORS = (8, 9, 10, 11)

LOOPBACK = """
    import ctypes, json, os, time
    import numpy as np
    import nmes_wave as nw
    from nmes_wave.sinks.loopback import LoopbackSink

    output = nw.Output(sample_rate_hz=48_000, full_scale_ma=30.0, dtype={dtype!r})
    plan = nw.build_plan(nw.StimProtocol.from_toml({toml!r}), output)
    sink = LoopbackSink({options})
    # a machine that is busy with other tests has underruns of its own
    with nw.Session(plan, sink, underrun="count") as session:
{before}
        session.start(intensity=1.0)
{body}
        session.wait()
        complete = sink.wait()
    heard = sink.recording()
    heard = heard.astype(np.float64) / {gain}
    verification = nw.verify(plan, heard, 48_000)
    planned = plan.to_ma(plan.render()) / 30.0
    latency = round(verification.latency_s * 48_000)
    part = heard[latency : latency + len(planned)]
    print(json.dumps({{
        "complete": complete,
        "frames": verification.latency_s * 48_000,
        "largest": float(np.abs(part - planned).max()),
        "passed": verification.passed,
        "failures": list(verification.failures),
        "gain": verification.gain,
        "polarity": verification.polarity,
        "missing": len(verification.missing),
        "extra": len(verification.extra),
    }}))
"""


def indented(code):
    return "        " + dedent(code).strip().replace("\n", "\n        ")


def code_of(options, *, before="", body="", dtype="int24", gain=1):
    plan = plan_of(on_s=0.5)
    return dedent(LOOPBACK).format(
        options=options,
        before=indented(before),
        body=indented(body),
        dtype=dtype,
        toml=plan.protocol.to_toml(),
        gain=gain,
    )


def loop(server, options, **changed):
    result = run_client(code_of(options, **changed), server.env, timeout_s=40)
    return json.loads(result.stdout.splitlines()[-1])


def assert_exact(found):
    """Each frame came back as it went out, within a float32."""
    assert found["complete"]
    assert found["largest"] < 2**-24
    assert found["frames"] == pytest.approx(round(found["frames"]), abs=0.01)
    assert found["passed"], found["failures"]
    assert found["gain"] == pytest.approx(1, abs=1e-6)
    assert (found["polarity"], found["missing"], found["extra"]) == (1, 0, 0)


@pytest.fixture
def jack():
    require(JackServer)
    with JackServer(synchronous=True) as server:
        yield server


@pytest.fixture
def pulse():
    require(PulseServer)
    with PulseServer(channels=4, sample_format="float32le") as server:
        yield server


HOLD_THE_GIL = """
    time.sleep(0.2)
    ctypes.PyDLL(None).usleep(1_000_000)
    session.feed()
"""


def test_jack_gives_back_every_sample_at_the_same_delay(jack):
    options = f"input_channels={MONITORS}"
    first = loop(jack, options, dtype="float32")
    # Python stands still for a second: neither direction notices
    second = loop(jack, options, body=HOLD_THE_GIL)
    assert_exact(first)
    assert_exact(second)
    assert first["frames"] == pytest.approx(second["frames"], abs=0.01)
    assert round(first["frames"]) == jack.period


def test_a_cable_between_our_own_ports(jack):
    """Channels 0 and 1 are crossed, and named in the right order by the options."""
    plugged = jack.directory / "plugged"
    wait = f"""
        print("open", flush=True)
        while not os.path.exists({str(plugged)!r}):
            time.sleep(0.01)
    """
    code = code_of("input_channels=(1, 0, 2, 3)", before=wait)
    with popen_client(code, jack.env) as client:
        client.wait_for("open")
        for source, target in enumerate((1, 0, 2, 3)):
            jack.connect(f"PortAudio:out_{source}", f"PortAudio:in_{target}")
        plugged.touch()
        finish(client, timeout_s=40)
        found = json.loads(client.out.splitlines()[-1])
    assert_exact(found)


def test_pulseaudio_gives_back_every_sample(pulse):
    assert_exact(loop(pulse, SHARED))


def test_the_volume_of_a_shared_server_is_found(pulse):
    # 50 % of PulseAudio's volume is cubic: an eighth
    assert pulse._tool("pactl", "set-sink-volume", "nmes", "50%").returncode == 0
    found = loop(pulse, SHARED)
    assert found["passed"], found["failures"]
    assert found["gain"] == pytest.approx(0.125, rel=1e-3)


def test_a_wrong_cable_fails(jack):
    """Inverted, and input 0 in the place of a monitor hears nothing."""
    found = loop(jack, "input_channels=(8, 0, 10, 11)", gain=-1)
    assert not found["passed"]
    assert found["polarity"] == -1
    assert found["missing"] > 10
    for channel in range(4):
        assert any(f"channel {channel}" in line for line in found["failures"])


REFUSED = {
    "": "--shared",
    "shared=True, output_device='pulse', input_device='none'": "no input device",
    "shared=True, output_device='monitor'": "no output device 'monitor'",
    f"{SHARED}, input_channels=(0, 1)": "must be 4, one for each channel",
    f"{SHARED}, input_channels=(0, 1, 2, 32)": "has 32 input channels (0 to 31)",
}


def test_what_cannot_be_is_refused_before_anything_plays(pulse):
    code = f"""
        import json
        import nmes_wave as nw
        from nmes_wave.sinks.loopback import LoopbackSink
        output = nw.Output(sample_rate_hz=48_000, full_scale_ma=30.0)
        protocol = nw.StimProtocol.from_toml({plan_of(1.0).protocol.to_toml()!r})
        plan = nw.build_plan(protocol, output)
        told = {{}}
        for options in {[*REFUSED]!r}:
            try:
                with nw.Session(plan, eval(f"LoopbackSink({{options}})")):
                    told[options] = "it opened"
            except nw.NmesWaveError as error:
                told[options] = str(error)
        print(json.dumps(told))
    """
    told = json.loads(run_client(code, pulse.env).stdout)
    for options, words in REFUSED.items():
        assert words in told[options]


def command(server, *arguments):
    """Run ``nmes-wave`` as a process; its exit code, stdout and stderr."""
    code = f"import sys; from nmes_wave.cli import main; sys.exit(main({arguments}))"
    with popen_client(code, server.env) as client:
        return client.wait(40), client.out, client.err


def test_the_command_measures_a_full_scale_and_then_holds_it(pulse, tmp_path):
    file, written = str(tmp_path / "a.toml"), str(tmp_path / "cal.toml")
    plan_of(on_s=0.3).protocol.save(file)
    ends = ("--output-device", "pulse", "--input-device", "monitor", "--shared")
    # the cable is exact: 4 V at 100 ohm is what full scale drives
    sense = ("--sense-ohm", "100", "--input-v-per-unit", "4")
    write = ("--write-calibration", written, "--load-ohm", "1000")
    scale = ("--full-scale-ma", "30")
    code, out, err = command(pulse, "verify", file, *scale, *ends, *sense, *write)
    assert (code, err) == (0, "")
    assert "input        monitor (ALSA)" in out
    calibration = nw.Calibration.load(written)
    assert calibration.full_scale_ma == (40.0,) * 4
    assert calibration.device == "pulse (ALSA)"
    held = ("--calibration", written, *ends, *sense, "--json")
    code, out, _ = command(pulse, "verify", file, *held)
    assert code == 0
    assert json.loads(out)["verification"]["gain"] == pytest.approx(1, abs=1e-6)
    # of another device it is not taken
    other = ("--device", "default", "--shared", "--calibration", written)
    code, out, err = command(pulse, "run", file, *other)
    assert (code, out) == (2, "")
    assert "was measured on 'pulse (ALSA)', this is 'default (ALSA)'" in err


def test_ctrl_c_leaves_every_pulse_whole(pulse, tmp_path):
    file = str(tmp_path / "long.toml")
    plan_of(on_s=60.0).protocol.save(file)
    ends = ("--output-device", "pulse", "--input-device", "monitor", "--shared")
    arguments = ("verify", file, "--full-scale-ma", "30", *ends)
    recorder = pulse.record()
    begun = recorder.frames
    code = f"import sys; from nmes_wave.cli import main; sys.exit(main({arguments}))"
    with popen_client(code, pulse.env) as client:
        assert wait_until(lambda: recorder.frames > begun + 4 * 48_000, 20)
        client.send_signal(signal.SIGINT)
        assert client.wait(20) == 130
        assert client.out == ""
        assert client.err.startswith("nmes-wave: interrupted: no pulse after")
    assert assert_events_balanced(recorder.stop()) > 40
