"""PostgreSQL goes away while a reply is written: the page goes on, and the record catches up."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.server import Person, Server, prepare
from tests.fake_provider import Done, FakeProvider, Finish, Gate, Script, Text
from tests.faults.people import Guest
from tests.parts.postgres import PostgresServer
from tests.support import eventually

PARTS = Script(
    Text("The first part."), Gate("second"), Text(" The second part."), Gate("third"),
    Text(" The third part."), Finish(), Done(),
)  # fmt: skip


@pytest.fixture
def on_postgres(
    postgres: PostgresServer, provider: FakeProvider, tmp_path: Path
) -> Iterator[tuple[Server, Person]]:
    url = postgres.create("faults")
    prepared = prepare(tmp_path / "prepared", 2, DATABASE_URL=url)
    server = Server(prepared, tmp_path / "server", provider.base_url, DATABASE_URL=url)
    server.start()
    yield server, prepared.people[1]
    server.stop()
    postgres.drop("faults")


async def test_a_reply_is_written_on_while_the_database_is_stopped_and_is_on_record_afterwards(
    on_postgres: tuple[Server, Person], postgres: PostgresServer, provider: FakeProvider
) -> None:
    server, person = on_postgres
    guest = Guest(server.url, person)
    provider.enqueue(PARTS)
    async with guest.opened() as tab:
        await guest.asks("And then?")
        await tab.shows("The first part.")
        await asyncio.to_thread(postgres.stop)
        try:
            assert (await guest.get("/healthz")).status == 200
            assert (await guest.get("/readyz")).status == 503
            assert (await guest.send("Meanwhile?")).status == 503
            provider.open("second")
            await tab.shows("The second part.")
            provider.open("third")
            await tab.shows("The third part.")
            assert tab.state == "writing"  # the end is told when it is on record
            assert tab.code is None
        finally:
            await asyncio.to_thread(postgres.start)
        await tab.becomes("complete")
        assert tab.text == "The first part. The second part. The third part."
    answer = await guest.ended()
    assert answer["text"] == "The first part. The second part. The third part."
    assert [m["text"] for m in await guest.messages()] == ["And then?", answer["text"]]

    async def ready() -> bool:
        return (await guest.get("/readyz")).status == 200

    await eventually(ready)
    await guest.asks("And now?")
    assert (await guest.ended())["state"] == "complete"
