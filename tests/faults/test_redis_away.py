"""Redis is killed, or frozen: people sign in and read, and live text says that it waits."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlencode

import pytest

from tests.e2e.server import Engine, Person, Prepared, Server
from tests.fake_provider import Done, FakeProvider, Finish, Gate, Script, Text
from tests.faults.dom import squeezed
from tests.faults.people import Guest
from tests.parts.redis import RedisServer
from tests.visitor import ask_soon

BACK_WITHIN_S = 10.0
NO_BYTE_AFTER_S = 5.0
WORDS = " ".join(f"w{number}" for number in range(400))
# Slow enough to be in the middle of the outage, and held before its end.
FLOWING = Script(Text(WORDS, size=5, rate=40), Gate("end"), Finish(), Done())


@pytest.fixture(scope="module")
def _parts(
    prepared: Prepared, _provider: FakeProvider, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Server, Engine, RedisServer]]:
    home = tmp_path_factory.mktemp("with-redis")
    redis = RedisServer(home / "redis")
    redis.start()
    try:
        common = {
            "REDIS_URL": redis.url,
            "DATABASE_URL": f"sqlite:///{home / 'web/parley.sqlite3'}",
        }
        server = Server(prepared, home / "web", _provider.base_url, **common)
        engine = Engine(prepared, home / "engine", _provider.base_url, **common)
        server.start()
        engine.start()
        yield server, engine, redis
        server.stop()
        engine.stop()
    finally:
        redis.kill()


@pytest.fixture
def parts(
    _parts: tuple[Server, Engine, RedisServer], provider: FakeProvider
) -> Iterator[tuple[Server, RedisServer]]:
    server, engine, redis = _parts
    since = [child.log_bytes for child in (server, engine)]
    yield server, redis
    provider.reset()
    engine.wait_quiet(since[1])
    for child, start in zip((server, engine), since, strict=True):
        child.check_log(start)


@contextmanager
def away(redis: RedisServer, how: str) -> Iterator[None]:
    redis.kill() if how == "kill" else redis.freeze()
    try:
        yield
    finally:
        redis.start() if how == "kill" else redis.thaw()


async def sign_in(server: Server, person: Person) -> int:
    """With the form; returns the status, 302 when it let the person in."""
    url = f"{server.url}/accounts/login/"
    page = await ask_soon(url)
    token = page.text.partition('name="csrfmiddlewaretoken" value="')[2].partition('"')[0]
    fields = {"csrfmiddlewaretoken": token, "login": person.name, "password": person.password}
    answer = await ask_soon(
        url,
        "POST",
        urlencode(fields).encode(),
        Cookie=page.headers["Set-Cookie"].partition(";")[0],
        Content_Type="application/x-www-form-urlencoded",
    )
    return answer.status


@pytest.mark.parametrize("how", ["kill", "freeze"])
async def test_without_redis_everything_but_live_text_works_and_that_says_so(
    parts: tuple[Server, RedisServer], people: Iterator[Person], provider: FakeProvider, how: str
) -> None:
    server, redis = parts
    guest = Guest(server.url, next(people))
    provider.enqueue(FLOWING)
    async with guest.opened("socket") as tab:
        await guest.asks("At length?")
        await tab.shows("w20")
        with away(redis, how):
            async with asyncio.timeout(20):
                assert await sign_in(server, guest.person) == 302
                assert "At length?" in (await guest.get()).text
                assert guest.path in (await guest.get("/")).text
                assert (await guest.messages())[0]["text"] == "At length?"
            if how == "kill":
                await tab.says("Live text is interrupted", within=10)
            shown = tab.text
        back_at = time.monotonic()
        await tab.until(lambda: len(tab.text) > len(shown), 30, "more text")
        assert time.monotonic() - back_at <= BACK_WITHIN_S
        assert tab.code is None
        provider.open("end")
        await tab.becomes("complete")
        assert tab.text == WORDS
    answer = await guest.ended()
    assert (answer["state"], squeezed(answer["text"])) == ("complete", WORDS)
    assert len(provider.streams) == 1


async def test_what_is_sent_while_redis_is_away_is_answered(
    parts: tuple[Server, RedisServer], people: Iterator[Person], provider: FakeProvider
) -> None:
    server, redis = parts
    guest = Guest(server.url, next(people))
    async with guest.opened() as tab:
        with away(redis, "kill"):
            await guest.asks("Anybody?")
            answer = await guest.ended()
            assert answer["text"] == "All is well."
        back_at = time.monotonic()
        await tab.shows("All is well.")
        assert time.monotonic() - back_at <= BACK_WITHIN_S


@pytest.mark.parametrize("how", ["kill", "freeze"])
async def test_who_signs_out_while_redis_is_away_gets_no_byte_more(
    parts: tuple[Server, RedisServer], people: Iterator[Person], provider: FakeProvider, how: str
) -> None:
    server, redis = parts
    guest = Guest(server.url, next(people))
    async with guest.opened("socket") as tab, guest.opened("events") as other:
        with away(redis, how):
            async with asyncio.timeout(20):
                await guest.signs_out()
            out_at = time.monotonic()
            for page in (tab, other):
                assert await page.let_go(within=20) == 4401
            assert time.monotonic() - out_at <= NO_BYTE_AFTER_S


async def test_a_reply_is_stopped_though_redis_is_away(
    parts: tuple[Server, RedisServer], people: Iterator[Person], provider: FakeProvider
) -> None:
    server, redis = parts
    guest = Guest(server.url, next(people))
    provider.enqueue(FLOWING)
    async with guest.opened() as tab:
        await guest.asks("At length?")
        await tab.shows("w5")
        with away(redis, "kill"):
            asked_at = time.monotonic()
            await guest.stop()
            (request,) = provider.streams
            assert await asyncio.to_thread(request.wait_closed) - asked_at <= 1
            assert (await guest.ended())["state"] == "stopped"
        # The line that told of the outage may have the last word; the message's own foot stays.
        await tab.becomes("stopped", "idle")
        assert "You stopped this reply." in tab.foot
        assert squeezed((await guest.ended())["text"]) == tab.text
