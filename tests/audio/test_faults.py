"""Sessions on real servers that are killed, forked, dropped, or lose their server."""

import re
import signal
import time

import numpy as np
import pytest
from audio.clients import popen_client
from audio.recording import align, trim
from audio.sessions import (
    LEAD_IN_S,
    RATE_HZ,
    assert_events_balanced,
    finish,
    last_heard,
    plan_of,
    program,
    record,
    serving,
)

pytestmark = pytest.mark.audio

SERVERS = ["pulse", "jack"]


def seconds_heard(recording: np.ndarray) -> float:
    return len(trim(recording)) / RATE_HZ


# -- ends that nobody announces ------------------------------------------------

SIGNALLED = """
    def hold_the_gil(seconds):
        # A sleep would return at the signal; who waits for a mutex waits on.
        libc = ctypes.PyDLL(None)
        mutex = ctypes.create_string_buffer(64)
        libc.pthread_mutex_lock(mutex)
        until = time.time() + seconds
        libc.pthread_mutex_timedlock(
            mutex, (ctypes.c_long * 2)(int(until), int(until % 1 * 1e9))
        )

    def handle(number, frame):
        print("handled in Python")
        raise KeyboardInterrupt

    signal.signal(signal.{name}, handle)
    with open_session() as session:
        session.start(1.0)
        with session.emergency_stop_on(signal.{name}):
            session.wait({lead_in} + 0.7)
            print("holding")
            try:
                hold_the_gil(3.5)
            except KeyboardInterrupt:
                print("fault:", session.status.fault)
"""


@pytest.mark.parametrize(
    ("name", "server_name"),
    [("SIGINT", "jack"), ("SIGTERM", "pulse"), ("SIGTSTP", "jack")],
)
def test_a_signal_silences_before_the_gil_is_released(name, server_name):
    body = SIGNALLED.format(name=name, lead_in=LEAD_IN_S)
    with serving(server_name) as server:
        recorder = record(server)
        with popen_client(program(server, plan_of(), body), server.env) as client:
            client.wait_for("holding")
            time.sleep(0.3)
            client.send_signal(getattr(signal, name))
            time.sleep(1.5)
            recorded = recorder.frames
            assert "handled" not in client.out, "the GIL was free: nothing is shown"
            finish(client)
        recording = recorder.stop()
    assert "handled in Python\nfault: emergency stop\n" in client.out
    assert last_heard(recording) < recorded
    assert assert_events_balanced(recording) > 4 * 0.8 * 143


KILLED = """
    with open_session(log={log!r}) as session:
        session.start(1.0)
        print("running")
        while True:
            session.wait(0.1)
"""


@pytest.mark.parametrize("server_name", SERVERS)
def test_the_record_survives_sigkill_up_to_its_last_second(server_name, tmp_path):
    from nmes_wave.record import compare, read_events

    log = tmp_path / "killed_events.tsv"
    plan = plan_of()
    # JACK waits for nobody: it would stand still for seconds after the kill
    arguments = {"synchronous": False} if server_name == "jack" else {}
    with serving(server_name, **arguments) as server:
        recorder = record(server)
        body = KILLED.format(log=str(log))
        with popen_client(program(server, plan, body), server.env) as client:
            client.wait_for("running")
            time.sleep(3.0)
            client.kill()
            client.wait()
        recording = recorder.stop()
    found = read_events(log)
    comparison = compare(plan, found)
    assert comparison.missing == comparison.extra == comparison.wrong == 0, comparison
    assert len(found.events)
    told_s = found.events["onset_s"][-1] - found.events["onset_s"][0]
    # JACK goes on with the last block for up to half a second
    went_on_s = 0.5 if server_name == "jack" else 0.0
    assert (
        seconds_heard(recording) - went_on_s - 1.0 < told_s <= seconds_heard(recording)
    )
    if server_name == "pulse":
        # what was queued is lost in the middle of an event, all before it is whole
        assert_events_balanced(recording, cut=1)


RAISED = """
    with open_session() as session:
        session.start(1.0)
        session.wait({lead_in} + 0.7)
        raise ZeroDivisionError("inside")
"""


