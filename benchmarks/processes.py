"""Child processes, ended by their pid, and the place where a run keeps its files."""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.parts.postgres import PostgresServer

from .clients import User

ROOT = Path(__file__).parents[1]
START_S, STOP_S = 60, 40  # bounds for a busy machine; Parley may drain for 25 s


class NotRunningError(Exception):
    """A server did not start, or its set-up failed. The message holds the end of its log."""


class MissingProgramError(Exception):
    """A server needs a program that is not installed. The message names the Debian package."""


@dataclass(frozen=True)
class Running:
    """A server under test: the pids of its parts by name (none where there is no server), and how
    to make its n-th user.

    places: how many users differ in the processes that they meet; ``user(n, place)`` says in which.
    label: what it is, where its name does not say so.
    """

    parts: dict[str, int]
    user: Callable[..., User]
    places: int = 1
    label: str = ""


@dataclass
class Workspace:
    """Where one run of the benchmark keeps its files, and the provider that all servers share.

    users: how many signed-in users a database of Parley is prepared with.
    cookies: theirs, by the kind of database.
    open: ended when the run ends.
    """

    directory: Path
    open: ExitStack
    users: int = 100
    provider_port: int = 0
    cookies: dict[str, Sequence[dict[str, str]]] = field(default_factory=dict)
    postgres: PostgresServer | None = None
    started: int = 0

    def new_directory(self, name: str) -> Path:
        self.started += 1
        return self.directory / f"{name}-{self.started}"

    def environment(self, **more: str) -> dict[str, str]:
        """The caller's, without what would lead a server away from the provider on loopback."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("OPENAI_") and not name.lower().endswith("_proxy")
        }
        openai = {
            "OPENAI_BASE_URL": f"http://127.0.0.1:{self.provider_port}/v1",
            "OPENAI_API_KEY": "x",
        }
        return kept | openai | more


@contextmanager
def child(
    work: Workspace,
    name: str,
    command: list[str],
    environment: dict[str, str],
    ready: Callable[[], bool],
) -> Iterator[int]:
    """Runs a Python program until the block ends; yields its pid once it is ready."""
    log = work.new_directory(name).with_suffix(".log")
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, *command], cwd=ROOT, env=environment, stdout=output, stderr=output
        )
    try:
        wait_until_ready(process, name, ready, log)
        yield process.pid
    finally:
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            print(f"{name} did not stop within {STOP_S} s and was killed", file=sys.stderr)
            process.kill()
            process.wait()


def wait_until_ready(
    process: "subprocess.Popen[bytes]", name: str, ready: Callable[[], bool], log: Path
) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and process.poll() is None:
        if ready():
            return
        time.sleep(0.05)
    ended = "ended" if process.poll() is not None else f"was not ready within {START_S} s"
    raise NotRunningError(f"{name} {ended}:\n{log.read_text()[-2000:]}")


def answers(address: str) -> Callable[[], bool]:
    """A test whether the address is answered with 200."""

    def ready() -> bool:
        try:
            with urllib.request.urlopen(address, timeout=2) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    return ready


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port
