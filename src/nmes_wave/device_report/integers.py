"""What one event adds up to on the integers of the output."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from nmes_wave.limits import Limits
from nmes_wave.output import FLOAT32_UNIT
from nmes_wave.plan import Plan, build_plan
from nmes_wave.spec import (
    Channel,
    DutyCycle,
    Envelope,
    Event,
    Stage,
    StimProtocol,
    Train,
)

#: Frames of an event that are rendered and added up at a time.
_BLOCK = 1 << 20


@dataclass(frozen=True, kw_only=True)
class NetCodes:
    """The sum of an event's codes.

    Attributes
    ----------
    n_frames, net_codes
        Frames rendered, and the sum of their codes: exact.
    net_uc
        The same as a charge.
    grid
        The number format and the rate, in words.
    """

    n_frames: int
    net_codes: int
    net_uc: float
    grid: str


def single(event: Event, amplitude_ma: float, margin_s: float = 0.0) -> StimProtocol:
    """Return a protocol of one event, at time 0 and at full level."""
    length_s = event.duration_us * 1e-6 * 1.01 + margin_s
    stage = Stage(
        event=event,
        train=Train(rate_hz=1 / length_s, count=1),
        duty_cycle=DutyCycle(on_s=length_s),
        envelope=Envelope(),
        amplitude_ma=amplitude_ma,
    )
    return StimProtocol(name="one", channels=(Channel(name="one", stages=(stage,)),))


def net_codes(plan: Plan, stage: Stage, channel: int) -> NetCodes:
    """Render one event of a stage on the plan's output, and add up its codes."""
    full_scale_ma = plan.output.full_scales_ma(plan.n_channels)[channel]
    output = replace(plan.output, full_scale_ma=full_scale_ma, trigger=None)
    protocol = single(stage.event, stage.amplitude_ma)
    one = build_plan(protocol, output, Limits.named("unlimited"))
    total = 0
    for block in one.blocks(_BLOCK):
        codes = block
        if output.dtype == "float32":
            codes = np.rint(block.astype(np.float64) / FLOAT32_UNIT)
        total += int(codes.astype(np.int64).sum())
    ma_per_code = full_scale_ma / output.max_code
    return NetCodes(
        n_frames=one.n_frames,
        net_codes=total,
        net_uc=total * ma_per_code * 1000 / output.sample_rate_hz,
        grid=f'{output.dtype} at {output.sample_rate_hz:g} Hz, edges="{output.edges}"',
    )
