"""Blocks so large that silence is written past the caches: the same bytes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from strategies import plans

import nmes_wave as nw
from nmes_wave.plan import build_plan

#: STREAMED_BLOCK of the kernel (_render.pxd), and the tile of other blocks.
STREAMED_BYTES, TILE_BYTES = 4194304, 131072


def in_pieces(plan, block, start):
    """Fill the block piece by piece, each far below what is streamed."""
    size = TILE_BYTES // (block.shape[1] * block.itemsize)
    for at in range(0, len(block), size):
        plan.render_into(block[at : at + size], start + at)


def assert_same_bytes(plan, start, offset_bytes):
    n_frames = STREAMED_BYTES // (plan.n_columns * plan.output.numpy_dtype.itemsize)
    shape = (n_frames + 100, plan.n_columns)
    n_bytes = shape[0] * shape[1] * plan.output.numpy_dtype.itemsize
    memory = np.full(n_bytes + 256, 0xA5, np.uint8)
    begin = 64 + offset_bytes
    large = memory[begin : begin + n_bytes].view(plan.output.numpy_dtype).reshape(shape)
    small = np.empty_like(large)
    plan.render_into(large, start)
    in_pieces(plan, small, start)
    np.testing.assert_array_equal(large, small)
    assert (memory[:begin] == 0xA5).all()
    assert (memory[begin + n_bytes :] == 0xA5).all()


@settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))
@given(plans(), st.integers(0, 15), st.data())
def test_a_large_block_equals_its_pieces(plan, offset, data):
    start = data.draw(st.integers(0, plan.n_frames))
    assert_same_bytes(plan, start, 4 * offset)


def sparse(dtype, n_channels=3, trigger=None, **changes):
    stage = nw.Stage(
        event=nw.Pulse(phase_width_us=300.0, interphase_gap_us=100.0),
        train=nw.Train(rate_hz=50.0, jitter=0.1),
        duty_cycle=nw.DutyCycle(on_s=3.0, off_s=2.0, repeats=4),
        amplitude_ma=20.0,
    )
    channels = [
        nw.Channel(name=str(i), stages=[replace(stage, **changes)], start_s=0.7 * i)
        for i in range(n_channels)
    ]
    output = nw.Output(
        sample_rate_hz=48000, full_scale_ma=100.0, dtype=dtype, trigger=trigger
    )
    protocol = nw.StimProtocol(name="sparse", channels=channels)
    return build_plan(protocol, output, nw.Limits.named("unlimited"))


@pytest.mark.parametrize("dtype", ["int16", "int24", "float32"])
@pytest.mark.parametrize("offset_bytes", [0, 4, 12, 60])
def test_pulses_between_long_silences(dtype, offset_bytes):
    assert_same_bytes(sparse(dtype), 1000, offset_bytes)


@pytest.mark.parametrize("at", ["event", "on_period", "stage"])
def test_markers_between_long_silences(at):
    plan = sparse("int24", trigger=nw.Trigger(at=at, width_us=2500.0))
    assert_same_bytes(plan, 17, 0)


def test_events_longer_than_a_tile():
    burst = nw.Burst(carrier_hz=2500.0, cycles=2500)  # 1 s
    plan = sparse("int16", n_channels=2, event=burst, train=nw.Train(rate_hz=0.5))
    assert_same_bytes(plan, 0, 2)
