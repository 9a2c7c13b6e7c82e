"""The log of many processes, on a real Redis: in order, once, to all, whatever happens to it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import pytest_asyncio

from chat.engine.events import (
    CallDelta,
    CallStep,
    Ended,
    Event,
    Outcome,
    ReasoningDelta,
    RefusalDelta,
    Requested,
    Retrying,
    Step,
    TextDelta,
    Thought,
)
from chat.engine.log import LogClosed, StaleAttempt, Subscription
from chat.engine.redis_streams import RedisLog
from chat.engine.redis_streams.codec import decode, encode
from tests.parts.fixtures import redis_server
from tests.parts.redis import RedisServer
from tests.support import eventually

__all__ = ["redis_server"]
ENDED = Ended(Outcome.COMPLETE)
MakeLog = Callable[[], Awaitable[RedisLog]]


def texts(words: str) -> list[Event]:
    return [TextDelta(word) for word in words.split()]


@pytest_asyncio.fixture
async def make_log(redis_server: RedisServer) -> AsyncIterator[MakeLog]:
    """Logs of as many processes."""
    made: list[RedisLog] = []

    async def make() -> RedisLog:
        log = RedisLog(redis_server.url)
        log.start()
        made.append(log)
        return log

    yield make
    for log in made:
        await log.close()


class Reader:
    """Takes whatever comes."""

    def __init__(self, log: RedisLog, generation_id: int) -> None:
        self.events: list[Event] = []
        self.subscription: Subscription = log.subscribe(generation_id, self._wake)
        self._take()

    def _wake(self) -> None:
        asyncio.get_running_loop().call_soon(self._take)

    def _take(self) -> None:
        self.events += self.subscription.take()

    async def has(self, events: list[Event]) -> None:
        async def complete() -> bool:
            return len(self.events) >= len(events)

        await eventually(complete, message=f"only {self.events}")
        assert self.events == events


def test_every_kind_of_event_survives_the_way() -> None:
    events: list[Event] = [
        Requested(1),
        Retrying(1.5, "unavailable"),
        ReasoningDelta("hm\n"),
        Thought(12.25),
        TextDelta('"ü\ud83d€'),  # half of a pair
        RefusalDelta("no"),
        CallDelta(0, "f", "{"),
        CallStep(0, Step.DONE, "4", 1.5),
        ENDED,
    ]
    assert decode(encode(events)) == events


async def test_what_one_process_writes_others_follow(make_log: MakeLog) -> None:
    engine, web = await make_log(), await make_log()
    early = Reader(web, 7)
    engine.open(7, 1)
    engine.append(7, 1, texts("a b"))
    await early.has(texts("a b"))
    engine.append(7, 1, [*texts("c"), ENDED])
    engine.drop(7)
    await early.has([*texts("a b c"), ENDED])
    await Reader(web, 7).has([*texts("a b c"), ENDED])  # of the same process
    await Reader(await make_log(), 7).has([*texts("a b c"), ENDED])  # late, of another


async def test_an_erased_log_is_gone_at_once(make_log: MakeLog, redis_server: RedisServer) -> None:
    engine, web = await make_log(), await make_log()
    for number in (7, 8):
        engine.open(number, 1)
        engine.append(number, 1, [*texts("canary"), ENDED])
        engine.drop(number)
        await Reader(web, number).has([*texts("canary"), ENDED])
    redis_server.freeze()
    web.erase(7)  # by another process than the one that wrote it
    redis_server.thaw()

    async def erased() -> bool:
        return b":0" in redis_server.ask("EXISTS parley:log:7")

    await eventually(erased)
    assert b":1" in redis_server.ask("EXISTS parley:log:8")


async def test_who_left_and_comes_back_has_everything_once(make_log: MakeLog) -> None:
    engine, web = await make_log(), await make_log()
    engine.open(7, 1)
    engine.append(7, 1, texts("a b"))
    first = Reader(web, 7)
    await first.has(texts("a b"))
    first.subscription.close()
    engine.append(7, 1, texts("c"))
    again = Reader(web, 7)
    await again.has(texts("a b c"))
    engine.append(7, 1, texts("d"))
    await again.has(texts("a b c d"))


async def test_a_newer_attempt_shuts_the_older_one_out(make_log: MakeLog) -> None:
    zombie, engine, web = await make_log(), await make_log(), await make_log()
    zombie.open(7, 1)
    zombie.append(7, 1, texts("old"))
    reader = Reader(web, 7)
    await reader.has(texts("old"))
    engine.open(7, 2)
    engine.append(7, 2, texts("new"))
    await reader.has(texts("old new"))
    zombie.append(7, 1, texts("late"))

    async def refused() -> bool:
        try:
            zombie.append(7, 1, texts("later"))
        except StaleAttempt:
            return True
        return False

    await eventually(refused)
    engine.append(7, 2, texts("newer"))
    await reader.has(texts("old new newer"))


async def test_nothing_comes_after_the_end_or_from_a_stranger(make_log: MakeLog) -> None:
    engine = await make_log()
    with pytest.raises(StaleAttempt):
        engine.append(7, 1, texts("a"))
    engine.open(7, 1)
    engine.append(7, 1, [ENDED])
    with pytest.raises(LogClosed):
        engine.append(7, 1, texts("a"))
    with pytest.raises(StaleAttempt):
        engine.open(7, 0)


@pytest.mark.parametrize("empty", [False, True], ids=["its data kept", "empty"])
async def test_a_redis_that_was_killed_is_given_what_it_lacks(
    make_log: MakeLog, redis_server: RedisServer, empty: bool
) -> None:
    engine, web = await make_log(), await make_log()
    reader = Reader(web, 7)
    engine.open(7, 1)
    engine.append(7, 1, texts("before"))
    await reader.has(texts("before"))
    redis_server.kill()

    async def noticed() -> bool:
        return not web.available

    await eventually(noticed)
    engine.append(7, 1, texts("meanwhile"))
    await asyncio.to_thread(redis_server.start)
    if empty:
        redis_server.ask("FLUSHALL")
    await reader.has(texts("before meanwhile"))
    engine.append(7, 1, [*texts("after"), ENDED])
    everything = [*texts("before meanwhile after"), ENDED]
    await reader.has(everything)
    await Reader(await make_log(), 7).has(everything)

    async def well() -> bool:
        return web.available and engine.available

    await eventually(well)


async def test_listeners_hear_when_it_goes_and_comes(
    make_log: MakeLog, redis_server: RedisServer
) -> None:
    web = await make_log()
    heard: list[bool] = []
    web.listeners.add(lambda: heard.append(web.available))
    await asyncio.to_thread(redis_server.kill)

    async def changes(count: int) -> bool:
        return len(heard) >= count

    await eventually(lambda: changes(1))
    await asyncio.to_thread(redis_server.start)
    await eventually(lambda: changes(2))
    assert heard == [False, True]


async def test_who_follows_is_known_across_processes(make_log: MakeLog) -> None:
    engine, web, other = await make_log(), await make_log(), await make_log()
    engine.open(7, 1)
    here, there = Reader(web, 7), Reader(other, 7)

    async def watched() -> bool:
        return (await engine.audience([7]))[7] == (0.0, True)

    async def alone() -> bool:
        return (await engine.audience([7]))[7].alone_s > 0.1

    await eventually(watched)
    here.subscription.close()
    await asyncio.sleep(0)
    assert await watched()
    there.subscription.close()
    await eventually(alone)


async def test_who_came_and_left_at_once_has_been_seen(make_log: MakeLog) -> None:
    engine, web = await make_log(), await make_log()
    engine.open(7, 1)
    assert not (await engine.audience([7]))[7].seen
    Reader(web, 7).subscription.close()

    async def seen() -> bool:
        alone_s, seen = (await engine.audience([7]))[7]
        return seen and alone_s > 0

    await eventually(seen)


async def test_a_process_that_died_follows_no_more(make_log: MakeLog) -> None:
    engine, web = await make_log(), await make_log()
    Reader(web, 7)

    async def watched() -> bool:
        return (await engine.audience([7]))[7] == (0.0, True)

    await eventually(watched)
    for task in web._follower._tasks:  # as if it had been killed
        task.cancel()

    async def alone() -> bool:
        return (await engine.audience([7]))[7].alone_s > 0

    await eventually(alone)


async def test_without_redis_nobody_is_said_to_be_gone(
    make_log: MakeLog, redis_server: RedisServer
) -> None:
    engine = await make_log()
    assert 7 in await engine.audience([7])
    redis_server.kill()
    assert await engine.audience([7]) == {}
    redis_server.start()


async def test_closing_while_redis_hangs_does_not_hang(redis_server: RedisServer) -> None:
    log = RedisLog(redis_server.url)
    log.start()
    log.open(7, 1)
    redis_server.freeze()
    log.append(7, 1, texts("a"))
    await asyncio.wait_for(log.close(), 10)
    redis_server.thaw()
