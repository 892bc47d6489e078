"""Scripts that change a running stream, and when the change is heard."""

import json

import numpy as np
import pytest
from audio.clients import popen_client
from audio.sessions import (
    FULL_SCALE_MA,
    LEAD_IN_S,
    RATE_HZ,
    assert_events_balanced,
    events_of,
    finish,
    plan_of,
    program,
    record,
    serving,
)

import nmes_wave as nw

pytestmark = pytest.mark.audio

SCRIPT = """
    with open_session(slew_per_s=2.0, log={log!r}) as session:
        session.start([0.2, 0.4, 0.6, 0.8])
        session.wait({lead_in} + 0.3)
        for value, channel in ((1.0, None), (0.3, 1), (0.7, 2), (0.0, 3), (0.9, 3)):
            session.set_intensity(value, channel)
            session.wait(0.13)
        for _ in range(3):
            session.pause()
            session.wait(0.11)
            session.resume()
            session.wait(0.23)
        session.load(plan_from({other!r}))
        session.wait(0.7)
        session.pause()
        session.set_intensity(1.0)
        session.load(plan)
        session.wait(0.2)
        session.resume()
        session.wait({lead_in} + 0.5)
        session.stop()
        session.wait()
        print(session.state, session.status.fault)
"""


@pytest.mark.parametrize("server_name", ["pulse", "jack"])
def test_a_script_leaves_every_event_whole_and_as_recorded(server_name, tmp_path):
    from nmes_wave.record import compare, read_events

    log = tmp_path / "script_events.tsv"
    plan, other = plan_of(), plan_of(rate_hz=81.7)
    body = SCRIPT.format(
        log=str(log), other=other.protocol.to_toml(), lead_in=LEAD_IN_S
    )
    with serving(server_name) as server:
        recorder = record(server)
        with popen_client(program(server, plan, body), server.env) as client:
            finish(client)
        recording = recorder.stop()
    assert "stopped None" in client.out
    n_heard = assert_events_balanced(recording)

    found = read_events(log)
    asked = [row.kind for row in found.commands]
    assert asked.count("set_intensity") == 6
    assert asked.count("pause") == asked.count("resume") == 4
    assert asked.count("load") == 2
    comparison = compare([plan, other, plan], found)
    assert comparison.missing == comparison.extra == comparison.wrong == 0, comparison
    assert n_heard == len(found.events) > 4 * 81 * 2
    assert_heard_as_told(recording, found.events)


def assert_heard_as_told(recording: np.ndarray, told: np.ndarray) -> None:
    """Each event began at the frame, and with the amplitude, that the record tells."""
    ma_per_code = FULL_SCALE_MA / (2**23 - 1)
    begin = None
    for channel in range(4):
        rows = told[told["channel"] == channel]
        rows = rows[np.argsort(rows["onset_s"], kind="stable")]
        heard = events_of(recording, channel)
        assert len(heard) == len(rows)
        frames = np.array([first for first, _ in heard])
        onsets = np.floor(rows["onset_s"] * RATE_HZ + 1e-4)
        if begin is None:
            begin = frames[0] - onsets[0]
        # the first frame of a half sine may be zero codes
        assert np.isin(frames - onsets - begin, [0, 1]).all()
        if channel < 2:  # rectangular: whole frames carry the stated amplitude
            peaks = np.array([abs(codes).max() for _, codes in heard])
            assert np.allclose(peaks * ma_per_code, rows["amplitude_ma"], atol=1e-4)


COMMANDS = """
    calls = []
    with open_session(slew_per_s=1e6) as session:
        session.start(1.0)
        while session.status.frame < {lead_in_frames}:
            session.wait(0.001)
        level = 1.0
        for _ in range(45):
            session.wait(random.uniform(0.06, 0.1))
            level = 1.5 - level
            before = session.status.frame
            called_s = time.monotonic()
            session.set_intensity(level)
            after = session.status.frame
            while session.status.frame == after:
                pass
            calls.append((before, after, level, time.monotonic() - called_s))
        latency_s = session._stream.latency_s
        session.stop()
        session.wait()
    print(json.dumps([latency_s, calls]))
"""


def dense_plan() -> nw.Plan:
    """An event every 1.1 ms on one channel or another."""
    channels = [
        nw.Channel(
            name=f"channel {i}",
            start_s=LEAD_IN_S,
            stages=[
                nw.Stage(
                    event=nw.Pulse(phase_width_us=100.0),
                    train=nw.Train(rate_hz=149.0, phase_deg=60.0 * i),
                    duty_cycle=nw.DutyCycle(on_s=30.0),
                    amplitude_ma=10.0,
                )
            ],
        )
        for i in range(6)
    ]
    output = nw.Output(
        sample_rate_hz=RATE_HZ, full_scale_ma=FULL_SCALE_MA, dtype="float32"
    )
    return nw.build_plan(nw.StimProtocol(name="dense", channels=channels), output)


@pytest.mark.parametrize("period", [1024, 128])
def test_a_command_changes_what_begins_a_block_after_it(period):
    """The device plays what it is handed a latency later: so much is added."""
    plan = dense_plan()
    with serving("jack", period=period, channels=6) as server:
        recorder = record(server)
        body = COMMANDS.format(lead_in_frames=round(LEAD_IN_S * RATE_HZ))
        with popen_client(program(server, plan, body), server.env) as client:
            finish(client, timeout_s=40.0)
        recording = recorder.stop()
    latency_s, calls = json.loads(client.out)

    # The plan says where each heard event is on its clock, from the first one on.
    onsets, levels, begin = [], [], None
    pulses = plan.pulses()
    full = round(10.0 / FULL_SCALE_MA * (2**23 - 1))
    for channel in range(6):
        heard = events_of(recording, channel)
        planned = pulses["frame"][pulses["channel"] == channel][: len(heard)]
        frames = np.array([first for first, _ in heard])
        begin = frames[0] - np.floor(planned[0]) if begin is None else begin
        assert (frames == np.floor(planned) + begin).all()
        onsets.append(planned)
        levels.append([abs(codes).max() / full for _, codes in heard])
    onset, level = np.concatenate(onsets), np.concatenate(levels)
    order = np.argsort(onset)
    onset, level = onset[order], level[order]

    begun_ms, next_ms, old, settled = [], [], 1.0, 0.0
    for i, (before, after, new, next_s) in enumerate(calls[:-1]):
        following = calls[i + 1][0]
        earlier = (onset >= settled) & (onset < before)
        assert np.allclose(level[earlier], old, atol=1e-3)
        later = (onset > after + period) & (onset < following)
        assert later.any()
        assert np.allclose(level[later], new, atol=1e-3)
        changed = onset[(onset >= before) & np.isclose(level, new, atol=1e-3)]
        begun_ms.append(1e3 * (changed[0] - before) / RATE_HZ)
        next_ms.append(1e3 * next_s)
        old, settled = new, after + period
    # Judged on the device's clock, in frames. On the wall's the dummy driver is late
    # itself: calls of 1024 frames came up to 34 ms apart, of 128 up to 11 ms.
    print(  # noqa: T201
        f"period {period}: the first changed event began {np.median(begun_ms):.1f} ms "
        f"(longest {max(begun_ms):.1f}, {len(begun_ms)} commands) after what had been "
        f"handed over at the call; an event begins every 1.1 ms. The next callback "
        f"came {np.median(next_ms):.1f} ms (longest {max(next_ms):.1f}) after the "
        f"call, a block is {1e3 * period / RATE_HZ:.1f} ms; the device's latency of "
        f"{1e3 * latency_s:.1f} ms comes on top"
    )
