"""Sessions on real servers: bit for bit, without the GIL, silent when they end."""

from __future__ import annotations

import json
from collections.abc import Iterator
from textwrap import dedent

import numpy as np
import pytest
from audio.clients import run_client
from audio.conftest import require
from audio.recording import align, trim
from audio.servers import JackServer, PulseServer

import nmes_wave as nw

pytestmark = pytest.mark.audio


@pytest.fixture
def jack_server() -> Iterator[JackServer]:
    """A JACK server whose driver waits for its clients.

    What is compared bit for bit must not depend on how busy the machine is;
    underruns are reported all the same.
    """
    require(JackServer)
    with JackServer(synchronous=True) as server:
        yield server


RATE_HZ = 48_000
LEAD_IN_S = 0.5  # recorders lose some frames while they attach


def protocol(on_s: float = 2.0, repeats: int = 1, channels: int = 8) -> nw.StimProtocol:
    """Off-grid pulses with ramps, another shape on every second channel."""
    events = [
        nw.Pulse(phase_width_us=233.3, interphase_gap_us=57.0),
        nw.Pulse(phase_width_us=300.0, recovery_ratio=3.7),
        nw.Burst(carrier_hz=2500.0, cycles=5),
        nw.Pulse(phase_width_us=411.0, shape="half_sine", polarity=-1),
    ]
    return nw.StimProtocol(
        name="audio test",
        channels=[
            nw.Channel(
                name=f"channel {i}",
                start_s=LEAD_IN_S,
                stages=[
                    nw.Stage(
                        event=events[i % 4],
                        train=nw.Train(rate_hz=47.3, phase_deg=31.0 * i),
                        duty_cycle=nw.DutyCycle(on_s=on_s, repeats=repeats),
                        envelope=nw.Envelope(ramp_up_s=0.3, ramp_down_s=0.2),
                        amplitude_ma=10.0 + i,
                    )
                ],
            )
            for i in range(channels)
        ],
    )


SESSION = """
    import json, time
    import nmes_wave as nw

    protocol = nw.StimProtocol.from_toml({toml!r})
    output = nw.Output(sample_rate_hz={rate}, full_scale_ma=30.0, dtype={dtype!r})
    plan = nw.build_plan(protocol, output)
    with nw.Session(plan, sink="audio", {options}) as session:
        session.start(intensity=1.0)
{body}
        status = session.status
    print(json.dumps({{
        "state": status.state, "fault": status.fault, "underruns": status.underruns,
        "frame": status.frame, "pulses": status.pulses,
        "longest_us": status.callback_us[2],
    }}))
"""

WAIT = "session.wait()"


def deliver(server, plan, body=WAIT, options="", **keywords):
    """Run a session in its own process; return the status it ended with."""
    # A machine that is busy with other tests has underruns of its own: counted, so
    # that they do not end the session; no sample may change for them here.
    shared = "shared=True, " if isinstance(server, PulseServer) else ""
    shared += 'underrun="count", '
    code = SESSION.format(
        toml=plan.protocol.to_toml(),
        rate=plan.output.sample_rate_hz,
        dtype=plan.output.dtype,
        options=shared + options,
        body="        " + dedent(body).strip().replace("\n", "\n        "),
    )
    result = run_client(dedent(code), server.env, **keywords)
    return json.loads(result.stdout.splitlines()[-1])


def plan_for(dtype: str, **keywords) -> nw.Plan:
    output = nw.Output(sample_rate_hz=RATE_HZ, full_scale_ma=30.0, dtype=dtype)
    return nw.build_plan(protocol(**keywords), output)


@pytest.mark.parametrize(
    ("dtype", "pulse_server"),
    [
        ("int16", {"sample_format": "s16le"}),
        ("int24", {"sample_format": "s24le"}),
        ("int24", {"sample_format": "s32le"}),
        ("int32", {"sample_format": "s32le"}),
        ("float32", {"sample_format": "float32le"}),
    ],
    indirect=["pulse_server"],
)
def test_pulseaudio_receives_the_rendering_bit_for_bit(dtype, pulse_server):
    plan = plan_for(dtype)
    recorder = pulse_server.record()
    status = deliver(pulse_server, plan)
    expected = plan.render()
    if (dtype, pulse_server.sample_format) == ("int24", "s32le"):
        expected = expected << 8
    align(recorder.stop(), expected)
    assert status["state"] == "stopped"
    assert status["frame"] == plan.n_frames


