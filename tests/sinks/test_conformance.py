"""check_sink passes good sinks and names the fault of each bad one."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nmes_wave.errors import SinkOpenError
from nmes_wave.output import Output
from nmes_wave.sinks.conformance import check_sink
from nmes_wave.sinks.file import FileSink
from nmes_wave.sinks.memory import MemorySink


def test_memory() -> None:
    check_sink(MemorySink, read=MemorySink.codes)
    odd = Output(sample_rate_hz=44_100.5, full_scale_ma=(1.0, 2.0, 3.0))
    check_sink(MemorySink, read=MemorySink.codes, outputs=[odd], n_channels=3)


@pytest.mark.parametrize("suffix", [".wav", ".rf64", ".flac", ".npy", ".raw", ".pcm"])
def test_file(suffix: str, tmp_path: Path) -> None:
    check_sink(lambda: FileSink(tmp_path / f"out{suffix}"))


def test_file_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "out.npy"
    check_sink(lambda: FileSink(path), read=lambda sink: np.load(sink.path))


class Good:
    """Keeps the contract; what follows breaks it in one place each."""

    paced = False
    hardware = False

    def __init__(self) -> None:
        self.blocks: list[np.ndarray] = []
        self.opened = False
        self.announced = 0

    def open(self, output: Output, n_channels: int, n_frames: int) -> None:
        self.announced = n_frames
        self.opened = True

    def write(self, block: np.ndarray) -> None:
        self.blocks.append(block.copy())

    def close(self) -> None:
        self.opened = False


class KeepsTheArray(Good):
    def write(self, block: np.ndarray) -> None:
        self.blocks.append(block)


class ChangesTheArray(Good):
    def write(self, block: np.ndarray) -> None:
        block //= 2


class ChokesOnNothing(Good):
    def write(self, block: np.ndarray) -> None:
        block.max()


class StopsWhenAnnounced(Good):
    def write(self, block: np.ndarray) -> None:
        got = sum(map(len, self.blocks))
        super().write(block[: self.announced - got])


class LosesTheLastBlock(Good):
    def close(self) -> None:
        if self.opened and self.blocks:
            self.blocks.pop()
        super().close()


class ReturnsACount(Good):
    def write(self, block: np.ndarray) -> Any:
        return len(block)


class ClosesOnce(Good):
    def close(self) -> None:
        if not self.opened:
            raise RuntimeError("closed")
        super().close()


class ClosesTwiceBadly(Good):
    def __init__(self) -> None:
        super().__init__()
        self.was_open = False

    def close(self) -> None:
        if self.was_open and not self.opened:
            raise RuntimeError("closed")
        self.was_open = self.opened
        super().close()


class OpensWithAnyError(Good):
    def open(self, output: Output, n_channels: int, n_frames: int) -> None:
        raise OSError("no such device")


class RefusesEverything(Good):
    def open(self, output: Output, n_channels: int, n_frames: int) -> None:
        raise SinkOpenError("not today")


class IsNotPaced(Good):
    paced = True


class TellsNoPace(Good):
    paced: Any = None


class Lacks:
    paced = False
    hardware = False

    def open(self, output: Output, n_channels: int, n_frames: int) -> None:
        pass

    write = open


def received(sink: Good) -> np.ndarray:
    return np.concatenate(sink.blocks)


def test_the_good_one() -> None:
    check_sink(Good, read=received)


@pytest.mark.parametrize(
    ("sink", "fault"),
    [
        (KeepsTheArray, "was it copied"),
        (ChangesTheArray, "changed the block"),
        (ChokesOnNothing, "write.. of 0 frames.* raised ValueError"),
        (StopsWhenAnnounced, "received shape .2341, 2., sent .4683, 2."),
        (LosesTheLastBlock, "received shape .4680, 2., sent .4683, 2."),
        (ReturnsACount, "returned 0; it must return None"),
        (ClosesOnce, "close.. before open.. raised RuntimeError"),
        (ClosesTwiceBadly, "close.. once more raised RuntimeError"),
        (OpensWithAnyError, "must raise SinkUnavailableError, SinkOpenError"),
        (RefusesEverything, "refused every format; int16 at 48000 Hz: not today"),
        (IsNotPaced, "took 1 s of frames in 0.0"),
        (TellsNoPace, "paced is None"),
        (Lacks, "Lacks lacks close"),
    ],
)
def test_each_fault_is_named(sink: Any, fault: str) -> None:
    with pytest.raises(AssertionError, match=fault):
        check_sink(sink, read=received)


def test_what_is_asked_for_must_be_accepted(tmp_path: Path) -> None:
    wide = Output(sample_rate_hz=48_000, full_scale_ma=1.0, dtype="int32")
    with pytest.raises(AssertionError, match=r"refused int32 at 48000 Hz: .*FLAC"):
        check_sink(lambda: FileSink(tmp_path / "a.flac"), outputs=[wide])


def test_a_paced_sink_passes_at_its_pace() -> None:
    class Paced(Good):
        paced = True

        def write(self, block: np.ndarray) -> None:
            time.sleep(len(block) / 48_000)

    check_sink(Paced)


def test_hardware_gets_silence_only() -> None:
    loudest = []

    class Hardware(Good):
        hardware = True

        def write(self, block: np.ndarray) -> None:
            loudest.append(np.abs(block).max(initial=0))

    check_sink(Hardware)
    assert loudest
    assert not any(loudest)
