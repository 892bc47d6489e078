"""The guard: what it does when memory is not what it was.

Caps and the exact mathematics let no sample above its cap leave; so the test
changes bytes of the compiled plan behind their back, as a broken memory would.
"""

from __future__ import annotations

import ctypes
import struct

import numpy as np
import pytest

import nmes_wave as nw

LIMITS = nw.Limits(max_amplitude_ma=50.0, max_total_current_ma=120.0)


class Callback:
    """A device whose callback the test calls."""

    paced = True
    hardware = True
    latency_s = 0.0
    device_name = "test"

    def open(self, output, n_channels, n_frames):
        self.dtype, self.n_channels = output.numpy_dtype, n_channels

    def begin(self, engine):
        self.engine = engine

    def lost(self):
        return None

    def close(self):
        pass

    def call(self, frames):
        block = np.ones((frames, self.n_channels), self.dtype)
        self.engine.process(block, frames)
        return block


def plan_of(dtype):
    channels = [
        nw.Channel(
            name=f"channel {i}",
            stages=[
                nw.Stage(
                    event=nw.Pulse(phase_width_us=500.0, recovery_ratio=2.0),
                    train=nw.Train(rate_hz=100.0),
                    duty_cycle=nw.DutyCycle(on_s=2.0),
                    amplitude_ma=40.0,
                )
            ],
        )
        for i in range(2)
    ]
    output = nw.Output(sample_rate_hz=48_000, full_scale_ma=100.0, dtype=dtype)
    return nw.build_plan(nw.StimProtocol(name="t", channels=channels), output, LIMITS)


def pointer(address):
    return ctypes.c_void_p.from_address(address).value


def polarity_of_channel(engine, channel):
    """Where the kernel keeps a number that every code is multiplied with."""
    plan = pointer(pointer(engine.userdata_address))
    channels = pointer(plan + 8)
    # A channel begins with the number of its stages, 1 here, and where they are.
    places = [
        at
        for at in range(channels, channels + 512, 8)
        if ctypes.c_int64.from_address(at).value == 1 and (pointer(at + 8) or 0) > 2**20
    ]
    return ctypes.c_int.from_address(pointer(places[channel] + 8) + 4)


@pytest.mark.parametrize("dtype", ["int16", "int32", "float32"])
@pytest.mark.parametrize("channel", [0, 1])
def test_a_sample_above_its_cap_silences_everything_and_latches(dtype, channel):
    device = Callback()
    with nw.Session(plan_of(dtype), sink=device) as session:
        session.start(1.0)
        assert device.call(480).any()
        polarity = polarity_of_channel(device.engine, channel)
        assert polarity.value == 1
        polarity.value = 3
        assert not device.call(480).any()
        assert not device.call(4800).any()
        assert session.state is nw.State.FAULT
        assert session.status.fault == "guard"
        with pytest.raises(nw.StateError, match="a sample was above its cap"):
            session.wait()


def test_a_sum_above_the_total_silences_everything():
    device = Callback()
    with nw.Session(plan_of("int32"), sink=device) as session:
        session.start(1.0)
        assert device.call(480).any()
        memory = device.engine.userdata_address
        (at,) = (
            i
            for i in range(0, 256, 8)
            if ctypes.string_at(memory + i, 8) == struct.pack("d", 120.0)
        )
        ctypes.c_double.from_address(memory + at).value = 79.0
        assert not device.call(480).any()
        assert session.status.fault == "guard"


def test_the_record_says_which_events_the_guard_cut(tmp_path):
    device = Callback()
    path = tmp_path / "guard.tsv"
    with nw.Session(plan_of("int32"), sink=device, log=path) as session:
        session.start(1.0)
        # the second event of both is in flight, the third is the first wrong one
        assert device.call(480 + 30).any()
        polarity_of_channel(device.engine, 0).value = 3
        assert not device.call(480).any()
        assert session.status.fault == "guard"
    record = nw.read_events(path)
    (note,) = record.notes
    assert (note.kind, note.reason) == ("fault", "guard")
    events = record.events
    assert events["status"].tolist() == ["delivered"] * 2 + ["unconfirmed"] * 4
    # the second ended in the block that was silenced, the third never came
    assert events["duration_s"][4:].tolist() == [0.0, 0.0]


def test_what_keeps_the_caps_passes_unchanged():
    device = Callback()
    plan = plan_of("int32")
    with nw.Session(plan, sink=device) as session:
        session.start(1.0)
        codes = np.concatenate([device.call(4800) for _ in range(20)])
        assert session.status.fault is None
        assert session.status.capped == 0
    np.testing.assert_array_equal(codes, plan.render())