@pytest.mark.parametrize("dtype", ["float32", "int24"])
def test_jack_receives_the_rendering_bit_for_bit(dtype, jack_server):
    plan = plan_for(dtype)
    recorder = jack_server.record()
    status = deliver(jack_server, plan)
    expected = plan.render()
    if dtype == "int24":
        expected = (expected / 2**23).astype(np.float32)
    align(recorder.stop(), expected)
    assert status["state"] == "stopped"


HOLD_THE_GIL = """
    import ctypes
    for _ in range(3):
        time.sleep(0.2)
        ctypes.PyDLL(None).usleep(1_000_000)
        session.feed()
    session.wait()
"""


@pytest.mark.parametrize("server_class", [PulseServer, JackServer])
def test_holding_the_gil_for_a_second_loses_no_frame(server_class):
    require(server_class)
    plan = plan_for("float32", on_s=4.0)
    arguments = {"sample_format": "float32le"}
    if server_class is JackServer:
        arguments = {"synchronous": True}
    # Every frame, every time; no underrun in one run of three, as a busy machine
    # has its own (a Python callback has them in each run: the next test).
    for _ in range(3):
        with server_class(**arguments) as server:
            recorder = server.record()
            status = deliver(server, plan, HOLD_THE_GIL)
            assert status["state"] == "stopped"
            align(recorder.stop(), plan.render())
        if status["underruns"] == 0:
            return
    raise AssertionError("an underrun was counted in each of three runs")


PYTHON_CALLBACK = """
    import ctypes, json, time
    import numpy as np, sounddevice as sd
    import nmes_wave as nw

    protocol = nw.StimProtocol.from_toml({toml!r})
    output = nw.Output(sample_rate_hz={rate}, full_scale_ma=30.0, dtype="float32")
    codes = nw.build_plan(protocol, output).render()
    position, gaps, last = 0, [], None

    def callback(out, frames, t, status):
        global position, last
        now = time.monotonic()
        if last is not None:
            gaps.append(now - last)
        last = now
        part = codes[position:position + frames]
        out[:len(part)], out[len(part):] = part, 0
        position += frames

    with sd.OutputStream({rate}, channels=8, dtype="float32", callback=callback):
        for _ in range(3):
            time.sleep(0.2)
            ctypes.PyDLL(None).usleep(1_000_000)
        while position < len(codes):
            time.sleep(0.02)
        time.sleep(0.3)
    print(json.dumps({{"longest_gap": max(gaps)}}))
"""


def test_a_python_callback_starves_where_ours_does_not(jack_server):
    """The contrast: it shows that the test above can fail."""
    plan = plan_for("float32", on_s=4.0)
    code = PYTHON_CALLBACK.format(toml=plan.protocol.to_toml(), rate=RATE_HZ)
    result = run_client(dedent(code), jack_server.env)
    assert json.loads(result.stdout)["longest_gap"] > 0.9


def last_sound_s(recording: np.ndarray) -> float:
    """From the first to the last frame that is not silent, in seconds."""
    return len(trim(recording)) / RATE_HZ


@pytest.mark.parametrize("hang", ["time.sleep(4.0)", "hold()"])
def test_a_program_that_stops_feeding_is_silent_in_time(hang, jack_server):
    plan = plan_for("float32", on_s=20.0)
    recorder = jack_server.record()
    body = f"""
        import ctypes
        hold = lambda: ctypes.PyDLL(None).usleep(4_000_000)
        {hang}
        try:
            session.wait()
        except nw.StateError as error:
            assert "watchdog" in str(error)
    """
    status = deliver(jack_server, plan, body, "watchdog_s=1.0")
    assert (status["state"], status["fault"]) == ("fault", "watchdog")
    recording = recorder.stop()
    # The plan's lead-in is silent and counts; the events end with the ramp.
    sounded = last_sound_s(recording)
    assert sounded < 1.0 - LEAD_IN_S + 0.5 + 2 * jack_server.period / RATE_HZ
    assert sounded > 1.0 - LEAD_IN_S
    assert_balanced(recording)


ENDS = {
    "plan end": WAIT,
    "stop": "time.sleep(1.0)\nsession.stop()\nsession.wait()",
    "leaving": "time.sleep(1.0)",
    "emergency stop": (
        "time.sleep(1.0)\nsession.emergency_stop()\n"
        "while session.status.fault is None: time.sleep(0.01)"
    ),
}


