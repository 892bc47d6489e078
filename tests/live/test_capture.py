"""What a duplex device hears, kept by the callback beside what it plays."""

from __future__ import annotations

import ctypes
import gc
import threading
import weakref

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from recording import Bench, plan_of

from nmes_wave.status import Command

INPUT_UNDERFLOW, INPUT_OVERFLOW, OUTPUT_UNDERFLOW = 1, 2, 4
CALLBACK = ctypes.CFUNCTYPE(
    ctypes.c_int,
    ctypes.c_void_p,
    ctypes.c_void_p,
    ctypes.c_ulong,
    ctypes.c_void_p,
    ctypes.c_ulong,
    ctypes.c_void_p,
)


class Duplex(Bench):
    """The engine with an input of numbers that count up, none of them twice."""

    def __init__(self, room, n_inputs=3):
        super().__init__(plan_of())
        self.n_inputs = n_inputs
        # a frame that nobody may touch stands behind
        self.memory = np.full((room + 1, n_inputs), -1, np.float32)
        self.samples = self.memory[:-1]
        self.engine.capture_into(self.samples, n_inputs)
        self.fed = 0

    def source(self, frames):
        n = frames * self.n_inputs
        made = np.arange(self.fed, self.fed + n, dtype=np.float32)
        self.fed += n
        return made.reshape(frames, self.n_inputs)

    def call(self, frames, flags=0, deaf=False):
        """One callback; what it played and what it heard."""
        out = np.empty((frames, self.plan.n_columns), self.plan.output.numpy_dtype)
        source = self.source(frames)
        self.engine.process(out, frames, flags, None if deaf else source)
        return out, source

    def heard(self):
        return self.samples[: self.engine.captured]


@given(
    before=st.lists(st.integers(0, 400), max_size=4),
    blocks=st.lists(st.integers(0, 1500), min_size=1, max_size=12),
    room=st.integers(1, 6000),
)
def test_it_keeps_what_came_in_while_the_plan_went_out(before, blocks, room):
    bench = Duplex(room)
    for frames in before:
        bench.call(frames)
    assert bench.engine.captured == 0
    bench.start()
    calls = [bench.call(frames) for frames in blocks]
    played = np.concatenate([out for out, _ in calls])
    heard = np.concatenate([source for _, source in calls])
    # the plan's frame 0 went out with the first frame that was kept
    assert np.array_equal(played, bench.plan.render(0, len(played)))
    assert np.array_equal(bench.heard(), heard[:room])
    assert bench.engine.capture_gaps == 0
    assert (bench.memory[bench.engine.captured :] == -1).all()


def test_what_the_driver_says_of_its_input_is_counted():
    bench = Duplex(1000)
    bench.start()
    for flags in (0, INPUT_UNDERFLOW, INPUT_OVERFLOW, OUTPUT_UNDERFLOW, 3):
        bench.call(100, flags)
    assert bench.engine.capture_gaps == 3
    bench.call(100, deaf=True)
    assert bench.engine.capture_gaps == 4
    assert not bench.heard()[500:].any()
    assert bench.engine.captured == 600
    assert bench.engine.snapshot()["underruns"] == 1


def test_a_callback_of_portaudio_hands_on_its_input():
    bench = Duplex(1000)
    bench.start()
    callback = CALLBACK(bench.engine.callback_address)
    out = np.empty((300, bench.plan.n_columns), bench.plan.output.numpy_dtype)
    source = bench.source(300)
    live = bench.engine.userdata_address
    assert callback(source.ctypes.data, out.ctypes.data, 300, None, 0, live) == 0
    assert np.array_equal(out, bench.plan.render(0, 300))
    assert np.array_equal(bench.heard(), source)


def test_a_reader_finds_every_frame_whole_that_it_is_told_of():
    bench = Duplex(200_000)
    bench.start()
    wrong, done = [], threading.Event()

    def read():
        while not done.is_set():
            heard = bench.heard().copy()
            if not np.array_equal(heard.ravel(), np.arange(heard.size)):
                wrong.append(heard)

    reader = threading.Thread(target=read)
    reader.start()
    while bench.engine.captured < 200_000:
        bench.call(1024)
    done.set()
    reader.join()
    assert not wrong


def test_the_memory_lives_as_long_as_the_engine():
    bench = Duplex(1000)
    memory = weakref.ref(bench.memory)
    del bench.memory, bench.samples
    gc.collect()
    assert memory() is not None
    bench.start()
    bench.call(1000)
    del bench
    gc.collect()
    assert memory() is None


def test_memory_that_does_not_fit_is_refused():
    bench = Bench(plan_of())
    with pytest.raises(ValueError, match="28 bytes are no frames of 2 channels"):
        bench.engine.capture_into(np.zeros(7, np.float32), 2)
    with pytest.raises(ValueError, match="0 bytes are no frames"):
        bench.engine.capture_into(np.zeros((0, 2), np.float32), 2)
    bench.engine.capture_into(np.zeros((7, 2), np.float32), 2)
    with pytest.raises(ValueError, match="captured already"):
        bench.engine.capture_into(np.zeros((7, 2), np.float32), 2)
    out = np.empty((7, bench.plan.n_columns), np.int32)
    with pytest.raises(ValueError, match="7 frames need 56 bytes of input, not 48"):
        bench.engine.process(out, 7, 0, np.zeros((6, 2), np.float32))
    assert bench.engine.push(Command.START)