@pytest.mark.parametrize("server_name", SERVERS)
def test_an_exception_stops_at_once_and_cuts_no_event(server_name):
    body = RAISED.format(lead_in=LEAD_IN_S)
    with serving(server_name) as server:
        recorder = record(server)
        with popen_client(program(server, plan_of(), body), server.env) as client:
            finish(client, returncode=1)
        recording = recorder.stop()
    assert client.err.rstrip().endswith("ZeroDivisionError: inside")
    assert "During handling" not in client.err
    assert_events_balanced(recording)
    assert seconds_heard(recording) < 0.7 + 0.4


DROPPED = """
    def begin():
        session = open_session()
        session.__enter__()
        session.start(1.0)
        session.wait({lead_in} + 0.7)

    begin()
    print("dropped")
    time.sleep(2.0)
    print("awake")
"""


@pytest.mark.parametrize("server_name", SERVERS)
def test_a_dropped_session_stops_and_cuts_no_event(server_name):
    body = DROPPED.format(lead_in=LEAD_IN_S)
    with serving(server_name) as server:
        recorder = record(server)
        with popen_client(program(server, plan_of(), body), server.env) as client:
            client.wait_for("dropped")
            time.sleep(1.0)
            recorded = recorder.frames
            assert "awake" not in client.out
            finish(client)
        recording = recorder.stop()
    # a warning is an error there, and must not be what keeps the session going
    assert "ResourceWarning: unclosed <Session" in client.err
    assert last_heard(recording) < recorded
    assert_events_balanced(recording)


LEFT = """
    session = open_session()
    session.__enter__()
    session.start(1.0)
    session.wait({lead_in} + 0.7)
    {end}
"""


@pytest.mark.parametrize(
    ("server_name", "end", "returncode"),
    [("pulse", "pass", 0), ("jack", "pass", 0), ("jack", "1 / 0", 1)],
)
def test_the_end_of_the_interpreter_cuts_no_event(server_name, end, returncode):
    body = LEFT.format(lead_in=LEAD_IN_S, end=end)
    with serving(server_name) as server:
        recorder = record(server)
        with popen_client(program(server, plan_of(), body), server.env) as client:
            finish(client, returncode=returncode)
        recording = recorder.stop()
    assert_events_balanced(recording)


# -- fork ------------------------------------------------------------------------

FORKED = """
    def child(act):
        # Python 3.12 warns of threads; what happens to them is tested here
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            pid = os.fork()
        if pid == 0:
            act()
            return
        deadline = time.monotonic() + 6.0
        while time.monotonic() < deadline:
            session.wait(0.02)
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                print(act.__name__, os.waitstatus_to_exitcode(status))
                return
        os.kill(pid, signal.SIGKILL)
        print(act.__name__, "hangs")

    def leaves_the_block():
        raise SystemExit(0)

    def ends_at_once():
        os._exit(7)

    def raises():
        raise ZeroDivisionError

    def uses_the_session():
        session.feed()
        session.emergency_stop()
        session.stop()
        refused = 0
        for call in (session.pause, session.resume, session.start):
            try:
                call()
            except nw.StateError as error:
                refused += "forked" in str(error)
        try:
            session.set_intensity(0.0)
        except nw.StateError as error:
            refused += "forked" in str(error)
        try:
            session.load(plan)
        except nw.StateError as error:
            refused += "forked" in str(error)
        try:
            open_session().__enter__()
        except nw.SinkUnavailableError as error:
            refused += "forked" in str(error)
        try:
            session.wait()
        except nw.StateError as error:
            refused += "forked" in str(error)
        begun = time.monotonic()
        session.status, session.plan, repr(session)
        session.close()
        slow = time.monotonic() - begun > 1.0
        sys.exit(100 if slow else refused)

    forked = threading.Event()

    def keep_calling():
        while not forked.is_set():
            session.resume()  # it runs: nothing

    with open_session({options}) as session:
        session.start(1.0)
        session.wait(0.5)
        # another thread is in the middle of a call when the child begins
        threading.Thread(target=keep_calling, daemon=True).start()
        for act in (leaves_the_block, ends_at_once, raises, uses_the_session):
            child(act)
        forked.set()
        session.wait()
        print("fault:", session.status.fault, session.state)
"""


