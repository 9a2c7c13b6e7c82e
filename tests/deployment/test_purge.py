"""A purged conversation is nowhere: not in a dump of PostgreSQL, not in Redis, not on the disk."""

import asyncio
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest

from tests.deployment.cluster import Cluster, database_of
from tests.deployment.conftest import TEMPLATE
from tests.e2e.server import Person, Prepared
from tests.fake_provider import Done, FakeProvider, Finish, Reasoning, Script, Text
from tests.parts.postgres import PostgresServer
from tests.parts.programs import need
from tests.parts.redis import RedisServer
from tests.support import eventually
from tests.visitor import Visitor

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


async def spoken(cluster: Cluster, provider: FakeProvider, person: Person, word: str) -> Visitor:
    """A conversation in which a word is in the question, the thoughts, the answer and the title."""
    # In one piece, to be found in Redis too.
    thought, said = Reasoning(f"Of {word}.", size=99), Text(f"So: {word}.", size=99)
    provider.enqueue(Script(thought, said, Finish(), Done()))
    visitor = Visitor(cluster.webs[0].url, person)
    assert (await visitor.send(f"Tell me about {word}")).status == 200
    await visitor.ended()
    assert (await visitor.post("rename", title=f"About {word}")).status == 200
    await visitor.send(f"And {word} again?")
    await visitor.ended()
    return visitor


async def test_a_purged_canary_is_nowhere(
    erasing: tuple[Cluster, str], provider: FakeProvider, somebody: Person, tmp_path: Path
) -> None:
    cluster, url = erasing
    visitor = await spoken(cluster, provider, somebody, CANARY)
    await spoken(cluster, provider, somebody, STAYS)

    async def in_redis() -> bool:
        return bool(await asyncio.to_thread(on_disk, tmp_path / "redis", CANARY))

    await eventually(in_redis, within=20)
    before = dump(url)
    assert CANARY.encode() in before
    assert STAYS.encode() in before
    assert (await visitor.post("delete")).status in (200, 204)
    with psycopg.connect(url, autocommit=True) as connection:
        # The log in Redis outlives a reply by a minute, and so does the reply: hurry that up here.
        connection.execute(
            "UPDATE chat_generation SET finished_at = finished_at - interval '1 hour'"
            " WHERE conversation_id = %s",
            [visitor.path.strip("/").removeprefix("c/")],
        )

    async def gone() -> bool:
        return CANARY.encode() not in await asyncio.to_thread(dump, url)

    await eventually(gone, within=60)
    after = await asyncio.to_thread(dump, url)
    assert STAYS.encode() in after
    assert visitor.path.strip("/").removeprefix("c/").encode() in after  # the tombstone

    async def forgotten() -> bool:
        cluster.redis.ask("BGREWRITEAOF")
        return not await asyncio.to_thread(on_disk, tmp_path, CANARY)

    await eventually(forgotten, within=120)
