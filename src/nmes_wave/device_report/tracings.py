"""Section 1, the tracings of a mode: simulated samples at a fine rate."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmes_wave.device_report.exposed import LOAD_OHM
from nmes_wave.device_report.integers import single
from nmes_wave.device_report.modes import Mode, flat
from nmes_wave.device_report.quantity import given, ohms, result
from nmes_wave.device_report.specification import LOADS_OHM
from nmes_wave.limits import Limits
from nmes_wave.loads import Resistor
from nmes_wave.output import Output
from nmes_wave.plan import Plan, build_plan
from nmes_wave.plot.excerpt import extremes
from nmes_wave.simulation import simulate
from nmes_wave.spec import (
    Burst,
    Channel,
    CustomPulse,
    Event,
    Pulse,
    Stage,
    StimProtocol,
)

#: Fastest rate to draw at.
_FASTEST_HZ = 768e3
#: Frames of the shortest phase: of one pulse, and of a train.
_FINE, _COARSE = 100, 20
#: Longest time that is drawn.
_LONGEST_S = 10.0
#: Vertices beyond which extremes are drawn, in so many columns.
_MAX_VERTICES, _COLUMNS = 6000, 1500

_Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Tracing:
    """One tracing, as vertices to be joined by straight lines.

    Attributes
    ----------
    title
        What it shows: ``individual pulse``, ``burst``, ``train``.
    mode
        Name of the mode.
    load_ohm
        The load.
    settings
        Every parameter, by name, with its unit.
    t_s, ma
        Time from the first onset, and current into the load.
    low_ma, high_ma
        Lowest and highest current.
    limit_ma
        Highest current that the compliance voltage leaves, where it clips.
    """

    title: str
    mode: str
    load_ohm: float
    settings: dict[str, str]
    t_s: _Array
    ma: _Array
    low_ma: float
    high_ma: float
    limit_ma: float | None

    @property
    def description(self) -> str:
        """The tracing in words, for those who cannot see it."""
        unit = "µs" if self.t_s[-1] < 5e-3 else "ms"
        length = self.t_s[-1] * (1e6 if unit == "µs" else 1e3)
        words = (
            f"{self.mode}. {self.title.capitalize()} into {ohms(self.load_ohm)}: "
            f"current from {result(self.low_ma, 'mA')} to "
            f"{result(self.high_ma, 'mA')} over {length:.4g} {unit}"
        )
        return words + "; limited by the compliance voltage" * bool(self.limit_ma)

    def to_dict(self) -> dict[str, Any]:
        """Return the tracing as plain data; times in µs."""
        return {
            "title": self.title,
            "load_ohm": self.load_ohm,
            "settings": self.settings,
            "limit_ma": self.limit_ma,
            "t_us": np.round(self.t_s * 1e6, 3).tolist(),
            "current_ma": np.round(self.ma, 6).tolist(),
        }


def titles(mode: Mode) -> tuple[tuple[str, float], ...]:
    """Return what is traced of a mode: title and load of each tracing."""
    event, train = mode.stage.event, mode.stage.train
    of_burst = isinstance(event, Burst)
    one = "individual pulses of a burst" if of_burst else "individual pulse"
    more = [(one, load_ohm) for load_ohm in LOADS_OHM]
    if of_burst:
        more.append(("burst", LOAD_OHM))
    elif train.n_let > 1:
        more.append((f"group of {train.n_let} pulses", LOAD_OHM))
    return (*more, ("series of bursts" if of_burst else "train of pulses", LOAD_OHM))


def tracings(mode: Mode, compliance_v: float, output: Output) -> Iterator[Tracing]:
    """Yield the tracings of a mode, those of `titles`, finer than on the output."""
    event, train = mode.stage.event, mode.stage.train
    length_s = event.duration_us * 1e-6
    alone = single(event, mode.stage.amplitude_ma)
    series = _protocol(flat(mode.stage))
    for title, load_ohm in titles(mode):
        if title.startswith("individual pulses"):
            protocol, fine, span_s = alone, _FINE, 4e-6 * event.phase_width_us
        elif title.startswith("individual") or title == "burst":
            protocol, fine, span_s = alone, _FINE, length_s
        elif title.startswith("group"):
            protocol, fine = series, _COARSE
            span_s = train.n_let_span_s + length_s
        else:
            protocol, fine = series, _COARSE
            span_s = length_s + train.n_let_span_s + 2 / train.rate_hz
        plan = _plan(protocol, output, fine)
        if span_s > _LONGEST_S:
            title, span_s = f"{title}, the first {_LONGEST_S:g} s", _LONGEST_S
        t_s, ma = _vertices(plan, span_s, load_ohm, compliance_v)
        yield _tracing(mode, title, load_ohm, compliance_v, t_s, ma)


def _tracing(
    mode: Mode,
    title: str,
    load_ohm: float,
    compliance_v: float,
    t_s: _Array,
    ma: _Array,
) -> Tracing:
    stage = mode.stage
    if not title.startswith(("train", "series")):
        # one event, or the members of one N-let: those have one polarity
        one = replace(stage.train, alternate_polarity=False)
        stage = replace(stage, train=one)
    limit_ma = compliance_v / load_ohm * 1000
    levels = [level * stage.amplitude_ma for level in extremes(stage)]
    clips = max(map(abs, levels)) > limit_ma * (1 + 1e-12)
    low, high = np.clip(levels, -limit_ma, limit_ma).tolist()
    settings = {
        **mode.settings(),
        "load": ohms(load_ohm),
        "compliance": given(compliance_v, "V"),
    }
    return Tracing(
        title=title,
        mode=mode.name,
        load_ohm=load_ohm,
        settings=settings,
        t_s=t_s,
        ma=ma,
        low_ma=low,
        high_ma=high,
        limit_ma=limit_ma if clips else None,
    )


def _protocol(stage: Stage) -> StimProtocol:
    return StimProtocol(name="one", channels=(Channel(name="one", stages=(stage,)),))


def _plan(protocol: StimProtocol, output: Output, fine: int) -> Plan:
    stage = protocol.channels[0].stages[0]
    output = Output(
        sample_rate_hz=_rate_hz(stage.event, output.sample_rate_hz, fine),
        full_scale_ma=stage.amplitude_ma or 1.0,
        dtype="int32",
        edges="area",  # what an output snaps, the mode has snapped already
        coupling="dc",
    )
    return build_plan(protocol, output, Limits.named("unlimited"))


def _rate_hz(event: Event, own_hz: float, fine: int) -> float:
    """Return a rate with `fine` frames in the shortest phase, where it can.

    A whole multiple of the output's: what fits its grid fits this one. Of these,
    the one on which corners come closest to whole frames.
    """
    if isinstance(event, CustomPulse):
        shortest_us = min(width for width, area in event.lobes() if area)
        corners_us = [t for t, _ in event.points]
    else:
        shortest_us = event.phase_width_us
        corners_us = [shortest_us, event.duration_us]
        if isinstance(event, Pulse):
            corners_us.append(event.duration_us - event.recovery_width_us)
    most = int(_FASTEST_HZ / own_hz)
    # Half of the multiples stay to choose from: with `most` alone a corner inside
    # of a frame is drawn as a step that no pulse has.
    enough = math.ceil(fine / (shortest_us * 1e-6) / own_hz)
    least = min(max(1, most // 2), enough)

    def off_grid(times: int) -> float:
        frames = np.array(corners_us) * 1e-6 * own_hz * times
        return round(float(np.abs(frames - np.rint(frames)).sum()), 6)

    return own_hz * min(range(least, most + 1), key=off_grid)


def _vertices(
    plan: Plan, span_s: float, load_ohm: float, compliance_v: float
) -> tuple[_Array, _Array]:
    """Return the tracing's vertices, with baseline before and after."""
    fs = plan.output.sample_rate_hz
    start = _first_onset(plan)
    n = max(2, round(span_s * fs))
    lead, tail = max(1, round(0.26 * n)), max(1, round(0.2 * n))
    load = Resistor(resistance_ohm=load_ohm)
    simulated = simulate(plan, load, compliance_v, start=start, stop=start + n + tail)
    current_ma = np.concatenate([np.zeros(lead), simulated.current_ma[:, 0]])
    t_s = (np.arange(len(current_ma) + 1) - lead) / fs
    # a sample is held: both ends of each, less those inside of a straight line
    t_s, ma = np.repeat(t_s, 2)[1:-1], np.repeat(current_ma, 2)
    inner = (ma[1:-1] == ma[:-2]) & (ma[1:-1] == ma[2:])
    keep = np.concatenate([[True], ~inner, [True]])
    t_s, ma = t_s[keep], ma[keep]
    if len(ma) <= _MAX_VERTICES:
        return t_s, ma
    return _thinned(t_s, ma)


def _first_onset(plan: Plan) -> int:
    stage = plan.protocol.channels[0].stages[0]
    latest_s = stage.first_onset_s + stage.train.jitter / stage.train.rate_hz
    rows = plan.pulses(0, latest_s * plan.output.sample_rate_hz + 2)
    return int(rows["frame"][0])


def _thinned(t_s: _Array, ma: _Array) -> tuple[_Array, _Array]:
    """Return the lowest and highest of each column, in the order of time."""
    column = np.minimum(
        (t_s - t_s[0]) / (t_s[-1] - t_s[0]) * _COLUMNS, _COLUMNS - 1
    ).astype(np.intp)
    order = np.lexsort((ma, column))
    first = np.flatnonzero(np.diff(column[order], prepend=-1))
    last = np.append(first[1:], len(order)) - 1
    kept = np.unique(np.concatenate([[0], order[first], order[last], [len(ma) - 1]]))
    return t_s[kept], ma[kept]
