"""Sessions on sinks without hardware: states, ends, watchdog, commands."""

from __future__ import annotations

import ctypes
import gc
import sys
import threading
import time

import numpy as np
import pytest

import nmes_wave as nw


def plan_of(
    on_s=0.4, rate_hz=100.0, amplitude_ma=50.0, ramp_up_s=0.0, event=None, **output
):
    protocol = nw.StimProtocol(
        name="test",
        channels=[
            nw.Channel(
                name=f"channel {i}",
                stages=[
                    nw.Stage(
                        event=event or nw.Pulse(phase_width_us=233.3),
                        train=nw.Train(rate_hz=rate_hz, phase_deg=90.0 * i),
                        duty_cycle=nw.DutyCycle(on_s=on_s),
                        amplitude_ma=amplitude_ma,
                        envelope=nw.Envelope(ramp_up_s=ramp_up_s),
                    )
                ],
            )
            for i in range(2)
        ],
    )
    output = {"sample_rate_hz": 48000, "full_scale_ma": 100, **output}
    return nw.build_plan(protocol, nw.Output(**output))


class SlowSink:
    """A push sink that takes frames at the rate of a clock, like a DAC."""

    paced = True
    hardware = True

    def __init__(self, speed=1.0):
        self.speed = speed
        self.blocks = []

    def open(self, output, n_channels, n_frames):
        self.rate = output.sample_rate_hz

    def write(self, block):
        self.blocks.append(block.copy())
        time.sleep(len(block) / self.rate / self.speed)

    def close(self):
        pass

    def codes(self):
        return np.concatenate(self.blocks)


class BrokenSink(SlowSink):
    error = OSError("cable pulled")

    def write(self, block):
        raise self.error


def wait_for(condition, timeout=5.0):
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.005)


@pytest.mark.parametrize("dtype", ["int16", "int24", "int32", "float32"])
def test_memory_holds_the_rendering_bit_for_bit(dtype):
    plan = plan_of(dtype=dtype)
    sink = nw.MemorySink()
    with nw.Session(plan, sink=sink) as session:
        session.start(intensity=1.0)
        assert session.wait(timeout=10)
        assert session.status.frame == plan.n_frames
        assert session.status.pulses == plan.n_pulses
    np.testing.assert_array_equal(sink.codes(), plan.render())


def test_a_session_delivers_nothing_until_started_and_zero_unless_asked():
    sink = nw.MemorySink()
    with nw.Session(plan_of(), sink=sink) as session:
        assert session.state is nw.State.OPEN
        session.start()
        session.wait()
        assert session.status.pulses == 0
    assert len(sink.codes()) == session.plan.n_frames
    assert not sink.codes().any()


def test_intensity_scales_every_level():
    plan = plan_of()
    sink = nw.MemorySink()
    with nw.Session(plan, sink=sink) as session:
        session.start(intensity=[0.5, 0.25])
        session.wait()
    peak = np.abs(sink.codes()).max(axis=0)
    level = 50 / 100 * plan.output.max_code
    assert peak.tolist() == [int(level * 0.5), int(level * 0.25)]


def test_legal_calls_by_state():
    session = nw.Session(plan_of(on_s=5), sink="null")
    assert session.state is nw.State.CREATED
    for call in (session.start, session.pause, session.resume, session.wait):
        with pytest.raises(nw.StateError, match="created"):
            call()
    session.stop()
    session.feed()
    with session:
        with pytest.raises(nw.StateError, match="open"):
            session.set_intensity(0.5)
        with pytest.raises(nw.StateError, match="start the session first"):
            session.wait()
        session.start(0.3)
        with pytest.raises(nw.StateError, match="start: the session is running"):
            session.start()
        session.set_intensity(0.5)
        session.pause()
        session.pause()
        assert session.state is nw.State.PAUSED
        session.set_intensity(0.1, channel=1)
        session.resume()
        session.resume()
        assert session.state is nw.State.RUNNING
        session.stop()
        session.stop()
        assert session.wait(timeout=5)
        assert session.state is nw.State.STOPPED
        with pytest.raises(nw.StateError, match="stopped"):
            session.pause()
    assert session.state is nw.State.CLOSED
    session.close()
    with pytest.raises(nw.StateError, match="opened once"):
        session.__enter__()


def test_an_emergency_stop_before_opening_latches():
    session = nw.Session(plan_of(), sink="null")
    session.emergency_stop()
    assert session.state is nw.State.FAULT
    with pytest.raises(nw.StateError, match="an emergency stop was made"):
        session.__enter__()


