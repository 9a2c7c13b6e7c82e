"""A reply that a client waits for, followed by its log until it has ended.

The log says what is written, the row says how it ended. Whoever leaves before that stops the reply.
"""

import asyncio
import contextlib
import time
from collections.abc import Coroutine
from functools import partial
from typing import Any
from uuid import UUID

import structlog
from django.db import DatabaseError
from django.http import Http404

from chat import ledger, services
from chat.actions import stop
from chat.api.actions import Ending, accept, ending
from chat.api.chunks import Completion
from chat.api.keys import closed, is_usable
from chat.api.requests import Asked
from chat.database import in_database
from chat.engine.events import Ended, Event, TextDelta
from chat.engine.log import Subscription
from chat.models import ApiKey, State, Transport

logger = structlog.get_logger()

# A reply that was stopped before it began, or whose worker died, ends in its row only; and a log
# may be late. So the row is looked at when nothing has come for this long.
LOOK_EVERY_S = 2.0
GUARD_EVERY_S = 2.5  # no byte goes to a key that was revoked after 5 s

_tasks: set[asyncio.Task[None]] = set()  # that outlive the response


class Followed:
    """``completion`` is what has come of the reply; ``ending`` is set when it has ended."""

    def __init__(
        self, key: ApiKey, asked: Asked, conversation_id: UUID, completion: Completion
    ) -> None:
        self._key, self._asked, self._conversation_id = key, asked, conversation_id
        self._completion = completion
        self.ending: Ending | None = None
        self._loop = asyncio.get_running_loop()
        self._wake = asyncio.Event()
        self._accepting: asyncio.Future[int] | None = None
        self._subscription: Subscription | None = None
        self._left = self._late = self._served = False
        self._asked_at = 0.0
        self._guarded_at = time.monotonic()

    async def begin(self, request_id: str) -> None:
        """Have the request accepted.

        Raises:
            ApiError: it was not.
            asyncio.CancelledError: nobody waits any more; what was accepted is being stopped.
        """
        self._asked_at = time.monotonic()
        call = partial(accept, self._key, self._asked, self._conversation_id, request_id)
        self._accepting = asyncio.ensure_future(in_database(call))
        # A thread cannot be cancelled: whether it has accepted is known when it returns.
        generation_id = await asyncio.shield(self._accepting)
        log = services.ensure_started().log
        self._subscription = log.subscribe(generation_id, self._wake.set)

    async def events(self, within_s: float) -> list[Event]:
        """What is new; empty when nothing came for this long, or the reply has ended."""
        assert self._accepting is not None
        assert self._subscription is not None
        until = time.monotonic() + within_s
        while self.ending is None:
            await self._guard()
            self._wake.clear()
            if events := self._subscription.take():
                if isinstance(events[-1], Ended):
                    # Who sees the end in the log finds it in the row.
                    self.ending = await in_database(ending, self._accepting.result())
                return events
            left_s = until - time.monotonic()
            if left_s <= 0:
                return []
            try:
                async with asyncio.timeout(min(left_s, LOOK_EVERY_S)):
                    await self._wake.wait()
            except TimeoutError:
                if lost := await self._look(self._accepting.result()):
                    return lost
        return []

    def served(self) -> None:
        """A piece of the reply goes to the client: the time of the first one is kept."""
        if self._served:
            return
        self._served = True
        assert self._accepting is not None
        elapsed_ms = (time.monotonic() - self._asked_at) * 1000
        _start(_keep_served(self._accepting.result(), elapsed_ms, self._asked.transport))

    async def _guard(self) -> None:
        """Is the key still good?

        Raises:
            ApiError: it was revoked, has expired, or its owner was deactivated.
        """
        if time.monotonic() - self._guarded_at < GUARD_EVERY_S:
            return
        self._guarded_at = time.monotonic()
        with contextlib.suppress(DatabaseError):
            if not await in_database(is_usable, self._key):
                raise closed()

    async def _look(self, generation_id: int) -> list[Event]:
        """Ask the row. One that has ended gives the log until the next look to say so too."""
        with contextlib.suppress(DatabaseError):
            found = await in_database(ending, generation_id)
            if found is None or not self._late:
                self._late = found is not None
                return []
            return self._make_up(found)
        return []

    def _make_up(self, found: Ending) -> list[Event]:
        """The end never came by the log: the rest of the text is in the row, calls are not."""
        before = self._completion.text()
        whole = found.text.startswith(before) and found.finish_reason != "tool_calls"
        if found.complete and not whole:
            found = Ending(State.INTERRUPTED, "", "", "", found.withheld, None, None, None)
        self.ending = found
        told = found.complete and not found.withheld
        rest = found.text.removeprefix(before) if told else ""
        return [TextDelta(rest)] if rest else []

    def leave(self) -> None:
        """Nobody waits any more. Called on every path, from any thread."""
        with contextlib.suppress(RuntimeError):  # the loop is closed: so is everything else
            self._loop.call_soon_threadsafe(self._leave)

    def _leave(self) -> None:
        if self._left:
            return
        self._left = True
        if self._subscription is not None:
            self._subscription.close()
        if self.ending is None and self._accepting is not None:
            _start(self._stop(self._accepting))

    async def _stop(self, accepting: asyncio.Future[int]) -> None:
        await asyncio.wait([accepting])
        if accepting.exception() is not None:
            return  # it was not accepted
        try:
            await in_database(stop, self._key.owner, self._conversation_id)
        except Http404:
            pass  # deleted meanwhile, which has stopped it
        except DatabaseError as error:
            # The patrol ends what nobody follows.
            logger.warning("stop_failed", error=type(error).__name__)


def _start(work: Coroutine[Any, Any, None]) -> None:
    task = asyncio.create_task(work)
    _tasks.add(task)
    task.add_done_callback(_tasks.discard)


async def _keep_served(generation_id: int, elapsed_ms: float, transport: Transport) -> None:
    with contextlib.suppress(DatabaseError):
        await in_database(ledger.keep_served, generation_id, elapsed_ms, transport)
