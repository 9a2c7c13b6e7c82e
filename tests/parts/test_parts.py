"""The parts themselves: what a test breaks stays broken until it says otherwise."""

import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.parts.fixtures import redis_server
from tests.parts.postgres import PostgresServer
from tests.parts.process import Process, free_port, listens
from tests.parts.programs import need
from tests.parts.redis import RedisServer

__all__ = ["redis_server"]


def test_a_program_that_is_missing_skips_the_test_and_names_the_package(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="the Debian package no-such-package"):
        need("no-such-package", "no-such-program")


def test_where_nothing_may_be_missing_it_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="no-such-package"):
        need("no-such-package")


def test_a_process_that_ends_by_itself_is_not_waited_for(tmp_path: Path) -> None:
    process = Process(["sh", "-c", "echo gone; exit 3"], tmp_path / "log")
    process.start()
    began = time.monotonic()
    with pytest.raises(AssertionError, match="ended with 3\ngone"):
        process.wait(lambda: False, 30, "")
    assert time.monotonic() - began < 20
    assert process.end() == 3


def test_redis_keeps_what_it_has_over_a_stop_and_a_kill(redis_server: RedisServer) -> None:
    assert redis_server.ask("SET one 1") == b"+OK"
    redis_server.stop()
    assert not listens(redis_server.port)
    redis_server.start()
    assert redis_server.ask("INCR one") == b":2"
    redis_server.kill()
    redis_server.start()
    assert redis_server.answers()


def test_a_frozen_redis_answers_when_it_is_thawed(redis_server: RedisServer) -> None:
    redis_server.freeze()
    assert listens(redis_server.port)  # the kernel still takes connections
    redis_server.thaw()
    assert redis_server.answers()
    redis_server.freeze()
    redis_server.kill()
    assert not redis_server.is_running


@pytest.fixture
def postgres() -> Iterator[PostgresServer]:
    server = PostgresServer()
    server.start()
    yield server
    server.remove()


def test_postgres_keeps_what_it_has_over_a_stop_and_a_crash(postgres: PostgresServer) -> None:
    url = postgres.create("kept")
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE notes (text text)")
    for end in (postgres.stop, postgres.crash):
        with psycopg.connect(url) as connection:
            connection.execute("INSERT INTO notes VALUES ('kept')")
        end()
        assert not listens(postgres.port)
        postgres.start()
    copy = postgres.create("copy", like="kept")
    with psycopg.connect(copy) as connection:
        assert connection.execute("SELECT text FROM notes").fetchall() == [("kept",), ("kept",)]
        assert postgres.connections("copy") == 1
    postgres.drop("copy")


def test_a_free_port_is_free() -> None:
    assert not listens(free_port())
