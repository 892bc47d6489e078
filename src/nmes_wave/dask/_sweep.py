"""Many protocols, checked and compiled in parallel."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import dask.bag as db
import numpy as np
from numpy.typing import NDArray

from nmes_wave.errors import LimitError, NmesWaveError, SpecError
from nmes_wave.limits import Limits, check
from nmes_wave.output import Output
from nmes_wave.plan import PULSE_DTYPE, build_plan
from nmes_wave.report import Report
from nmes_wave.spec import StimProtocol


@dataclass(frozen=True, kw_only=True, eq=False)
class SweepRow:
    """What became of one protocol of a sweep.

    Attributes
    ----------
    index
        Its place in the sweep, from 0.
    protocol
        None where the function that makes it raised.
    output
    limits
        What it was built with.
    report
        What ``check(protocol, limits)`` found, passed or not; with
        ``edges="snap"``, of the snapped protocol where that alone fails. None
        without a protocol.
    pulses
        ``plan.pulses()``, see `nmes_wave.Plan.pulses`; empty where no plan could
        be built.
    error
        Why there is no plan, as ``SpecError: Output.full_scale_ma = ...``; empty
        where there is one.
    """

    index: int
    protocol: StimProtocol | None
    output: Output
    limits: Limits
    report: Report | None
    pulses: NDArray[np.void]
    error: str

    @property
    def passed(self) -> bool:
        """Whether a plan could be built."""
        return not self.error

    @property
    def name(self) -> str:
        """The protocol's; empty without one."""
        return "" if self.protocol is None else self.protocol.name


def sweep(
    protocols: Iterable[StimProtocol | Callable[[], StimProtocol]],
    output: Output,
    limits: Limits | None = None,
) -> db.Bag:
    """Return reports and pulse tables of many protocols, lazily.

    A protocol that cannot be, or that a limit refuses, is a row that says so; the
    others are computed all the same.

    Parameters
    ----------
    protocols
        Protocols, or functions without arguments that return one (as
        ``functools.partial(make, rate_hz=80.0)``): they are called where the
        sweep is computed, and what they refuse is a row too.
    output
        What each is compiled for.
    limits
        What each must keep; None: the defaults of `nmes_wave.Limits`.

    Returns
    -------
    dask.bag.Bag
        Of `SweepRow`, in the order of `protocols`. ``rows.map(...)`` picks what
        is wanted where it was computed; a pulse table takes 56 bytes a pulse.

    Raises
    ------
    SpecError
        If there are no protocols, or `output` and `limits` are not those.
    """
    limits = Limits() if limits is None else limits
    if not isinstance(output, Output):
        raise SpecError("output", output, "must be an Output")
    if not isinstance(limits, Limits):
        raise SpecError("limits", limits, "must be Limits, as from Limits.named(name)")
    items = list(enumerate(protocols))
    if not items:
        raise SpecError("protocols", [], "must be at least one")
    # In a partial, Dask does not search the specs for collections of its own.
    return db.from_sequence(items).map(
        functools.partial(_row, output=output, limits=limits)
    )


def _row(
    item: tuple[int, StimProtocol | Callable[[], StimProtocol]],
    output: Output,
    limits: Limits,
) -> SweepRow:
    index, given = item
    protocol = report = None
    pulses, error = np.zeros(0, PULSE_DTYPE), ""
    try:
        protocol = given() if callable(given) else given
        report = check(protocol, limits)
        pulses = build_plan(protocol, output, limits).pulses()
    except NmesWaveError as refusal:
        error = f"{type(refusal).__name__}: {refusal}"
        if isinstance(refusal, LimitError):
            report = refusal.report
        if not isinstance(protocol, StimProtocol):
            protocol = None
    return SweepRow(
        index=index,
        protocol=protocol,
        output=output,
        limits=limits,
        report=report,
        pulses=pulses,
        error=error,
    )
