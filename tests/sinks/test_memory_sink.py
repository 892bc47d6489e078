"""MemorySink keeps what it was given, and says when it cannot."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from nmes_wave.errors import SpecError, StateError
from nmes_wave.output import Output, SampleFormat
from nmes_wave.sinks.memory import MemorySink


def output(dtype: SampleFormat = "int24") -> Output:
    return Output(sample_rate_hz=48_000, full_scale_ma=100.0, dtype=dtype)


@given(
    codes=hnp.arrays(
        np.int32,
        st.tuples(st.integers(0, 40), st.integers(1, 5)),
        elements=st.integers(-(2**23), 2**23 - 1),
    ),
    cuts=st.lists(st.integers(0, 40), max_size=6),
)
def test_blocks_of_any_size_come_back_as_one_array(
    codes: np.ndarray, cuts: list[int]
) -> None:
    sink = MemorySink()
    sink.open(output(), codes.shape[1], 7)
    buffer = np.empty_like(codes)
    for part in np.split(codes, sorted(min(c, len(codes)) for c in cuts)):
        buffer[: len(part)] = part
        sink.write(buffer[: len(part)])
        buffer[:] = 99  # a session reuses its block
    sink.close()
    np.testing.assert_array_equal(sink.codes(), codes)
    assert sink.codes().dtype == np.int32
    assert sink.n_frames == len(codes)


def test_the_array_is_the_callers() -> None:
    sink = MemorySink()
    sink.open(output("int16"), 1, 2)
    sink.write(np.array([[1], [2]], dtype=np.int16))
    sink.codes()[:] = 0
    assert sink.codes().tolist() == [[1], [2]]


def test_codes_while_it_is_open_and_after_nothing() -> None:
    sink = MemorySink()
    with pytest.raises(StateError, match="never opened"):
        sink.codes()
    sink.open(output("float32"), 3, 10)
    assert sink.codes().shape == (0, 3)
    assert sink.codes().dtype == np.float32
    sink.write(np.ones((2, 3), np.float32))
    assert sink.codes().shape == (2, 3)


def test_opening_again_begins_anew() -> None:
    sink = MemorySink()
    sink.open(output(), 2, 1)
    sink.write(np.ones((1, 2), np.int32))
    with pytest.raises(StateError, match="close it first"):
        sink.open(output(), 2, 1)
    sink.close()
    sink.open(output("int16"), 1, 1)
    assert sink.codes().shape == (0, 1)
    assert sink.n_frames == 0
    assert sink.output == output("int16")


def test_write_needs_an_open_sink() -> None:
    sink = MemorySink()
    block = np.zeros((1, 2), np.int32)
    with pytest.raises(StateError, match="not open"):
        sink.write(block)
    sink.open(output(), 2, 1)
    sink.close()
    with pytest.raises(StateError, match="not open"):
        sink.write(block)


@pytest.mark.parametrize(
    "block",
    [
        np.zeros((4, 3), np.int32),
        np.zeros(4, np.int32),
        np.zeros((4, 2), np.float64),
        np.zeros((4, 2), np.int16),
        np.zeros((2, 4), np.int32).T,
    ],
)
def test_a_wrong_block_is_refused(block: np.ndarray) -> None:
    sink = MemorySink()
    sink.open(output(), 2, 4)
    with pytest.raises(SpecError, match=r"block = .*\(frames, 2\) of int32"):
        sink.write(block)
    assert sink.n_frames == 0


@pytest.mark.parametrize("code", [2**23, -(2**23) - 1])
def test_a_code_beyond_24_bits_is_refused(code: int) -> None:
    sink = MemorySink()
    sink.open(output(), 1, 1)
    with pytest.raises(SpecError, match=rf"{code}: int24 codes must be -8388608"):
        sink.write(np.array([[code]], np.int32))
    sink.write(np.array([[2**23 - 1], [-(2**23)]], np.int32))
