"""A purged conversation is nowhere: in no database or dump of one, in Redis, on no disk, in no log.

Wherever a word can be said, it was: see ``saying``.
"""

import asyncio
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.deployment.cluster import Cluster, database_of
from tests.deployment.conftest import TEMPLATE
from tests.deployment.saying import LONG_AGO, delete_all, manage, say_everywhere
from tests.e2e.server import Person, Prepared, Server, prepare
from tests.fake_provider import FakeProvider
from tests.parts.postgres import PostgresServer
from tests.parts.programs import need
from tests.parts.redis import RedisServer
from tests.support import eventually

pytestmark = pytest.mark.timeout(300)

CANARY = "canary-0b5e93d7"
STAYS = "heron-41c8a2ee"  # somebody else's; proves that we look where it would be


@pytest.fixture
def erasing(
    postgres: PostgresServer,
    prepared_on_postgres: Prepared,
    provider: FakeProvider,
    tmp_path: Path,
) -> Iterator[tuple[Cluster, str]]:
    """One web process and one engine that purge what is deleted, and their database's URL."""
    redis = RedisServer(tmp_path / "redis")
    with database_of(postgres, f"erasing-{tmp_path.name}", TEMPLATE) as url:
        cluster = Cluster(
            prepared_on_postgres,
            tmp_path,
            provider.base_url,
            url,
            redis,
            webs=1,
            engines=1,
            DELETE_POLICY="purge",
        )
        try:
            cluster.start()
            yield cluster, url
            cluster.stop()
        finally:
            cluster.end_at_once()


def dump(url: str) -> bytes:
    pg_dump = Path(need("postgresql", "initdb")).resolve().with_name("pg_dump")
    return subprocess.run([pg_dump, url], check=True, capture_output=True).stdout


def on_disk(home: Path, word: str) -> list[str]:
    """The files below a directory, Redis' own among them, that hold a word."""
    found = []
    for path in home.rglob("*"):
        with suppress(FileNotFoundError, IsADirectoryError):  # Redis moves its files about
            if word.encode() in path.read_bytes():
                found.append(str(path))
    return found


async def deleted(server: Server, person: Person) -> None:
    """By their owner, and everything is proven before."""
    out = manage(server, "verify")
    assert " 0 findings, 0 replies without a receipt" in out
    await delete_all(server, person)
    manage(server, "shell", "-c", LONG_AGO)


async def test_a_purged_canary_is_nowhere(
    erasing: tuple[Cluster, str],
    provider: FakeProvider,
    somebody: Person,
    another: Person,
    tmp_path: Path,
) -> None:
    cluster, url = erasing
    web = cluster.webs[0]
    paths = await say_everywhere(web, provider, somebody, CANARY)
    await say_everywhere(web, provider, another, STAYS)

    async def in_redis() -> bool:
        return bool(await asyncio.to_thread(on_disk, tmp_path / "redis", CANARY))

    await eventually(in_redis, within=20)
    before = dump(url)
    assert CANARY.encode() in before
    assert STAYS.encode() in before
    await deleted(web, somebody)

    async def gone() -> bool:
        return CANARY.encode() not in await asyncio.to_thread(dump, url)

    await eventually(gone, within=60)
    after = await asyncio.to_thread(dump, url)
    assert STAYS.encode() in after
    for path in paths:
        assert path.removeprefix("/c/").strip("/").encode() in after  # the tombstone

    async def forgotten() -> bool:
        cluster.redis.ask("BGREWRITEAOF")
        return not await asyncio.to_thread(on_disk, tmp_path, CANARY)

    await eventually(forgotten, within=120)
    assert " 0 findings" in manage(web, "verify")


@pytest.fixture
def alone(provider: FakeProvider, tmp_path: Path) -> Iterator[Server]:
    """One process with nothing beside it but SQLite."""
    prepared = prepare(tmp_path / "prepared", 3)
    server = Server(prepared, tmp_path / "var", provider.base_url, DELETE_POLICY="purge")
    server.people = prepared.people  # type: ignore[attr-defined]
    server.start()
    yield server
    server.kill()


async def test_a_purged_canary_is_nowhere_below_var(
    alone: Server, provider: FakeProvider, tmp_path: Path
) -> None:
    """While it runs: the database, its write-ahead log, whatever else is written, its log."""
    _, somebody, another = alone.people  # type: ignore[attr-defined]
    await say_everywhere(alone, provider, somebody, CANARY)
    await say_everywhere(alone, provider, another, STAYS)
    var = tmp_path / "var"
    assert on_disk(var, CANARY)
    await deleted(alone, somebody)

    async def forgotten() -> bool:
        return not await asyncio.to_thread(on_disk, var, CANARY)

    await eventually(forgotten, within=60)
    assert on_disk(var, STAYS)
    assert " 0 findings" in manage(alone, "verify")
    alone.stop()
    assert not on_disk(var, CANARY)
