"""The log: the append-only, ordered events of one generation, followed by cursor.

Pulled, not pushed: a subscription is woken when there is something new and takes everything since
its cursor in one batch. A slow viewer gets bigger batches and never holds the producer up; a late
one takes the same events from 0. The events of a generation stay in memory until they have been
saved and nobody needs them: ``drop``.
"""

from collections.abc import Callable, Iterable
from typing import Protocol

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


class Log(Protocol):
    def open(self, generation_id: int, attempt: int) -> None:
        """Begin to write for this attempt; older attempts are refused from here on.

        Raises:
            StaleAttempt: a newer attempt writes already.
        """

    def append(self, generation_id: int, attempt: int, events: Iterable[Event]) -> int:
        """Add events, wake the subscribers, return the number of the last one.

        Raises:
            LogClosed, StaleAttempt
        """

    def subscribe(self, generation_id: int, wake: Wake, after: int = 0) -> Subscription: ...

    def drop(self, generation_id: int) -> None:
        """Forget a log; its subscribers keep what they have and get no more."""


class _Entries:
    __slots__ = ("attempt", "closed", "events", "wakes")

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.attempt = 0
        self.closed = False
        # By subscription: two of one viewer may share a wake, and each must end only its own.
        self.wakes: dict[_MemorySubscription, Wake] = {}


class _MemorySubscription:
    __slots__ = ("_close", "_entries", "cursor")

    def __init__(
        self, entries: _Entries, after: int, close: "Callable[[_MemorySubscription], None]"
    ) -> None:
        self._entries, self.cursor, self._close = entries, after, close

    def take(self) -> list[Event]:
        batch = self._entries.events[self.cursor :]
        self.cursor += len(batch)
        return batch

    def close(self) -> None:
        self._close(self)


class MemoryLog:
    """The log of a single process. For use from one event loop."""

    def __init__(self) -> None:
        self._logs: dict[int, _Entries] = {}

    def open(self, generation_id: int, attempt: int) -> None:
        entries = self._entries(generation_id)
        if attempt < entries.attempt:
            raise StaleAttempt(generation_id)
        entries.attempt = attempt

    def append(self, generation_id: int, attempt: int, events: Iterable[Event]) -> int:
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
            for wake in tuple(entries.wakes.values()):  # a wake may end its subscription
                wake()
        return len(entries.events)

    def subscribe(self, generation_id: int, wake: Wake, after: int = 0) -> Subscription:
        """Follow from ``after``; a log that is not open yet is awaited."""
        entries = self._entries(generation_id)

        def close(subscription: _MemorySubscription) -> None:
            entries.wakes.pop(subscription, None)
            unused = not (entries.events or entries.wakes or entries.attempt)
            if unused and self._logs.get(generation_id) is entries:
                del self._logs[generation_id]

        subscription = _MemorySubscription(entries, after, close)
        entries.wakes[subscription] = wake
        if len(entries.events) > after:
            wake()
        return subscription

    def drop(self, generation_id: int) -> None:
        self._logs.pop(generation_id, None)

    def __len__(self) -> int:
        return len(self._logs)

    def _entries(self, generation_id: int) -> _Entries:
        return self._logs.setdefault(generation_id, _Entries())