def test_an_emergency_stop_latches():
    with nw.Session(plan_of(on_s=5), sink="null") as session:
        session.start(1.0)
        wait_for(lambda: session.status.pulses > 3)
        session.emergency_stop()
        assert session.state is nw.State.FAULT
        wait_for(lambda: session.status.fault == "emergency stop")
        pulses = session.status.pulses
        for call in (session.wait, session.feed, session.resume):
            with pytest.raises(nw.StateError, match="emergency stop"):
                call()
        session.stop()
        time.sleep(0.1)
        assert session.status.pulses - pulses <= 2
        assert session.state is nw.State.FAULT


def test_a_stop_ramps_down_and_every_pulse_is_whole():
    plan = plan_of(on_s=5)
    sink = SlowSink(speed=4)
    with nw.Session(plan, sink=sink) as session:
        session.start(1.0)
        wait_for(lambda: session.status.frame > 24_000)
        session.stop()
        assert session.wait(timeout=5)
    codes = sink.codes().astype(np.int64)
    assert (codes.sum(axis=0) == 0).all()
    whole = codes[: len(codes) // 480 * 480, 0]
    peaks = np.abs(whole).reshape(-1, 480).max(axis=1)
    falling = peaks[np.argmax(peaks < peaks[0]) :]
    assert len(falling) >= 45
    assert (np.diff(falling[falling > 0]) < 0).all()


def test_an_exception_inside_is_an_emergency_stop():
    sink = SlowSink(speed=4)
    session = nw.Session(plan_of(on_s=5), sink=sink)
    with pytest.raises(ZeroDivisionError), session:  # noqa: PT012
        session.start(1.0)
        wait_for(lambda: session.status.pulses > 3)
        _ = 1 / 0
    assert session.status.fault == "emergency stop"
    codes = sink.codes().astype(np.int64)
    assert (codes.sum(axis=0) == 0).all()
    assert len(codes) < session.plan.n_frames


def test_the_watchdog_stops_a_program_that_does_not_feed():
    with nw.Session(plan_of(on_s=5), sink="null", watchdog_s=0.3) as session:
        session.start(1.0)
        begun = time.monotonic()
        wait_for(lambda: session.state is nw.State.FAULT)
        assert 0.3 < time.monotonic() - begun < 0.3 + 0.5 + 0.3
        assert session.status.fault == "watchdog"
        with pytest.raises(nw.StateError, match=r"watchdog.*0\.3 s"):
            session.wait()


def test_the_watchdog_works_while_the_gil_is_held():
    with nw.Session(plan_of(on_s=5), sink="null", watchdog_s=0.2) as session:
        session.start(1.0)
        ctypes.PyDLL(None).usleep(900_000)
        status = session.status
        assert (status.state, status.fault) == (nw.State.FAULT, "watchdog")
        assert status.frame <= (0.2 + 0.5 + 0.1) * 48000


def test_feeding_keeps_a_session_alive():
    with nw.Session(plan_of(on_s=0.8), sink="null", watchdog_s=0.2) as session:
        session.start(1.0)
        while session.state is nw.State.RUNNING:
            session.feed()
            time.sleep(0.05)
        assert session.state is nw.State.STOPPED


def test_waiting_feeds_and_times_out():
    with nw.Session(plan_of(on_s=0.8), sink="null", watchdog_s=0.2) as session:
        session.start(1.0)
        assert not session.wait(timeout=0.3)
        assert session.wait()


def test_intensity_moves_no_faster_than_the_slew():
    plan = plan_of(on_s=2, rate_hz=100)
    sink = SlowSink(speed=2)
    with nw.Session(plan, sink=sink, slew_per_s=0.5) as session:
        session.start(0.2)
        session.set_intensity(0.9)
        session.wait()
    codes = sink.codes()[:, 0].astype(float)
    peaks = codes.reshape(-1, 480).max(axis=1) / (0.5 * plan.output.max_code)
    assert peaks[0] == pytest.approx(0.2, abs=1e-3)
    assert peaks.max() == pytest.approx(0.9, abs=1e-3)
    assert np.diff(peaks).max() <= 0.5 / 100 + 1e-6


def test_a_pause_finishes_the_pulse_and_delivers_every_event_once():
    plan = plan_of(on_s=1.0, rate_hz=90.9)
    sink = SlowSink(speed=2)
    with nw.Session(plan, sink=sink) as session:
        session.start(1.0)
        wait_for(lambda: session.status.frame > 9_000)
        session.pause()
        wait_for(lambda: session.status.intensity == (0, 0))
        frame = session.status.frame
        time.sleep(0.05)
        assert session.status.frame == frame
        session.resume()
        session.wait()
        assert session.status.pulses == plan.n_pulses
    codes = sink.codes().astype(np.int64)
    assert len(codes) > plan.n_frames
    assert (codes.sum(axis=0) == 0).all()


def test_long_bursts_end_with_a_carrier_cycle_on_an_emergency_stop():
    burst = nw.Burst(carrier_hz=1234.5, cycles=600)
    plan = plan_of(on_s=2, rate_hz=2, event=burst)
    sink = SlowSink(speed=1)
    with nw.Session(plan, sink=sink) as session:
        session.start(1.0)
        wait_for(lambda: session.status.frame > 5_000)
        session.emergency_stop()
        with pytest.raises(nw.StateError, match="emergency"):
            session.wait()
    codes = sink.codes().astype(np.int64)
    assert (codes.sum(axis=0) == 0).all()
    assert 0 < np.flatnonzero(codes[:, 0])[-1] < 0.48 * 48000


def test_a_broken_sink_faults_and_wait_says_so():
    with nw.Session(plan_of(), sink=BrokenSink()) as session:
        session.start(1.0)
        with pytest.raises(nw.SinkLostError, match="cable pulled"):
            session.wait(timeout=5)
        assert "cable pulled" in session.status.fault


def test_a_sink_that_ends_its_thread_faults_too():
    sink = BrokenSink()
    sink.error = SystemExit("out")
    with nw.Session(plan_of(), sink=sink) as session:
        session.start(1.0)
        with pytest.raises(nw.SinkLostError, match="SystemExit: out"):
            session.wait(timeout=5)


def test_a_sink_that_blocks_for_ever_is_left(monkeypatch):
    monkeypatch.setattr("nmes_wave.stream.STUCK_S", 0.3)
    release = threading.Event()

    class StuckSink(SlowSink):
        def write(self, block):
            release.wait(20)

    begun = time.monotonic()
    with nw.Session(plan_of(), sink=StuckSink()) as session:
        session.start(1.0)
    assert time.monotonic() - begun < 5
    assert "not taken a block for 0.3 s" in session.status.fault
    release.set()


@pytest.mark.parametrize("end", ["stop", "resume"])
def test_a_pause_in_a_long_event_lets_it_finish_in_a_file(end):
    burst = nw.Burst(carrier_hz=1000.0, cycles=1000)
    for _ in range(3):
        sink = nw.MemorySink()
        plan = plan_of(on_s=60, rate_hz=0.5, event=burst)
        with nw.Session(plan, sink=sink) as session:
            session.start(1.0)
            session.pause()
            session.resume()
            session.pause()
            if end == "stop":
                session.stop()
            else:
                session.resume()
            assert session.wait(timeout=20)
        assert (sink.codes().sum(axis=0) == 0).all()


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"watchdog_s": 0}, "watchdog_s = 0"),
        ({"watchdog_s": float("nan")}, "watchdog_s"),
        ({"slew_per_s": -1}, "slew_per_s"),
        ({"underrun": "ignore"}, "underrun"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments, match):
    with pytest.raises(nw.SpecError, match=match):
        nw.Session(plan_of(), sink="null", **arguments)


