"""The reading side: one blocking XREAD per process for all the streams that its viewers follow.

A bell is among the streams: it is rung when a stream is added, because a read that has begun does
not know of it. A stream is read from its beginning when its first viewer comes, and kept until the
last one leaves: a second viewer takes what is there.
"""

import asyncio
import contextlib
import time
from collections.abc import Iterable
from secrets import token_hex
from typing import Any

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from chat.engine.log import Audience, Followed, Subscription, Wake
from chat.engine.redis_streams.codec import FIELD, decode, stream_key, watched_key

logger = structlog.get_logger()

START = b"0-0"
COUNT = 2_000  # entries of a stream per read: a long replay does not hold up the others
BLOCK_MS = 5_000
RETRY_S = 0.2
CLOSE_S = 1.0
WATCHED_EVERY_S = 1.0
STALE_S = 3  # a process that has not said for so long that it follows has died
BELL_MS = 24 * 3600 * 1000

# By the clock of Redis, which is the same for all processes. Who follows, and until when to believe
# it: a set per log, of processes, scored with the time at which they last said so. The nameless one
# is there as long as the set: somebody has followed, also when he has left since.
FOLLOW = f"""
redis.call('ZADD', KEYS[1], redis.call('TIME')[1], ARGV[1], '+inf', '')
redis.call('EXPIRE', KEYS[1], {STALE_S})
"""
FOLLOWERS = f"""
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', redis.call('TIME')[1] - {STALE_S})
return redis.call('ZCARD', KEYS[1])
"""


class _Mirror(Followed):
    __slots__ = ("last",)

    def __init__(self) -> None:
        super().__init__()
        self.last = START


class Follower:
    """``reader`` blocks; ``redis`` is for everything that must not wait for it."""

    def __init__(self, reader: "Redis", redis: "Redis") -> None:
        self.available = True
        self._reader, self._redis = reader, redis
        self._name = token_hex(8).encode()
        self._bell = b"parley:bell:" + self._name
        self._bell_last = START
        self._mirrors: dict[int, _Mirror] = {}
        self._left: set[int] = set()
        self._added = False
        self._alone_since: dict[int, float] = {}
        self._wake = asyncio.Event()
        self._closing = False
        self._tasks: list[asyncio.Task[None]] = []
        self._changed: Wake = lambda: None

    def start(self, changed: Wake) -> None:
        self._changed = changed
        self._tasks = [
            asyncio.create_task(self._read(), name="log-reader"),
            asyncio.create_task(self._tend(), name="log-watched"),
        ]

    async def close(self) -> None:
        self._closing = True
        self._wake.set()
        # The tending task ends by itself, and its connection stays in order.
        await asyncio.wait(self._tasks[1:], timeout=CLOSE_S)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        # A read that was cut short has left its connection in the middle of an answer.
        await self._reader.aclose(close_connection_pool=True)
        await self._redis.aclose(close_connection_pool=True)

    def subscribe(self, generation_id: int, wake: Wake, after: int) -> Subscription:
        mirror = self._mirrors.get(generation_id)
        if mirror is None:
            mirror = self._mirrors[generation_id] = _Mirror()
            self._added = True
            self._wake.set()

        def left() -> None:
            if self._mirrors.get(generation_id) is mirror:
                del self._mirrors[generation_id]
                self._left.add(generation_id)
                self._wake.set()

        return mirror.subscribe(wake, after, left)

    async def audience(self, generation_ids: Iterable[int]) -> dict[int, Audience]:
        wanted = list(generation_ids)
        pipe = self._redis.pipeline(transaction=False)
        for pk in wanted:
            pipe.eval(FOLLOWERS, 1, watched_key(pk))
        try:
            counts = await pipe.execute() if wanted else []
        except (RedisError, OSError):
            self._alone_since.clear()
            return {}
        now = time.monotonic()
        found = dict(zip(wanted, counts, strict=True))
        # By our own clock, from the first time that we found nobody.
        self._alone_since = {
            pk: self._alone_since.get(pk, now) for pk, count in found.items() if count <= 1
        }
        return {
            pk: Audience(now - self._alone_since.get(pk, now), seen=count > 0)
            for pk, count in found.items()
        }

    async def _read(self) -> None:
        while not self._closing:
            streams: dict[Any, Any] = {
                stream_key(pk): mirror.last for pk, mirror in self._mirrors.items()
            }
            streams[self._bell] = self._bell_last
            try:
                if not self.available:
                    await self._reader.ping()
                    self._set_available(True)
                found: Any = await self._reader.xread(streams, count=COUNT, block=BLOCK_MS)
            except (RedisError, OSError) as error:
                if self._set_available(False):
                    logger.warning("log_unavailable", side="reader", error=type(error).__name__)
                await asyncio.sleep(RETRY_S)
                continue
            for key, entries in found or []:
                self._take(key, entries)

    def _take(self, key: bytes, entries: list[tuple[bytes, dict[bytes, Any]]]) -> None:
        if key == self._bell:
            self._bell_last = entries[-1][0]
            return
        mirror = self._mirrors.get(int(key.rpartition(b":")[2]))
        # One that was left and followed anew during the read begins at the beginning.
        if mirror is None or (mirror.last == START and not _is_first(entries[0][0])):
            return
        for _, fields in entries:
            mirror.events += decode(fields[FIELD])
        mirror.last = entries[-1][0]
        mirror.wake()

    def _set_available(self, available: bool) -> bool:
        if available == self.available:
            return False
        self.available = available
        self._changed()
        return True

    async def _tend(self) -> None:
        """Ring the bell for new streams, and say which ones are being followed."""
        while not self._closing:
            self._wake.clear()
            left, self._left = self._left, set()
            added, self._added = self._added, False
            pipe = self._redis.pipeline(transaction=False)
            for pk in self._mirrors:
                pipe.eval(FOLLOW, 1, watched_key(pk), self._name)
            for pk in left - self._mirrors.keys():
                pipe.eval(FOLLOW, 1, watched_key(pk), self._name)  # he may have come since, too
                pipe.zrem(watched_key(pk), self._name)
            if added:
                pipe.xadd(self._bell, {b"": b""}, maxlen=1, approximate=False)
                pipe.pexpire(self._bell, BELL_MS)
            try:
                if len(pipe):
                    await pipe.execute()
            except (RedisError, OSError):
                self._left |= left
                self._added |= added
                await asyncio.sleep(RETRY_S)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(WATCHED_EVERY_S):
                    await self._wake.wait()


def _is_first(entry_id: bytes) -> bool:
    return entry_id.endswith(b"-0")
