"""``demo``: what a newcomer runs first."""

from __future__ import annotations

import json

import numpy as np
import pytest
import soundfile

from nmes_wave.sinks.file import FileSink

FILES = ["nmes-wave-demo.png", "nmes-wave-demo.wav"]


def test_it_needs_nothing_and_tells_where_its_files_are(cli, tmp_path):
    result = cli("demo")
    assert (result.code, result.err) == (0, "")
    assert sorted(p.name for p in tmp_path.iterdir()) == FILES
    for name in FILES:
        assert str(tmp_path / name) in result.out
    assert " NO" not in result.out
    assert result.out.count(" yes") == 3
    # the preset's 15 s at 50 Hz, 15 s on and 45 s off; the first pulse is at 0 mA
    codes, rate = soundfile.read(FILES[1], dtype="int32", always_2d=True)
    assert codes.shape == (60 * rate, 1)
    assert codes.sum() == 0
    assert np.abs(codes >> 8).max() == int(0.8 * 8388607)  # 40 of 50 mA
    assert "749 pulses" in result.out


def test_files_go_where_they_are_asked_to(cli, tmp_path):
    (tmp_path / "there").mkdir()
    data = json.loads(cli("demo", "--output-dir", "there", "--json").out)
    assert data["passed"] is True
    assert sorted(p.name for p in (tmp_path / "there").iterdir()) == FILES


@pytest.mark.parametrize("change", [1, -1])
def test_one_code_that_differs_is_found(cli, monkeypatch, change):
    write = FileSink.write

    def spoilt(self, block):
        block = block.copy()
        if self.n_frames < 48000 <= self.n_frames + len(block):
            block[48000 - self.n_frames] += change
        write(self, block)

    monkeypatch.setattr(FileSink, "write", spoilt)
    result = cli("demo")
    assert result.code == 1
    assert "bit for bit  NO" in result.out
    assert "exactly zero      NO" in result.out
