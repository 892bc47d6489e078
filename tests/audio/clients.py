"""Programs that cannot outlive the tests, and code under test among them.

PortAudio lists its devices once per process and finds its server by the environment.
Code under test therefore runs in a process of its own, with the `env` of the server
that it shall use.
"""

import atexit
import os
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import TracebackType

POLL_S = 0.01


def wait_until(ready: Callable[[], bool], timeout_s: float) -> bool:
    """Poll until `ready` holds; False when it did not within `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while not ready():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_S)
    return True


class Process(subprocess.Popen[bytes]):
    """A program in a process group of its own, which cannot outlive the tests.

    Its output goes to files: a pipe that nobody reads would stop it, and a test
    can look at what there is so far. The group stays in the session of the tests:
    the kernel discards SIGTSTP for a group without a parent in its session, and a
    test that Ctrl-Z does not suspend a stream would pass without a handler.

    The kernel kills it when the thread that started it ends, however that ends:
    start programs from the main thread.

    Parameters
    ----------
    argv : sequence of str
    env : dict
        The whole environment.
    """

    def __init__(self, argv: Sequence[str], env: dict[str, str]) -> None:
        self._outputs = [tempfile.TemporaryFile(), tempfile.TemporaryFile()]
        self._ended: list[bytes] | None = None
        super().__init__(
            ["setpriv", "--pdeathsig", "KILL", "--", *argv],
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=self._outputs[0],
            stderr=self._outputs[1],
            process_group=0,
        )
        atexit.register(self.end)

    def _read(self, index: int) -> bytes:
        if self._ended is not None:
            return self._ended[index]
        # The offset is shared with the program: seek() would move its writes.
        file = self._outputs[index].fileno()
        return os.pread(file, os.fstat(file).st_size, 0)

    @property
    def data(self) -> bytes:
        """Standard output so far."""
        return self._read(0)

    @property
    def data_size(self) -> int:
        if self._ended is not None:
            return len(self._ended[0])
        return os.fstat(self._outputs[0].fileno()).st_size

    @property
    def out(self) -> str:
        """Standard output so far, as text."""
        return self._read(0).decode(errors="replace")

    @property
    def err(self) -> str:
        """Standard error so far, as text."""
        return self._read(1).decode(errors="replace")

    def end(self, timeout_s: float = 2.0) -> None:
        """SIGTERM, then SIGKILL for the whole group; a second call does nothing."""
        if self._ended is not None:
            return
        if self.poll() is None:
            self.terminate()
            self.send_signal(signal.SIGCONT)  # a test may have stopped it
            with suppress(subprocess.TimeoutExpired):
                self.wait(timeout_s)
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self.wait()
        self._ended = [self._read(0), self._read(1)]
        for output in self._outputs:
            output.close()
        atexit.unregister(self.end)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.end()


class Client(Process):
    """Python code in a process of its own; warnings are errors there."""

    def __init__(self, code: str, env: dict[str, str]) -> None:
        self.code = textwrap.dedent(code)
        # faulthandler shows where a client crashed or, by SIGABRT, where it hangs.
        python = [sys.executable, "-u", "-X", "faulthandler", "-W", "error"]
        super().__init__([*python, "-c", self.code], env)

    def wait_for(self, text: str, timeout_s: float = 10.0) -> None:
        """Wait until the client has printed `text`, else AssertionError."""
        wait_until(lambda: text in self.out or self.poll() is not None, timeout_s)
        if text not in self.out:
            raise AssertionError(self.report(f"did not print {text!r}"))

    def report(self, problem: str) -> str:
        """`problem` with the code and all output, for the message of a failure."""
        lines = enumerate(self.code.strip("\n").splitlines(), 1)
        code = "\n".join(f"{n:3d}  {line}" for n, line in lines)
        parts = [f"the client {problem}; status {self.poll()}", "--- code", code]
        return "\n".join([*parts, "--- stdout", self.out, "--- stderr", self.err])


def popen_client(code: str, env: dict[str, str]) -> Client:
    """Start Python code (dedented) for a test that signals it or waits for it.

    Use it in a `with` statement, which ends the process and its children.
    """
    return Client(code, env)


def run_client(
    code: str, env: dict[str, str], timeout_s: float = 20.0, *, returncode: int = 0
) -> subprocess.CompletedProcess[str]:
    """Run Python code (dedented) in a process of its own, until it ends.

    Raises
    ------
    AssertionError
        With code and output, when the client ends with another status than
        `returncode`, or not within `timeout_s` (with the stack of each thread).
    """
    with popen_client(code, env) as client:
        try:
            client.wait(timeout_s)
        except subprocess.TimeoutExpired:
            client.send_signal(signal.SIGABRT)
            with suppress(subprocess.TimeoutExpired):
                client.wait(2.0)
            problem = f"did not end within {timeout_s:g} s"
            raise AssertionError(client.report(problem)) from None
    if client.returncode != returncode:
        problem = f"ended with status {client.returncode}, expected {returncode}"
        raise AssertionError(client.report(problem))
    return subprocess.CompletedProcess(
        client.args, client.returncode, client.out, client.err
    )
