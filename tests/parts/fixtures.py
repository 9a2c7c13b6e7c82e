"""The parts as fixtures; a conftest.py that wants them imports them by name."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.parts.nginx import Nginx
from tests.parts.postgres import PostgresServer
from tests.parts.redis import RedisServer

__all__ = ["nginx", "postgres", "redis_server"]


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A running PostgreSQL. Who stops it starts it again."""
    server = PostgresServer()
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[RedisServer]:
    """A running Redis of the test's own."""
    server = RedisServer(tmp_path / "redis")
    server.start()
    yield server
    server.kill()


@pytest.fixture
def nginx(tmp_path: Path) -> Iterator[Callable[..., Nginx]]:
    """Starts nginx in front of processes: ``nginx([port, …], PARLEY_SCHEME="https")``."""
    started: list[Nginx] = []

    def start(*arguments: object, **variables: object) -> Nginx:
        server = Nginx(tmp_path / f"nginx{len(started)}", *arguments, **variables)  # type: ignore[arg-type]
        started.append(server)
        server.start()
        return server

    yield start
    for server in started:
        if server.is_running:
            server.stop()
