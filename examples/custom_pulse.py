"""A pulse of one's own shape: points joined by straight lines.

A triangular first phase of 200 µs, a gap of 100 µs, and a flat recovery phase
of a quarter of its peak. Writes the picture to custom_pulse.png.
"""

import nmes_wave as nw

SHAPE = (
    (0.0, 0.0),
    (100.0, 1.0),
    (200.0, 0.0),
    (300.0, 0.0),
    (300.0, -0.25),  # a second point at the same time makes a step
    (700.0, -0.25),
)


def main() -> None:
    """Compile the shape, print its codes, draw it."""
    pulse = nw.CustomPulse(points=SHAPE)
    channel = nw.Channel(
        name="custom",
        stages=(
            nw.Stage(
                event=pulse,
                train=nw.Train(rate_hz=40.0),
                duty_cycle=nw.DutyCycle(on_s=2.0),
                amplitude_ma=50.0,
            ),
        ),
    )
    protocol = nw.StimProtocol(name="a shape of one's own", channels=(channel,))
    output = nw.Output(sample_rate_hz=96_000, full_scale_ma=100.0, dtype="int16")
    plan = nw.build_plan(protocol, output)

    print(f"charge per phase: {pulse.phase_area_us * 50.0 / 1000:g} µC")
    codes = plan.render(0, 70)[:, 0]
    print("codes:", *codes)
    print("net charge:", codes.sum(), "codes")
    nw.plot_plan(plan).savefig("custom_pulse.png")
    print("picture: custom_pulse.png")


if __name__ == "__main__":
    main()
