"""Processes of our own: `manage.py serve` and `manage.py engine`, with their database and log."""

import json
import os
import shutil
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.parts.process import Process, free_port

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
    """A database to copy, static files, people to be; the first of them is an administrator.

    ``database`` is the file of an SQLite database; None when it is somewhere else.
    """

    database: Path | None
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


def prepare(home: Path, people: int, **variables: str) -> Prepared:
    """Make the database (that of DATABASE_URL, if given) and collect the static files."""
    static = home / "static"
    environment = _environment(
        VAR_DIR=str(home),
        STATIC_ROOT=str(static),
        OPENAI_BASE_URL="http://127.0.0.1:9/v1",
        **variables,
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
    database = None if "DATABASE_URL" in variables else home / "parley.sqlite3"
    return Prepared(database, static, [Person(**person) for person in made])


class Child(Process):
    """One command of manage.py; after ``stop`` or ``kill`` it can be started again."""

    def __init__(
        self, command: Sequence[str], prepared: Prepared, home: Path, provider_url: str, **more: str
    ) -> None:
        home.mkdir(parents=True, exist_ok=True)
        if prepared.database is not None:
            shutil.copy(prepared.database, home / "parley.sqlite3")
        environment = _environment(
            VAR_DIR=str(home),
            STATIC_ROOT=str(prepared.static),
            OPENAI_BASE_URL=provider_url,
            OPENAI_API_KEY=CANARY_KEY,
            SIGNUP="open",
            LOG_FORMAT="json",
        )
        super().__init__(
            [sys.executable, "manage.py", *command],
            home / "log.jsonl",
            environment=environment | more,
            directory=ROOT,
            only_errors=True,
        )

    def stop(self) -> None:
        """Ask it to end, as systemd or Docker do, and expect that it ends well."""
        code = self.end(signal.SIGTERM, STOP_S)
        assert code == 0, f"ended with {code}\n{self.last_lines()}"

    def events(self, since: int = 0) -> list[dict[str, Any]]:
        """The log's lines from a byte on. What is no JSON object is an event of its own."""
        with self.log.open("rb") as log:
            log.seek(since)
            return [_event(line) for line in log.read().decode().splitlines() if line]

    def check_log(self, since: int = 0) -> None:
        """Nothing went wrong from this byte of the log on, and no secret is in it."""
        bad = [event for event in self.events(since) if event.get("level") in BAD_LEVELS]
        assert not bad, bad
        assert CANARY_KEY not in self.log.read_text()

    @property
    def log_bytes(self) -> int:
        return self.log.stat().st_size

    def wait_quiet(self, since: int = 0) -> None:
        """Wait until every generation has ended that was started from this byte of the log on."""

        def quiet() -> bool:
            names = [event.get("event") for event in self.events(since)]
            return names.count("generation_started") <= names.count("generation_ended")

        self.wait(quiet, STOP_S, "a generation has not ended")


class Server(Child):
    """A web process; ``arguments`` are further ones of `manage.py serve`."""

    def __init__(
        self,
        prepared: Prepared,
        home: Path,
        provider_url: str,
        *arguments: str,
        **variables: str,
    ) -> None:
        self.port = free_port()
        self.administrator = prepared.people[0]
        self.url = f"http://127.0.0.1:{self.port}"
        command = ["serve", "--port", str(self.port), *arguments]
        super().__init__(command, prepared, home, provider_url, **variables)

    def start(self) -> None:
        """Start and wait until it says that it is ready."""
        super().start()
        self.wait(lambda: self.get("/readyz")[0] == 200, START_S, "not ready")

    def get(self, path: str, person: Person | None = None) -> tuple[int, bytes]:
        """Status and body; 0 when nobody answers."""
        return get(self.url + path, person)

    def export(self, conversation: str, person: Person) -> dict[str, Any]:
        """The owner's export of the conversation at this path."""
        status, body = self.get(f"{conversation}export.json", person)
        assert status == 200, (status, body)
        document: dict[str, Any] = json.loads(body)
        return document


class Engine(Child):
    """A worker process for web processes that run with Redis."""

    def __init__(self, prepared: Prepared, home: Path, provider_url: str, **variables: str) -> None:
        self.alive_file = home / "alive"
        command = ["engine", "--alive-file", str(self.alive_file)]
        super().__init__(command, prepared, home, provider_url, **variables)

    def start(self) -> None:
        """Start and wait until it says that it is alive."""
        self.alive_file.unlink(missing_ok=True)
        super().start()
        self.wait(self.alive_file.exists, START_S, "not alive")


def get(url: str, person: Person | None = None) -> tuple[int, bytes]:
    """Status and body; 0 when nobody answers."""
    request = urllib.request.Request(url)
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


def _event(line: str) -> dict[str, Any]:
    try:
        event = json.loads(line)
    except ValueError:
        return {"event": "not JSON", "level": "error", "line": line}
    return event if isinstance(event, dict) else {"event": "not JSON", "level": "error"}
