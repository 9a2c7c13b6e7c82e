"""Reload, lost network, second viewer: what is on screen in the end is what is on record (I4)."""

import asyncio
import contextlib
import json
import random
import re
import time

import pytest

from tests.fake_provider import Done, FakeProvider, Finish, Gate, Script, Text
from tests.faults.conftest import HEARTBEAT_S
from tests.faults.dom import squeezed
from tests.faults.people import Guest
from tests.faults.tab import OVER, Over, Tab

CAUGHT_UP_WITHIN_S = 1.0
PARTS = Script(
    Text("The first part."), Gate("second"), Text(" The second part."), Gate("third"),
    Text(" The third part."), Finish(), Done(),
)  # fmt: skip


async def shows_what_is_on_record(guest: Guest, *tabs: Tab) -> None:
    answer = await guest.ended()
    for tab in tabs:
        await tab.becomes("complete")
        assert tab.text == squeezed(answer["text"])
        assert len(tab.dom.bodies()) == len(await guest.messages())


@pytest.mark.parametrize("over", OVER)
async def test_a_page_whose_network_was_lost_is_caught_up_within_a_second(
    guest: Guest, provider: FakeProvider, over: Over
) -> None:
    provider.enqueue(PARTS)
    tab = Tab(guest, guest.page)
    async with tab.connected(over):
        await guest.asks("And then?")
        await tab.shows("The first part.")
    async with guest.reopened() as other:
        provider.open("second")
        await other.shows("The second part.")  # so it was written while the first page was away
        assert "second" not in tab.text
        async with tab.connected(over):
            back_at = time.monotonic()
            caught_up_at = await tab.shows("The first part. The second part.")
            assert caught_up_at - back_at <= CAUGHT_UP_WITHIN_S
            provider.open("third")
            await shows_what_is_on_record(guest, tab, other)


@pytest.mark.parametrize("over", OVER)
async def test_a_page_that_comes_back_after_the_end_finds_the_whole_reply(
    guest: Guest, provider: FakeProvider, over: Over
) -> None:
    provider.enqueue(PARTS)
    tab = Tab(guest, guest.page)
    async with tab.connected(over):
        await guest.asks("And then?")
        await tab.shows("The first part.")
    provider.open("second")
    provider.open("third")
    await guest.ended()
    async with tab.connected(over):
        back_at = time.monotonic()
        assert await tab.shows("The third part.") - back_at <= CAUGHT_UP_WITHIN_S
        await shows_what_is_on_record(guest, tab)


async def test_pages_that_come_go_and_reload_at_random_all_end_with_the_same_text(
    guest: Guest, provider: FakeProvider
) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    words = [f"w{number}" + rng.choice([" ", " ", " ", ".\n\n", "\n"]) for number in range(500)]
    provider.enqueue(Script(Text("".join(words), size=7, rate=100), Finish(), Done()))
    tabs = [Tab(guest, guest.page) for _ in range(4)]
    ended = asyncio.Event()

    async def come_and_go(tab: Tab) -> None:
        while not ended.is_set():
            async with tab.connected(rng.choice(OVER)):
                await _for_a_while(ended, rng.uniform(0.05, 0.8))
            await _for_a_while(ended, rng.uniform(0, 0.3))

    async with guest.opened() as staying:
        await guest.asks("At length?")
        wandering = [asyncio.create_task(come_and_go(tab)) for tab in tabs]
        await staying.becomes("complete", within=60)
        ended.set()
        await asyncio.gather(*wandering)
        for tab in tabs:
            async with tab.connected(rng.choice(OVER)):
                await tab.becomes("complete")
        async with guest.reopened() as reloaded:
            for tab in (staying, reloaded, *tabs):
                assert tab.text == squeezed("".join(words))
    assert (await guest.ended())["text"].split() == "".join(words).split()


async def _for_a_while(ended: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await ended.wait()


async def test_a_quiet_connection_shows_signs_of_life(guest: Guest, provider: FakeProvider) -> None:
    provider.enqueue(Script(Text("It begins."), Gate("never")))
    socket, events = Tab(guest, guest.page), Tab(guest, guest.page)
    async with socket.connected("socket"), events.connected("events"):
        await guest.asks("Quiet?")
        for tab in (socket, events):
            await tab.shows("It begins.")
        for tab in (socket, events):
            await tab.lives(signs=2)
            gaps = [late - early for early, late in zip(tab.heard, tab.heard[1:], strict=False)]
            assert max(gaps) <= HEARTBEAT_S
        await guest.stop()


async def test_a_page_is_told_to_come_back_soon_and_to_stay_when_it_is_hidden(
    guest: Guest,
) -> None:
    content = re.search(r'<meta name="htmx-config"\s+content=\'([^\']+)\'', guest.page)[1]  # type: ignore[index]
    told = json.loads(content)["ws"]
    jitter = 0.3  # what hx-ws adds or takes
    assert told["reconnectDelay"] * (1 + jitter) <= 500
    assert told["reconnectMaxDelay"] * (1 + jitter) <= 5_000
    assert told["pauseOnBackground"] is False
    await guest.asks("Hello?")
    reader, writer = await asyncio.open_connection("127.0.0.1", int(guest.url.rpartition(":")[2]))
    writer.write(
        f"GET {guest.path}events HTTP/1.1\r\nHost: {guest.url[7:]}\r\n"
        f"Cookie: {guest.person.cookie}\r\n\r\n".encode()
    )
    async with asyncio.timeout(20):
        retry = await reader.readuntil(b"\n\n")
        while b"retry:" not in retry:
            retry = await reader.readuntil(b"\n\n")
    writer.close()
    assert int(re.search(rb"retry: (\d+)", retry)[1]) <= 500  # type: ignore[index]
