"""One channel: describe a stimulus, compile it, look at what is delivered.

Fifteen contractions of quadriceps: 250 µs per phase at 50 Hz, 40 mA, 15 s on
with a slow rise and fall, 45 s off.
"""

import nmes_wave as nw

stage = nw.Stage(
    event=nw.Pulse(phase_width_us=250.0, interphase_gap_us=100.0),
    train=nw.Train(rate_hz=50.0),
    envelope=nw.Envelope(ramp_up_s=3.0, ramp_down_s=2.0),
    duty_cycle=nw.DutyCycle(on_s=15.0, off_s=45.0, repeats=15),
    amplitude_ma=40.0,
)
channel = nw.Channel(
    name="quadriceps",
    stages=(stage,),
    electrodes=(nw.Electrode(area_cm2=96.5), nw.Electrode(area_cm2=96.5)),
)
protocol = nw.StimProtocol(name="quadriceps, one channel", channels=(channel,))


def main() -> None:
    """Compile the protocol and print what it delivers."""
    print(nw.check(protocol))

    output = nw.Output(sample_rate_hz=48_000, full_scale_ma=100.0)
    plan = nw.build_plan(protocol, output)
    print(plan)

    # The first on-period; every sample is the integer that a converter gets.
    codes = plan.render(0, 15 * 48_000)
    print("net charge:", codes.sum(), "codes")
    print(f"largest current: {plan.to_ma(codes).max():.6f} mA")

    strongest = plan.pulses(7 * 48_000)[0]
    charge_uc = strongest["amplitude_ma"] * strongest["phase_width_us"] / 1000
    print(f"charge per phase: {charge_uc:g} µC")


if __name__ == "__main__":
    main()
