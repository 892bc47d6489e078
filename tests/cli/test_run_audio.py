"""``run`` and ``devices`` on a real server, as processes."""

from __future__ import annotations

import json
import signal
import time

import numpy as np
import pytest
from audio.clients import popen_client, wait_until
from audio.conftest import require
from audio.recording import align
from audio.servers import PulseServer

import nmes_wave as nw

pytestmark = pytest.mark.audio

OPTIONS = ("--full-scale-ma", "30", "--intensity", "1")


def popen(server, *arguments):
    code = f"import sys; from nmes_wave.cli import main; sys.exit(main({arguments}))"
    return popen_client(code, server.env)


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A server with two channels, and protocols for it in the current folder."""
    monkeypatch.chdir(tmp_path)
    require(PulseServer)
    for name, on_s in [("a.toml", 1.0), ("long.toml", 60.0)]:
        channels = [
            nw.Channel(
                name=f"channel {i}",
                # the recorder loses some frames while it attaches
                start_s=0.5,
                stages=[
                    nw.Stage(
                        event=nw.Pulse(phase_width_us=233.3, interphase_gap_us=50),
                        train=nw.Train(rate_hz=47.3, phase_deg=90 * i),
                        duty_cycle=nw.DutyCycle(on_s=on_s),
                        amplitude_ma=20 + i,
                    )
                ],
            )
            for i in range(2)
        ]
        nw.StimProtocol(name="test", channels=channels).save(name)
    with PulseServer(channels=2) as server:
        yield server


def test_devices_calls_a_shared_server_what_it_is(server):
    with popen(server, "devices", "--json") as process:
        assert process.wait(20) == 0
        rows = json.loads(process.out)["audio_devices"]
    assert {row["name"] for row in rows} >= {"pulse", "default"}
    assert not any(row["direct"] for row in rows)


def test_the_server_receives_the_plans_codes(server):
    recorder = server.record()
    with popen(server, "run", "a.toml", *OPTIONS, "--shared") as process:
        assert process.wait(30) == 0
        assert "underruns   0" in process.out
    output = nw.Output(sample_rate_hz=48000, full_scale_ma=30)
    codes = nw.build_plan(nw.StimProtocol.load("a.toml"), output).render()
    align(recorder.stop(), codes.astype(np.int32) << 8)


def test_a_shared_device_has_to_be_asked_for(server):
    with popen(server, "run", "a.toml", *OPTIONS) as process:
        assert process.wait(20) == 3
        assert process.out == ""
        (line,) = process.err.splitlines()
    assert "--shared" in line
    assert "not for electrodes" in line


def test_ctrl_c_leaves_every_pulse_whole(server):
    recorder = server.record()
    begun = recorder.frames
    with popen(server, "run", "long.toml", *OPTIONS, "--shared") as process:
        assert wait_until(lambda: recorder.frames > begun + 3 * 48_000, 20)
        begin = time.monotonic()
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130
        assert time.monotonic() - begin < 3
        assert process.err.startswith("nmes-wave: interrupted: no pulse after")
    recorded = recorder.stop()
    assert recorded.any(axis=0).all()
    assert not recorded.sum(axis=0, dtype=np.int64).any()
