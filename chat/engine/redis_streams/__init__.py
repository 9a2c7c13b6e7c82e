"""The log of many processes: one Redis stream per generation.

An entry holds the events of one batch; its id is ``<attempt>-<number>``, given by the producer, so
that Redis itself refuses an older attempt, and a batch that is sent twice is there once.

codec.py      events ↔ bytes
producer.py   one writer per process, one batch in flight, everything kept until it is dropped
follower.py   one blocking reader per process for all streams that its viewers follow
"""

from collections.abc import Iterable

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from chat.engine.events import Event
from chat.engine.log import Audience, Subscription, Wake
from chat.engine.redis_streams.follower import Follower
from chat.engine.redis_streams.producer import Producer

CONNECT_S = 2.0


def client(url: str) -> "Redis":
    """A client for blocking reads: no timeout on answers, no repeats of its own.

    TCP keep-alive finds a server that went away without a word.
    """
    return Redis.from_url(
        url,
        socket_timeout=None,
        socket_connect_timeout=CONNECT_S,
        socket_keepalive=True,
        retry=Retry(NoBackoff(), 0),
        protocol=2,
    )


class RedisLog:
    """``chat.engine.log.Log`` on Redis Streams."""

    def __init__(self, url: str) -> None:
        self.listeners: set[Wake] = set()
        self._follower = Follower(client(url), client(url))
        self._producer = Producer(client(url))

    @property
    def available(self) -> bool:
        return self._follower.available and self._producer.available

    def start(self) -> None:
        self._follower.start(self._changed)
        self._producer.start(self._changed)

    async def close(self) -> None:
        await self._producer.close()
        await self._follower.close()

    def _changed(self) -> None:
        for tell in tuple(self.listeners):
            tell()

    def open(self, generation_id: int, attempt: int) -> None:
        self._producer.open(generation_id, attempt)

    def append(self, generation_id: int, attempt: int, events: Iterable[Event]) -> None:
        self._producer.append(generation_id, attempt, events)

    def drop(self, generation_id: int) -> None:
        self._producer.drop(generation_id)

    def erase(self, generation_id: int) -> None:
        self._producer.erase(generation_id)

    def subscribe(self, generation_id: int, wake: Wake, after: int = 0) -> Subscription:
        return self._follower.subscribe(generation_id, wake, after)

    async def audience(self, generation_ids: Iterable[int]) -> dict[int, Audience]:
        return await self._follower.audience(generation_ids)
