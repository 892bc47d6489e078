"""Drive test loads with a plan: what they get, and what the compliance takes.

Writes simulate_a_load.png: voltage and current of one pulse under three loads.
"""

import numpy as np
from matplotlib.figure import Figure

import nmes_wave as nw

COMPLIANCE_V = 60.0
#: Values of a bench, not of skin.
LOADS = {
    "500 ohm": nw.Load.named("500 ohm"),
    "2 kohm": nw.Load.named("2 kohm"),
    "200 ohm + (3 kohm | 150 nF)": nw.SeriesRC(
        series_ohm=200.0, parallel_ohm=3000.0, capacitance_nf=150.0
    ),
}


def main() -> None:
    """Simulate one channel and draw its last pulse."""
    stage = nw.Stage(
        event=nw.Pulse(phase_width_us=300.0, interphase_gap_us=100.0),
        train=nw.Train(rate_hz=35.0),
        duty_cycle=nw.DutyCycle(on_s=1.0),
        amplitude_ma=60.0,
    )
    channel = nw.Channel(name="bench", stages=(stage,))
    protocol = nw.StimProtocol(name="three loads", channels=(channel,))
    output = nw.Output(sample_rate_hz=192_000, full_scale_ma=100.0)
    plan = nw.build_plan(protocol, output)
    onset = int(plan.pulses()["frame"][-1])
    start, stop = onset - 20, onset + 220

    figure = Figure(figsize=(9, 5), dpi=110, layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True)
    for name, load in LOADS.items():
        found = nw.simulate(plan, load, COMPLIANCE_V, start=start, stop=stop)
        last = found.pulses[-1]
        print(
            f"{name}: {last['peak_v']:.1f} V, {last['charge_uc']:.2f} µC of "
            f"{60 * 0.3:.2f} µC, net {last['net_charge_uc']:+.3f} µC, "
            f"{last['energy_uj'] / 1000:.2f} mJ, clipped: {last['clipped']}"
        )
        time_us = (np.arange(start, stop) - onset) / 0.192
        upper.step(time_us, found.current_ma[:, 0], where="post", lw=1.3, label=name)
        # the voltage at the end of each sample
        lower.plot(time_us + 1 / 0.192, found.voltage_v[:, 0], lw=1.3)
    for rail_v in (COMPLIANCE_V, -COMPLIANCE_V):
        lower.axhline(rail_v, color="0.6", lw=0.8, ls="--")
    upper.set(ylabel="delivered current (mA)")
    upper.legend(loc="upper right", frameon=False)
    lower.set(ylabel="voltage of the load (V)", xlabel="time from the onset (µs)")
    figure.suptitle(f"60 mA, 300 µs, from a source of ±{COMPLIANCE_V:g} V")
    figure.savefig("simulate_a_load.png")


if __name__ == "__main__":
    main()
