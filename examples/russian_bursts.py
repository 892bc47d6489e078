"""Russian current: bursts of a 2.5 kHz sine, 50 times a second.

Ten milliseconds of carrier (25 whole cycles), ten of silence. Every burst ends
where its last cycle does, so it carries no net charge.
"""

import nmes_wave as nw

protocol = nw.StimProtocol(
    name="Russian current",
    channels=(
        nw.Channel(
            name="quadriceps",
            stages=(
                nw.Stage(
                    event=nw.Burst(carrier_hz=2500.0, cycles=25),
                    train=nw.Train(rate_hz=50.0),
                    envelope=nw.Envelope(ramp_up_s=2.0, ramp_down_s=1.0),
                    duty_cycle=nw.DutyCycle(on_s=10.0, off_s=50.0, repeats=10),
                    amplitude_ma=60.0,
                ),
            ),
            electrodes=(nw.Electrode(area_cm2=96.5),),
        ),
    ),
)


def main() -> None:
    """Check, compile and render one burst at two sample rates."""
    for finding in nw.check(protocol).findings:
        if finding.rule.startswith("rms"):
            print(f"{finding.verdict}: {finding.describe()}")

    # A carrier above a tenth of the sample rate is a caution in the table.
    for rate_hz in (48_000, 16_000):
        output = nw.Output(sample_rate_hz=rate_hz, full_scale_ma=100.0)
        plan = nw.build_plan(protocol, output)
        start = 5 * rate_hz
        burst = plan.render(start, start + rate_hz // 100)
        print(f"\n{rate_hz} Hz: {len(burst)} frames of carrier")
        print("net charge:", burst.sum(), "codes")
        print(plan.delivery)


if __name__ == "__main__":
    main()
