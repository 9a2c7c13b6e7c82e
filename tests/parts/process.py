"""One child process: started, waited for, stopped, killed, frozen."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

PATIENCE_S = 60.0  # for what takes a second on an idle machine


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def listens(port: int) -> bool:
    """Does anybody take connections on this port?"""
    with socket.socket() as probe:
        probe.settimeout(5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Process:
    """A program whose output goes to a file; after its end it can be started again.

    ``user`` is who runs it, when the tests run as root and the program will not. ``only_errors``
    keeps its standard output out of the file.
    """

    def __init__(
        self,
        command: Sequence[str],
        log: Path,
        *,
        environment: Mapping[str, str] | None = None,
        directory: Path | None = None,
        user: str | None = None,
        only_errors: bool = False,
    ) -> None:
        self._command, self.log, self._only_errors = list(command), log, only_errors
        self.environment, self._directory, self._user = environment, directory, user
        self._popen: subprocess.Popen[bytes] | None = None
        log.touch()

    def start(self) -> None:
        assert self._popen is None, "it is running already"
        with self.log.open("ab") as log:
            self._popen = subprocess.Popen(
                self._command,
                cwd=self._directory,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL if self._only_errors else log,
                stderr=log,
                user=self._user,
                group=self._user,
                extra_groups=None if self._user is None else [],
            )

    @property
    def is_running(self) -> bool:
        return self._popen is not None

    @property
    def popen(self) -> "subprocess.Popen[bytes]":
        assert self._popen is not None, "it is not running"
        return self._popen

    def send(self, number: signal.Signals) -> None:
        self.popen.send_signal(number)

    def end(self, number: signal.Signals = signal.SIGTERM, within: float = PATIENCE_S) -> int:
        """Send the signal and wait for the end; returns the exit code."""
        self.send(number)
        code = self.popen.wait(within)
        self._popen = None
        return code

    def kill(self) -> None:
        """End it as a power cut does; also when it is frozen."""
        if self.is_running:
            self.end(signal.SIGKILL)

    def freeze(self) -> None:
        """Let it hold its connections and answer nothing, as a machine that hangs."""
        self.send(signal.SIGSTOP)
        os.waitid(os.P_PID, self.popen.pid, os.WSTOPPED | os.WNOWAIT)

    def thaw(self) -> None:
        self.send(signal.SIGCONT)

    def wait(self, probe: Callable[[], object], within: float, message: str) -> None:
        """Wait until the probe is true; fails when it is not in time, or the process ended."""
        deadline = time.monotonic() + within
        while not probe():
            code = self.popen.poll()
            assert code is None, f"{self._command[0]} ended with {code}\n{self.last_lines()}"
            assert time.monotonic() < deadline, f"{message}\n{self.last_lines()}"
            time.sleep(0.02)

    def last_lines(self, count: int = 30) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-count:])
