"""Which rates and widths keep the limits: a sweep in two processes, and its table.

Twelve protocols of 25 mA. Those that a limit refuses, or that cannot be, are rows
like the others. Needs ``pip install nmes-wave[dask]``.
"""

import functools
import itertools

import numpy as np
from dask.distributed import Client, LocalCluster

import nmes_wave as nw
import nmes_wave.dask

OUTPUT = nw.Output(sample_rate_hz=48_000, full_scale_ma=100.0)


def protocol(rate_hz: float, phase_width_us: float) -> nw.StimProtocol:
    """Return ten contractions of one channel."""
    stage = nw.Stage(
        event=nw.Pulse(phase_width_us=phase_width_us),
        train=nw.Train(rate_hz=rate_hz),
        envelope=nw.Envelope(ramp_up_s=1.0, ramp_down_s=1.0),
        duty_cycle=nw.DutyCycle(on_s=5.0, off_s=5.0, repeats=10),
        amplitude_ma=25.0,
    )
    channel = nw.Channel(
        name="quadriceps", stages=(stage,), electrodes=(nw.Electrode(area_cm2=96.5),)
    )
    return nw.StimProtocol(
        name=f"{rate_hz:g} Hz, {phase_width_us:g} µs", channels=(channel,)
    )


def summary(row: nmes_wave.dask.SweepRow) -> str:
    """Return a line; made where the row is, so that no pulse table travels."""
    if not row.passed:
        return f"{row.index:2}  {row.name:16} {row.error[:60]}"
    charge_uc = row.pulses["amplitude_ma"] * row.pulses["phase_width_us"] / 1000
    return f"{row.index:2}  {row.name:16} {len(row.pulses)} pulses, " + (
        f"{np.max(charge_uc):g} µC per phase at most"
    )


def main() -> None:
    """Sweep rates and widths; print a line for each, and write the tables."""
    grid = itertools.product((30.0, 50.0, 100.0, 600.0), (10.0, 300.0, 1000.0))
    # Functions, so that a protocol that cannot be is a row: at 600 Hz there is no
    # room for two phases of 1000 µs.
    protocols = [functools.partial(protocol, rate, width) for rate, width in grid]
    with (
        LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=":0"
        ) as cluster,
        Client(cluster),
    ):
        rows = nmes_wave.dask.sweep(protocols, OUTPUT)
        print(len(protocols), "protocols")
        print(*rows.map(summary).compute(), sep="\n")
        nmes_wave.dask.sweep_to_zarr(rows, "sweep.zarr")
        print("written to sweep.zarr")


if __name__ == "__main__":
    main()
