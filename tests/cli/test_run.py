"""``run`` and ``devices``: delivery, its end, and its failures."""

from __future__ import annotations

import json
import os
import signal
import threading
import time

import numpy as np
import pytest

import nmes_wave as nw
import nmes_wave.sinks
from nmes_wave.sinks.audio import AudioDevice

on_posix = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")


class Dac:
    """A push sink with a clock; a signal may arrive while it delivers or closes."""

    paced = True
    hardware = True

    def __init__(self, *, signals=(), fails=False):
        self.signals = signals
        self.fails = fails
        self.blocks = []
        self.closed = False

    def open(self, output, n_channels, n_frames):
        self.rate = output.sample_rate_hz

    def write(self, block):
        if self.fails and len(self.blocks) == 3:
            raise nw.SinkLostError("the DAC is gone")
        self.blocks.append(block.copy())
        time.sleep(len(block) / self.rate)
        if self.signals and len(self.blocks) == 3:
            threading.Thread(target=self._send).start()

    def _send(self):
        for number in self.signals:
            os.kill(os.getpid(), number)
            time.sleep(0.05)

    def close(self):
        if self.blocks and not self.closed:
            time.sleep(0.2)
            self.closed = True


@pytest.fixture
def dac(monkeypatch):
    def put(**behaviour):
        sink = Dac(**behaviour)

        def open_sink(name, *, device=None, shared=False):
            return sink

        monkeypatch.setattr(nmes_wave.sinks, "open_sink", open_sink)
        monkeypatch.setattr("nmes_wave.session.open_sink", open_sink)
        return sink

    return put


def test_a_run_into_a_file_is_the_plan(cli, protocol, protocol_file):
    sink = ("--sink", "file:a.npy", "--full-scale-ma", 30)
    result = cli("run", protocol_file, *sink, "--intensity", 1)
    assert (result.code, result.err) == (0, "")
    plan = nw.build_plan(protocol, nw.Output(sample_rate_hz=48000, full_scale_ma=30))
    assert np.array_equal(np.load("a.npy"), plan.render())
    assert f"pulses      {plan.n_pulses}, begun at intensity 1" in result.out


def test_without_an_intensity_it_is_silent_and_says_so(cli, protocol_file):
    result = cli("run", protocol_file, "--sink", "file:a.npy")
    assert result.code == 0
    assert result.err.startswith("intensity 0: silence. --intensity 1")
    assert not np.load("a.npy").any()


def test_a_run_as_json(cli, protocol_file):
    result = cli("run", protocol_file, "--sink", "null", "--intensity", 0.5, "--json")
    status = json.loads(result.out)
    assert (status["state"], status["frame"]) == ("stopped", 48000)
    assert status["start_intensity"] == 0.5
    assert status["pulses"] == 48


def test_hardware_needs_a_full_scale(cli, protocol_file, dac):
    sink = dac()
    result = cli("run", protocol_file, "--sink", "dac", "--intensity", 1)
    assert result.code == 2
    assert "--full-scale-ma" in result.err
    assert sink.blocks == []


def test_hardware_refuses_a_plan_without_limits(cli, protocol_file, dac):
    sink = dac()
    scale = ("--sink", "dac", "--full-scale-ma", 30)
    result = cli("run", protocol_file, *scale, "--limits", "unlimited")
    assert result.code == 3
    assert "without limits" in result.err
    assert sink.blocks == []


def test_a_device_that_fails_is_exit_code_3(cli, protocol_file, dac):
    sink = dac(fails=True)
    scale = ("--sink", "dac", "--full-scale-ma", 30)
    result = cli("run", protocol_file, *scale, "--intensity", 1)
    assert (result.code, result.out) == (3, "")
    assert result.err == "nmes-wave: the DAC is gone\n"
    assert sink.closed


@on_posix
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP", "SIGTSTP"])
def test_a_signal_ends_it_in_silence_and_balance(cli, protocol, tmp_path, dac, name):
    long = tmp_path / "long.toml"
    text = protocol.to_toml().replace("repeats = 2", "repeats = 200")
    long.write_text(text)
    sink = dac(signals=[getattr(signal, name)] * 3)
    before = signal.getsignal(getattr(signal, name))
    scale = ("--sink", "dac", "--full-scale-ma", 30)
    begin = time.monotonic()
    result = cli("run", "long.toml", *scale, "--intensity", 1)
    assert result.code == 130
    assert result.err.startswith("nmes-wave: interrupted: no pulse after 0.")
    assert time.monotonic() - begin < 3
    assert sink.closed  # the second and third did not cut it short
    codes = np.concatenate(sink.blocks)
    assert codes.any()
    assert not codes.sum(axis=0).any()
    assert not codes[-48:].any()
    assert signal.getsignal(getattr(signal, name)) is before


def test_devices_tells_what_is_not_for_electrodes(cli, monkeypatch):
    found = [
        AudioDevice(2, "USB [bold]: - (hw:1,0)", "ALSA", 4, 96000.0, 0.01, True, False),
        AudioDevice(5, "pulse", "ALSA", 32, 44100.0, 0.02, False, True),
    ]
    heard = [AudioDevice(7, "mic", "ALSA", 1, 44100.0, 0.02, True, True)]
    monkeypatch.setattr("nmes_wave.sinks.audio.devices", lambda: found)
    monkeypatch.setattr("nmes_wave.sinks.audio.input_devices", lambda: heard)
    result = cli("devices")
    assert result.code == 0
    lines = result.out.splitlines()
    for sink in ("null", "file:PATH", "memory", "audio"):
        assert sum(line.startswith(f"{sink} ") for line in lines) == 1
    (usb,) = (line for line in lines if line.startswith("2 "))
    (pulse,) = (line for line in lines if line.startswith("5 (default) "))
    for words in ("USB [bold]: - (hw:1,0)", "ALSA", "4", "96000 Hz", "10 ms", "direct"):
        assert words in usb
    assert "shared: not for electrodes" in pulse
    (mic,) = (line for line in lines if line.startswith("7 (default) "))
    assert lines.index(mic) > lines.index(pulse)
    assert "input" in lines[lines.index(mic) - 1]
    told = json.loads(cli("devices", "--json").out)
    rows = told["audio_devices"]
    assert [(row["index"], row["direct"]) for row in rows] == [(2, True), (5, False)]
    assert [row["name"] for row in told["audio_inputs"]] == ["mic"]


def test_devices_on_a_machine_without_any(cli, monkeypatch):
    monkeypatch.setattr("nmes_wave.sinks.audio.devices", list)
    monkeypatch.setattr("nmes_wave.sinks.audio.input_devices", list)
    assert "No audio output device" in cli("devices").out
