"""PulseAudio and JACK servers without a sound card, for tests of real streams.

A server here is private: own directory, own sockets, own ALSA configuration, so
that a test neither reaches the sound cards and servers of the machine nor meets
those of another test.
"""

import atexit
import ctypes.util
import fcntl
import importlib.util
import itertools
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import ClassVar, Self, TextIO

from audio.clients import Process, wait_until
from audio.recording import Recorder


class Server:
    """What PulseServer and JackServer share; a context manager.

    Attributes
    ----------
    directory : Path
        Its private files. Not pytest's `tmp_path`, which is often too long for a
        socket (107 characters).
    env : dict
        The environment for clients: this one without what concerns audio, plus
        what leads to this server and to no other.
    """

    programs: ClassVar[tuple[str, ...]]
    rate: int

    def __init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="nmes-"))
        atexit.register(self._remove)
        ours = ("PULSE_", "PA_", "JACK_", "ALSA_", "PIPEWIRE_", "XDG_")
        self.env = {k: v for k, v in os.environ.items() if not k.startswith(ours)}
        self.env |= {
            "XDG_RUNTIME_DIR": str(self.directory),
            "XDG_CONFIG_HOME": str(self.directory),
            "ALSA_CONFIG_PATH": str(self.directory / "alsa.conf"),
            "PULSE_SERVER": f"unix:{self.directory}/native",
            "JACK_DEFAULT_SERVER": self.directory.name,
            "JACK_NO_START_SERVER": "1",
        }
        self._recorders: list[Recorder] = []

    @classmethod
    def missing(cls) -> list[str]:
        """What has to be installed before this server can be used."""
        names = [name for name in (*cls.programs, "setpriv") if not shutil.which(name)]
        if not ctypes.util.find_library("portaudio"):
            names.append("libportaudio")
        if not importlib.util.find_spec("sounddevice"):
            names.append("sounddevice")
        return names

    def _argv(self) -> list[str]:
        raise NotImplementedError

    def _answers(self) -> bool:
        raise NotImplementedError

    def _tool(self, *argv: str) -> subprocess.CompletedProcess[str]:
        """Run a program that asks the server, for at most two seconds."""
        with Process(argv, self.env) as tool, suppress(subprocess.TimeoutExpired):
            tool.wait(2.0)
        return subprocess.CompletedProcess(argv, tool.returncode, tool.out, tool.err)

    def _start(self) -> None:
        self._process = Process(self._argv(), self.env)
        ready = wait_until(lambda: self._answers() or not self.alive, 10.0)
        if not (ready and self.alive):
            self._process.end()
            status = f"ended with status {self._process.returncode}"
            raise AssertionError(f"{self.programs[0]} {status}: {self.log}")

    def _record(self, argv: list[str], channels: int, sample_format: str) -> Recorder:
        recorder = Recorder(
            argv,
            self.env,
            rate=self.rate,
            channels=channels,
            sample_format=sample_format,
            server_alive=lambda: self.alive,
        )
        self._recorders.append(recorder)
        return recorder

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    @property
    def log(self) -> str:
        """What the server has printed."""
        return self._process.out + self._process.err

    def kill(self) -> None:
        """SIGKILL: the server's sudden death."""
        self._process.kill()
        self._process.wait()

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        try:
            for recorder in self._recorders:
                recorder.end()
            self._end()
        finally:
            self._remove()

    def _end(self) -> None:
        self._process.end()

    def _remove(self) -> None:
        shutil.rmtree(self.directory, ignore_errors=True)
        atexit.unregister(self._remove)


