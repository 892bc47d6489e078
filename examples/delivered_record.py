"""Say afterwards what was delivered: write the record, read it, compare it.

Two channels of unequal rates, a trigger column for a recorder, a pause, and another
plan in the middle. Runs for about three seconds against the clock, without hardware.
"""

import nmes_wave as nw

OUTPUT = nw.Output(
    sample_rate_hz=48_000,
    full_scale_ma=100.0,
    trigger=nw.Trigger(at="on_period", width_us=2000.0),
)


def plan_for(name: str, rates_hz: tuple[float, float]) -> nw.Plan:
    """Return half a second of 30 mA pulses, twice, on two channels."""
    channels = tuple(
        nw.Channel(
            name=f"channel {i}",
            stages=(
                nw.Stage(
                    event=nw.Pulse(phase_width_us=250.0),
                    train=nw.Train(rate_hz=rate_hz),
                    duty_cycle=nw.DutyCycle(on_s=0.5, off_s=0.2, repeats=2),
                    amplitude_ma=30.0,
                ),
            ),
        )
        for i, rate_hz in enumerate(rates_hz)
    )
    return nw.build_plan(nw.StimProtocol(name=name, channels=channels), OUTPUT)


def main() -> None:
    """Deliver two plans, and hold the record against them."""
    slow, fast = plan_for("slow", (20.0, 23.0)), plan_for("fast", (40.0, 47.0))
    log = "session_events.tsv"
    with nw.Session(slow, sink="null", log=log, note="1 kΩ, bench") as session:
        session.start(intensity=1.0)
        session.wait(timeout=0.3)
        session.pause()
        session.wait(timeout=0.2)
        session.resume()  # the intensity rises again from zero
        session.wait(timeout=0.3)
        session.load(fast)  # from the next event on, for both channels
        session.wait()

    record = nw.read_events(log)
    for row in (*record.commands, *record.notes):
        print(f"{row.onset_s:6.3f} s  {row.kind}")
    events = record.events
    low_ma, high_ma = events["amplitude_ma"].min(), events["amplitude_ma"].max()
    print(f"{len(events)} pulses of {low_ma:.2f} to {high_ma:.2f} mA")
    print(f"net charge {events['net_charge_uc'].sum()} µC")
    print(nw.compare([slow, fast], record))


if __name__ == "__main__":
    main()
