"""Nobody pays for tokens that nobody reads: what happens when the last page has gone."""

import asyncio
import time
from collections.abc import Callable, Iterator

import pytest

from tests.e2e.server import Person, Server
from tests.fake_provider import Done, FakeProvider, Finish, Script, Text
from tests.faults.conftest import GRACE_S
from tests.faults.people import Guest
from tests.faults.tab import OVER, Over

SLACK_S = 1.0  # figures allow it over the grace
WORDS = " ".join(f"w{number}" for number in range(5_000))
FLOWING = Script(Text(WORDS, size=5, rate=50))


async def leave_in_the_middle(guest: Guest, over: Over) -> tuple[float, str]:
    """Read for a second and close the page; returns when it was closed and what it showed."""
    async with guest.opened(over) as tab:
        await guest.asks("Hello?")
        await tab.shows("w40")
    return time.monotonic(), tab.text


async def is_abandoned(guest: Guest, provider: FakeProvider, over: Over, grace: float) -> None:
    provider.enqueue(FLOWING)
    left_at, shown = await leave_in_the_middle(guest, over)
    request = provider.streams[-1]
    closed_at = await asyncio.to_thread(request.wait_closed, grace + 10)
    assert closed_at - left_at <= grace + SLACK_S
    answer = await guest.ended()
    assert (answer["state"], answer["stop_reason"]) == ("interrupted", "no_viewer")
    assert answer["text"].startswith(shown)
    assert WORDS.startswith(answer["text"])


@pytest.mark.parametrize("over", OVER)
async def test_the_call_is_closed_when_the_last_page_has_been_gone_for_the_grace(
    impatient: Guest, provider: FakeProvider, over: Over
) -> None:
    await is_abandoned(impatient, provider, over, GRACE_S)


async def test_without_a_grace_the_call_is_closed_at_once(
    own_server: Callable[..., Server], people: Iterator[Person], provider: FakeProvider
) -> None:
    server = await asyncio.to_thread(own_server, STREAM_ABANDON_GRACE="0")
    for over in OVER:
        await is_abandoned(Guest(server.url, next(people)), provider, over, 0)


async def test_a_reply_that_one_of_two_pages_still_shows_goes_on(
    impatient: Guest, provider: FakeProvider
) -> None:
    words = " ".join(f"w{number}" for number in range(100))
    provider.enqueue(Script(Text(words, size=4, rate=30), Finish(), Done()))
    async with impatient.opened() as staying:
        await leave_after_a_word(impatient)
        await staying.becomes("complete")
        assert staying.text == words


async def leave_after_a_word(guest: Guest) -> None:
    await guest.asks("Hello?")
    async with guest.reopened("events") as going:
        await going.shows("w1")


async def test_with_a_grace_of_never_every_reply_is_written_to_its_end(
    own_server: Callable[..., Server], somebody: Person, provider: FakeProvider
) -> None:
    server = await asyncio.to_thread(own_server, STREAM_ABANDON_GRACE="never")
    guest = Guest(server.url, somebody)
    words = " ".join(f"w{number}" for number in range(60))
    provider.enqueue(Script(Text(words, size=4, rate=30), Finish(), Done()))
    async with guest.opened() as tab:
        await guest.asks("Hello?")
        await tab.shows("w1")
    answer = await guest.ended()
    assert (answer["state"], answer["text"]) == ("complete", words)