@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan"), float("inf"), "1", None])
def test_intensities_out_of_range_change_nothing(value):
    with nw.Session(plan_of(), sink="null") as session:
        with pytest.raises(nw.SpecError, match="0 to 1"):
            session.start(value)
        session.start(0.5)
        with pytest.raises(nw.SpecError, match="0 to 1"):
            session.set_intensity(value)
        with pytest.raises(nw.SpecError, match="channel"):
            session.set_intensity(0.2, channel=2)
        assert session.state is nw.State.RUNNING


@pytest.mark.parametrize(
    ("sink", "match"),
    [("speaker", "no sink"), ("file:", "no sink"), (object(), "Sink protocol")],
)
def test_unknown_sinks_are_refused(sink, match):
    with pytest.raises(nw.SinkUnavailableError, match=match):
        nw.Session(plan_of(), sink=sink)


def test_hardware_refuses_a_plan_without_limits():
    plan = plan_of()
    free = nw.build_plan(plan.protocol, plan.output, nw.Limits.named("unlimited"))
    with pytest.raises(nw.SinkUnavailableError, match="computation only"):
        nw.Session(free, sink=SlowSink())
    nw.Session(free, sink=nw.MemorySink())


def test_hardware_refuses_a_plan_that_leaves_the_amplitude_open():
    plan = plan_of()
    limits = nw.Limits(max_amplitude_ma=None)
    open_ = nw.build_plan(plan.protocol, plan.output, limits)
    with pytest.raises(nw.SinkUnavailableError, match="limits on max_amplitude_ma"):
        nw.Session(open_, sink=SlowSink())


def test_more_commands_than_the_ring_holds_are_refused_at_once():
    with nw.Session(plan_of(), sink=SlowSink(speed=0.05)) as session:
        session.start(0.1)
        with pytest.raises(nw.StateError, match="256 commands wait"):
            [session.set_intensity(0.2) for _ in range(300)]
        session.emergency_stop()


