"""The writing side: one task per process, one batch in flight.

While a batch is on its way the next one gathers, so that a slow Redis makes bigger batches and
never holds a reply up. Everything written is kept until it is dropped: a Redis that comes back
without its last second, or empty, is given what it lacks.
"""

import asyncio
from collections.abc import Iterable

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from chat.engine.events import Ended, Event
from chat.engine.log import LogClosed, StaleAttempt, Wake
from chat.engine.redis_streams.codec import FIELD, encode, stream_key

logger = structlog.get_logger()

RUNNING_MS = 24 * 3600 * 1000  # no reply takes a day; what a crash left behind goes by itself
ENDED_MS = 60 * 1000  # for viewers that are a little behind
RETRY_S = 0.2
CLOSE_S = 2.0


class _Produced:
    """One log: the entries made so far, of which the first ``sent`` are in Redis."""

    __slots__ = ("attempt", "closed", "dropped", "entries", "pending", "sent", "stale")

    def __init__(self, attempt: int) -> None:
        self.attempt = attempt
        self.entries: list[bytes] = [encode([])]  # fences older attempts before the first event
        self.sent = 0
        self.pending: list[Event] = []
        self.closed = self.dropped = self.stale = False

    def pack(self) -> None:
        if self.pending:
            self.entries.append(encode(self.pending))
            self.pending = []


class Producer:
    def __init__(self, redis: "Redis") -> None:
        self.available = True
        self._redis = redis
        self._logs: dict[int, _Produced] = {}
        self._dirty: set[int] = set()
        self._erased: set[int] = set()
        self._wake = asyncio.Event()
        self._closing = False
        self._task: asyncio.Task[None] | None = None
        self._changed: Wake = lambda: None

    def start(self, changed: Wake) -> None:
        self._changed = changed
        self._task = asyncio.create_task(self._run(), name="log-writer")

    async def close(self) -> None:
        # The task ends by itself: cancelling a command would leave its answer on the connection.
        self._closing = True
        self._wake.set()
        if self._task is not None:
            await asyncio.wait([self._task], timeout=CLOSE_S)
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._redis.aclose(close_connection_pool=True)

    def open(self, generation_id: int, attempt: int) -> None:
        log = self._logs.get(generation_id)
        if log is not None and attempt < log.attempt:
            raise StaleAttempt(generation_id)
        self._logs[generation_id] = _Produced(attempt)
        self._touch(generation_id)

    def append(self, generation_id: int, attempt: int, events: Iterable[Event]) -> None:
        log = self._logs.get(generation_id)
        if log is None or log.stale or attempt != log.attempt:
            raise StaleAttempt(generation_id)
        for event in events:
            if log.closed:
                raise LogClosed(generation_id)
            log.pending.append(event)
            log.closed = type(event) is Ended
        self._touch(generation_id)

    def drop(self, generation_id: int) -> None:
        if (log := self._logs.get(generation_id)) is not None:
            log.dropped = True
            self._touch(generation_id)

    def erase(self, generation_id: int) -> None:
        """Also what another process has written."""
        self._erased.add(generation_id)
        self._wake.set()

    def _touch(self, generation_id: int) -> None:
        self._dirty.add(generation_id)
        self._wake.set()

    async def _run(self) -> None:
        while not (self._closing and not self._dirty and not self._erased):
            self._wake.clear()
            try:
                while self._dirty:
                    await self._flush()
                while self._erased:
                    erased = set(self._erased)
                    await self._redis.delete(*map(stream_key, erased))
                    self._erased -= erased
                self._set_available(True)
                if not self._closing:
                    await self._wake.wait()
            except (RedisError, OSError) as error:
                if self._set_available(False):
                    logger.warning("log_unavailable", side="writer", error=type(error).__name__)
                await asyncio.sleep(RETRY_S)
                # What was on its way may have arrived, and what had arrived may be gone.
                self._dirty |= self._logs.keys()
                for log in self._logs.values():
                    log.sent = -1

    def _set_available(self, available: bool) -> bool:
        if available == self.available:
            return False
        self.available = available
        self._changed()
        return True

    async def _flush(self) -> None:
        """Send what is new of every dirty log, in one go."""
        dirty, self._dirty = self._dirty & self._logs.keys(), set()
        try:
            await self._find_place([pk for pk in dirty if self._logs[pk].sent < 0])
            await self._send(dirty)
        except BaseException:
            self._dirty |= dirty
            raise

    async def _find_place(self, doubtful: list[int]) -> None:
        """Ask Redis how far it is with these logs."""
        if not doubtful:
            return
        pipe = self._redis.pipeline(transaction=False)
        for pk in doubtful:
            pipe.xrevrange(stream_key(pk), count=1)
        for pk, newest in zip(doubtful, await pipe.execute(), strict=True):
            log = self._logs[pk]
            attempt, number = _id(newest[0][0]) if newest else (log.attempt, -1)
            if attempt > log.attempt:
                log.stale = True
            log.sent = number + 1 if attempt == log.attempt else 0

    async def _send(self, dirty: set[int]) -> None:
        pipe = self._redis.pipeline(transaction=False)
        sending: list[int] = []
        ending: list[int] = []
        for pk in dirty:
            log, key = self._logs[pk], stream_key(pk)
            log.pack()
            if log.dropped:
                ending.append(pk)
            if log.stale:
                continue
            for number in range(log.sent, len(log.entries)):
                entry_id = f"{log.attempt}-{number}"
                pipe.xadd(key, {FIELD: log.entries[number]}, id=entry_id)
                sending.append(pk)
                if number == 0:
                    pipe.pexpire(key, RUNNING_MS)
                    sending.append(pk)
            if log.dropped:
                pipe.pexpire(key, ENDED_MS)
                sending.append(pk)
        refused = set()
        if sending:
            results = await pipe.execute(raise_on_error=False)
            refused = {pk for pk, r in zip(sending, results, strict=True) if _is_refusal(r)}
        for pk in dirty:
            log = self._logs[pk]
            if pk in refused:
                # Ours, sent twice, or a newer attempt's: Redis knows.
                log.sent = -1
                self._dirty.add(pk)
                continue
            log.sent = len(log.entries)
        for pk in ending:
            if pk not in refused:
                del self._logs[pk]


def _id(entry_id: bytes) -> tuple[int, int]:
    attempt, _, number = entry_id.partition(b"-")
    return int(attempt), int(number)


def _is_refusal(result: object) -> bool:
    """Was an entry refused for its id? Any other error is raised."""
    if isinstance(result, ResponseError) and "XADD" in str(result):
        return True
    if isinstance(result, Exception):
        raise result
    return False
