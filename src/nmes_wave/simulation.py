"""What a load gets of a plan: voltage, current, charge, energy, pulse by pulse."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from nmes_wave.current_source import CurrentSource, Segments
from nmes_wave.errors import SpecError
from nmes_wave.loads import Load
from nmes_wave.output_chain import OutputChain
from nmes_wave.plan import PULSE_DTYPE, Plan
from nmes_wave.spec._fields import Range, conform

#: One row for each event; see `Simulation`.
SIMULATED_DTYPE = np.dtype(
    [
        *((name, PULSE_DTYPE[name]) for name in PULSE_DTYPE.names or ()),
        ("peak_v", np.float64),
        ("peak_ma", np.float64),
        ("charge_uc", np.float64),
        ("net_charge_uc", np.float64),
        ("energy_uj", np.float64),
        ("clipped", np.bool_),
    ]
)
#: What a simulation adds to a plan's row.
_FOUND = (SIMULATED_DTYPE.names or ())[len(PULSE_DTYPE.names or ()) :]
#: Arrays and table may take so much memory.
MAX_GIB = 2.0
#: Frames that are simulated at once (of the finer grid, with a reconstruction).
_BLOCK = 65_536

_Compliance = Annotated[float, Range(ge=1e-3, le=1e6, unit="V")]
_Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Simulation:
    """What `simulate` found.

    Attributes
    ----------
    sample_rate_hz : float
        Of the arrays: the plan's, or a multiple with a reconstruction.
    pulses : ndarray
        Structured, one row for each row of ``plan.pulses(start, stop)``, in the
        same order and with its fields, and beside them

        - ``peak_v``, ``peak_ma``: largest magnitudes of the load's voltage and
          of the delivered current;
        - ``charge_uc``: magnitude of the charge delivered in the first phase
          (until the planned current first changes its sign);
        - ``net_charge_uc``: signed, everything delivered;
        - ``energy_uj``: the integral of voltage times current into the load;
        - ``clipped``: whether the compliance voltage was reached.

        A row covers the time from its event's onset to the next onset of the
        channel; a frame that two events share counts with the second. With a
        reconstruction both move earlier by half the length of its filter.
    peak_voltage_v : tuple of float
        Largest magnitude of each channel's voltage in the simulated range.
    """

    plan: Plan
    load: Load
    compliance_v: float | None
    chain: OutputChain | None
    start: int
    stop: int
    sample_rate_hz: float
    pulses: NDArray[np.void]
    peak_voltage_v: tuple[float, ...]
    _waveforms: tuple[_Array, _Array] | None

    @property
    def n_clipped(self) -> int:
        """Number of pulses that reached the compliance voltage."""
        return int(self.pulses["clipped"].sum())

    @property
    def current_ma(self) -> _Array:
        """Mean delivered current of each sample in mA, shape (frames, channels)."""
        return self._arrays()[0]

    @property
    def voltage_v(self) -> _Array:
        """Voltage at the end of each sample in V, shape (frames, channels)."""
        return self._arrays()[1]

    def _arrays(self) -> tuple[_Array, _Array]:
        if self._waveforms is None:
            words = "was asked for, so there are no arrays, only pulses"
            raise SpecError("simulate.waveforms", False, words)
        return self._waveforms

    def __repr__(self) -> str:
        return (
            f"<Simulation of {self.plan.protocol.name!r}: {len(self.pulses)} pulses, "
            f"{self.n_clipped} clipped, at most {max(self.peak_voltage_v):.4g} V>"
        )


def simulate(
    plan: Plan,
    load: Load,
    compliance_v: float | None = None,
    chain: OutputChain | None = None,
    start: int = 0,
    stop: int | None = None,
    *,
    waveforms: bool = True,
    progress: Callable[[float], None] | None = None,
) -> Simulation:
    """Drive a load with a plan's current.

    Each sample is a constant current for its time. Every channel has a source
    and a load of its own. The answer is exact, clipping included, up to
    rounding (and to `Load.error` of a `ConstantPhase`).

    Parameters
    ----------
    plan
        What is delivered, at full intensity.
    load
        What each channel drives.
    compliance_v
        The largest voltage of the source, which holds it as long as the planned
        current would need more, 1 mV to 1 MV; None: any.
    chain
        What stands between the samples and the source; None: nothing.
    start, stop
        Frames of the plan; `stop` None: to its end. The load's state at `start`
        is that of a delivery from the beginning: the simulation begins forty of
        the slowest time constants earlier, after which nothing is left of an
        older state.
    waveforms
        False: the pulses' table alone. It needs no memory for samples and skips
        the time without pulses: an hour takes seconds. With a reconstruction
        every hold is an eighth as long and each edge rings: an hour then takes
        about a minute, and minutes where pulses clip.
    progress
        Called with the part that is done, 0 to 1.

    Returns
    -------
    Simulation

    Raises
    ------
    SpecError
        For a range that is none or does not fit into memory, a compliance out of
        range, or an argument of the wrong type.
    """
    if not isinstance(plan, Plan):
        raise SpecError("plan", plan, "must be a Plan, as from build_plan")
    if not isinstance(load, Load):
        raise SpecError("load", load, "must be a Load, as from Load.named(name)")
    if not (chain is None or isinstance(chain, OutputChain)):
        raise SpecError("chain", chain, "must be an OutputChain or None")
    if compliance_v is not None:
        compliance_v = conform("compliance_v", compliance_v, _Compliance)
    if not (progress is None or callable(progress)):
        raise SpecError("progress", progress, "must be a function or None")
    stop = plan.n_frames if stop is None else stop
    for name, value, least in (("start", start, 0), ("stop", stop, start)):
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
            raise SpecError(name, value, "must be a whole number of frames")
        if value < least:
            raise SpecError(name, value, f"must be at least {least}")
    start, stop = int(start), int(stop)
    run = _Run(plan, load, compliance_v, chain or OutputChain(), start, stop, waveforms)
    run(progress or (lambda part: None))
    return Simulation(
        plan=plan,
        load=load,
        compliance_v=compliance_v,
        chain=chain,
        start=start,
        stop=stop,
        sample_rate_hz=run.rate_hz,
        pulses=run.pulses,
        peak_voltage_v=tuple(c.peak_v for c in run.channels),
        _waveforms=run.waveforms,
    )


class _Run:
    """One call of `simulate`."""

    def __init__(
        self,
        plan: Plan,
        load: Load,
        compliance_v: float | None,
        chain: OutputChain,
        start: int,
        stop: int,
        waveforms: bool,
    ) -> None:
        self.plan, self.chain = plan, chain
        self.start, self.stop = start, stop
        self.fine = chain.oversampling
        self.reach = chain.reach_frames
        self.rate_hz = plan.output.sample_rate_hz * self.fine
        self._refuse_what_does_not_fit(waveforms)
        self.pulses = _rows(plan.pulses(start, stop))
        shape = ((stop - start) * self.fine, plan.n_channels)
        self.waveforms = (np.zeros(shape), np.zeros(shape)) if waveforms else None
        corner_hz = chain.ac_corner_hz or 0.0
        self.channels = []
        for c in range(plan.n_channels):
            source = CurrentSource(load.network, compliance_v, corner_hz)
            of_channel = np.flatnonzero(self.pulses["channel"] == c)
            onsets = np.floor(self.pulses["frame"][of_channel]).astype(np.int64)
            bounds = np.append(onsets - self.reach, self._end(c))
            self.channels.append(_Channel(source, of_channel, bounds * self.fine))

    def _refuse_what_does_not_fit(self, waveforms: bool) -> None:
        n = self.plan.n_channels
        stop, start = (self._before(range(n), f) for f in (self.stop, self.start))
        size = (stop - start) * SIMULATED_DTYPE.itemsize
        what = "use a part of the plan: start, stop"
        if waveforms:
            size += 2 * 8 * n * self.fine * (self.stop - self.start)
            what += ", or waveforms=False for the pulses alone"
        if size > MAX_GIB * 2**30:
            raise SpecError(
                "simulate.stop",
                self.stop,
                f"{(self.stop - self.start):,} frames of {n} channels would take "
                f"{size / 2**30:.1f} GiB, at most {MAX_GIB:g} GiB are allowed; {what}",
            )

    def _before(self, channels: Iterable[int], frame: int) -> int:
        """Return the number of events with their onset before a frame."""
        counts = (
            self.plan.core.count_before(c, float(frame))
            if frame <= self.plan.n_frames
            else self.plan.protocol.channels[c].n_pulses
            for c in channels
        )
        return sum(counts)

    def _end(self, channel: int) -> int:
        """Return the frame at which the last row of a channel ends."""
        n = self._before([channel], self.stop)
        if n < self.plan.protocol.channels[channel].n_pulses:
            return self.plan.core.event_span(channel, n)[0] - self.reach
        return self.plan.n_frames + self.reach

    def _is_idle(self, start: int, stop: int) -> bool:
        """Whether no event touches the frames."""
        for c in range(self.plan.n_channels):
            n = self._before([c], start)
            if self._before([c], stop) > n:
                return False
            if n and self.plan.core.event_span(c, n - 1)[1] > start:
                return False
        return True

    def __call__(self, progress: Callable[[float], None]) -> None:
        """Simulate block by block."""
        begin = max(self.start - self._memory_frames(), 0) - self.reach
        ends = [c.bounds[-1] // self.fine for c in self.channels if len(c.rows)]
        end = int(max([self.stop, *ends]))
        block = _BLOCK // self.fine
        for a in range(begin, end, block):
            self._simulate(a, min(a + block, end))
            progress((min(a + block, end) - begin) / (end - begin))
        for channel in self.channels:
            channel.write(self.pulses)

    def _memory_frames(self) -> int:
        memory_s = max(c.source.memory_s for c in self.channels)
        return math.ceil(memory_s * self.plan.output.sample_rate_hz) + self.reach

    def _simulate(self, a: int, b: int) -> None:
        fine, reach, n = self.fine, self.reach, b - a
        shown = slice(max(a, self.start) - a, max(min(b, self.stop), a) - a)
        shown = slice(shown.start * fine, max(shown.start, shown.stop) * fine)
        idle = self._is_idle(a - reach, b + reach)
        if not idle:
            first = max(a - reach, 0)
            codes = self.plan.to_ma(self.plan.render(first, max(b + reach, first)))
            codes = np.vstack([np.zeros((first - a + reach, codes.shape[1])), codes])
        for c, channel in enumerate(self.channels):
            if idle:
                command, sign = np.zeros(n * fine), np.zeros(n * fine)
            else:
                sign = np.repeat(np.sign(codes[reach : reach + n, c]), fine)
                command = self.chain.reconstruct(codes[:, c])
            cuts = [np.zeros(1, np.int64), np.array([shown.start, shown.stop])]
            if not idle:
                changes = (np.diff(command) != 0) | (np.diff(sign) != 0)
                cuts.append(np.flatnonzero(changes) + 1)
            cuts.append(channel.bounds_within(a * fine, b * fine) - a * fine)
            if self.waveforms:
                cuts.append(np.arange(shown.start, shown.stop))
            at = np.unique(np.concatenate(cuts))
            at = at[at < n * fine]
            length = np.diff(at, append=n * fine)
            found = channel.source.feed(command[at], length / self.rate_hz)
            channel.tally(at + a * fine, sign[at], found)
            held = at[found.hold]
            inside = (held >= shown.start) & (held < shown.stop)
            channel.peak_v = max(channel.peak_v, found.peak_v[inside].max(initial=0.0))
            if self.waveforms and shown.stop > shown.start:
                current, voltage = (
                    array[:, c][(a - self.start) * fine + shown.start :]
                    for array in self.waveforms
                )
                held = held[inside] - shown.start
                n_shown = shown.stop - shown.start
                charge = np.bincount(held, found.charge_mc[inside], n_shown)
                current[:n_shown] = charge * self.rate_hz
                voltage[held] = found.end_v[inside]  # the last one counts


class _Channel:
    """The source of one channel, and what its rows have gathered.

    Parameters
    ----------
    source
        In its state.
    rows
        Which of the table's rows are this channel's.
    bounds
        Where each begins, and where the last one ends, on the finer grid.
    """

    def __init__(
        self, source: CurrentSource, rows: NDArray[np.int64], bounds: NDArray[np.int64]
    ) -> None:
        self.source, self.rows, self.bounds = source, rows, bounds
        self.peak_v = 0.0
        self.found = np.zeros(len(rows), SIMULATED_DTYPE)
        self.first_sign = np.zeros(len(rows))
        self.first_is_over = np.zeros(len(rows), np.bool_)

    def bounds_within(self, start: int, stop: int) -> NDArray[np.int64]:
        """Return the bounds in [start, stop)."""
        low, high = np.searchsorted(self.bounds, [start, stop])
        return self.bounds[low:high]

    def tally(self, at: NDArray[np.int64], sign: _Array, found: Segments) -> None:
        """Add what flowed to the rows.

        Parameters
        ----------
        at, sign
            Begin of each hold on the finer grid, and sign of its planned current.
        found
            Their segments.
        """
        row = np.searchsorted(self.bounds, at, side="right") - 1
        within = (row >= 0) & (row < len(self.rows))
        if not within.any():
            return
        # only a row's first hold can tell the sign of its first phase...
        some = np.flatnonzero(within & (sign != 0))
        owners, index = np.unique(row[some], return_index=True)
        new = self.first_sign[owners] == 0
        self.first_sign[owners[new]] = sign[some[index[new]]]
        # ...and the first one of the other sign ends it
        over_at = np.where(self.first_is_over, -1, len(at))
        other = some[sign[some] == -self.first_sign[row[some]]]
        owners, index = np.unique(row[other], return_index=True)
        over_at[owners] = np.minimum(over_at[owners], other[index])
        self.first_is_over[owners] = True
        first_phase = within & (np.arange(len(at)) < over_at[row * within])

        kept = within[found.hold]
        owner = row[found.hold[kept]]
        low, n = int(owner[0]), int(owner[-1]) - int(owner[0]) + 1
        in_first = first_phase[found.hold[kept]]
        charge = found.charge_mc[kept]
        for name, values in (
            ("net_charge_uc", 1000 * charge),
            ("charge_uc", 1000 * charge * in_first),
            ("energy_uj", 1000 * found.energy_mj[kept]),
        ):
            sums = np.bincount(owner - low, values, n)
            self.found[name][low : low + n] += sums
        np.maximum.at(self.found["peak_v"], owner, found.peak_v[kept])
        np.maximum.at(self.found["peak_ma"], owner, found.peak_ma[kept])
        np.logical_or.at(self.found["clipped"], owner, found.rail[kept] != 0)

    def write(self, table: NDArray[np.void]) -> None:
        """Put the rows where they belong."""
        for name in _FOUND:
            table[name][self.rows] = self.found[name]
        table["charge_uc"][self.rows] = np.abs(self.found["charge_uc"])


def _rows(planned: NDArray[np.void]) -> NDArray[np.void]:
    rows = np.zeros(len(planned), SIMULATED_DTYPE)
    for name in PULSE_DTYPE.names or ():
        rows[name] = planned[name]
    return rows
