"""Random small protocols, and their events one by one: an oracle for exposure."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st

from nmes_wave.errors import SpecError
from nmes_wave.spec import (
    Burst,
    Channel,
    CustomPulse,
    DutyCycle,
    Envelope,
    Pulse,
    Stage,
    StimProtocol,
    Train,
)

PHASE_SHAPES = [
    "rectangular",
    "half_sine",
    "triangular",
    "exponential_rise",
    "exponential_decay",
]


class PlacedEvent(NamedTuple):
    onset_s: float
    event: Pulse | Burst | CustomPulse
    amplitude_ma: float  # signed by alternation

    @property
    def end_s(self):
        return self.onset_s + self.event.duration_us * 1e-6

    def pieces(self, n):
        """Begin, length and current in the middle of short pieces, in s and mA."""
        event = self.event
        if isinstance(event, Pulse):
            width, gap = event.phase_width_us, event.interphase_gap_us
            corners = [0, width / 2, width]
            if event.balanced:
                end = event.duration_us
                corners += [width + gap, (width + gap + end) / 2, end]
        elif isinstance(event, Burst):
            corners = np.arange(4 * event.cycles + 1) * event.phase_width_us / 2
        else:
            corners = np.unique([segment[:2] for segment in event.segments()])
        steps = np.arange(n * (len(corners) - 1) + 1) / n
        cuts = np.unique(np.interp(steps, np.arange(len(corners)), corners))
        length = np.diff(cuts)
        current = self.amplitude_ma * event.levels(cuts[:-1] + length / 2)
        return self.onset_s + cuts[:-1] * 1e-6, length * 1e-6, current


def placed_events(channel, rng):
    """Every event of a channel; jitter is drawn from `rng`, often its extremes."""
    events = []
    begin = channel.start_s
    for _ in range(channel.repeats):
        for stage in channel.stages:
            for _ in range(stage.duty_cycle.repeats):
                events += _on_period(stage, begin, rng)
                begin += float(stage.exact_period_s)
    return events


def _on_period(stage, begin_s, rng):
    train, envelope, on_s = stage.train, stage.envelope, stage.on_period_s
    for k in range(stage.n_events):
        jitter = train.jitter * rng.choice([0.0, 1.0, rng.random()])
        level = envelope.level(train.onset_s(k, on_s), on_s)
        event, amplitude_ma = stage.event, stage.amplitude_ma
        if envelope.modulates == "amplitude":
            amplitude_ma *= level
        else:
            event = scaled(event, level)
        if train.alternate_polarity and k % 2:
            amplitude_ma = -amplitude_ma
        for m in range(train.n_let):
            onset_s = train.onset_s(k, on_s, jitter)
            onset_s += m * (train.n_let_interval_ms or 0.0) / 1000
            yield PlacedEvent(begin_s + onset_s, event, amplitude_ma)


def scaled(pulse, level):
    return Pulse(
        phase_width_us=pulse.phase_width_us * level,
        interphase_gap_us=pulse.interphase_gap_us,
        shape=pulse.shape,
        recovery_ratio=pulse.recovery_ratio,
        recovery_shape=pulse.recovery_shape,
        polarity=pulse.polarity,
        balanced=pulse.balanced,
    )


class RunningIntegral:
    """Integral of a function of the current up to any time."""

    def __init__(self, events, of, n=24):
        begin, length, value = (
            np.concatenate(parts)
            for parts in zip(*(event.pieces(n) for event in events), strict=True)
        )
        order = np.argsort(begin, kind="stable")
        begin, length, value = begin[order], length[order], of(value[order])
        self.t = np.column_stack([begin, begin + length]).ravel()
        sums = np.cumsum(value * length)
        self.sum = np.column_stack([sums - value * length, sums]).ravel()

    def between(self, a, b):
        return np.interp(b, self.t, self.sum) - np.interp(a, self.t, self.sum)


def any_second(events, of):
    """Integrals over one second, for every second that begins or ends at an edge."""
    integral = RunningIntegral(events, of)
    edges = np.array([t for event in events for t in (event.onset_s, event.end_s)])
    begins = np.unique(np.concatenate([edges, edges - 1]))
    return integral.between(begins, begins + 1)


# -- strategies ---------------------------------------------------------------


@st.composite
def pulses(draw, balanced=None):
    try:
        return Pulse(
            phase_width_us=draw(st.sampled_from([200.0, 1000.0, 5000.0])),
            interphase_gap_us=draw(st.sampled_from([0.0, 100.0, 2000.0])),
            shape=draw(st.sampled_from(PHASE_SHAPES)),
            recovery_shape=draw(st.sampled_from([None, *PHASE_SHAPES])),
            recovery_ratio=draw(st.sampled_from([1.0, 1.5, 4.0])),
            polarity=draw(st.sampled_from([1, -1])),
            balanced=draw(st.booleans()) if balanced is None else balanced,
        )
    except SpecError:
        assume(False)


bursts = st.builds(
    Burst,
    carrier_hz=st.sampled_from([500.0, 2500.0]),
    cycles=st.integers(1, 10),
    shape=st.sampled_from(["sine", "square", "triangular"]),
)
TWO_SPIKES = [(0, 0.1), (4000, 0.1), (4000, 1), (4400, 1), (5400, -0.8), (5400, 0)]
SAWTOOTH = [(0, 0), (0, 1), (200, 0.5), (900, -0.3), (900, 0)]
WITH_GAP = [(0, 1), (300, 1), (300, 0), (500, 0), (500, -0.5), (1100, -0.5)]
custom = st.sampled_from(
    [
        CustomPulse(points=TWO_SPIKES, balanced=False),
        CustomPulse(points=SAWTOOTH, balanced=False),
        CustomPulse(points=WITH_GAP),
    ]
)
events = st.one_of(pulses(), bursts, custom)


@st.composite
def trains(draw, event, on_s, jitter=True):
    event_s = event.duration_us * 1e-6
    n_let = draw(st.sampled_from([1, 1, 1, 2, 3]))
    interval_s = event_s * draw(st.sampled_from([1.0, 1.3]))
    span_s = (n_let - 1) * interval_s + event_s
    part = draw(st.sampled_from([0.0, 0.0, 0.2, 0.5])) if jitter else 0.0
    fastest_hz = (1 - part) / span_s / 1.0001
    lowest_hz = min(1.01 / on_s, fastest_hz)
    rate_hz = draw(
        st.one_of(
            st.sampled_from([1.0, 5.0, 10.0, 33.3, 50.0]),
            st.floats(lowest_hz, min(60.0, fastest_hz))
            if lowest_hz < min(60.0, fastest_hz)
            else st.just(lowest_hz),
        )
    )
    assume(rate_hz <= fastest_hz)
    extra = {}
    kind = draw(st.sampled_from(["constant", "constant", "sweep", "first"]))
    if kind == "sweep":
        extra["rate_end_hz"] = draw(st.floats(0.2, 1)) * rate_hz
        if draw(st.booleans()):
            rate_hz, extra["rate_end_hz"] = extra["rate_end_hz"], rate_hz
    elif kind == "first":
        shortest_s = span_s * 1.0001 + part / rate_hz
        assume(shortest_s < 1 / rate_hz)
        first_s = draw(st.floats(shortest_s, 1 / rate_hz))
        extra["first_interval_ms"] = first_s * 1000 * (1 - 1e-12)
    return Train(
        rate_hz=rate_hz,
        n_let=n_let,
        n_let_interval_ms=interval_s * 1000 if n_let > 1 else None,
        phase_deg=draw(st.sampled_from([0.0, 90.0, 301.0])),
        jitter=part,
        alternate_polarity=draw(st.booleans()),
        **extra,
    )


@st.composite
def any_stages(draw, events=events, jitter=True):
    event = draw(events)
    on_s = draw(st.one_of(st.sampled_from([0.1, 0.3, 1.0, 2.5]), st.floats(0.05, 3)))
    ramps = draw(
        st.sampled_from([(0.0, 0.0), (0.0, 0.0), (0.3, 0.2), (0.5, 0.5), (1.0, 0.0)])
    )
    by_width = isinstance(event, Pulse) and draw(st.booleans())
    try:
        return Stage(
            event=event,
            train=draw(trains(event, on_s, jitter)),
            envelope=Envelope(
                ramp_up_s=round(ramps[0] * on_s, 6) * 0.99,
                ramp_down_s=round(ramps[1] * on_s, 6) * 0.99,
                start_level=draw(st.sampled_from([0.3, 0.8])) if by_width else 0.1,
                shape=draw(st.sampled_from(["linear", "cosine", "exponential"])),
                modulates="width" if by_width else "amplitude",
            ),
            duty_cycle=DutyCycle(
                on_s=on_s,
                off_s=draw(st.sampled_from([0.0, 0.0, 0.04, 0.3, 1.2])),
                repeats=draw(st.integers(1, 5)),
            ),
            amplitude_ma=draw(st.sampled_from([10.0, 17.0, 40.0])),
        )
    except SpecError:
        assume(False)


@st.composite
def channels(draw, name="one", stages=None, most_stages=3):
    try:
        return Channel(
            name=name,
            stages=draw(
                st.lists(
                    any_stages() if stages is None else stages,
                    min_size=1,
                    max_size=most_stages,
                )
            ),
            start_s=draw(st.sampled_from([0.0, 0.0, 0.013, 0.1, 0.5])),
            repeats=draw(st.integers(1, 3)),
        )
    except SpecError:
        assume(False)


def protocol_of(*channels):
    return StimProtocol(name="p", channels=channels)


@st.composite
def stages_at(draw, rate_hz):
    """Stages of short on-periods, without sweep and jitter."""
    event = draw(events)
    n_let = draw(st.sampled_from([1, 1, 2]))
    ramps = draw(st.sampled_from([(0.0, 0.0), (0.05, 0.05), (0.08, 0.0)]))
    by_width = isinstance(event, Pulse) and draw(st.booleans())
    try:
        return Stage(
            event=event,
            train=Train(
                rate_hz=rate_hz,
                phase_deg=draw(st.sampled_from([0.0, 0.0, 4.5, 90.0, 180.0, 270.0])),
                n_let=n_let,
                n_let_interval_ms=draw(st.sampled_from([6.0, 7.3]))
                if n_let > 1
                else None,
                first_interval_ms=draw(st.sampled_from([None, None, 15.0])),
                alternate_polarity=draw(st.booleans()),
            ),
            envelope=Envelope(
                ramp_up_s=ramps[0],
                ramp_down_s=ramps[1],
                start_level=draw(st.sampled_from([0.65, 0.8])),
                modulates="width" if by_width else "amplitude",
                shape=draw(st.sampled_from(["linear", "cosine", "exponential"])),
            ),
            duty_cycle=DutyCycle(
                on_s=draw(st.sampled_from([0.1, 0.2, 0.5])),
                off_s=draw(st.sampled_from([0.0, 0.05, 0.1, 0.21])),
                repeats=draw(st.integers(1, 4)),
            ),
            amplitude_ma=draw(st.sampled_from([10.0, 17.0, 40.0])),
        )
    except SpecError:
        assume(False)


@st.composite
def protocols_of_equal_rates(draw):
    """Two or three channels of one rate, whose events meet or miss each other."""
    stages = stages_at(draw(st.sampled_from([10.0, 33.3, 50.0])))
    return protocol_of(
        *(
            draw(channels(name=name, stages=stages, most_stages=2))
            for name in ["one", "two", "three"][: draw(st.integers(2, 3))]
        )
    )
