"""The test that an implementation of `Sink` runs on itself."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from typing import Any, NoReturn, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nmes_wave.errors import NmesWaveError
from nmes_wave.output import FLOAT32_UNIT, Output
from nmes_wave.sinks.base import Sink

_MEMBERS = ("paced", "hardware", "open", "write", "close")
#: Frames of the blocks of one run, in this order.
_BLOCKS = (0, 1, 7, 512, 0, 64, 4096, 3)
#: A paced sink must take one second of frames in so long: it may hold some.
_PACE_S = (0.5, 3.0)

_S = TypeVar("_S", bound=Sink)


def check_sink(
    make_sink: Callable[[], _S],
    *,
    outputs: Sequence[Output] | None = None,
    n_channels: int = 2,
    read: Callable[[_S], ArrayLike] | None = None,
) -> None:
    """Test that a push sink keeps the contract of `Sink`.

    To be called in the sink's own tests. It opens several sinks, each with
    runs of blocks of 0 to 4096 frames: as long as announced, shorter, longer,
    and empty. A sink with ``hardware`` true gets silence only; others get full
    scale of both signs and noise.

    Parameters
    ----------
    make_sink
        Returns a new sink at each call; they are used one after the other.
    outputs
        What `open` must accept. By default the four formats at 48 kHz, of
        which it may refuse some, not all.
    n_channels
        Channels to open it with.
    read
        Returns what a closed sink received, shape ``(frames, n_channels)``, as
        codes of ``output.numpy_dtype``. Given, it is compared bit for bit
        (not for hardware sinks).

    Raises
    ------
    AssertionError
        Saying what the sink did and what it must do.

    Examples
    --------
    >>> from nmes_wave.sinks.memory import MemorySink
    >>> check_sink(MemorySink, read=MemorySink.codes)
    """
    _check_members(make_sink())
    idle = make_sink()
    _call("close() before open()", idle.close)
    _call("close() once more", idle.close)

    refusals = []
    paced_run = False
    for output in outputs if outputs is not None else _default_outputs():
        where = f"{output.dtype} at {output.sample_rate_hz:g} Hz"
        refusal = _refusal(make_sink(), output, n_channels, where)
        if refusal is not None:
            if outputs is not None:
                _fail(f"open() refused {where}: {refusal}")
            refusals.append(f"{where}: {refusal}")
            continue
        total = sum(_BLOCKS)
        for announced in (total, 2 * total, total // 2):
            run = f"{where}, {total} frames written of {announced} announced"
            _check_run(make_sink(), output, n_channels, announced, run, read)
        if make_sink().paced and not paced_run:
            _check_pace(make_sink(), output, n_channels)
            paced_run = True
    if outputs is None and len(refusals) == len(_default_outputs()):
        _fail(f"open() refused every format; {'; '.join(refusals)}")


def _default_outputs() -> list[Output]:
    return [
        Output(sample_rate_hz=48_000, full_scale_ma=100.0, dtype=dtype)
        for dtype in ("int16", "int24", "int32", "float32")
    ]


def _check_members(sink: object) -> None:
    missing = [name for name in _MEMBERS if not hasattr(sink, name)]
    if missing:
        _fail(f"{type(sink).__name__} lacks {', '.join(missing)}")
    for name in ("paced", "hardware"):
        value = getattr(sink, name)
        if not isinstance(value, bool):
            _fail(f"{name} is {value!r}; it must be True or False")


def _refusal(
    sink: Sink, output: Output, n_channels: int, where: str
) -> NmesWaveError | None:
    """Open, deliver nothing and close; return why it would not open."""
    refusal = None
    try:
        sink.open(output, n_channels, 100)
    except NmesWaveError as error:
        refusal = error
    except Exception as error:
        raise AssertionError(
            f"open() for {where} raised {error!r}; it must raise "
            "SinkUnavailableError, SinkOpenError or FormatError"
        ) from error
    after = "a failed open()" if refusal else "open()"
    _call(f"close() after {after}, {where},", sink.close)
    _call("close() once more", sink.close)
    return refusal


def _check_run(
    sink: _S,
    output: Output,
    n_channels: int,
    announced: int,
    run: str,
    read: Callable[[_S], ArrayLike] | None,
) -> None:
    codes = _codes(output, n_channels, sum(_BLOCKS))
    if sink.hardware:
        codes = np.zeros_like(codes)
    # one array for all blocks, as in a session: what was not copied is lost
    buffer = np.empty((max(_BLOCKS), n_channels), output.numpy_dtype)
    start = 0
    try:
        _call(f"open(), {run},", sink.open, output, n_channels, announced)
        for frames in _BLOCKS:
            block = buffer[:frames]
            sent = codes[start : start + frames]
            block[:] = sent
            _call(f"write() of {frames} frames, {run},", sink.write, block)
            if not np.array_equal(block, sent):
                _fail(f"write() changed the block, {run}; the array is the session's")
            start += frames
    except AssertionError:
        with contextlib.suppress(Exception):
            sink.close()
        raise
    _call(f"close(), {run},", sink.close)
    _call("close() once more", sink.close)
    if read is not None and not sink.hardware:
        _compare(codes, np.asarray(read(sink)), run)


def _codes(output: Output, n_channels: int, frames: int) -> NDArray[Any]:
    top = output.max_code
    random = np.random.default_rng(0)
    codes = random.integers(-top, top, (frames, n_channels), endpoint=True)
    codes[:8] = np.array([top, -top, 0, 1, -1, top - 1, 1 - top, 0])[:, None]
    if output.dtype == "float32":
        return (codes * FLOAT32_UNIT).astype(np.float32)
    return codes.astype(output.numpy_dtype)


def _compare(sent: NDArray[Any], received: NDArray[Any], run: str) -> None:
    if received.shape != sent.shape:
        _fail(f"received shape {received.shape}, sent {sent.shape}, {run}")
    if received.dtype != sent.dtype:
        _fail(f"received {received.dtype}, sent {sent.dtype}, {run}")
    differ = np.argwhere(received != sent)
    if len(differ):
        frame, channel = differ[0]
        _fail(
            f"{len(differ)} of {sent.size} samples differ, {run}; the first is frame "
            f"{frame}, channel {channel}: sent {sent[frame, channel]}, received "
            f"{received[frame, channel]} (a block is overwritten after write(): was "
            "it copied?)"
        )


def _check_pace(sink: Sink, output: Output, n_channels: int) -> None:
    frames = int(output.sample_rate_hz)
    block = np.zeros((frames // 50, n_channels), output.numpy_dtype)
    sink.open(output, n_channels, frames)
    try:
        start = time.perf_counter()
        for _ in range(50):
            sink.write(block)
        took = time.perf_counter() - start
    finally:
        sink.close()
    low, high = _PACE_S
    if not low <= took <= high:
        _fail(
            f"paced is True, but write() took 1 s of frames in {took:.3f} s; "
            f"{low:g} to {high:g} s are allowed"
        )


def _call(what: str, call: Callable[..., Any], *args: Any) -> None:
    try:
        value = call(*args)
    except Exception as error:
        raise AssertionError(f"{what} raised {error!r}") from error
    if value is not None:
        _fail(f"{what} returned {value!r}; it must return None")


def _fail(what: str) -> NoReturn:
    raise AssertionError(what)
