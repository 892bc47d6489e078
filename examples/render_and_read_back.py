"""Write a WAV file, read it back, and find the same integers in it.

Writes contraction.wav: 24 bits, one column for each channel.
"""

import numpy as np
import soundfile

import nmes_wave as nw


def main() -> None:
    """Deliver a preset's first contraction to a file and compare."""
    preset = nw.presets.load("tka-stevens-lapsley-2012")
    protocol = preset.protocol(amplitude_ma=40.0, contractions=1)
    output = nw.Output(sample_rate_hz=48_000, full_scale_ma=100.0, dtype="int24")
    plan = nw.build_plan(protocol, output)

    with nw.Session(plan, sink="file:contraction.wav") as session:
        session.start(intensity=1.0)
        session.wait()

    # soundfile puts 24 bits at the top of an int32.
    samples, rate_hz = soundfile.read("contraction.wav", dtype="int32", always_2d=True)
    codes = samples >> 8
    print(f"contraction.wav: {len(codes)} frames at {rate_hz} Hz")
    print("equal to the plan:", np.array_equal(codes, plan.render()))
    print("net charge:", codes.sum(), "codes")
    print(f"largest current: {plan.to_ma(codes).max():.6f} mA")


if __name__ == "__main__":
    main()
