"""Sessions in processes of their own, and what a recording must show of them."""

from collections.abc import Iterator
from contextlib import contextmanager
from textwrap import dedent

import numpy as np
from audio.clients import Client, wait_until
from audio.conftest import require
from audio.recording import Recorder
from audio.servers import JackServer, PulseServer

import nmes_wave as nw

RATE_HZ = 48_000
FULL_SCALE_MA = 30.0
LEAD_IN_S = 0.3  # recorders lose some frames while they attach
#: Frames of silence that only come between events, never within one.
GAP_FRAMES = 100


@contextmanager
def serving(name: str, **arguments) -> Iterator[PulseServer | JackServer]:
    """A server by name; JACK waits for its clients unless told otherwise."""
    server_class = {"pulse": PulseServer, "jack": JackServer}[name]
    require(server_class)
    if server_class is JackServer:
        arguments = {"synchronous": True, "channels": 4, **arguments}
    else:
        arguments = {"channels": 4, **arguments}
    with server_class(**arguments) as server:
        yield server


def record(server: PulseServer | JackServer) -> Recorder:
    """Record all channels as float32."""
    if isinstance(server, PulseServer):
        return server.record("float32le")
    return server.record()


def plan_of(on_s: float = 60.0, rate_hz: float = 143.3) -> nw.Plan:
    """Off-grid events of four kinds, one on each of four channels.

    Seven frames in ten are within an event: a stream that is cut anywhere cuts one.
    """
    events = [
        nw.Pulse(phase_width_us=233.3, interphase_gap_us=57.0),
        nw.Pulse(phase_width_us=300.0, recovery_ratio=3.7),
        nw.Burst(carrier_hz=2500.0, cycles=5),
        nw.Pulse(phase_width_us=411.0, shape="half_sine", polarity=-1),
    ]
    channels = [
        nw.Channel(
            name=f"channel {i}",
            start_s=LEAD_IN_S,
            stages=[
                nw.Stage(
                    event=event,
                    train=nw.Train(rate_hz=rate_hz, phase_deg=90.0 * i),
                    duty_cycle=nw.DutyCycle(on_s=on_s),
                    amplitude_ma=10.0 + i,
                )
            ],
        )
        for i, event in enumerate(events)
    ]
    output = nw.Output(
        sample_rate_hz=RATE_HZ, full_scale_ma=FULL_SCALE_MA, dtype="float32"
    )
    return nw.build_plan(nw.StimProtocol(name="faults", channels=channels), output)


PRELUDE = """
import ctypes, json, os, random, signal, sys, threading, time, warnings
import nmes_wave as nw

def plan_from(toml):
    output = nw.Output(
        sample_rate_hz={rate}, full_scale_ma={full_scale}, dtype="float32"
    )
    return nw.build_plan(nw.StimProtocol.from_toml(toml), output)

plan = plan_from({toml!r})

def open_session(**options):
    # a machine that is busy with other tests has underruns of its own
    options = {{"underrun": "count", "watchdog_s": 60.0}} | options
    return nw.Session(plan, sink="audio", shared={shared}, **options)
"""


def program(server: PulseServer | JackServer, plan: nw.Plan, body: str) -> str:
    """Code of a client with `plan` and `open_session`."""
    prelude = PRELUDE.format(
        toml=plan.protocol.to_toml(),
        rate=RATE_HZ,
        full_scale=FULL_SCALE_MA,
        shared=isinstance(server, PulseServer),
    )
    return prelude + dedent(body)


def finish(client: Client, *, returncode: int = 0, timeout_s: float = 20.0) -> None:
    """Wait for the end of a client, which must not hang."""
    if not wait_until(lambda: client.poll() is not None, timeout_s):
        raise AssertionError(client.report(f"did not end within {timeout_s:g} s"))
    if client.returncode != returncode:
        problem = f"ended with status {client.returncode}, expected {returncode}"
        raise AssertionError(client.report(problem))


def codes_of(recording: np.ndarray) -> np.ndarray:
    """The codes that float32 samples stand for."""
    return np.rint(recording.astype(np.float64) * 2**23).astype(np.int64)


def events_of(recording: np.ndarray, channel: int) -> list[tuple[int, np.ndarray]]:
    """First frame and codes of each event that was heard on a channel."""
    codes = codes_of(recording[:, channel])
    heard = np.flatnonzero(codes)
    if not len(heard):
        return []
    edges = np.flatnonzero(np.diff(heard) > GAP_FRAMES)
    firsts = heard[np.concatenate([[0], edges + 1])]
    lasts = heard[np.concatenate([edges, [len(heard) - 1]])]
    return [(int(a), codes[a : b + 1]) for a, b in zip(firsts, lasts, strict=True)]


def assert_events_balanced(recording: np.ndarray, *, cut: int = 0) -> int:
    """Each event of each channel sums to zero codes; the number of events.

    The last `cut` events of a channel need not.
    """
    n = 0
    for channel in range(recording.shape[1]):
        events = events_of(recording, channel)
        assert events, f"channel {channel} is silent"
        for first, codes in events[: len(events) - cut]:
            assert codes.sum() == 0, (
                f"channel {channel}: {codes.sum()} codes are left of the event at "
                f"frame {first}, {len(codes)} frames long"
            )
        n += len(events)
    return n


def last_heard(recording: np.ndarray) -> int:
    """The last frame that is not silent."""
    return int(np.flatnonzero(recording.any(axis=1))[-1])
