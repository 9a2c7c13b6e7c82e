"""The disk is full: people are told, nothing that was typed or written is lost, and it recovers."""

import asyncio
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.e2e.server import Person, Server
from tests.fake_provider import Done, FakeProvider, Finish, Gate, Script, Text
from tests.faults.people import Guest

HALF = Script(Text("Half an answer"), Gate("rest"), Text(", and the rest."), Finish(), Done())


@contextmanager
def full_disk(server: Server) -> Iterator[None]:
    """No file of this process can grow; what SQLite sees is a failing write."""
    pid, limit = server.popen.pid, resource.RLIMIT_FSIZE
    before = resource.prlimit(pid, limit)
    resource.prlimit(pid, limit, (0, before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, limit, before)


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="needs Linux's prlimit")
async def test_on_a_full_disk_pages_are_read_sends_are_refused_and_a_running_reply_is_kept(
    own_server: Callable[..., Server], people: Iterator[Person], provider: FakeProvider
) -> None:
    server = await asyncio.to_thread(own_server)
    person = next(people)
    writing, asking = Guest(server.url, person), Guest(server.url, person)
    provider.enqueue(HALF)
    async with writing.opened() as tab, asking.opened() as other:
        await writing.asks("Hello?")
        await tab.shows("Half an answer")
        with full_disk(server):
            refused = await asking.send("Is there room?", key="the-same-key")
            assert refused.status >= 500  # the page keeps what was typed, and says so
            assert "Traceback" not in refused.text
            assert (await asking.get("/")).status == 200
            assert "Hello?" in (await writing.get()).text
            provider.open("rest")
            await tab.shows("Half an answer, and the rest.")
            assert tab.state == "writing"  # the end is told when it is on record
        await tab.becomes("complete")
        # The same form again: it was not taken before.
        await asking.asks("Is there room?", key="the-same-key")
        await other.shows("All is well.")
    answer = await writing.ended()
    assert (answer["state"], answer["text"]) == ("complete", "Half an answer, and the rest.")
    assert answer["verdict"] == "passed"
    assert [m["text"] for m in await asking.messages()] == ["Is there room?", "All is well."]
