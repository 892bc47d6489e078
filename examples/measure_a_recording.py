"""Measure a recording without knowing what is in it.

The recording is made here: a train with a ramp, noise 40 dB under its peak, an
offset, and one pulse that was lost.
"""

import numpy as np

import nmes_wave as nw


def recorded() -> np.ndarray:
    """Return what an input could have recorded, in mA."""
    stage = nw.Stage(
        event=nw.Pulse(phase_width_us=300.0, interphase_gap_us=100.0),
        train=nw.Train(rate_hz=33.3),
        duty_cycle=nw.DutyCycle(on_s=4.0, off_s=2.0, repeats=3),
        envelope=nw.Envelope(ramp_up_s=1.0),
        amplitude_ma=40.0,
    )
    channel = nw.Channel(name="one", stages=(stage,))
    output = nw.Output(sample_rate_hz=48_000, full_scale_ma=50.0)
    plan = nw.build_plan(nw.StimProtocol(name="recorded", channels=(channel,)), output)
    samples = plan.to_ma(plan.render())
    lost = int(plan.pulses()["frame"][100])
    samples[lost - 10 : lost + 50] = 0
    noise = np.random.default_rng(1).normal(0, 0.4, samples.shape)
    return samples + noise + 0.25


def main() -> None:
    """Print the report, and the figures that a program would use."""
    found = nw.measure(recorded(), sample_rate_hz=48_000)
    print(found)

    channel = found.channels[0]
    rate_hz, u = channel.rate_hz, channel.uncertainty.rate_hz
    print(f"\nrate: {rate_hz:.5f} Hz, within {(rate_hz / 33.3 - 1) * 1e6:+.1f} ppm")
    print(f"standard uncertainty: {u / rate_hz * 1e6:.2g} ppm")
    print(f"missing pulses: {channel.missing}")
    strongest = channel.pulses[channel.pulses["amplitude_ma"].argmax()]
    print(f"first onset: {channel.pulses['onset_s'][0]:.4f} s")
    print(f"strongest pulse: at {strongest['onset_s']:.4f} s")


if __name__ == "__main__":
    main()
