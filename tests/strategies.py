"""Random legal protocols, off the sample grid unless chance puts them on it.

Times are 0 or a real time: an onset of 1e-50 frames is legal, but exact there only
to the rounding of the kernel's own 106 bits.
"""

from __future__ import annotations

import itertools
import math

from hypothesis import assume
from hypothesis import strategies as st

import nmes_wave as nw

UNLIMITED = nw.Limits.named("unlimited")

SAMPLE_RATES = st.one_of(
    st.sampled_from([8000.0, 11025.0, 44100.0, 48000.0, 96000.0, 192000.0]),
    st.floats(8000, 100_000),
)
PHASE_SHAPES = [
    "rectangular",
    "half_sine",
    "triangular",
    "exponential_rise",
    "exponential_decay",
]
FORMATS = ["int16", "int24", "int32", "float32"]


@st.composite
def pulses(draw, frame_us, shapes=PHASE_SHAPES):
    shape = draw(st.sampled_from(shapes))
    recovery_shape = draw(st.sampled_from([None, *shapes]))
    ratio = draw(st.one_of(st.just(1.0), st.floats(1, 9)))
    try:
        return nw.Pulse(
            phase_width_us=draw(st.floats(1.01, 30)) * frame_us,
            interphase_gap_us=draw(
                st.one_of(st.just(0.0), st.floats(1e-3, 6).map(lambda f: f * frame_us))
            ),
            shape=shape,
            recovery_shape=recovery_shape,
            recovery_ratio=ratio,
            polarity=draw(st.sampled_from([1, -1])),
        )
    except nw.SpecError:
        assume(False)


@st.composite
def bursts(draw, frame_us, shapes=("sine", "square", "triangular")):
    half_cycle_us = draw(st.floats(1.01, 20)) * frame_us
    return nw.Burst(
        carrier_hz=0.5e6 / half_cycle_us,
        cycles=draw(st.integers(1, 6)),
        shape=draw(st.sampled_from(list(shapes))),
        polarity=draw(st.sampled_from([1, -1])),
    )


@st.composite
def custom_pulses(draw, frame_us):
    """A random positive lobe and a negative one of the same area."""
    up = draw(
        st.lists(
            st.tuples(st.floats(1.01, 9), st.floats(0.05, 1)), min_size=1, max_size=4
        )
    )
    points, t = [(0.0, draw(st.sampled_from([0.0, 0.5, 1.0])))], 0.0
    for width, level in up:
        t += width * frame_us
        points.append((t, level))
    area = math.fsum(
        0.5 * (a + b) * (t1 - t0) for (t0, a), (t1, b) in itertools.pairwise(points)
    )
    level = draw(st.floats(0.2, 1))
    width = area / level
    assume(width >= 1.01 * frame_us)
    points += [(t, -level), (t + width, -level)]
    return nw.CustomPulse(points=points, polarity=draw(st.sampled_from([1, -1])))


@st.composite
def trains(draw, event_us, on_s):
    """A train whose events fit."""
    n_let = draw(st.sampled_from([1, 1, 2, 3]))
    interval_us = event_us * draw(st.floats(1.0, 1.5)) + 1e-3
    span_us = (n_let - 1) * interval_us + event_us
    jitter = draw(st.one_of(st.just(0.0), st.floats(1e-3, 0.5)))
    lowest_us = span_us * 1.0001 / (1 - jitter)
    period_us = max(lowest_us, on_s * 1e6 / draw(st.floats(1, 15)))
    rate_hz = 1e6 / period_us
    kind = draw(st.sampled_from(["constant", "constant", "sweep", "first"]))
    extra = {}
    if kind == "sweep":
        extra["rate_end_hz"] = rate_hz * draw(st.floats(0.2, 1))
        if draw(st.booleans()):
            rate_hz, extra["rate_end_hz"] = extra["rate_end_hz"], rate_hz
    elif kind == "first":
        room_us = span_us * 1.0001 + jitter * period_us
        assume(room_us < period_us * 0.999)
        first_us = draw(st.floats(room_us, period_us * 0.999))
        extra["first_interval_ms"] = first_us / 1000
    return nw.Train(
        rate_hz=rate_hz,
        n_let=n_let,
        n_let_interval_ms=interval_us / 1000 if n_let > 1 else None,
        phase_deg=draw(st.one_of(st.just(0.0), st.floats(1e-3, 359.9))),
        jitter=jitter,
        seed=draw(st.integers(0, 2**63 - 1)),
        alternate_polarity=draw(st.booleans()),
        **extra,
    )


@st.composite
def stages(draw, frame_us, events):
    event = draw(events)
    on_s = draw(st.floats(0.005, 0.1))
    train = draw(trains(event.duration_us, on_s))
    # not subnormal, which the kernel takes for zero (it runs with denormals off)
    part = st.one_of(st.just(0.0), st.floats(1e-9, 0.5))
    ramps = draw(st.tuples(part, part))
    modulates = "amplitude"
    start_level = draw(st.floats(0, 1))
    if isinstance(event, nw.Pulse) and draw(st.booleans()):
        narrowest = 1.005 * frame_us / event.phase_width_us
        if narrowest < 1:
            modulates, start_level = "width", max(start_level, narrowest)
    envelope = nw.Envelope(
        ramp_up_s=ramps[0] * on_s,
        ramp_down_s=ramps[1] * on_s,
        start_level=start_level,
        shape=draw(st.sampled_from(["linear", "cosine", "exponential"])),
        modulates=modulates,
    )
    try:
        return nw.Stage(
            event=event,
            train=train,
            envelope=envelope,
            amplitude_ma=draw(st.floats(0, 100)),
            duty_cycle=nw.DutyCycle(
                on_s=on_s,
                off_s=draw(st.one_of(st.just(0.0), st.floats(1e-6, 0.05))),
                repeats=draw(st.integers(1, 3)),
                ramps_count_as_on=draw(st.booleans()),
            ),
        )
    except nw.SpecError:
        assume(False)


def any_event(frame_us):
    return st.one_of(pulses(frame_us), bursts(frame_us), custom_pulses(frame_us))


def flat_event(frame_us):
    """Events whose every sample is defined bit for bit."""
    return st.one_of(
        pulses(frame_us, shapes=["rectangular"]), bursts(frame_us, shapes=["square"])
    )


@st.composite
def plans(draw, events=any_event, formats=FORMATS, edges=("area", "snap")):
    """A compiled plan of one to three channels."""
    sample_rate_hz = draw(SAMPLE_RATES)
    frame_us = 1e6 / sample_rate_hz
    try:
        protocol = nw.StimProtocol(
            name="random",
            channels=[
                nw.Channel(
                    name=f"channel {i}",
                    stages=draw(
                        st.lists(
                            stages(frame_us, events(frame_us)), min_size=1, max_size=2
                        )
                    ),
                    start_s=draw(st.one_of(st.just(0.0), st.floats(1e-6, 0.02))),
                    repeats=draw(st.integers(1, 2)),
                )
                for i in range(draw(st.integers(1, 2)))
            ],
        )
        output = nw.Output(
            sample_rate_hz=sample_rate_hz,
            full_scale_ma=draw(st.floats(100, 150)),
            dtype=draw(st.sampled_from(list(formats))),
            edges=draw(st.sampled_from(list(edges))),
        )
        return nw.build_plan(protocol, output, UNLIMITED)
    except nw.SpecError:
        assume(False)