def test_a_stop_has_room_where_other_commands_have_none():
    with nw.Session(plan_of(on_s=20), sink="null") as session:
        session.start(1.0)
        with pytest.raises(nw.StateError, match="256 commands wait"):
            [session.set_intensity(0.5) for _ in range(10_000)]
        session.stop()
        assert session.wait(timeout=5)


def test_a_session_that_is_paused_is_stopped_before_it_closes(tmp_path):
    for i in range(5):
        log = tmp_path / f"{i}.tsv"
        with nw.Session(plan_of(on_s=20), sink="null", log=log) as session:
            session.start(1.0)
            session.wait(0.05)
            session.pause()
        record = nw.read_events(log)
        kinds = [row.kind for row in (*record.commands, *record.notes)]
        assert kinds == ["start", "pause", "stop", "end"]


def test_a_refused_session_leaves_the_files_that_were_there(tmp_path):
    file, log = tmp_path / "a.npy", tmp_path / "a_events.tsv"
    for _ in range(2):
        try:
            with nw.Session(plan_of(), sink=f"file:{file}", log=log) as session:
                session.start(1.0)
                session.wait()
        except nw.FormatError as error:
            refused = str(error)
    assert "never written over" in refused
    assert np.load(file).any()
    with (
        pytest.raises(nw.SinkOpenError),
        nw.Session(plan_of(), sink=f"file:{tmp_path}/no/b.wav", log=tmp_path / "b.tsv"),
    ):
        pass
    assert not list(tmp_path.glob("b.*"))


def test_what_a_failing_sink_did_not_take_is_not_told_as_delivered(tmp_path):
    class Failing(nw.MemorySink):
        taken = 0

        def write(self, block):
            if self.taken == 2 * 4096:
                raise OSError("no space left")
            super().write(block)
            self.taken += len(block)

    sink, log = Failing(), tmp_path / "log.tsv"
    with nw.Session(plan_of(on_s=5), sink=sink, log=log) as session:
        session.start(1.0)
        with pytest.raises(nw.SinkLostError, match="no space left"):
            session.wait(timeout=5)
    record = nw.read_events(log)
    end_s = record.events["onset_s"] + record.events["duration_s"]
    told = record.events["status"] == "delivered"
    assert told.any()
    assert (end_s[told] * 48_000 <= sink.taken + 1e-6).all()
    assert (
        record.events["status"][end_s * 48_000 > sink.taken + 1] != "delivered"
    ).all()
    assert [row.reason for row in record.notes] == ["device lost"]


def test_a_fast_sink_loses_no_row_of_the_record(tmp_path):
    plan = plan_of(on_s=300, rate_hz=150.0)
    log = tmp_path / "log.tsv"
    with nw.Session(plan, sink=nw.MemorySink(), log=log) as session:
        session.start(1.0)
        session.wait()
        assert session.status.records_lost == 0
    assert nw.compare(plan, nw.read_events(log)).passed


def test_the_record_stays_where_it_was_opened(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    with nw.Session(plan_of(on_s=0.3), sink="null", log="r.tsv") as session:
        monkeypatch.chdir(tmp_path / "sub")
        session.start(1.0)
        assert session.wait()
    assert nw.read_events(tmp_path / "r.tsv").events.size


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_signals_that_cannot_be_caught_are_refused():
    import signal

    with nw.Session(plan_of(on_s=5), sink="null") as session:
        for number in (signal.SIGKILL, signal.SIGUSR1, 0, -1, 1000):
            with (
                pytest.raises(nw.StateError, match="cannot be caught"),
                session.emergency_stop_on(number),
            ):
                pass
        with session.emergency_stop_on(signal.SIGINT):
            with (
                pytest.raises(nw.StateError, match="has it already"),
                session.emergency_stop_on(signal.SIGINT),
            ):
                pass
            session.start(1.0)
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)
            assert session.status.fault == "emergency stop"


def test_calls_after_an_emergency_stop_before_opening_say_so():
    session = nw.Session(plan_of(), sink="null")
    session.emergency_stop()
    for call in (session.start, session.pause, session.resume, session.wait):
        with pytest.raises(nw.StateError, match=r"emergency stop|start the session"):
            call()
    assert session.status.fault == "emergency stop"
    assert session.status.state is nw.State.FAULT


def test_an_unclosed_session_warns_and_stops():
    session = nw.Session(plan_of(on_s=30), sink="null").__enter__()
    session.start(1.0)
    kept = [session]
    del session
    with pytest.warns(ResourceWarning, match="unclosed <Session"):
        kept.clear()
    gc.collect()
    assert not [t for t in threading.enumerate() if t.name.startswith("nmes-wave")]


def test_importing_the_package_loads_nothing_heavy():
    import subprocess

    code = (
        "import sys, nmes_wave; heavy = {'scipy', 'matplotlib', 'sounddevice', "
        "'soundfile', 'typer', 'rich'} & set(sys.modules); assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
