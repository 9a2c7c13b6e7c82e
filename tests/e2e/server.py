"""A server of our own: `manage.py serve` as a child process, with its own database and log."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .prepare import PASSWORD

ROOT = Path(__file__).resolve().parents[2]
START_S = 90.0  # a start takes 3 s on an idle machine; these run on busy ones
STOP_S = 45.0  # DRAIN_TIMEOUT is 25 s
BAD_LEVELS = {"error", "critical"}
CANARY_KEY = "sk-canary-0123456789abcdef"


@dataclass(frozen=True)
class Person:
    """Somebody with an account; ``session`` is a cookie that they are signed in with."""

    name: str
    session: str
    password: str = PASSWORD

    @property
    def cookie(self) -> str:
        return f"sessionid={self.session}"


@dataclass(frozen=True)
class Prepared:
    """A database to copy, static files, people to be; the first of them is an administrator."""

    database: Path
    static: Path
    people: list[Person]


def _environment(**variables: str) -> dict[str, str]:
    """Nothing of the developer's own settings, nothing of the test process's."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TZ") if name in os.environ}
    return kept | {
        "ENV_FILE": os.devnull,
        "PYTHONUNBUFFERED": "1",
        "SECRET_KEY": "only-for-tests-" + "e" * 40,
        **variables,
    }


def prepare(home: Path, people: int) -> Prepared:
    """Make the database and collect the static files, side by side."""
    static = home / "static"
    environment = _environment(
        VAR_DIR=str(home), STATIC_ROOT=str(static), OPENAI_BASE_URL="http://127.0.0.1:9/v1"
    )
    commands = (
        ["manage.py", "collectstatic", "--no-input", "--verbosity", "0"],
        ["-m", "tests.e2e.prepare", str(people)],
    )
    children = [
        subprocess.Popen(
            [sys.executable, *command],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for command in commands
    ]
    answers = [child.communicate() for child in children]
    for child, (_, errors) in zip(children, answers, strict=True):
        assert child.returncode == 0, errors
    made = json.loads(answers[1][0])
    return Prepared(home / "parley.sqlite3", static, [Person(**person) for person in made])


class Server:
    """One server; after ``stop`` or ``kill`` it can be started again, on the same port."""

    def __init__(self, prepared: Prepared, home: Path, provider_url: str, **variables: str) -> None:
        home.mkdir(parents=True, exist_ok=True)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self.administrator = prepared.people[0]
        self.url = f"http://127.0.0.1:{self.port}"
        self._log = home / "log.jsonl"
        self._log.touch()
        shutil.copy(prepared.database, home / "parley.sqlite3")
        self._environment = _environment(
            VAR_DIR=str(home),
            STATIC_ROOT=str(prepared.static),
            OPENAI_BASE_URL=provider_url,
            OPENAI_API_KEY=CANARY_KEY,
            SIGNUP="open",
            LOG_FORMAT="json",
            **variables,
        )
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start and wait until it says that it is ready."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "manage.py", "serve", "--port", str(self.port)],
                cwd=ROOT,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
            )
        self._wait(lambda: self.get("/readyz")[0] == 200, START_S, "not ready")

    def stop(self) -> None:
        """Ask it to end, as systemd or Docker do, and expect that it ends well."""
        process = self._running
        process.send_signal(signal.SIGTERM)
        code = process.wait(STOP_S)
        self._process = None
        assert code == 0, f"ended with {code}\n{self._last_lines()}"

    def kill(self) -> None:
        """End it as a power cut does."""
        process = self._running
        process.kill()
        process.wait()
        self._process = None

    def get(self, path: str, person: Person | None = None) -> tuple[int, bytes]:
        """Status and body; 0 when nobody answers."""
        request = urllib.request.Request(self.url + path)
        if person is not None:
            request.add_header("Cookie", person.cookie)
        try:
            with urllib.request.urlopen(request, timeout=20) as response:
                return response.status, response.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()
        except OSError:
            return 0, b""

    def export(self, conversation: str, person: Person) -> dict[str, Any]:
        """The owner's export of the conversation at this path."""
        status, body = self.get(f"{conversation}export.json", person)
        assert status == 200, (status, body)
        document: dict[str, Any] = json.loads(body)
        return document

    def events(self, since: int = 0) -> list[dict[str, Any]]:
        """The log's lines from a byte on. What is no JSON object is an event of its own."""
        with self._log.open("rb") as log:
            log.seek(since)
            return [_event(line) for line in log.read().decode().splitlines() if line]

    def check_log(self, since: int = 0) -> None:
        """Nothing went wrong from this byte of the log on, and no secret is in it."""
        bad = [event for event in self.events(since) if event.get("level") in BAD_LEVELS]
        assert not bad, bad
        assert CANARY_KEY not in self._log.read_text()

    @property
    def log_bytes(self) -> int:
        return self._log.stat().st_size

    def wait_quiet(self) -> None:
        """Wait until every generation that was started has ended."""

        def quiet() -> bool:
            names = [event.get("event") for event in self.events()]
            return names.count("generation_started") <= names.count("generation_ended")

        self._wait(quiet, STOP_S, "a generation has not ended")

    @property
    def is_running(self) -> bool:
        return self._process is not None

    @property
    def _running(self) -> "subprocess.Popen[bytes]":
        assert self._process is not None, "the server is not running"
        return self._process

    def _wait(self, probe: Callable[[], bool], within: float, message: str) -> None:
        deadline = time.monotonic() + within
        while not probe():
            code = self._running.poll()
            assert code is None, f"the server ended with {code}\n{self._last_lines()}"
            assert time.monotonic() < deadline, f"{message}\n{self._last_lines()}"
            time.sleep(0.05)

    def _last_lines(self) -> str:
        return "\n".join(self._log.read_text().splitlines()[-30:])


def _event(line: str) -> dict[str, Any]:
    try:
        event = json.loads(line)
    except ValueError:
        return {"event": "not JSON", "level": "error", "line": line}
    return event if isinstance(event, dict) else {"event": "not JSON", "level": "error"}
