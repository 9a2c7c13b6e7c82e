"""Servers that tests share, by their settings, and servers of a test's own."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import pytest_asyncio

from tests.e2e.server import Person, Prepared, Server, prepare
from tests.fake_provider import FakeProvider
from tests.faults.people import Guest
from tests.parts.fixtures import postgres, redis_server

__all__ = ["postgres", "redis_server"]

PEOPLE = 200  # each test takes one or more, and one that is repeated takes others
HEARTBEAT_S = 2.0
FIRST_TOKEN_S = 12.0
IDLE_S = 4.0
GRACE_S = 1.0
IMPATIENT = {
    "STREAM_FIRST_TOKEN_TIMEOUT": str(FIRST_TOKEN_S),
    "STREAM_IDLE_TIMEOUT": str(IDLE_S),
    "STREAM_ABANDON_GRACE": str(GRACE_S),
}


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return prepare(tmp_path_factory.mktemp("prepared"), PEOPLE)


@pytest.fixture(scope="session")
def people(prepared: Prepared) -> Iterator[Person]:
    """Those whom no test knows yet."""
    return iter(prepared.people[1:])


@pytest.fixture
def somebody(people: Iterator[Person]) -> Person:
    return next(people)


@pytest.fixture
def guest(server: Server, somebody: Person) -> Guest:
    """Somebody with a new conversation on the shared server."""
    return Guest(server.url, somebody)


@pytest.fixture
def impatient(impatient_server: Server, somebody: Person) -> Guest:
    """The same on the one that waits for nobody."""
    return Guest(impatient_server.url, somebody)


@pytest.fixture(scope="session")
def _server(
    prepared: Prepared, _provider: FakeProvider, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    home = tmp_path_factory.mktemp("server")
    server = Server(prepared, home, _provider.base_url, STREAM_HEARTBEAT=str(HEARTBEAT_S))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def _impatient_server(
    prepared: Prepared, _provider: FakeProvider, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    server = Server(prepared, tmp_path_factory.mktemp("server"), _provider.base_url, **IMPATIENT)
    server.start()
    yield server
    server.stop()


@pytest_asyncio.fixture
async def server(_server: Server, provider: FakeProvider) -> AsyncIterator[Server]:
    """A server with defaults; fails the test when its log has an error or a secret."""
    since = _server.log_bytes
    yield _server
    await _settled(_server, provider, since)


@pytest_asyncio.fixture
async def impatient_server(
    _impatient_server: Server, provider: FakeProvider
) -> AsyncIterator[Server]:
    since = _impatient_server.log_bytes
    yield _impatient_server
    await _settled(_impatient_server, provider, since)


async def _settled(server: Server, provider: FakeProvider, since: int) -> None:
    # What a test left running would ask the provider during the next one.
    provider.reset()
    await asyncio.to_thread(server.wait_quiet, since)
    server.check_log(since)


@pytest.fixture
def own_server(
    prepared: Prepared, provider: FakeProvider, tmp_path: Path
) -> Iterator[Callable[..., Server]]:
    """Starts servers of the test's own, with variables of its own."""
    servers: list[Server] = []

    def start(**variables: str) -> Server:
        server = Server(prepared, tmp_path / f"own{len(servers)}", provider.base_url, **variables)
        servers.append(server)
        server.start()
        return server

    yield start
    for server in servers:
        if server.is_running:
            server.stop()


@pytest_asyncio.fixture
async def at_once() -> None:
    """Let as many requests be under way as a test sends, not as the machine has cores."""
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(24))
