from __future__ import annotations

from dataclasses import dataclass

import pytest

import nmes_wave as nw
from nmes_wave.cli import main

PRESET = "tka-stevens-lapsley-2012"


@dataclass
class Result:
    code: int
    out: str
    err: str


@pytest.fixture
def cli(capsys, tmp_path, monkeypatch):
    """Run a command in an empty folder; returns exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COLUMNS", raising=False)

    def run(*arguments):
        code = main([str(a) for a in arguments])
        return Result(code, *capsys.readouterr())

    return run


@pytest.fixture
def protocol():
    """Two channels, a second long, with amplitudes of 20 and 10 mA."""
    return nw.StimProtocol(
        name="short",
        channels=[
            nw.Channel(
                name=f"channel {i}",
                stages=[
                    nw.Stage(
                        event=nw.Pulse(phase_width_us=300),
                        train=nw.Train(rate_hz=40, phase_deg=180 * i),
                        duty_cycle=nw.DutyCycle(on_s=0.3, off_s=0.2, repeats=2),
                        amplitude_ma=amplitude_ma,
                    )
                ],
            )
            for i, amplitude_ma in enumerate([20, 10])
        ],
    )


@pytest.fixture
def protocol_file(protocol, tmp_path):
    path = tmp_path / "short.toml"
    protocol.save(path)
    return path
