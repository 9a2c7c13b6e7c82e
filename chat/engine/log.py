"""The log: the append-only, ordered events of one generation, followed by cursor.

Pulled, not pushed: a subscription is woken when there is something new and takes everything since
its cursor in one batch. A slow viewer gets bigger batches and never holds the producer up; a late
one takes the same events from 0. The events of a generation are kept until they have been saved
and nobody needs them: ``drop``.

A log also knows who follows: ``audience`` is what the disconnect policy asks.

``MemoryLog`` is the one of a single process, ``redis_streams`` the one of many.
"""

import time
from collections.abc import Callable, Iterable
from typing import NamedTuple, Protocol

from chat.engine.events import Ended, Event

Wake = Callable[[], None]


class LogClosed(Exception):
    """An event came after the terminal one."""


class StaleAttempt(Exception):
    """A producer whose claim is no longer the newest wanted to append."""


class Subscription(Protocol):
    """One viewer's place in one log."""

    cursor: int

    def take(self) -> list[Event]:
        """The events since the last call, oldest first."""

    def close(self) -> None: ...


class Audience(NamedTuple):
    """Who follows a log: for how many seconds nobody has, 0.0 while somebody does.

    What nobody has ever followed counts from when it was opened, or first asked about. ``seen``
    when somebody has, if only for a moment, within the last seconds.
    """

    alone_s: float
    seen: bool


class Log(Protocol):
    """For use from one event loop."""

    listeners: set[Wake]
    """Called whenever ``available`` has changed."""

    @property
    def available(self) -> bool:
        """Do events reach the viewers at present?"""

    def start(self) -> None: ...

    async def close(self) -> None:
        """Hand over what is still to be written, as far as that can be done soon, and end."""

    def open(self, generation_id: int, attempt: int) -> None:
        """Begin to write for this attempt; older attempts are refused from here on.

        Raises:
            StaleAttempt: a newer attempt writes already.
        """

    def append(self, generation_id: int, attempt: int, events: Iterable[Event]) -> None:
        """Add events and wake the subscribers.

        Raises:
            LogClosed, StaleAttempt
        """

    def drop(self, generation_id: int) -> None:
        """Forget a log; its subscribers keep what they have and get no more."""

    def erase(self, generation_id: int) -> None:
        """Take a log that has ended away at once, from wherever it is kept for late viewers."""

    def subscribe(self, generation_id: int, wake: Wake, after: int = 0) -> Subscription:
        """Follow from ``after``; a log that is not open yet is awaited."""

    async def audience(self, generation_ids: Iterable[int]) -> dict[int, Audience]:
        """Who follows these. Those that cannot be told about at present are left out."""


class Followed:
    """The events of one log as this process has them, and who waits for more."""

    __slots__ = ("events", "left_at", "seen", "wakes")

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.left_at = time.monotonic()  # when the last follower left
        self.seen = False  # there has been one
        # By subscription: two of one viewer may share a wake, and each must end only its own.
        self.wakes: dict[_Subscription, Wake] = {}

    def subscribe(self, wake: Wake, after: int, left: Callable[[], None]) -> Subscription:
        """``left`` is called when the last subscription has been closed."""
        subscription = _Subscription(self, after, left)
        self.seen = True
        self.wakes[subscription] = wake
        if len(self.events) > after:
            wake()
        return subscription

    def wake(self) -> None:
        for wake in tuple(self.wakes.values()):  # a wake may end its subscription
            wake()

    @property
    def audience(self) -> Audience:
        return Audience(0.0 if self.wakes else time.monotonic() - self.left_at, self.seen)


class _Subscription:
    __slots__ = ("_followed", "_left", "cursor")

    def __init__(self, followed: Followed, after: int, left: Callable[[], None]) -> None:
        self._followed, self.cursor, self._left = followed, after, left

    def take(self) -> list[Event]:
        batch = self._followed.events[self.cursor :]
        self.cursor += len(batch)
        return batch

    def close(self) -> None:
        followed = self._followed
        if followed.wakes.pop(self, None) is not None and not followed.wakes:
            followed.left_at = time.monotonic()
            self._left()


class _Entries(Followed):
    __slots__ = ("attempt", "closed")

    def __init__(self) -> None:
        super().__init__()
        self.attempt = 0
        self.closed = False


class MemoryLog:
    """The log of a single process."""

    available = True

    def __init__(self) -> None:
        self.listeners: set[Wake] = set()
        self._logs: dict[int, _Entries] = {}

    def start(self) -> None:
        pass

    async def close(self) -> None:
        pass

    def open(self, generation_id: int, attempt: int) -> None:
        entries = self._entries(generation_id)
        if attempt < entries.attempt:
            raise StaleAttempt(generation_id)
        entries.attempt = attempt

    def append(self, generation_id: int, attempt: int, events: Iterable[Event]) -> None:
        entries = self._logs.get(generation_id)
        if entries is None or attempt != entries.attempt:
            raise StaleAttempt(generation_id)
        try:
            for event in events:
                if entries.closed:
                    raise LogClosed(generation_id)
                entries.events.append(event)
                entries.closed = type(event) is Ended
        finally:
            entries.wake()

    def subscribe(self, generation_id: int, wake: Wake, after: int = 0) -> Subscription:
        entries = self._entries(generation_id)

        def left() -> None:
            unused = not (entries.events or entries.attempt)
            if unused and self._logs.get(generation_id) is entries:
                del self._logs[generation_id]

        return entries.subscribe(wake, after, left)

    def drop(self, generation_id: int) -> None:
        self._logs.pop(generation_id, None)

    erase = drop

    async def audience(self, generation_ids: Iterable[int]) -> dict[int, Audience]:
        return {pk: self._logs[pk].audience for pk in generation_ids if pk in self._logs}

    def __len__(self) -> int:
        return len(self._logs)

    def _entries(self, generation_id: int) -> _Entries:
        entries = self._logs.get(generation_id)
        if entries is None:
            entries = self._logs[generation_id] = _Entries()
        return entries