class PulseServer(Server):
    """PulseAudio with the null sink `nmes`; PortAudio's default device plays there.

    Its input device `monitor` hears what the sink received.

    Parameters
    ----------
    rate : int
        In Hz.
    channels : int
    sample_format : {"s16le", "s24le", "s32le", "float32le"}
        Of the sink; what a client sends is converted to it.
    """

    programs = ("pulseaudio", "pactl", "parec")

    def __init__(
        self, *, rate: int = 48_000, channels: int = 8, sample_format: str = "s32le"
    ) -> None:
        super().__init__()
        self.rate, self.channels, self.sample_format = rate, channels, sample_format
        # The whole configuration, not an addition to the machine's: PortAudio
        # lists these three and no sound card.
        server = f'type pulse server "{self.env["PULSE_SERVER"]}"'
        pulse = f"{{ {server} }}"
        # what the sink received, as an input and nothing else
        monitor = f"{{ type asym capture.pcm {{ {server} device nmes.monitor }} }}"
        self.directory.joinpath("alsa.conf").write_text(
            f"pcm.pulse {pulse}\npcm.!default {pulse}\nctl.!default {pulse}\n"
            f"pcm.monitor {monitor}\n"
        )

    @classmethod
    def missing(cls) -> list[str]:
        plugin = "alsa-lib/libasound_module_pcm_pulse.so"
        found = itertools.chain.from_iterable(
            Path("/usr").glob(place + plugin) for place in ("lib*/", "lib/*/")
        )
        return super().missing() + ([] if any(found) else ["ALSA's pulse plugin"])

    def _argv(self) -> list[str]:
        sink = f"rate={self.rate} channels={self.channels} format={self.sample_format}"
        sink += f" channel_map={','.join(_alsa_map(self.channels))}"
        modules = [
            f"module-native-protocol-unix auth-anonymous=1 "
            f"socket={self.directory}/native",
            # Without norewinds the sink stalls for up to 2 s at the start.
            f"module-null-sink sink_name=nmes {sink} norewinds=1",
        ]
        loads = [word for module in modules for word in ("-L", module)]
        return ["pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", *loads]

    def _answers(self) -> bool:
        socket = self.directory / "native"
        return socket.exists() and self._tool("pactl", "info").returncode == 0

    def record(
        self, sample_format: str | None = None, channels: int | None = None
    ) -> Recorder:
        """Record what the sink received, in its own format unless told otherwise.

        Fewer `channels` than the sink has are its first ones, not a mix.
        """
        sample_format = sample_format or self.sample_format
        channels = channels or self.channels
        argv = ["parec", "--raw", "--no-remix", "--device=nmes.monitor"]
        argv += [f"--rate={self.rate}", f"--format={sample_format}"]
        argv += [f"--channels={channels}"]
        argv += [f"--channel-map={','.join(_alsa_map(self.channels)[:channels])}"]
        # By default data come every 2 s. Less than 50 ms, the sink's own block with
        # norewinds, would shorten the latency of the sink for its players too.
        argv += ["--latency-msec=50"]
        return self._record(argv, channels, sample_format)


def _alsa_map(channels: int) -> list[str]:
    """The positions that ALSA's plugin gives to the channels of a stream.

    PulseAudio sends each channel to the same position of the sink, and mixes what
    has none there. Its own default for a sink names other positions from three
    channels on, and the channels arrive in another order and summed.
    """
    if channels == 1:
        return ["mono"]
    positions = ["front-left", "front-right", "rear-left", "rear-right"]
    positions += ["front-center", "lfe", "side-left", "side-right"]
    named = max(n for n in (2, 4, 5, 6, 8) if n <= channels)
    return positions[:named] + [f"aux{n}" for n in range(channels - named)]


