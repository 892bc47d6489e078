"""Every boundary between the delivering thread and Python, from many threads.

A script for a kernel that is built with the thread sanitizer (``make checked``),
which ends it with an error when two threads meet without an order.
"""

from __future__ import annotations

import itertools
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
from recording import Bench

import nmes_wave as nw

SECONDS = 10.0


def plan_of(rate_hz: float) -> nw.Plan:
    """Two channels that cannot be known to keep the total: the cap works, too."""
    channels = [
        nw.Channel(
            name=f"channel {i}",
            stages=[
                nw.Stage(
                    event=nw.Pulse(phase_width_us=233.3),
                    train=nw.Train(rate_hz=rate_hz + 0.7 * i),
                    duty_cycle=nw.DutyCycle(on_s=30),
                    amplitude_ma=70.0,
                )
            ],
        )
        for i in range(3)
    ]
    output = nw.Output(sample_rate_hz=48_000, full_scale_ma=100.0)
    limits = nw.Limits(max_total_current_ma=150.0)
    protocol = nw.StimProtocol(name="races", channels=channels)
    return nw.build_plan(protocol, output, limits)


def keep(call: object, *arguments: object) -> None:
    """Call; a full ring or a plan that waits is no race."""
    try:
        call(*arguments)  # type: ignore[operator]
    except nw.StateError:
        pass


def listen() -> None:
    """A duplex device calls, and Python reads what it has heard so far."""
    bench = Bench(plan_of(50.0))
    engine, plan = bench.engine, bench.plan
    samples = np.full((500_000, 2), 0, np.float32)
    engine.capture_into(samples, 2)
    bench.start()
    source = np.ones((64, 2), np.float32)
    out = np.empty((64, plan.n_columns), np.int32)

    def call() -> None:
        while engine.captured < len(samples):
            engine.process(out, 64, 1, source)

    thread = threading.Thread(target=call)
    thread.start()
    while thread.is_alive():
        assert samples[: engine.captured].copy().all()
        assert engine.capture_gaps >= 0
    thread.join()


def main() -> int:
    """Run, and return the exit code."""
    listen()
    plans = [plan_of(50.0), plan_of(70.0)]
    done = threading.Event()
    with (
        tempfile.TemporaryDirectory() as folder,
        nw.Session(plans[0], sink="null", log=Path(folder) / "log.tsv") as session,
    ):
        session.start(0.5)

        def command() -> None:
            for value in itertools.cycle((0.2, 1.0, 0.6)):
                if done.is_set():
                    return
                keep(session.set_intensity, value)
                session.feed()
                time.sleep(0.001)

        def look() -> None:
            while not done.is_set():
                assert session.status.fault is None

        threads = [threading.Thread(target=t) for t in (command, command, look, look)]
        for thread in threads:
            thread.start()
        begun = time.monotonic()
        for plan in itertools.cycle(plans):
            if time.monotonic() - begun > SECONDS:
                break
            keep(session.pause)
            time.sleep(0.02)
            keep(session.resume)
            keep(session.load, plan)
            time.sleep(0.05)
        done.set()
        for thread in threads:
            thread.join()
        session.emergency_stop()
        sys.stdout.write(f"{session.status}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
