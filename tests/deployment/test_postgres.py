"""One process on PostgreSQL: what the tests say of SQLite holds there too, and it may go away."""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from chat.database import THREADS
from tests.deployment.cluster import database_of
from tests.deployment.conftest import TEMPLATE
from tests.e2e.server import ROOT, Person, Prepared, Server
from tests.fake_provider import Done, FakeProvider, Finish, Gate, Script, Text
from tests.parts.postgres import PostgresServer
from tests.support import eventually
from tests.visitor import Visitor

pytestmark = pytest.mark.timeout(400)

# Those that say something of rows, locks and transactions.
SAME_ON_BOTH = (
    "tests/record/test_access_log.py",
    "tests/record/test_purge.py",
    "tests/test_verification.py",
    "tests/test_actions.py",
    "tests/test_access.py",
    "tests/test_branches.py",
    "tests/test_branch_views.py",
    "tests/test_pipeline.py",
    "tests/test_reconcile.py",
    "tests/verdicts",
    "tests/test_assisted_replies.py",
    "tests/assistants",
    "tests/tools/test_box.py",
    "tests/api/test_accepting.py",
    "tests/test_sweeper.py",
    "tests/test_opinions.py",
    "tests/test_passed_on.py",
    "tests/review",
    "tests/search",
    "tests/test_ledger.py",
    "tests/test_perceived.py",
    "tests/metrics/test_exposition.py",
    "tests/operate/test_metrics.py",
    "tests/deployment/test_two_workers.py",
    "tests/delivery/test_changes.py",
    "tests/delivery/test_consumers.py",
)


def test_what_holds_on_sqlite_holds_here(postgres: PostgresServer) -> None:
    result = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            *("-p", "tests.parts.on_postgres", "-p", "no:cacheprovider", "-q"),
            *SAME_ON_BOTH,
        ],
        cwd=ROOT,
        env={**os.environ, "TEST_DATABASE_URL": postgres.url("parley")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout[-20_000:]


@pytest.fixture
def database(postgres: PostgresServer, prepared_on_postgres: Prepared) -> Iterator[str]:
    """The name of a fresh database with people."""
    name = f"outage{time.monotonic_ns()}"
    with database_of(postgres, name, TEMPLATE):
        yield name


@pytest.fixture
def server(
    postgres: PostgresServer,
    database: str,
    prepared_on_postgres: Prepared,
    provider: FakeProvider,
    tmp_path: Path,
) -> Iterator[Server]:
    url = postgres.url(database)
    server = Server(prepared_on_postgres, tmp_path, provider.base_url, DATABASE_URL=url)
    server.start()
    yield server
    server.stop()


async def test_a_connection_per_thread_and_no_more(
    server: Server, postgres: PostgresServer, database: str, somebody: Person
) -> None:
    visitors = [Visitor(server.url, somebody) for _ in range(4)]
    await asyncio.gather(*(visitor.get() for visitor in visitors * 5))
    for visitor in visitors:
        async with visitor.watching():
            pass
    # And one of the start's own checks, and one of Channels, which finds a socket's session in a
    # thread of its own.
    assert postgres.connections(database) <= THREADS + 2


async def test_an_outage_is_told_at_once_and_over_at_once(
    server: Server, postgres: PostgresServer, somebody: Person
) -> None:
    """Nobody waits for a connection pool to give up, or for its back-off to end."""
    visitor = Visitor(server.url, somebody)
    await asyncio.to_thread(postgres.stop)
    try:
        began = time.monotonic()
        pages = await asyncio.gather(*(visitor.get() for _ in range(3 * THREADS)))
        ready = await visitor.get("/readyz")
        assert time.monotonic() - began < 5
        assert all(page.status >= 500 for page in pages)
        assert ready.status == 503
        assert json.loads(ready.body)["checks"]["database"] == "unavailable: OperationalError"
        assert (await visitor.get("/healthz")).status == 200
    finally:
        await asyncio.to_thread(postgres.start)
    assert (await visitor.get("/readyz")).status == 200
    assert (await visitor.get("/")).status == 200


async def test_after_a_restart_of_the_database_no_request_fails(
    server: Server, postgres: PostgresServer, somebody: Person
) -> None:
    visitor = Visitor(server.url, somebody)
    # So that every thread of the process has a connection that the restart cuts.
    await asyncio.gather(*(visitor.get("/") for _ in range(4 * THREADS)))
    await asyncio.to_thread(postgres.stop)
    await asyncio.to_thread(postgres.start)
    answers = await asyncio.gather(*(visitor.get("/") for _ in range(4 * THREADS)))
    assert {answer.status for answer in answers} == {200}


async def test_a_reply_that_is_saved_meanwhile_survives_a_crash_of_the_database(
    server: Server, postgres: PostgresServer, provider: FakeProvider, somebody: Person
) -> None:
    provider.enqueue(Script(Text("Kept, "), Gate("crash"), Text("and more."), Finish(), Done()))
    visitor = Visitor(server.url, somebody)
    await visitor.send("Hello?")

    async def saved() -> bool:
        return (await visitor.reply()).get("text") == "Kept, "

    await eventually(saved, within=20)
    await asyncio.to_thread(postgres.crash)
    await asyncio.to_thread(postgres.start)
    provider.open("crash")
    assert (await visitor.ended())["text"] == "Kept, and more."
