"""The moderation service is down: the stream does not notice, and the verdict comes later, once."""

import asyncio
import re
from collections.abc import Callable
from typing import Any

from tests.e2e.server import Person, Server
from tests.fake_provider import Done, FakeProvider, Finish, Gate, Script, Status, Text
from tests.faults.dom import squeezed
from tests.faults.people import Guest
from tests.faults.tab import Tab
from tests.support import eventually
from tests.visitor import ask_soon


async def test_a_verdict_that_cannot_be_had_is_pending_and_had_once_when_the_service_is_back(
    own_server: Callable[..., Server], people: Any, provider: FakeProvider
) -> None:
    server = await asyncio.to_thread(own_server, MODERATION_BACKENDS="local,openai")
    person: Person = next(people)
    guest = Guest(server.url, person)
    provider.override("moderations", Script(Status(503)))
    async with guest.opened() as tab:
        await guest.asks("Hello?")
        await tab.becomes("complete")
        await tab.shows("All is well.")
        answer = await guest.ended()
        assert (answer["state"], answer["verdict"]) == ("complete", "pending")
        asked = await provider.eventually(lambda: _asked(provider))
        assert len(asked) == 1

        # Whoever may review sees that it waits.
        listed = await ask_soon(
            f"{server.url}/admin/chat/generation/", Cookie=server.administrator.cookie
        )
        assert listed.status == 200
        assert re.search("pending", listed.text, re.IGNORECASE)

        provider.override("moderations", None)

        async def decided() -> bool:
            return (await guest.reply())["verdict"] == "passed"

        await eventually(decided, within=30)
        first, second = _asked(provider)
        # With back-off; and the page is told.
        assert second.received_at - first.received_at >= 4
        await tab.until(lambda: "checked" in tab.foot, 20, "the verdict")
    # Sweeps go on, and find nothing to do.
    swept = server.log_bytes
    other = Guest(server.url, person)
    await other.asks("And again?")
    await other.ended()

    async def other_decided() -> bool:
        return (await other.reply())["verdict"] == "passed"

    await eventually(other_decided, within=30)
    assert len(_asked(provider)) == 3
    server.check_log(swept)


def _asked(provider: FakeProvider) -> list[Any]:
    """About the replies; what was asked is judged, too."""
    asked = [request for request in provider.requests if request.kind == "moderations"]
    return [request for request in asked if request.body["input"] == "All is well."]


async def test_where_nothing_may_pass_unchecked_no_page_and_no_model_reads_it_until_it_was(
    own_server: Callable[..., Server], people: Any, provider: FakeProvider
) -> None:
    settings = {"MODERATION_BACKENDS": "local,openai", "MODERATION_FAIL": "closed"}
    server = await asyncio.to_thread(own_server, **settings)
    guest = Guest(server.url, next(people))
    provider.enqueue(Script(Text("The secret"), Gate("down"), Text(" answer."), Finish(), Done()))
    async with guest.opened() as tab:
        await guest.asks("Hello?")
        await tab.shows("The secret")
        async with guest.reopened("events") as other:
            await other.shows("The secret")
            provider.override("moderations", Script(Status(503)))
            provider.open("down")
            for page in (tab, other):
                await page.becomes("complete")
                await page.until(lambda page=page: "not been checked yet" in said(page), 20, "why")
                assert "secret" not in said(page)
            async with guest.reopened() as late:
                assert "secret" not in said(late)
            reply = await guest.reply()
            assert (reply["verdict"], reply["withheld"], reply["text"]) == ("pending", True, "")
            assert "secret" not in (await guest.get(f"{guest.path}export.md")).text

            # What is asked meanwhile waits too, and nothing of the reply goes to a model.
            await guest.asks("And now?")
            await tab.until(lambda: "could not be checked" in tab.foot, 20, "that it waits")
            assert len(provider.streams) == 1

            provider.override("moderations", None)
            for page in (tab, other):
                await page.until(lambda page=page: "The secret answer." in said(page), 40, "it")
    server.check_log()


def said(tab: Tab) -> str:
    return squeezed(tab.dom.root.text)