@pytest.mark.parametrize("server_name", SERVERS)
def test_children_do_not_disturb_the_stream(server_name, tmp_path):
    from nmes_wave.record import compare, read_events

    log = tmp_path / "forked_events.tsv"
    plan = plan_of(on_s=4.0)
    with serving(server_name) as server:
        recorder = record(server)
        body = FORKED.format(options=f"log={str(log)!r}")
        with popen_client(program(server, plan, body), server.env) as client:
            finish(client)
        recording = recorder.stop()
    assert "fault: None stopped" in client.out
    for line in (
        "leaves_the_block 0",
        "ends_at_once 7",
        "raises 1",
        "uses_the_session 7",
    ):
        assert line in client.out, client.report(f"did not print {line!r}")
    align(recording, plan.render())
    comparison = compare(plan, read_events(log))
    assert comparison.missing == comparison.extra == comparison.wrong == 0, comparison


# -- the server ends -------------------------------------------------------------

LOST = """
    try:
        with open_session() as session:
            session.start(1.0)
            session.wait({lead_in} + 0.5)
            print("running")
            try:
                session.wait()
            except nw.SinkLostError as error:
                print("lost at", time.monotonic(), error)
                raise
    except nw.SinkLostError:
        pass
    print("closed at", time.monotonic())
    try:
        with open_session() as session:
            print("opened again")
    except nw.SinkError as error:
        print("refused:", error)
    print("end at", time.monotonic())
"""


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGSTOP])
@pytest.mark.parametrize("server_name", SERVERS)
def test_a_server_that_dies_or_freezes_is_noticed_and_nothing_hangs(server_name, end):
    arguments = {"synchronous": False} if server_name == "jack" else {}
    with serving(server_name, **arguments) as server:
        body = LOST.format(lead_in=LEAD_IN_S)
        with popen_client(program(server, plan_of(), body), server.env) as client:
            client.wait_for("running")
            killed_s = time.monotonic()
            server._process.send_signal(end)
            finish(client)
            ended_s = time.monotonic()
    lost_s, closed_s = (
        float(re.search(f"{what} at ([0-9.]+)", client.out)[1]) - killed_s
        for what in ("lost", "closed")
    )
    print(  # noqa: T201
        f"{server_name}, {end.name}: lost after {lost_s:.2f} s, closed after "
        f"{closed_s:.2f} s, process ended after {ended_s - killed_s:.2f} s"
    )
    assert lost_s < 5.0
    if (server_name, end) == ("pulse", signal.SIGKILL):
        # there the stream is closed, and PortAudio finds no server for another
        assert "refused: 'default' refuses" in client.out
    else:
        assert "refused: an audio stream would not close" in client.out
        assert "start a new process" in client.out


LOST_WITHOUT_WITH = """
    session = open_session()
    session.__enter__()
    session.start(1.0)
    session.wait({lead_in} + 0.5)
    print("running")
    time.sleep({sleep_s})
"""


@pytest.mark.parametrize("sleep_s", [0.0, 1.5])
@pytest.mark.parametrize("server_name", SERVERS)
def test_the_interpreter_ends_although_the_server_has_died(server_name, sleep_s):
    arguments = {"synchronous": False} if server_name == "jack" else {}
    with serving(server_name, **arguments) as server:
        body = LOST_WITHOUT_WITH.format(lead_in=LEAD_IN_S, sleep_s=sleep_s)
        with popen_client(program(server, plan_of(), body), server.env) as client:
            client.wait_for("running")
            server.kill()
            finish(client)


REFUSED = """
    try:
        output = nw.Output(sample_rate_hz=44_100, full_scale_ma=30.0)
        with nw.Session(nw.build_plan(plan.protocol, output), "audio"):
            print("opened at a wrong rate")
    except nw.SinkOpenError as error:
        print("refused:", error)
    with open_session() as session:
        print("opened at its own rate")
"""


def test_after_a_refused_rate_another_session_opens():
    with serving("jack") as server:
        body = program(server, plan_of(), REFUSED)
        with popen_client(body, server.env) as client:
            finish(client)
    assert "refused: 'system' refuses 4 channels" in client.out
    assert "at 44100 Hz" in client.out
    assert "its default rate is 48000 Hz" in client.out
    assert client.out.endswith("\nopened at its own rate\n")
    assert "wrong" not in client.out
