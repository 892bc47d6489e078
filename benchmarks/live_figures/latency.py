"""From a command to the first sample that it changed, as recorded."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from audio.clients import popen_client
from audio.servers import JackServer
from audio.sessions import (
    FULL_SCALE_MA,
    LEAD_IN_S,
    RATE_HZ,
    events_of,
    finish,
    program,
    record,
)

import nmes_wave as nw

N_CHANNELS = 6
AMPLITUDE_MA = 10.0

COMMANDS = """
    calls = []
    with open_session(slew_per_s=1e6) as session:
        session.start(1.0)
        while session.status.frame < {lead_in_frames}:
            session.wait(0.001)
        level = 1.0
        for _ in range({n}):
            session.wait(random.uniform(0.06, 0.1))
            level = 1.5 - level
            before = session.status.frame
            called_s = time.monotonic()
            session.set_intensity(level)
            after = session.status.frame
            while session.status.frame == after:
                pass
            calls.append((before, after, level, time.monotonic() - called_s))
        session.wait(0.1)
        session.stop()
        session.wait()
    print(json.dumps(calls))
"""


@dataclass(frozen=True, kw_only=True)
class Latency:
    """What commands took.

    Parameters
    ----------
    block_frames
        JACK's period.
    commands
        How many.
    event_frames
        Between two events, on one channel or another: intensity is read at
        onsets, so this much waiting is the waveform's.
    median_frames, longest_frames
        From the first frame not yet handed over at the call to the first changed
        sample, on the device's clock.
    median_ms, longest_ms
        From the call to the end of the next callback, on the wall's clock.
    late
        Events that began more than a block after the call and had the old
        intensity; there must be none.
    """

    block_frames: int
    commands: int
    event_frames: float
    median_frames: float
    longest_frames: float
    median_ms: float
    longest_ms: float
    late: int

    @classmethod
    def of(
        cls,
        calls: list[tuple[int, int, float, float]],
        onset: np.ndarray,
        level: np.ndarray,
        block_frames: int,
    ) -> Self:
        """Return the figures of commands.

        Parameters
        ----------
        calls
            Of each command: the plan's frame before the call and after it, the
            intensity asked for, and the seconds until the next callback.
        onset, level
            Of each event, in the order of onsets: the plan's frame, and the
            intensity that was heard.
        block_frames
            JACK's period.
        """
        begun, late = [], 0
        ends = [call[0] for call in calls[1:]] + [onset[-1] + 1]
        for (before, after, new, _), end in zip(calls, ends, strict=True):
            mine = (onset >= before) & (onset < end)
            is_new = np.isclose(level, new, atol=1e-3)
            late += int((mine & ~is_new & (onset > after + block_frames)).sum())
            changed = onset[mine & is_new]
            begun.append(changed[0] - before if len(changed) else end - before)
        took_ms = [1e3 * call[3] for call in calls]
        return cls(
            block_frames=block_frames,
            commands=len(calls),
            event_frames=float(np.median(np.diff(onset))),
            median_frames=float(np.median(begun)),
            longest_frames=float(max(begun)),
            median_ms=float(np.median(took_ms)),
            longest_ms=max(took_ms),
            late=late,
        )


def measure_latency(block_frames: int, n: int) -> Latency:
    """Give commands to a session on JACK and listen to what it plays.

    The server waits for its clients here, so that no sample is lost.
    """
    plan = _plan()
    body = COMMANDS.format(lead_in_frames=round(LEAD_IN_S * RATE_HZ), n=n)
    with JackServer(
        period=block_frames, channels=N_CHANNELS, synchronous=True
    ) as server:
        recorder = record(server)
        with popen_client(program(server, plan, body), server.env) as client:
            finish(client, timeout_s=60.0)
        recording = recorder.stop()
    calls: list[Any] = json.loads(client.out)
    onsets, levels, begin = [], [], None
    pulses = plan.pulses()
    full = round(AMPLITUDE_MA / FULL_SCALE_MA * (2**23 - 1))
    for channel in range(N_CHANNELS):
        # The plan says where each event is on its clock, from the first one on.
        heard = events_of(recording, channel)
        planned = pulses["frame"][pulses["channel"] == channel][: len(heard)]
        frames = np.array([first for first, _ in heard])
        begin = frames[0] - np.floor(planned[0]) if begin is None else begin
        if (frames != np.floor(planned) + begin).any():
            raise AssertionError("the recording lacks frames")
        onsets.append(planned)
        levels.append([abs(codes).max() / full for _, codes in heard])
    onset, level = np.concatenate(onsets), np.concatenate(levels)
    order = np.argsort(onset)
    # The ramp of the stop is no command's.
    kept = order[onset[order] < calls[-1][1] + 0.05 * RATE_HZ]
    return Latency.of(calls, onset[kept], level[kept], block_frames)


def _plan() -> nw.Plan:
    """An event every 1.1 ms on one channel or another."""
    channels = tuple(
        nw.Channel(
            name=f"channel {i}",
            start_s=LEAD_IN_S,
            stages=(
                nw.Stage(
                    event=nw.Pulse(phase_width_us=100.0),
                    train=nw.Train(rate_hz=149.0, phase_deg=60.0 * i),
                    duty_cycle=nw.DutyCycle(on_s=60.0),
                    amplitude_ma=AMPLITUDE_MA,
                ),
            ),
        )
        for i in range(N_CHANNELS)
    )
    output = nw.Output(
        sample_rate_hz=RATE_HZ, full_scale_ma=FULL_SCALE_MA, dtype="float32"
    )
    return nw.build_plan(nw.StimProtocol(name="dense", channels=channels), output)
