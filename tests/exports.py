"""A plan of two channels, and its export to a file."""

from __future__ import annotations

import nmes_wave as nw
from nmes_wave.output import Output
from nmes_wave.sinks.file import FileSink

SCALES = (80.0, 40.5)


def make_plan(rate=48_000.0, dtype="int24", trigger=None, off_s=0.01):
    """Two channels, one at full scale, with ramps, gaps and silence."""
    burst = nw.Burst(carrier_hz=2500.0, cycles=3)
    channels = [
        nw.Channel(
            name=name,
            stages=[
                nw.Stage(
                    event=event,
                    train=nw.Train(rate_hz=150.0, phase_deg=phase),
                    envelope=nw.Envelope(ramp_up_s=0.01, ramp_down_s=0.01),
                    duty_cycle=nw.DutyCycle(on_s=0.04, off_s=off_s, repeats=2),
                    amplitude_ma=amplitude_ma,
                )
            ],
        )
        for name, event, phase, amplitude_ma in (
            ("one", nw.Pulse(phase_width_us=300.0, interphase_gap_us=90.0), 0.0, 80.0),
            ("two", burst, 123.0, 30.0),
        )
    ]
    protocol = nw.StimProtocol(name="p", channels=channels)
    output = Output(
        sample_rate_hz=rate, full_scale_ma=SCALES, dtype=dtype, trigger=trigger
    )
    return nw.build_plan(protocol, output, nw.Limits.named("unlimited"))


def export(plan, path, frames=777):
    """Write it in blocks of an awkward size."""
    sink = FileSink(path)
    sink.open(plan.output, plan.n_channels + (plan.output.trigger is not None), 0)
    for block in plan.blocks(frames):
        sink.write(block)
    assert sink.n_frames == plan.n_frames
    sink.close()
    return path
