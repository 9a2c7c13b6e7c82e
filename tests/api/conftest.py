"""One server for the run, people with keys, OpenAI's own client."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import pytest
import pytest_asyncio
from openai import AsyncOpenAI

from tests.e2e.server import ROOT, Person, Prepared, Server, prepare
from tests.fake_provider import FakeProvider
from tests.parts.fixtures import redis_server
from tests.visitor import Answer, ask_soon

__all__ = ["redis_server"]

PEOPLE = 2  # an administrator and who asks
AT_ONCE = 20


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return prepare(tmp_path_factory.mktemp("api"), PEOPLE)


@pytest.fixture(scope="session")
def server(
    prepared: Prepared, _provider: FakeProvider, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    server = Server(
        prepared,
        tmp_path_factory.mktemp("api-server"),
        _provider.base_url,
        CHAT_MODELS="fake,other",
        CONCURRENT_REPLIES_PER_USER=str(AT_ONCE),
    )
    server.start()
    yield server
    server.stop()


def manage(server: Server, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """A command of manage.py beside the server, on its database."""
    home = server.log.parent
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env={**kept, "ENV_FILE": os.devnull, "VAR_DIR": str(home), "SECRET_KEY": "x" * 50},
        capture_output=True,
        text=True,
        check=False,
    )


@dataclass
class Caller:
    """Somebody with a key, and what the record has of what he asked."""

    server: Server
    person: Person
    key: str = field(repr=False)

    @property
    def base_url(self) -> str:
        return f"{self.server.url}/v1"

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """From the server's own database, read only."""
        path = self.server.log.parent / "parley.sqlite3"
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
            return database.execute(query, values).fetchall()

    def generation(self) -> tuple[Any, ...]:
        """State and stop reason of this person's newest generation."""
        found = self.rows(
            "SELECT g.state, g.stop_reason FROM chat_generation g"
            " JOIN chat_conversation c ON c.id = g.conversation_id"
            " JOIN chat_user u ON u.id = c.owner_id WHERE u.username = ?"
            " ORDER BY g.id DESC LIMIT 1",
            self.person.name,
        )
        return found[0] if found else ("", "")

    async def post(self, path: str, body: bytes, **headers: str) -> Answer:
        """A request by hand, with the key unless the headers say otherwise."""
        given = {"Authorization": f"Bearer {self.key}", "Content_Type": "application/json"}
        return await ask_soon(self.server.url + path, "POST", body, **(given | headers))


@pytest.fixture(scope="session")
def _caller(server: Server, prepared: Prepared) -> Iterator[Caller]:
    person = prepared.people[1]
    made = manage(server, "api_key", person.name)
    assert made.returncode == 0, made.stderr
    (key,) = made.stdout.splitlines()
    yield Caller(server, person, key)
    server.check_log()
    assert key not in server.log.read_text()


@pytest.fixture
def caller(_caller: Caller, provider: FakeProvider) -> Caller:
    """Somebody with a key, and the provider that he reaches."""
    return _caller


@pytest_asyncio.fixture
async def client(caller: Caller) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(
        base_url=caller.base_url, api_key=caller.key, max_retries=0, timeout=30
    ) as client:
        yield client
