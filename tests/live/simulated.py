"""A device whose callback the test calls, and what it received, in codes."""

from __future__ import annotations

import numpy as np

import nmes_wave as nw

UNDERRUN = 4  # PortAudio's flag
_GUARD = 64  # bytes on each side of a buffer, which nobody may touch
_GARBAGE = 0xA5


class SimulatedSink:
    """Takes a block whenever the test says so; keeps everything.

    Its latency is long: a slow test is neither a stall nor a lost device.
    """

    paced = True
    hardware = True
    device_name = "simulated"

    def __init__(self, plan, latency_s=2.0):
        self.output = plan.output
        self.n_columns = plan.n_columns
        self.latency_s = latency_s
        self.blocks = []
        self.n_frames = 0
        self.closed = False
        self.why_lost = None

    def open(self, output, n_channels, n_frames):
        assert output == self.output

    def begin(self, engine):
        self.engine = engine

    def lost(self):
        return self.why_lost

    def close(self):
        self.closed = True

    def call(self, frames, underrun=False):
        """One callback; returns codes, int64, shape (frames, columns)."""
        packed = self.output.dtype == "int24"
        sample = np.dtype(np.uint8) if packed else self.output.numpy_dtype
        per_frame = self.n_columns * (3 if packed else 1)
        n_bytes = frames * per_frame * sample.itemsize
        memory = np.full(_GUARD + n_bytes + _GUARD, _GARBAGE, np.uint8)
        block = memory[_GUARD : _GUARD + n_bytes].view(sample)
        self.engine.process(
            block.reshape(frames, per_frame), frames, UNDERRUN if underrun else 0
        )
        assert (memory[:_GUARD] == _GARBAGE).all(), "wrote before its buffer"
        assert (memory[_GUARD + n_bytes :] == _GARBAGE).all(), "wrote past its buffer"
        codes = self.decoded(block).reshape(frames, self.n_columns)
        self.blocks.append(codes)
        self.n_frames += frames
        return codes

    def decoded(self, samples):
        """The codes in what a device receives."""
        if self.output.dtype == "int24":
            low, middle, high = samples.astype(np.int64).reshape(-1, 3).T
            codes = low | middle << 8 | high << 16
            return codes - ((codes >> 23) << 24)
        if self.output.dtype == "float32":
            codes = samples.astype(np.float64) * 2.0**23
            assert (codes == np.rint(codes)).all()
            return codes.astype(np.int64)
        return samples.astype(np.int64)

    def codes(self):
        """Everything since the begin, int64, shape (frames, columns)."""
        return np.concatenate([np.zeros((0, self.n_columns), np.int64), *self.blocks])

    def silence(self):
        """Give it as much silence as closing asks for; nothing may come."""
        seconds = 2 * self.latency_s + 0.2
        assert not self.call(int(seconds * self.output.sample_rate_hz)).any()


def decoded_rendering(plan):
    """What ``plan.render()`` holds, in codes."""
    codes = plan.render()
    if plan.output.dtype == "float32":
        return (codes.astype(np.float64) * 2.0**23).astype(np.int64)
    return codes.astype(np.int64)


def finish(sink, session):
    """Let it end: the ramp, then the silence that closing asks for."""
    session.stop()
    fs = sink.output.sample_rate_hz
    for _ in range(100):
        if session.state in (nw.State.STOPPED, nw.State.FAULT):
            break
        sink.call(int(fs / 10))
    assert session.state in (nw.State.STOPPED, nw.State.FAULT)
    sink.call(int(fs))  # events in flight complete
    sink.silence()
