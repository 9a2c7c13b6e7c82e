"""Sending twice, sending at once, and deleting what is being written."""

import asyncio
import sqlite3
import time
from contextlib import closing

from tests.e2e.server import Server
from tests.fake_provider import Done, FakeProvider, Finish, Gate, Script, Text
from tests.faults.people import Guest
from tests.faults.tab import Tab
from tests.support import eventually

HALF = Script(Text("Half an answer"), Gate("rest"), Text(", and the rest."), Finish(), Done())


async def test_a_form_that_is_sent_twenty_times_at_once_makes_one_message_and_one_call(
    guest: Guest, provider: FakeProvider, at_once: None
) -> None:
    async with guest.opened() as tab:
        answers = await asyncio.gather(
            *(guest.send("Hello?", key="the-same-key") for _ in range(20))
        )
        assert {answer.status for answer in answers} == {200}
        await tab.becomes("complete")
        assert tab.dom.bodies() == ["Hello?", "All is well."]
    await guest.ended()
    assert [m["text"] for m in await guest.messages()] == ["Hello?", "All is well."]
    assert len(provider.streams) == 1


async def test_of_two_different_sends_at_once_one_is_taken_and_the_other_is_told_why(
    guest: Guest, provider: FakeProvider, at_once: None
) -> None:
    provider.script(HALF)
    async with guest.opened() as tab:
        answers = await asyncio.gather(*(guest.send(f"Question {n}?") for n in range(2)))
        assert sorted(answer.status for answer in answers) == [200, 409]
        (told,) = [answer.text for answer in answers if answer.status == 409]
        # Into the composer's alert, and nothing else of it: the draft stays.
        assert 'hx-target="#composer-error"' in told
        assert "still being written" in told
        assert told.count("<hx-partial") == 1
        await tab.shows("Half an answer")
        provider.open("rest")
        await tab.becomes("complete")
        assert len(tab.dom.bodies()) == 2
    assert len(provider.streams) == 1


async def test_deleting_what_is_being_written_closes_the_call_and_nothing_reappears(
    guest: Guest, provider: FakeProvider, server: Server
) -> None:
    provider.enqueue(HALF)
    tabs = [Tab(guest, guest.page) for _ in range(2)]
    async with tabs[0].connected("socket"), tabs[1].connected("events"):
        await guest.asks("Hello?")
        for tab in tabs:
            await tab.shows("Half an answer")
        asked_at = time.monotonic()
        assert (await guest.post("delete")).status == 200
        (request,) = provider.streams
        assert await asyncio.to_thread(request.wait_closed) - asked_at <= 1
        for tab in tabs:
            assert await tab.let_go() == 4404
            assert tab.dom.bodies() == []

    async def reconciled() -> bool:
        return _receipts(server, guest) == [("stopped", "passed")]

    await eventually(reconciled)  # deleting does not evade moderation
    assert (await guest.get()).status == 404
    assert (await guest.get(f"{guest.path}export.json")).status == 404
    assert (await guest.get(f"{guest.path}events")).status == 404
    assert guest.path not in (await guest.get("/")).text
    assert (await guest.send("Still there?")).status == 404


def _receipts(server: Server, guest: Guest) -> list[tuple[str, str]]:
    with closing(sqlite3.connect(server.log.with_name("parley.sqlite3"))) as database:
        return database.execute(
            "SELECT r.state, r.verdict FROM chat_receipt r"
            " JOIN chat_generation g ON r.generation_id = g.id WHERE g.conversation_id = ?",
            [guest.path.split("/")[2].replace("-", "")],
        ).fetchall()
