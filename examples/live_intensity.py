"""Change the intensity while the plan is being delivered.

Runs for about three seconds against the clock, without hardware. With
``--sink audio --full-scale-ma MA`` it drives an audio interface.
"""

import argparse

import nmes_wave as nw


def plan_for(full_scale_ma: float) -> nw.Plan:
    """Return ten seconds of 35 Hz pulses of 20 mA."""
    stage = nw.Stage(
        event=nw.Pulse(phase_width_us=250.0),
        train=nw.Train(rate_hz=35.0),
        duty_cycle=nw.DutyCycle(on_s=10.0),
        amplitude_ma=20.0,
    )
    channel = nw.Channel(name="channel", stages=(stage,))
    output = nw.Output(sample_rate_hz=48_000, full_scale_ma=full_scale_ma)
    return nw.build_plan(nw.StimProtocol(name="live", channels=(channel,)), output)


def main() -> None:
    """Deliver, and move the intensity up and down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sink", default="null", help="null or audio, say")
    parser.add_argument("--device", help="of the audio sink; `nmes-wave devices`")
    parser.add_argument("--shared", action="store_true", help="allow a shared device")
    parser.add_argument("--full-scale-ma", type=float, help="current at full scale")
    args = parser.parse_args()
    if args.sink == "audio" and args.full_scale_ma is None:
        parser.error("--sink audio needs --full-scale-ma, the calibration")

    plan = plan_for(args.full_scale_ma or 100.0)
    with nw.Session(
        plan, sink=args.sink, device=args.device, shared=args.shared
    ) as session:
        session.start()  # at zero
        for target in (0.3, 1.0, 0.5):
            session.set_intensity(target)
            session.wait(timeout=0.8)  # waiting feeds the watchdog
            now = session.status
            print(f"asked {target:.2f}, delivered now {now.intensity[0]:.2f}")
        session.stop()  # ramps down over half a second
        session.wait()
        print(session.status.state, "after", session.status.pulses, "pulses")


if __name__ == "__main__":
    main()
