"""The turn: one generation's conversation with the provider, from request to outcome.

Calls are repeated only before the first token, at most ``CALLS`` times, and each is an event.
The two deadlines run on the loop's clock; the terminal event is not written here but by the
worker, after the reply has been saved.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Protocol

from chat.engine.errors import Empty, ProviderError, RateLimited, TimedOut, UnknownParameter
from chat.engine.events import (
    Delta,
    Event,
    FinishDelta,
    Outcome,
    RefusalDelta,
    Requested,
    Retrying,
    TextDelta,
    Thought,
    UsageDelta,
)
from chat.engine.provider import Dialect, Request
from chat.engine.reply import Reply

CALLS = 3
RETRY_AFTER_CAP_S = 60.0
BACKOFF_S = (0.5, 2.0)


class Streams(Protocol):
    """What a turn needs of a provider."""

    def stream(
        self, request: Request
    ) -> AbstractAsyncContextManager[AsyncIterator[list[Delta]]]: ...

    def dialect(self, model: str) -> Dialect: ...


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Seconds until the first token, and between any two bytes after it."""

    first_token_s: float
    idle_s: float


@dataclass(slots=True)
class Turn:
    """The state of a running turn; ``outcome`` and ``error`` are set when ``run`` returns.

    ``append`` takes the events for the log, in order.
    """

    append: Callable[[Iterable[Event]], object]
    deadlines: Deadlines
    reply: Reply = field(default_factory=Reply)
    calls: int = 0
    outcome: Outcome | None = None
    error: ProviderError | None = None
    requested_at: float | None = None  # time.monotonic(), as all of these
    first_delta_at: float | None = None
    first_text_at: float | None = None
    last_delta_at: float | None = None

    async def run(self, provider: Streams, request: Request) -> None:
        """Stream the reply. Returns when it is complete, interrupted or failed.

        Raises:
            asyncio.CancelledError: the turn was stopped; the connection is closed, the reply so far
                is kept, the outcome is the canceller's to name.
        """
        while True:
            try:
                await self._call(provider, request)
                self._judge()
            except UnknownParameter as error:
                # The endpoint named an optional parameter: leave it out and ask again, once each.
                if error.parameter in provider.dialect(request.model).without:
                    self._fail(error)
                    return
                provider.dialect(request.model).learn(error.parameter)
                continue
            except ProviderError as error:
                if (delay := self._may_retry(error)) is None:
                    self._fail(error)
                    return
                self.append([Retrying(delay, error.kind)])
                await asyncio.sleep(delay)
                continue
            return

    async def _call(self, provider: Streams, request: Request) -> None:
        self.calls += 1
        self.append([Requested(self.calls)])
        self.requested_at = time.monotonic()
        loop = asyncio.get_running_loop()
        idle_s = self.deadlines.idle_s
        try:
            async with (
                asyncio.timeout(self.deadlines.first_token_s) as deadline,
                provider.stream(request) as chunks,
            ):
                async for deltas in chunks:
                    self._take(deltas)
                    deadline.reschedule(loop.time() + idle_s)
        except TimeoutError:
            raise TimedOut("the provider sent nothing within the deadline") from None

    def _take(self, deltas: list[Delta]) -> None:
        now = self.last_delta_at = time.monotonic()
        if self.first_delta_at is None:
            self.first_delta_at = now
        shown: list[Event] = []
        for delta in deltas:
            self.reply.feed(delta)
            if isinstance(delta, UsageDelta | FinishDelta):
                continue
            if self.first_text_at is None and isinstance(delta, TextDelta | RefusalDelta):
                self.first_text_at = now
                if self.reply.reasoning:
                    shown.append(Thought((now - self.first_delta_at) * 1000))
            shown.append(delta)
        if shown:
            self.append(shown)

    def _judge(self) -> None:
        """A stream that ended without an error: is it a complete reply?"""
        if self.reply.finish_reason == "error":
            raise ProviderError("the provider ended the stream with finish_reason 'error'")
        if self.first_text_at is None:
            raise Empty("the stream ended without any text")
        if not self.reply.finish_reason:
            raise Empty("the stream ended without a finish reason")
        self.outcome = Outcome.COMPLETE

    def _fail(self, error: ProviderError) -> None:
        self.error = error
        self.outcome = Outcome.FAILED if self.reply.empty else Outcome.INTERRUPTED

    def _may_retry(self, error: ProviderError) -> float | None:
        """Seconds to wait before the next call, or None."""
        if not error.retryable or self.first_delta_at is not None or self.calls >= CALLS:
            return None
        if isinstance(error, RateLimited) and error.retry_after_s is not None:
            if error.retry_after_s > RETRY_AFTER_CAP_S:
                return None
            return error.retry_after_s
        return BACKOFF_S[min(self.calls, len(BACKOFF_S)) - 1] * random.uniform(0.8, 1.2)  # noqa: S311
