"""Plans of one stage, and what their delivery states in codes."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import strategies as st

from nmes_wave.limits import Limits
from nmes_wave.output import Output
from nmes_wave.plan import build_plan
from nmes_wave.spec import Channel, DutyCycle, Envelope, Stage, StimProtocol, Train

FULL_SCALE_MA = 100.0
N = 300  # events, each somewhere else in a frame

amplitudes_ma = st.floats(10, 80)


def make_plan(
    event,
    amplitude_ma=40.0,
    sample_rate_hz=48000.0,
    train=None,
    envelope=None,
    **output,
):
    """One channel; without `train`, N events that begin anywhere in a frame."""
    if train is None:
        frames = math.ceil(event.duration_us * sample_rate_hz / 1e6) + 5
        # a golden period leaves no gap wider than 0.006 frame among 300 onsets
        train = Train(rate_hz=sample_rate_hz / (frames + 0.6180339887), count=N)
    stage = Stage(
        event=event,
        train=train,
        envelope=envelope or Envelope(),
        amplitude_ma=amplitude_ma,
        duty_cycle=DutyCycle(on_s=(train.count or N) / train.rate_hz + 0.1),
    )
    protocol = StimProtocol(name="p", channels=[Channel(name="c", stages=[stage])])
    output = {"full_scale_ma": FULL_SCALE_MA, "coupling": "dc", **output}
    return build_plan(
        protocol,
        Output(sample_rate_hz=sample_rate_hz, **output),
        Limits.named("unlimited"),
    )


def field(plan, name):
    (row,) = (row for row in plan.delivery if row.field == name)
    return row


def lowest_highest(value):
    return value if isinstance(value, tuple) else (value, value)


def codes_of(plan):
    return plan.render()[:, 0].astype(np.int64)


def level_of(plan):
    """Codes of the stated amplitude."""
    level = field(plan, "amplitude_ma").delivered / FULL_SCALE_MA * plan.output.max_code
    assert level == pytest.approx(round(level), abs=1e-5)
    return round(level)


def uc_per_code_frame(plan):
    frame_us = 1e6 / plan.output.sample_rate_hz
    return FULL_SCALE_MA / plan.output.max_code * frame_us / 1000
