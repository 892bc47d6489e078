"""The waveforms that are delivered."""

from __future__ import annotations

import nmes_wave as nw
from nmes_wave.output import SampleFormat

AMPLITUDE_MA, FULL_SCALE_MA = 20.0, 100.0
#: Longer than any measurement.
LENGTH_S = 3600.0
EVENTS: dict[str, nw.Pulse | nw.Burst] = {
    "sparse": nw.Pulse(phase_width_us=300.0),
    "Russian": nw.Burst(carrier_hz=2500.0, cycles=25),
    "silent": nw.Pulse(phase_width_us=300.0),
}


def plan_of(
    name: str,
    n_channels: int,
    *,
    sample_rate_hz: float = 48_000.0,
    dtype: SampleFormat = "float32",
) -> nw.Plan:
    """Return a plan of 50 Hz trains, with ramps, under the default limits.

    All channels begin an event at the same frame, which is the most that a block
    can hold. "silent" begins after the measurement: its callbacks do everything
    but events. The limit of the total is as high as the channels need.
    """
    stage = nw.Stage(
        event=EVENTS[name],
        train=nw.Train(rate_hz=50.0),
        envelope=nw.Envelope(ramp_up_s=3.0, ramp_down_s=2.0),
        duty_cycle=nw.DutyCycle(on_s=LENGTH_S),
        amplitude_ma=AMPLITUDE_MA,
    )
    electrodes = (nw.Electrode(area_cm2=25.8),)
    start_s = LENGTH_S if name == "silent" else 0.0
    channels = tuple(
        nw.Channel(name=f"{i}", stages=(stage,), electrodes=electrodes, start_s=start_s)
        for i in range(n_channels)
    )
    output = nw.Output(
        sample_rate_hz=sample_rate_hz, full_scale_ma=FULL_SCALE_MA, dtype=dtype
    )
    most_ma = max(200.0, AMPLITUDE_MA * n_channels)
    return nw.build_plan(
        nw.StimProtocol(name=name, channels=channels),
        output,
        nw.Limits(max_total_current_ma=most_ma),
    )
