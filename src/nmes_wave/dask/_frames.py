"""A plan as a lazy, chunked array."""

from __future__ import annotations

from typing import Any

import dask.array as da
import numpy as np
from dask import config
from dask.utils import parse_bytes
from numpy.typing import NDArray

from nmes_wave.errors import SpecError
from nmes_wave.plan import Plan
from nmes_wave.record import plan_sha256


class _Frames:
    """What `dask.array.from_array` takes: an array that is rendered when sliced."""

    ndim = 2

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.shape = (plan.n_frames, plan.n_columns)
        self.dtype = plan.output.numpy_dtype

    def __getitem__(self, key: tuple[Any, Any]) -> NDArray[np.generic]:
        rows, columns = key
        frames = range(self.plan.n_frames)[rows]
        if isinstance(frames, int):
            block = self.plan.render(frames, frames + 1)[0]
        else:
            stop = max(frames.start, frames.stop)
            block = self.plan.render(frames.start, stop)[:: frames.step]
        picked: NDArray[np.generic] = block[..., columns]
        return picked


def array(plan: Plan, chunk_frames: int | None = None) -> da.Array:
    """Return a plan as a Dask array; nothing is rendered before it is computed.

    A slice of the array renders the frames of the slice, not whole chunks.
    Plans travel as their descriptions: each worker compiles the plan once in a
    computation, however many chunks it renders.

    Parameters
    ----------
    plan
        What to render.
    chunk_frames
        Frames of each chunk, at least 1; every chunk has all columns. None: as
        many as Dask's own setting ``array.chunk-size`` holds (128 MiB unless
        configured): a task costs the scheduler about a millisecond, and a chunk
        should take many times that.

    Returns
    -------
    dask.array.Array
        Shape ``(n_frames, n_columns)``, of the output's dtype; computed, it is
        ``plan.render()`` bit for bit.

    Raises
    ------
    SpecError
        If these are no plan and no number of frames.
    """
    chunk = chunk_frames_of(plan, chunk_frames)
    # Chunks depend on one key that holds the plan. In each task (inline_array) it
    # was compiled with every chunk: 330 times on each of two workers for 660 chunks.
    # `fancy` stays True, though no lists arrive: without it Dask (2025.5 to 2026.8)
    # does not push slices down to `_Frames`.
    return da.from_array(
        _Frames(plan),
        chunks=(chunk, plan.n_columns),
        name=f"nmes_wave-{plan_sha256(plan.protocol, plan.output)}-{chunk}",
        asarray=False,
        inline_array=False,
        meta=np.empty((0, 0), plan.output.numpy_dtype),
    )


def to_ma(plan: Plan, codes: da.Array) -> da.Array:
    """Return rendered frames in mA, lazily; see `nmes_wave.Plan.to_ma`.

    Slice frames before, and channels after: what comes in has whole frames.

    Parameters
    ----------
    plan
        What was rendered.
    codes
        Any frames of `array`, shape ``(frames, n_columns)``, of the output's dtype.

    Returns
    -------
    dask.array.Array
        Float64, shape ``(frames, n_channels)``, with the same chunks of frames.

    Raises
    ------
    SpecError
        If the frames are not lazy, not codes, or not whole ones of this plan.
    """
    _check_plan(plan)
    if not isinstance(codes, da.Array):
        allowed = "must be a Dask array, as from array; of NumPy's: Plan.to_ma"
        raise SpecError("codes", type(codes).__name__, allowed)
    # Float64 of the right shape is mostly mA already, and would be scaled again.
    if codes.dtype != plan.output.numpy_dtype:
        allowed = f"must be {plan.output.numpy_dtype}, the codes of this plan"
        raise SpecError("codes.dtype", str(codes.dtype), allowed)
    if codes.ndim != 2 or codes.shape[1] != plan.n_columns:
        allowed = f"must be (frames, {plan.n_columns}): slice channels after to_ma"
        raise SpecError("codes.shape", codes.shape, allowed)
    return codes.rechunk({1: -1}).map_blocks(
        plan.output.to_ma,
        chunks=(codes.chunks[0], (plan.n_channels,)),
        meta=np.empty((0, 0), np.float64),
    )


def chunk_frames_of(plan: Plan, chunk_frames: int | None) -> int:
    """Return the frames of each chunk but the last."""
    _check_plan(plan)
    if chunk_frames is None:
        n_bytes = parse_bytes(config.get("array.chunk-size"))
        frame_bytes = plan.n_columns * plan.output.numpy_dtype.itemsize
        chunk_frames = max(1, n_bytes // frame_bytes)
    elif (
        isinstance(chunk_frames, bool)
        or not isinstance(chunk_frames, (int, np.integer))
        or chunk_frames < 1
    ):
        allowed = "must be a whole number of frames, at least 1"
        raise SpecError("chunk_frames", chunk_frames, allowed)
    return min(int(chunk_frames), plan.n_frames)


def _check_plan(plan: Plan) -> None:
    if not isinstance(plan, Plan):
        raise SpecError("plan", plan, "must be a Plan, as from build_plan")