class JackServer(Server):
    """JACK with the dummy driver; PortAudio's default device is `system`.

    There is one at a time for each user of a machine, others wait: JACK's clients
    listen on sockets that are named after the client alone, and with two servers
    one client in 40 was refused.

    Parameters
    ----------
    rate : int
        In Hz.
    period : int
        In frames.
    channels : int
        Inputs and outputs of `system`. Its inputs are followed by as many monitors
        of its outputs.
    synchronous : bool
        The driver waits for its clients, for recordings that are compared bit for
        bit: xruns are reported as ever, but they change no sample. When a client or
        a recorder is killed, the server stands still for seconds.
        Otherwise a recording shows what a device plays when a client is late by a
        period: one block twice, or not at all. With other tests beside them that
        befell about one recording in 40 at 1024 frames, and most at 128.
    """

    programs = ("jackd", "jack_lsp", "jack_connect")

    def __init__(
        self,
        *,
        rate: int = 48_000,
        period: int = 1024,
        channels: int = 8,
        synchronous: bool = False,
    ) -> None:
        super().__init__()
        self.rate, self.period, self.channels = rate, period, channels
        self.synchronous = synchronous
        # Always the same: JACK has eight places for servers on a machine, and that of
        # a killed one is free for a server of the same name only.
        self._name = self.env["JACK_DEFAULT_SERVER"] = f"nmes-test-{os.getuid()}"
        self._lock: TextIO | None = None
        # PortAudio aborts the process when ALSA has no name to offer, so there is
        # one, which cannot be opened and is not listed.
        self.directory.joinpath("alsa.conf").write_text(
            "pcm.absent { type hw card 99 }\n"
        )

    def _argv(self) -> list[str]:
        ports = ["-C", str(self.channels), "-P", str(self.channels)]
        clock = ["-r", str(self.rate), "-p", str(self.period)]
        jackd = ["jackd", "--name", self._name, "--no-realtime"]
        jackd += ["--sync"] if self.synchronous else []
        # Memory for 128 ports (42 MB instead of 107) starts faster.
        return [*jackd, "--port-max", "128", "-d", "dummy", "-m", *clock, *ports]

    def _answers(self) -> bool:
        # jack_wait would sleep for a second between two looks.
        return bool(self._tool("jack_lsp").stdout)

    def ports(self) -> list[str]:
        """The names of all ports; none if the server does not answer."""
        return self._tool("jack_lsp").stdout.split()

    def connect(self, source: str, destination: str) -> None:
        """Plug a cable, for example from "PortAudio:out_0" to "PortAudio:in_0"."""
        answer = self._tool("jack_connect", source, destination)
        if answer.returncode:
            raise AssertionError(f"{source} to {destination}: {answer.stderr}")

    def record(self) -> Recorder:
        """Record what the outputs of `system` received, in float32."""
        script = Path(__file__).with_name("jack_recorder.py")
        argv = [sys.executable, str(script), str(self.rate), str(self.channels)]
        return self._record(argv, self.channels, "float32le")

    def _start(self) -> None:
        self._lock = _wait_for_lock(Path(tempfile.gettempdir(), f"{self._name}.lock"))
        deadline = time.monotonic() + 15.0
        while True:
            try:
                super()._start()
            except AssertionError:
                # The last one was killed with its tests, and is a zombie still.
                active = "already active" in self.log
                broken = self._process.returncode == -signal.SIGBUS
                if not (active or broken) or time.monotonic() > deadline:
                    raise
            else:
                broken = "BDB2034" in self.log
                if not broken:
                    return
                self.kill()
            if broken:
                _remove_database()
            time.sleep(0.1)

    def kill(self) -> None:
        # While the server lives its memory is surely its own: afterwards the next
        # server may use the name.
        maps = Path(f"/proc/{self._process.pid}/maps").read_text()
        for memory in set(re.findall(r"/dev/shm/jack-\d+-\d+$", maps, re.MULTILINE)):
            Path(memory).unlink(missing_ok=True)
        super().kill()

    def _end(self) -> None:
        # Not by SIGTERM: a server that ends removes the database, see below. It would
        # also wait 6 s for a client whose death it has not noticed.
        if self.alive:
            self.kill()
        super()._end()

    def _remove(self) -> None:
        super()._remove()
        if self._lock is None:
            return
        for left in Path("/dev/shm").glob(f"jack*_{self._name}_*"):
            left.unlink(missing_ok=True)
        self._lock.close()


def _wait_for_lock(path: Path) -> TextIO:
    """The file, locked until it is closed or this process ends."""
    lock = path.open("w")

    def locked() -> bool:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    if wait_until(locked, 120.0):
        return lock
    lock.close()
    raise AssertionError("another JACK server of these tests does not end")


def _remove_database() -> None:
    """Remove the database that all processes with libjack share, PortAudio's too.

    Each client that is killed keeps a part of it, and after some 160 nobody can open
    it (BDB2034). When a server removes it at its end while another process
    opens it, it is left broken, and then every process with libjack ends by SIGBUS.
    """
    database = Path(f"/dev/shm/jack_db-{os.getuid()}")
    with suppress(OSError):
        # Renamed first, so that nobody finds a half of it.
        shutil.rmtree(database.rename(f"{database}-old"), ignore_errors=True)
