"""A protocol compiled for one output: immutable, seekable.

`build_plan` checks the protocol against the limits and the sample grid and
hands the compiled core numbers in frames. A plan never enumerates its events: a
day of stimulation compiles as fast as a second.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nmes_wave._core import CompiledPlan
from nmes_wave.compiling import channels as compiled_channels
from nmes_wave.compiling import trigger as compiled_trigger
from nmes_wave.errors import LimitError, SpecError
from nmes_wave.grid import check_grid, snapped_protocol
from nmes_wave.limits import Limits, check
from nmes_wave.output import Output
from nmes_wave.spec import StimProtocol
from nmes_wave.spec._fields import is_number

if TYPE_CHECKING:
    from nmes_wave.delivery import Delivery

#: One row for each event; see `Plan.pulses`.
PULSE_DTYPE = np.dtype(
    [
        ("frame", np.float64),
        ("channel", np.int64),
        ("stage", np.int64),
        ("on_period", np.int64),
        ("index", np.int64),
        ("amplitude_ma", np.float64),
        ("phase_width_us", np.float64),
    ]
)


class Plan:
    """A protocol compiled for one output; made by `build_plan`.

    Attributes
    ----------
    n_frames : int
        Covers every stage to its end and every event whole.
    n_channels : int
        Stimulator outputs.
    n_columns : int
        Of a rendered array: the channels, and a trigger if the output has one.
    n_pulses : int
        Events, the members of an N-let apart.
    duration_s : float
        `n_frames` in seconds.
    protocol : StimProtocol
    output : Output
    limits : Limits
        What the plan was built from.
    """

    def __init__(
        self, protocol: StimProtocol, output: Output, limits: Limits, core: CompiledPlan
    ) -> None:
        self.protocol = protocol
        self.output = output
        self.limits = limits
        self.core = core
        self.n_channels = len(protocol.channels)
        self.n_columns = output.n_columns(self.n_channels)
        self._dtype = output.numpy_dtype
        self.n_pulses = sum(c.n_pulses for c in protocol.channels)
        ends = [
            max(
                math.ceil(output.frames(channel.exact_end_s)),
                core.event_span(i, channel.n_pulses - 1)[1],
            )
            for i, channel in enumerate(protocol.channels)
        ]
        # a marker at the very end is whole
        marked = [
            core.event_span(i, channel.n_pulses - 1)[0] + output.trigger_frames
            for i, channel in enumerate(protocol.channels)
        ]
        self.n_frames = max(ends + marked)
        self.duration_s = float(Fraction(self.n_frames) / output.frames(1.0))

    def __repr__(self) -> str:
        return (
            f"<Plan {self.protocol.name!r}: {self.n_channels} ch, "
            f"{self.duration_s:g} s at {self.output.sample_rate_hz:g} Hz, "
            f"{self.output.dtype}, {self.n_pulses} pulses>"
        )

    def __setattr__(self, name: str, value: object) -> None:
        if "duration_s" in self.__dict__:
            raise AttributeError(f"a plan is immutable: {name} cannot be set")
        super().__setattr__(name, value)

    def __reduce__(self) -> tuple[Any, ...]:
        # Compiled anew where it is unpickled, to the same bytes.
        return build_plan, (self.protocol, self.output, self.limits)

    @property
    def delivery(self) -> Delivery:
        """What was asked beside what will be delivered, field by field."""
        from nmes_wave.delivery import delivery_of

        return delivery_of(self.protocol, self.output)

    def render(self, start: int = 0, stop: int | None = None) -> NDArray[np.generic]:
        """Return the frames [start, stop).

        Parameters
        ----------
        start, stop
            Frames, ``0 <= start <= stop``; `stop` None: `n_frames`. Beyond the
            end there are zeros.

        Returns
        -------
        ndarray
            Shape ``(stop - start, n_columns)``; int16 for ``int16``, int32 for
            ``int24`` and ``int32``, float32 for ``float32``.

        Raises
        ------
        SpecError
            If the range is not one.
        """
        stop = self.n_frames if stop is None else _frame("stop", stop)
        start = _frame("start", start)
        if stop < start:
            raise SpecError("stop", stop, f"must be at least start, {start}")
        block = np.empty((stop - start, self.n_columns), self.output.numpy_dtype)
        self.core.render_into(block, start)
        return block

    def render_into(self, block: NDArray[np.generic], start: int) -> None:
        """Fill a caller's array with the frames from `start` on, without the GIL.

        Parameters
        ----------
        block
            Writable, C-contiguous, shape ``(frames, n_columns)``, of the
            output's dtype.
        start
            First frame, at least 0.

        Raises
        ------
        SpecError
            If the array does not fit the plan.
        """
        if type(start) is not int or start < 0:
            start = _frame("start", start)
        if not isinstance(block, np.ndarray):
            raise SpecError("block", block, "must be a NumPy array")
        shape = block.shape
        if (
            len(shape) == 2
            and shape[1] == self.n_columns
            and block.dtype == self._dtype
        ):
            try:
                self.core.render_into(block, start)
            except (BufferError, ValueError):
                pass  # not contiguous, or read-only: NumPy refuses the buffer
            else:
                return
        raise SpecError(
            "block",
            f"{block.dtype} of shape {shape}",
            f"must be a writable C-contiguous {self._dtype} array of shape "
            f"(frames, {self.n_columns})",
        )

    def blocks(self, n_frames: int) -> Iterator[NDArray[np.generic]]:
        """Yield the whole plan in new arrays of `n_frames`, the last one shorter."""
        size = _frame("n_frames", n_frames)
        if size == 0:
            raise SpecError("n_frames", n_frames, "must be at least 1")
        for start in range(0, self.n_frames, size):
            yield self.render(start, min(start + size, self.n_frames))

    def to_ma(self, codes: NDArray[np.generic]) -> NDArray[np.float64]:
        """Return rendered samples in mA, shape ``(frames, n_channels)``."""
        return self.output.to_ma(codes)

    def pulses(self, start: float = 0, stop: float | None = None) -> NDArray[np.void]:
        """Return one row for each event with its onset in [start, stop).

        Parameters
        ----------
        start, stop
            Frames; `stop` None: all.

        Returns
        -------
        ndarray
            Structured, in the order of onset, with the fields ``frame`` (the
            float64 onset that the kernel uses), ``channel``, ``stage``,
            ``on_period`` (of that stage, counting on through the channel's
            repeats), ``index`` (of the event in its on-period; the members of
            an N-let share it), ``amplitude_ma`` (after the envelope, never
            negative) and ``phase_width_us`` (of a burst: half a carrier cycle).
            Events of amplitude 0 stand here and deliver nothing.
        """
        low = _instant("start", start)
        high = math.inf if stop is None else _instant("stop", stop)
        parts = []
        for c in range(self.n_channels):
            first = self._count_before(c, low)
            last = self._count_before(c, high)
            rows = np.zeros(max(0, last - first), PULSE_DTYPE)
            columns = {
                name: np.empty(len(rows), PULSE_DTYPE[name])
                for name in PULSE_DTYPE.names or ()
                if name != "channel"
            }
            self.core.fill_pulses(c, first, **columns)
            rows["channel"] = c
            for name, column in columns.items():
                rows[name] = column
            parts.append(rows)
        rows = np.concatenate(parts)
        return rows[np.argsort(rows["frame"], kind="stable")]

    def _count_before(self, channel: int, frame: float) -> int:
        if frame > self.n_frames:
            return self.protocol.channels[channel].n_pulses
        return self.core.count_before(channel, frame)


def build_plan(
    protocol: StimProtocol, output: Output, limits: Limits | None = None
) -> Plan:
    """Compile a protocol for an output.

    Parameters
    ----------
    protocol, output
        What to deliver, and on what grid.
    limits
        What the protocol must keep; None: the defaults of `Limits`.

    Returns
    -------
    Plan

    Raises
    ------
    LimitError
        If a rule fails; it carries the report.
    SpecError
        For what the output cannot hold: an amplitude above full scale, a phase
        shorter than one frame, a monophasic event on an AC-coupled output.
    """
    limits = Limits() if limits is None else limits
    if not isinstance(protocol, StimProtocol):
        raise SpecError("protocol", protocol, "must be a StimProtocol")
    if not isinstance(output, Output):
        raise SpecError("output", output, "must be an Output")
    # What cannot be comes before what should not.
    check_grid(protocol, output)
    report = check(protocol, limits)
    if report.passed and output.edges == "snap":
        report = check(snapped_protocol(protocol, output), limits)
    if not report.passed:
        raise LimitError(report)
    core = CompiledPlan(
        output.sample_rate_hz,
        output.dtype,
        output.edges == "snap",
        compiled_channels(protocol, output),
        compiled_trigger(output),
    )
    return Plan(protocol, output, limits, core)


def _instant(name: str, value: float) -> float:
    if not is_number(value) or math.isnan(value):
        raise SpecError(name, value, "must be a number of frames")
    return max(float(value), 0.0)


def _frame(name: str, value: int) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise SpecError(name, value, "must be a whole number of frames")
    if value < 0:
        raise SpecError(name, value, "must be at least 0")
    return int(value)
