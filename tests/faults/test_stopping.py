"""Stop: the call to the provider ends within a second, and what was sent last is on record."""

import asyncio
import time

import pytest

from tests.fake_provider import FakeProvider, Gate, Request, Script, Text
from tests.faults.dom import squeezed
from tests.faults.people import Guest
from tests.faults.tab import OVER, Over, Tab

CLOSED_WITHIN_S = 1.0
SILENT = Script(Gate("never"), Text("too late"))
WORDS = " ".join(f"w{number}" for number in range(5_000))
FLOWING = Script(Text(WORDS, size=5, rate=60))


async def stop(guest: Guest, request: Request) -> None:
    asked_at = time.monotonic()
    await guest.stop()
    assert await asyncio.to_thread(request.wait_closed) - asked_at <= CLOSED_WITHIN_S


async def is_on_record_as_shown(tab: Tab, guest: Guest) -> None:
    await tab.becomes("stopped")
    answer = await guest.ended()
    assert (answer["state"], answer["stop_reason"]) == ("stopped", "user")
    assert squeezed(answer["text"]) == tab.text
    assert WORDS.startswith(answer["text"])


@pytest.mark.parametrize("over", OVER)
async def test_before_the_first_token_the_call_is_closed_and_nothing_is_on_record(
    guest: Guest, provider: FakeProvider, over: Over
) -> None:
    provider.enqueue(SILENT)
    async with guest.opened(over) as tab:
        await guest.asks("Slow?")
        await tab.becomes("waiting")
        (request,) = await provider.eventually(lambda: provider.streams)
        await stop(guest, request)
        await is_on_record_as_shown(tab, guest)
        assert tab.text == ""


@pytest.mark.parametrize("over", OVER)
async def test_in_the_middle_of_a_reply_the_text_on_record_is_the_text_that_was_sent_last(
    guest: Guest, provider: FakeProvider, over: Over
) -> None:
    provider.enqueue(FLOWING)
    async with guest.opened(over) as tab:
        await guest.asks("Long?")
        await tab.shows("w20")
        await stop(guest, provider.streams[0])
        await is_on_record_as_shown(tab, guest)


async def test_a_reopened_page_stops_the_reply_that_another_one_began(
    guest: Guest, provider: FakeProvider
) -> None:
    provider.enqueue(FLOWING)
    async with guest.opened() as tab:
        await guest.asks("Still there?")
        await tab.shows("w5")
    async with guest.reopened() as tab:
        await tab.shows("w20")
        await stop(guest, provider.streams[0])
        await is_on_record_as_shown(tab, guest)
