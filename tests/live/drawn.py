"""Random plans, commands and block sizes."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st
from live.expected import unit_charge
from strategies import FORMATS, any_event, bursts, stages

import nmes_wave as nw

CHANNELS = 3
BLOCKS = st.one_of(
    st.sampled_from([0, 1, 2, 7, 63, 64, 128, 480, 512, 1024, 4096, 4097, 5000]),
    st.integers(0, 20_000),
)
INTENSITIES = st.one_of(st.sampled_from([0.0, 0.5, 1.0]), st.floats(0, 1))


def long_bursts():
    """Some end more than 20 ms after any instant."""
    return st.builds(
        nw.Burst,
        carrier_hz=st.floats(300, 900),
        cycles=st.integers(10, 40),
        shape=st.sampled_from(["sine", "square", "triangular"]),
        polarity=st.sampled_from([1, -1]),
    )


@st.composite
def protocols(draw, frame_us, n_channels):
    events = draw(
        st.sampled_from(
            [any_event(frame_us), bursts(frame_us), any_event(frame_us) | long_bursts()]
        )
    )
    channels = []
    for i in range(n_channels):
        many = draw(st.lists(stages(frame_us, events), min_size=1, max_size=2))
        if draw(st.booleans()):
            many = [dataclasses.replace(s, amplitude_ma=80.0) for s in many]
        channels.append(
            nw.Channel(
                name=f"channel {i}",
                stages=many,
                start_s=draw(st.one_of(st.just(0.0), st.floats(1e-6, 0.02))),
                repeats=draw(st.integers(1, 2)),
            )
        )
    return nw.StimProtocol(name="random", channels=channels)


def _apart(plan):
    """Whether events of a channel share a frame at most (snapping may do more)."""
    ends = [0] * plan.n_channels
    for row in plan.pulses():
        begin = math.floor(row["frame"])
        if begin < ends[row["channel"]] - 1:
            return False
        ends[row["channel"]] = begin + len(unit_charge(plan, row))
    return True


@st.composite
def plans(draw, n=1, triggers=False, totals=True):
    """Several plans for one session: one rate, one format, the same limits."""
    sample_rate_hz = draw(
        st.one_of(st.sampled_from([8000.0, 44_100.0, 48_000.0]), st.floats(8000, 1e5))
    )
    n_channels = draw(st.integers(1, CHANNELS))
    trigger = None
    if triggers and draw(st.booleans()):
        trigger = nw.Trigger(
            at=draw(st.sampled_from(["event", "on_period", "stage"])),
            channel=draw(st.sampled_from([None, n_channels - 1])),
            width_us=draw(st.floats(126, 30_000)),
            level=draw(st.floats(0.01, 1)),
        )
    total_ma = None
    if totals and n_channels > 1:
        total_ma = draw(st.one_of(st.none(), st.floats(80, 200)))
    output = nw.Output(
        sample_rate_hz=sample_rate_hz,
        full_scale_ma=draw(
            st.one_of(
                st.floats(100, 150),
                st.tuples(*[st.floats(100, 150)] * n_channels),
            )
        ),
        dtype=draw(st.sampled_from(FORMATS)),
        edges=draw(st.sampled_from(["area", "snap"])),
        trigger=trigger,
    )
    limits = dataclasses.replace(
        nw.Limits.named("unlimited"),
        max_amplitude_ma=100.0,
        max_total_current_ma=total_ma,
    )
    try:
        many = [
            nw.build_plan(
                draw(protocols(1e6 / sample_rate_hz, n_channels)), output, limits
            )
            for _ in range(n)
        ]
    except (nw.SpecError, nw.LimitError):
        assume(False)
    assume(all(_apart(plan) for plan in many))
    return many


def _intensity_commands():
    return st.tuples(
        st.just("set_intensity"),
        INTENSITIES,
        st.one_of(st.none(), st.integers(0, CHANNELS - 1)),
    )


CALLS = st.tuples(st.just("call"), BLOCKS)
COMMANDS = st.one_of(
    _intensity_commands(),
    _intensity_commands(),
    st.sampled_from([("pause",), ("resume",), ("pause",), ("resume",)]),
    st.sampled_from([("load",), ("feed",), ("underrun",), ("load",)]),
    st.sampled_from([("stop",), ("emergency_stop",), ("start",), ("resume",)]),
)
#: Blocks, and at random moments a command; what ends a session is rare.
ACTIONS = st.lists(st.one_of(CALLS, CALLS, COMMANDS), max_size=40)


@st.composite
def intensities(draw, n_channels):
    if draw(st.booleans()):
        return [draw(INTENSITIES)] * n_channels
    return [draw(INTENSITIES) for _ in range(n_channels)]


def total_ma(plan, codes):
    """The sum of magnitudes over channels, frame by frame."""
    return np.abs(codes[:, : plan.n_channels]) @ plan.output.ma_per_code(
        plan.n_channels
    )
