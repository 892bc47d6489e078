"""A long session on a real server: python tests/audio/soak.py --minutes 5.

It plays to JACK's dummy driver and writes its record; beside it runs a client of
the same server that does nothing, and has the underruns of the machine. At the end
the record is compared with the plan. The exit code is 0 when the engine has had no
underrun of its own, memory has stayed flat and the record equals the plan.
"""

# ruff: noqa: T201
import argparse
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parents[1]))

from audio.clients import Client, popen_client
from audio.servers import JackServer

if TYPE_CHECKING:
    import nmes_wave as nw

RATE_HZ = 48_000
PERIOD_FRAMES = 1024
N_CHANNELS = 4
#: Of memory: what the interpreter and the libraries take once comes before.
WARM_UP_S = 20.0
#: Memory may grow by so much after that: the engine's ring of records, 1.1 MB here,
#: is not in memory before it has been gone through once.
FLAT_BYTES = 4 << 20

#: It counts as the engine does: what JACK tells all its clients, and late calls.
BESIDE = f"""
    import time
    import sounddevice as sd

    underruns, called_s = 0, None

    def callback(out, frames, moment, status):
        global underruns, called_s
        out[:] = bytes(len(out))
        before_s, called_s = called_s, time.monotonic()
        late = before_s and called_s - before_s > 2 * {PERIOD_FRAMES} / {RATE_HZ}
        if status.output_underflow or late:
            underruns += 1
            print(underruns)

    with sd.RawOutputStream({RATE_HZ}, channels=1, dtype="float32", callback=callback):
        print("0")
        while True:
            time.sleep(1)
"""


@dataclass
class Seen:
    """What is told each minute."""

    elapsed_s: float
    pulses: int
    underruns: int
    beside: int
    longest_us: float
    memory: int

    def __str__(self) -> str:
        return (
            f"{self.elapsed_s / 60:7.1f} min: {self.pulses} events, underruns "
            f"{self.underruns} (beside it {self.beside}), longest callback "
            f"{self.longest_us:.0f} us, memory {self.memory / 2**20:.1f} MiB"
        )


def plan_for(seconds: float) -> "nw.Plan":
    """On for four seconds of eight, until the time is over."""
    import nmes_wave as nw

    channels = [
        nw.Channel(
            name=f"channel {i}",
            start_s=0.5,
            stages=[
                nw.Stage(
                    event=nw.Pulse(phase_width_us=233.3, interphase_gap_us=57.0),
                    train=nw.Train(rate_hz=25.3 + i),
                    duty_cycle=nw.DutyCycle(
                        on_s=4.0, off_s=4.0, repeats=max(1, round(seconds / 8.0))
                    ),
                    envelope=nw.Envelope(ramp_up_s=0.5, ramp_down_s=0.5),
                    amplitude_ma=20.0 + i,
                )
            ],
        )
        for i in range(N_CHANNELS)
    ]
    output = nw.Output(sample_rate_hz=RATE_HZ, full_scale_ma=50.0, dtype="float32")
    return nw.build_plan(nw.StimProtocol(name="soak", channels=channels), output)


def memory_bytes() -> int:
    """What this process holds in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def count(beside: Client) -> int:
    """Underruns of the client beside; it must be there."""
    if beside.poll() is not None:
        raise SystemExit(beside.report("beside the session ended"))
    return int(beside.out.split()[-1])


def deliver(plan: "nw.Plan", log: Path, beside: Client, every_s: float) -> list[Seen]:
    """Run the session; what was seen after the warm-up, each minute and at the end."""
    import nmes_wave as nw

    seen: list[Seen] = []
    with nw.Session(plan, sink="audio", underrun="count", log=log) as session:
        session.start(intensity=1.0)
        begun = time.monotonic()
        ended = session.wait(min(WARM_UP_S, 0.5 * plan.duration_s))
        while True:
            status = session.status
            seen.append(
                Seen(
                    elapsed_s=time.monotonic() - begun,
                    pulses=status.pulses,
                    underruns=status.underruns,
                    beside=count(beside),
                    longest_us=status.callback_us[2],
                    memory=memory_bytes(),
                )
            )
            print(seen[-1], flush=True)
            if ended:
                return seen
            ended = session.wait(every_s - seen[-1].elapsed_s % every_s)


def end_portaudio() -> None:
    """While the server lives: without it PortAudio aborts the process at its exit."""
    import sounddevice

    sounddevice._terminate()


def judge(plan: "nw.Plan", log: Path, seen: list[Seen], server: JackServer) -> bool:
    """Print the verdict, point by point."""
    from nmes_wave.record import compare, read_events

    first, last = seen[0], seen[-1]
    # Who is late is told to all clients. A callback that takes half a period is to
    # blame for all of them, a quick one for none but those that only it has seen.
    block_us = 1e6 * PERIOD_FRAMES / RATE_HZ
    slow = last.longest_us > block_us / 2
    ours = last.underruns if slow else max(0, last.underruns - last.beside)
    grown = last.memory - first.memory
    comparison = compare(plan, read_events(log))
    differ = comparison.missing + comparison.extra + comparison.wrong
    differ += comparison.not_reached + comparison.records_lost + comparison.truncated
    if not last.underruns:
        differ += comparison.unconfirmed
    late = [line for line in server.log.splitlines() if "XRun" in line]
    print(*late, sep="\n")
    print(comparison)
    points = {
        f"{ours} of {last.underruns} underruns are the engine's own (its longest "
        f"callback took {last.longest_us:.0f} of {block_us:.0f} us)": ours == 0,
        f"memory grew by {grown / 2**20:.2f} MiB after the first "
        f"{first.elapsed_s:.0f} s": grown < FLAT_BYTES,
        f"the record of {comparison.delivered} events equals the plan "
        f"({comparison.unconfirmed} unconfirmed for underruns)": differ == 0,
    }
    for text, good in points.items():
        print(f"{'PASS' if good else 'FAIL'}: {text}")
    return all(points.values())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--minutes", type=float, default=5.0)
    length.add_argument("--hours", type=float)
    parser.add_argument(
        "--log", type=Path, help="where the record stays (.tsv); else it is removed"
    )
    given = parser.parse_args(arguments)
    seconds = given.hours * 3600 if given.hours else given.minutes * 60
    if missing := JackServer.missing():
        raise SystemExit(f"the soak needs {', '.join(missing)}")
    with tempfile.TemporaryDirectory() as folder, JackServer(channels=N_CHANNELS) as s:
        # PortAudio finds its server by the environment, when it is loaded
        os.environ.clear()
        os.environ.update(s.env)
        log = given.log or Path(folder) / "soak_events.tsv"
        plan = plan_for(seconds)
        try:
            with popen_client(BESIDE, s.env) as beside:
                beside.wait_for("0")
                seen = deliver(plan, log, beside, every_s=60.0)
        finally:
            end_portaudio()
        passed = judge(plan, log, seen, s)
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
