"""SIGTERM: nothing new is taken, everybody is told, a short reply ends, a long one is kept."""

import asyncio
import http.client
import signal
import time
from collections.abc import Callable, Iterator
from http import HTTPStatus
from urllib.parse import urlencode

import pytest

from tests.e2e.server import Person, Server
from tests.fake_provider import Done, FakeProvider, Finish, Gate, Request, Script, Text
from tests.faults.people import Guest
from tests.faults.tab import OVER

DRAIN_S = 4.0
TOLD_WITHIN_S = 5.0
WORDS = " ".join(f"w{number}" for number in range(20_000))
HALF = Script(Text("Half an answer"), Gate("rest"), Text(", and the rest."), Finish(), Done())
SCRIPTS = {"Short?": HALF, "Long?": Script(Text(WORDS, size=5, rate=50))}


def choose(request: Request) -> Script:
    return SCRIPTS[request.messages[-1]["content"]]


def ended_well(server: Server) -> None:
    """Wait for the end of a server that was told to stop."""
    assert server.end(0, DRAIN_S + 20) == 0, server.last_lines()  # type: ignore[arg-type]


class Kept:
    """A connection that was there before the signal, as a browser keeps one."""

    def __init__(self, guest: Guest) -> None:
        self._guest = guest
        self._connection = http.client.HTTPConnection(guest.url.removeprefix("http://"), timeout=20)
        self._ask("GET", "/healthz")

    def send(self, text: str) -> tuple[int, str]:
        token = self._guest.fields["csrfmiddlewaretoken"]
        return self._ask(
            "POST",
            f"{self._guest.path}messages",
            urlencode({**self._guest.fields, "text": text, "key": text}),
            {
                "Cookie": f"{self._guest.person.cookie}; csrftoken={token}",
                "Content-Type": "application/x-www-form-urlencoded",
                "HX-Request": "true",
            },
        )

    def _ask(
        self, method: str, path: str, body: str = "", headers: dict[str, str] | None = None
    ) -> tuple[int, str]:
        self._connection.request(method, path, body, headers or {})
        answer = self._connection.getresponse()
        return answer.status, answer.read().decode()

    def close(self) -> None:
        self._connection.close()


@pytest.fixture
def ending(own_server: Callable[..., Server], provider: FakeProvider) -> Server:
    """One that gives up at once what nobody watches: which nobody can, while it ends."""
    provider.choose = choose
    return own_server(DRAIN_TIMEOUT=str(DRAIN_S), STREAM_ABANDON_GRACE="0")


async def test_a_short_reply_ends_a_long_one_is_kept_and_everybody_is_told(
    ending: Server, people: Iterator[Person], provider: FakeProvider
) -> None:
    short, long, late = (Guest(ending.url, next(people)) for _ in range(3))
    kept = await asyncio.to_thread(Kept, late)
    async with short.opened("socket") as one, long.opened("events") as other:
        await short.asks("Short?")
        await long.asks("Long?")
        await one.shows("Half an answer")
        await other.shows("w20")
        told_at = time.monotonic()
        ending.send(signal.SIGTERM)
        assert [await tab.let_go() for tab in (one, other)] == [1012, 1012]
        assert time.monotonic() - told_at <= TOLD_WITHIN_S
        shown = other.text

    status, words = await asyncio.to_thread(kept.send, "Too late?")
    kept.close()
    assert status == HTTPStatus.SERVICE_UNAVAILABLE
    assert "Your message is still here" in words
    with pytest.raises(OSError, match="refused"):
        await late.send("Much too late?")

    # Longer than what is given to replies that nobody watches.
    await asyncio.sleep(1)
    provider.open("rest")
    await asyncio.to_thread(ended_well, ending)
    assert time.monotonic() - told_at <= DRAIN_S + 3

    await asyncio.to_thread(ending.start)
    answer = await short.ended()
    assert (answer["state"], answer["text"]) == ("complete", "Half an answer, and the rest.")
    answer = await long.ended()
    assert (answer["state"], answer["stop_reason"]) == ("interrupted", "drained")
    assert answer["text"].startswith(shown)
    assert WORDS.startswith(answer["text"])
    assert await late.messages() == []
    for over in OVER:
        async with long.reopened(over) as tab:
            await tab.shows(answer["text"].strip())


async def test_what_was_just_being_opened_spoils_neither_the_end_nor_a_text(
    ending: Server, somebody: Person, provider: FakeProvider
) -> None:
    guest = Guest(ending.url, somebody)
    async with guest.opened() as tab:
        await guest.asks("Short?")
        await tab.shows("Half an answer")
        # Half a handshake, and half a request, when the signal comes.
        halves = []
        for path in (guest.socket_path, f"{guest.path}events"):
            reader, writer = await asyncio.open_connection("127.0.0.1", ending.port)
            writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n".encode())
            await writer.drain()
            halves.append((reader, writer))
        async with guest.reopened() as last, guest.reopened("events") as very_last:
            ending.send(signal.SIGTERM)
            for page in (tab, last, very_last):
                assert await page.let_go() == 1012
        provider.open("rest")
        await asyncio.to_thread(ended_well, ending)
    for _, writer in halves:
        writer.close()
    await asyncio.to_thread(ending.start)
    assert (await guest.ended())["text"] == "Half an answer, and the rest."
    ending.check_log()