def assert_balanced(recording: np.ndarray) -> None:
    """Every channel's codes sum to zero, and they end with silence."""
    codes = np.rint(recording.astype(np.float64) * 2**23).astype(np.int64)
    assert codes.any()
    assert (codes.sum(axis=0) == 0).all()
    assert not codes[-1].any()


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("fixture", ["pulse_server", "jack_server"])
def test_no_way_out_cuts_a_pulse_that_was_queued(end, fixture, request):
    server = request.getfixturevalue(fixture)
    plan = plan_for("float32", on_s=2.0)
    recorder = server.record("float32le") if fixture[0] == "p" else server.record()
    deliver(server, plan, ENDS[end])
    recording = recorder.stop()
    assert_balanced(recording)
    if end == "plan end":
        align(recording, plan.render())
    else:
        assert last_sound_s(recording) < 2.0


def test_an_exception_inside_cuts_no_pulse(jack_server):
    plan = plan_for("float32", on_s=20.0)
    recorder = jack_server.record()
    code = f"""
        import time
        import nmes_wave as nw
        protocol = nw.StimProtocol.from_toml({plan.protocol.to_toml()!r})
        output = nw.Output(sample_rate_hz=48000, full_scale_ma=30, dtype="float32")
        with nw.Session(nw.build_plan(protocol, output), sink="audio") as session:
            session.start(intensity=1.0)
            time.sleep(1.0)
            raise ZeroDivisionError("inside")
    """
    result = run_client(dedent(code), jack_server.env, returncode=1)
    assert result.stderr.rstrip().endswith("ZeroDivisionError: inside")
    assert "During handling" not in result.stderr
    assert_balanced(recorder.stop())


REFUSED = """
    import nmes_wave as nw
    protocol = nw.StimProtocol.from_toml({toml!r})
    output = nw.Output(sample_rate_hz={rate}, full_scale_ma=30, dtype="float32")
    try:
        with nw.Session(nw.build_plan(protocol, output), {arguments}) as session:
            print("opened")
            {inside}
    except nw.SinkError as error:
        print(type(error).__name__, error)
"""


def refusal(server, arguments='sink="audio"', inside="pass", rate=48000, channels=8):
    code = REFUSED.format(
        toml=protocol(0.6, channels=channels).to_toml(),
        arguments=arguments,
        inside=inside,
        rate=rate,
    )
    return run_client(dedent(code), server.env).stdout


def test_a_shared_server_needs_to_be_asked_for(pulse_server):
    text = refusal(pulse_server)
    assert text.startswith("SinkUnavailableError 'default' (ALSA) is a shared device")
    assert "not for electrodes" in text
    assert refusal(pulse_server, 'sink="audio", shared=True') == "opened\n"


def test_what_a_device_refuses_is_said(jack_server):
    assert "refuses 8 channels of float32 at 44100 Hz" in refusal(
        jack_server, rate=44100
    )
    assert "has 8 output channels, the plan needs 9" in refusal(jack_server, channels=9)
    missing = refusal(jack_server, 'sink="audio", device="nothing"')
    assert "no output device 'nothing'; there are 0: 'system'" in missing
    second = refusal(
        jack_server, inside="nw.Session(session.plan, sink='audio').__enter__()"
    )
    assert "has an audio session already" in second


def test_without_portaudio_the_package_to_install_is_named(jack_server):
    code = """
        import sys
        class Missing:
            def find_spec(self, name, path=None, target=None):
                if name == "sounddevice":
                    raise OSError("PortAudio library not found")
        sys.meta_path.insert(0, Missing())
    """
    text = run_client(
        dedent(code)
        + dedent(
            REFUSED.format(
                toml=protocol(0.6).to_toml(),
                arguments='sink="audio"',
                inside="pass",
                rate=48000,
            )
        ),
        jack_server.env,
    ).stdout
    assert text.startswith("SinkUnavailableError the PortAudio library is missing")
    assert "libportaudio2" in text


def test_live_intensity_on_a_server_keeps_every_event_balanced(jack_server):
    plan = plan_for("float32", on_s=3.0)
    recorder = jack_server.record()
    body = """
        for value in (0.2, 1.0, 0.5):
            session.set_intensity(value)
            time.sleep(0.3)
        session.pause()
        time.sleep(0.3)
        session.resume()
        session.set_intensity(0.9, channel=3)
        session.wait()
    """
    status = deliver(jack_server, plan, body)
    assert status["state"] == "stopped"
    assert_balanced(recorder.stop())
