"""The processes: the fake provider and the servers under test, each a child, ended by its pid."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .clients import DirectUser, TutorialUser, User
from .parley import ParleyUser

ROOT = Path(__file__).parents[1]
START_S, STOP_S = 60, 40  # bounds for a busy machine; Parley may drain for 25 s
PARLEY_SETUP = (
    ["manage.py", "migrate", "--no-input", "-v", "0"],
    ["manage.py", "collectstatic", "--no-input", "-v", "0"],
)


class NotRunningError(Exception):
    """A server did not start, or its set-up failed. The message holds the end of its log."""


@dataclass(frozen=True)
class Running:
    """A server under test: its pid (None when there is none) and how to make its n-th user."""

    pid: int | None
    user: Callable[[int], User]


@dataclass
class Workspace:
    """Where one run of the benchmark keeps its files, and the provider that all servers share."""

    directory: Path
    provider_port: int = 0
    cookies: Sequence[dict[str, str]] = ()
    started: int = 0

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

    def parley_environment(self, directory: Path) -> dict[str, str]:
        return self.environment(
            DJANGO_SETTINGS_MODULE="chatsite.settings",
            DATABASE_URL=f"sqlite:///{directory}/bench.sqlite3",
            VAR_DIR=str(directory),
            STATIC_ROOT=str(self.directory / "static"),
            ENV_FILE=str(self.directory / "none.env"),  # the operator's own settings stay out
            SECRET_KEY="bench-" + "0123456789abcdef" * 4,
            SIGNUP="closed",
            CHAT_MODELS="fake",
        )


@contextmanager
def provider(work: Workspace) -> Iterator[int]:
    """The fake provider; yields its pid."""
    work.provider_port = free_port()
    command = ["-m", "tests.fake_provider", "--port", str(work.provider_port)]
    address = f"http://127.0.0.1:{work.provider_port}/v1/models"
    with child(work, "provider", command, os.environ.copy(), address) as pid:
        yield pid


@contextmanager
def direct(work: Workspace) -> Iterator[Running]:
    yield Running(None, lambda _: DirectUser(work.provider_port))


@contextmanager
def tutorial(work: Workspace) -> Iterator[Running]:
    port = free_port()
    app = "benchmarks.tutorial_server:app"
    command = ["-m", "uvicorn", app, "--port", str(port), "--workers", "1"]
    address = f"http://127.0.0.1:{port}/readyz"
    with child(work, "tutorial", command, work.environment(), address) as pid:
        yield Running(pid, lambda _: TutorialUser(port))


@contextmanager
def parley(work: Workspace) -> Iterator[Running]:
    """Parley as an operator starts it, on its own copy of a database with signed-in users."""
    template, copy = work.directory / "parley", work.directory / f"parley-{work.started}"
    if not work.cookies:
        prepare_parley(work, template)
    shutil.copytree(template, copy)
    port = free_port()
    command = ["manage.py", "serve", "--host", "127.0.0.1", "--port", str(port)]
    address = f"http://127.0.0.1:{port}/readyz"
    with child(work, "parley", command, work.parley_environment(copy), address) as pid:
        yield Running(pid, lambda number: ParleyUser(port, work.cookies[number]))


def prepare_parley(work: Workspace, directory: Path, users: int = 100) -> None:
    directory.mkdir(exist_ok=True)
    for command in (*PARLEY_SETUP, ["-m", "benchmarks.seed_parley", str(users)]):
        done = subprocess.run(
            [sys.executable, *command],
            cwd=ROOT,
            env=work.parley_environment(directory),
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        if done.returncode:
            raise NotRunningError(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    seeded = json.loads(done.stdout.splitlines()[-1])
    work.cookies = [{seeded["cookie"]: session} for session in seeded["sessions"]]


SERVERS = {"direct": direct, "tutorial": tutorial, "parley": parley}


@contextmanager
def child(
    work: Workspace, name: str, command: list[str], environment: dict[str, str], address: str
) -> Iterator[int]:
    """Runs a Python program until the block ends; yields its pid once ``address`` answers 200."""
    work.started += 1
    log = work.directory / f"{name}-{work.started}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, *command], cwd=ROOT, env=environment, stdout=output, stderr=output
        )
    try:
        wait_until_ready(process, address, log)
        yield process.pid
    finally:
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            print(f"{name} did not stop within {STOP_S} s and was killed", file=sys.stderr)
            process.kill()
            process.wait()


def wait_until_ready(process: "subprocess.Popen[bytes]", address: str, log: Path) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(address, timeout=2) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
    ended = "ended" if process.poll() is not None else f"was not ready within {START_S} s"
    raise NotRunningError(f"{address}: the server {ended}:\n{log.read_text()[-2000:]}")


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port
