"""What a push sink is; the contract for sinks from outside this package."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from nmes_wave.errors import SpecError
from nmes_wave.output import Output


@runtime_checkable
class Sink(Protocol):
    """Where the frames of a session go.

    Any object with these members is a sink: nothing has to be inherited or
    registered. A session calls `open` once, `write` for every block in order,
    and `close`; never two of them at the same time, and not always from the
    same thread. `nmes_wave.sinks.conformance.check_sink` tests an
    implementation.

    Attributes
    ----------
    paced : bool
        True if `write` blocks at the rate of a clock. The session's watchdog
        counts frames, so it runs on paced sinks only; one that is not paced
        receives the plan as fast as it takes it.
    hardware : bool
        True if electrodes may hang on it. A session then refuses plans that
        were built without limits.

    Examples
    --------
    A sink that keeps the largest code:

    >>> class Peak:
    ...     paced = False
    ...     hardware = False
    ...     code = 0
    ...
    ...     def open(self, output, n_channels, n_frames):
    ...         self.code = 0
    ...
    ...     def write(self, block):
    ...         if block.size:
    ...             self.code = max(self.code, abs(block).max())
    ...
    ...     def close(self):
    ...         pass
    >>> from nmes_wave.sinks.conformance import check_sink
    >>> check_sink(Peak)
    """

    @property
    def paced(self) -> bool:
        """True if `write` blocks at the rate of a clock."""

    @property
    def hardware(self) -> bool:
        """True if electrodes may hang on it."""

    def open(self, output: Output, n_channels: int, n_frames: int) -> None:
        """Get ready to take frames; deliver nothing yet.

        Parameters
        ----------
        output
            Rate, number format and full scale of the frames.
        n_channels
            Columns of every block, at least 1.
        n_frames
            Length of the plan. A session may write fewer (a stop) or more (a
            pause): a preparation, not a promise.

        Raises
        ------
        SinkUnavailableError
            If what it needs is not on this machine, or may not carry this plan.
        SinkOpenError
            If it is there and would not open.
        FormatError
            If its format cannot hold `output` or `n_channels`.
        """

    def write(self, block: NDArray[np.generic]) -> None:
        """Take the next frames.

        Parameters
        ----------
        block
            Codes, shape ``(frames, n_channels)``, C-contiguous, of
            ``output.numpy_dtype``. The number of frames varies and may be 0.
            The array is the session's and is overwritten after the call: copy
            what is kept, and do not write to it.

        Raises
        ------
        SinkLostError
            If the frames cannot be taken. The session goes to FAULT and writes
            nothing more.
        """

    def close(self) -> None:
        """Deliver what is still held, and let go.

        May be called again, before `open`, and after an `open` or a `write`
        that raised: it then does what is left to do, mostly nothing.

        Raises
        ------
        SinkLostError
            If frames that `write` took are lost.
        """


def check_block(block: NDArray[np.generic], output: Output, n_channels: int) -> None:
    """Refuse a block that is not what `Sink.write` promises.

    Raises
    ------
    SpecError
        For another shape, dtype or order, and for an int24 code that does not
        fit 24 bits: the int32 arrays that hold them have room for it.
    """
    dtype = output.numpy_dtype
    if not (
        isinstance(block, np.ndarray)
        and block.ndim == 2
        and block.shape[1] == n_channels
        and block.dtype == dtype
        and block.flags.c_contiguous
    ):
        raise SpecError(
            "block",
            f"{getattr(block, 'shape', '')} {getattr(block, 'dtype', type(block))}",
            f"must be a C-contiguous array (frames, {n_channels}) of {dtype}",
        )
    if output.dtype == "int24" and block.size:
        low, high = int(np.min(block)), int(np.max(block))
        if low < -(2**23) or high >= 2**23:
            raise SpecError(
                "block",
                low if low < -(2**23) else high,
                f"int24 codes must be {-(2**23)}..{2**23 - 1}",
            )
