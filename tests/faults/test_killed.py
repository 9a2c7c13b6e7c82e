"""kill -9 at random moments: what was acknowledged is there once, what was shown is nearly all.

KILLS says how often, 6 unless told. After each, the invariants I1 to I6 are looked at.
"""

import asyncio
import os
import random
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import pytest

from tests.e2e.server import Person, Prepared, Server
from tests.fake_provider import FakeProvider, Request, Script, Text, reply
from tests.faults.dom import squeezed
from tests.faults.people import Guest
from tests.faults.tab import OVER, Tab
from tests.support import eventually

KILLS = int(os.environ.get("KILLS", "6"))
LOST_AT_MOST_S = 1.0
INTERRUPTED_WITHIN_S = 5.0  # of a single process's new start
TERMINAL = {"complete", "stopped", "interrupted", "failed"}

pytestmark = pytest.mark.timeout(120 + 20 * KILLS)


@dataclass
class Talker:
    """Sends one message after another until the server dies, and notes what the page shows."""

    guest: Guest
    rng: random.Random
    accepted: list[str] = field(default_factory=list)
    tried: list[str] = field(default_factory=list)
    shown: list[tuple[float, list[str]]] = field(default_factory=list)

    async def talk(self, dead: asyncio.Event) -> None:
        tab = Tab(self.guest, self.guest.page)
        async with tab.connected(self.rng.choice(OVER)):
            watching = asyncio.create_task(self._watch(tab, dead))
            while not dead.is_set():
                text = f"{self.guest.person.name} asks {len(self.tried)} of {time.monotonic_ns()}"
                self.tried.append(text)
                try:
                    answer = await self.guest.send(text)
                except OSError:
                    break
                assert answer.status in {200, 409}, answer.text
                if answer.status == 200:
                    self.accepted.append(text)
                await asyncio.sleep(self.rng.uniform(0, 0.5))
            await watching

    async def _watch(self, tab: Tab, dead: asyncio.Event) -> None:
        while not dead.is_set():
            self.shown.append((time.monotonic(), tab.dom.bodies()))
            await asyncio.sleep(0.05)

    def shown_at(self, moment: float) -> list[str]:
        """The messages that were on screen at that time."""
        return next((bodies for at, bodies in reversed(self.shown) if at <= moment), [])


@pytest.fixture(scope="module")
def _dying(
    prepared: Prepared, _provider: FakeProvider, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    server = Server(
        prepared, tmp_path_factory.mktemp("dying"), _provider.base_url, DRAIN_TIMEOUT="1"
    )
    yield server
    if server.is_running:
        server.stop()


@pytest.fixture
def dying(_dying: Server, provider: FakeProvider) -> Server:
    """A server that is killed again and again; it keeps its database."""
    if not _dying.is_running:
        _dying.start()
    return _dying


@pytest.mark.parametrize("repeat", range(KILLS))
async def test_a_server_that_is_killed_loses_at_most_a_second(
    dying: Server, people: Iterator[Person], provider: FakeProvider, repeat: int
) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    asked_before = len(provider.streams)
    provider.choose = lambda request: _some_reply(rng, request)
    talkers = [Talker(Guest(dying.url, next(people)), rng) for _ in range(3)]
    dead = asyncio.Event()
    talking = [asyncio.create_task(talker.talk(dead)) for talker in talkers]

    async def begun() -> bool:
        return any(bodies for talker in talkers for bodies in talker.shown_at(time.monotonic()))

    await eventually(begun, within=30)
    await asyncio.sleep(rng.uniform(0, 2.5))  # any moment will do
    killed_at = time.monotonic()
    dying.kill()
    dead.set()
    await asyncio.gather(*talking)
    provider.choose = None
    calls = len(provider.streams) - asked_before

    await asyncio.to_thread(dying.start)
    ready_at = time.monotonic()
    for talker in talkers:
        await eventually(lambda talker=talker: _ended(talker.guest), within=20)
    assert time.monotonic() - ready_at <= INTERRUPTED_WITHIN_S
    for talker in talkers:
        messages = await talker.guest.messages()
        _each_message_is_there_once(talker, messages)
        _each_reply_has_ended_and_has_its_receipt(messages)
        _what_was_shown_is_there(talker.shown_at(killed_at - LOST_AT_MOST_S), messages)
    _generations_are_as_they_should(dying)
    assert calls <= sum(len(talker.tried) for talker in talkers)


def _some_reply(rng: random.Random, request: Request) -> Script:
    words = f"Answer {len(request.messages)}: " + " ".join(
        f"w{n}" for n in range(rng.randint(1, 400))
    )
    script: Script = reply(words, size=5, rate=rng.choice([50.0, 200.0]))
    return script


async def _ended(guest: Guest) -> bool:
    replies = [m for m in await guest.messages() if m["role"] == "assistant"]
    return all(m["state"] in TERMINAL and m["sha256"] for m in replies)


def _each_message_is_there_once(talker: Talker, messages: list[dict[str, Any]]) -> None:
    """I1. One that was not acknowledged may be there, once, or not."""
    said = Counter(m["text"] for m in messages if m["role"] == "user")
    assert all(said[text] == 1 for text in talker.accepted)
    assert set(said) <= set(talker.tried)
    assert set(said.values()) <= {1}


def _each_reply_has_ended_and_has_its_receipt(messages: list[dict[str, Any]]) -> None:
    """I3, I5: a terminal state, the hash of this very text, a verdict."""
    for reply_ in (m for m in messages if m["role"] == "assistant"):
        assert reply_["state"] in TERMINAL
        assert reply_["sha256"] == sha256(reply_["text"].encode()).hexdigest()
        assert reply_["verdict"] in {"passed", "pending"}


def _what_was_shown_is_there(shown: list[str], messages: list[dict[str, Any]]) -> None:
    """I2: all but the last second."""
    for before, now in zip(shown, messages, strict=False):
        assert squeezed(now["text"]).startswith(before)
    assert len(messages) >= len(shown)


def _generations_are_as_they_should(server: Server) -> None:
    """What the export does not show: one generation for each reply, and a receipt for each."""
    with closing(sqlite3.connect(server.log.with_name("parley.sqlite3"))) as database:
        bare = database.execute(
            "SELECT count(*) FROM chat_message m LEFT JOIN chat_generation g ON g.message_id = m.id"
            " LEFT JOIN chat_receipt r ON r.generation_id = g.id"
            " WHERE m.role = 'assistant' AND r.id IS NULL"
        ).fetchone()
    assert bare == (0,)


async def test_an_interrupted_reply_goes_on_after_the_restart(
    dying: Server, people: Iterator[Person], provider: FakeProvider
) -> None:
    guest = Guest(dying.url, next(people))
    provider.enqueue(Script(Text("Half an answer. " * 40, size=8, rate=40)), reply("The rest."))
    async with guest.opened() as tab:
        await guest.asks("Killed?")
        await tab.shows("Half an answer. Half an answer.")

        async def saved() -> bool:
            return bool((await guest.reply())["text"])

        await eventually(saved)
        dying.kill()
        assert await tab.let_go() == 1006
    await asyncio.to_thread(dying.start)
    async with guest.reopened() as tab:
        await tab.becomes("interrupted", "idle")
        assert (await guest.ended())["state"] == "interrupted"
        assert (await guest.goes_on()).status == 204
        await tab.shows("The rest.")
        await tab.becomes("complete")
