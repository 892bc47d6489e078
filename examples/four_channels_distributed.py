"""Four channels that take turns on one muscle: distributed stimulation.

Each channel runs at 10 Hz, a quarter of a period after the one before, so that
the muscle receives 40 Hz and each part of it no more than 10 Hz.
"""

import numpy as np

import nmes_wave as nw


def site(number: int) -> nw.Channel:
    """Return one of the four channels."""
    return nw.Channel(
        name=f"site {number}",
        stages=(
            nw.Stage(
                event=nw.Pulse(phase_width_us=300.0),
                train=nw.Train(rate_hz=10.0, phase_deg=90.0 * number),
                duty_cycle=nw.DutyCycle(on_s=4.0, off_s=6.0, repeats=3),
                amplitude_ma=30.0,
            ),
        ),
        electrodes=(nw.Electrode(area_cm2=25.0),),
    )


def main() -> None:
    """Compile the protocol; show the turns and that no two overlap."""
    protocol = nw.StimProtocol(
        name="distributed, four sites", channels=tuple(site(i) for i in range(4))
    )
    output = nw.Output(sample_rate_hz=48_000, full_scale_ma=100.0)
    plan = nw.build_plan(protocol, output)
    for pulse in plan.pulses()[:8]:
        ms = pulse["frame"] / output.sample_rate_hz * 1000
        print(f"{ms:7.3f} ms  channel {pulse['channel']}")

    codes = plan.render()
    active = np.count_nonzero(codes, axis=1)
    print("channels active at one time, at most:", active.max())
    print("net charge of each channel, in codes:", codes.sum(axis=0).tolist())


if __name__ == "__main__":
    main()
