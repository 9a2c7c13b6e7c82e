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

from chat.engine.errors import Empty, ProviderError, TimedOut, UnknownParameter, Unreachable
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
AFTER_FINISH_S = 5.0  # for usage and [DONE]; the reader has the whole text and should not wait


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
                # It named an optional parameter of this very call, so the next one lacks it.
                provider.dialect(request.model).learn(error.parameter)
            except ProviderError as error:
                if (delay_s := self._may_retry(error)) is None:
                    self._fail(error)
                    return
                self.append([Retrying(delay_s, error.kind)])
                await asyncio.sleep(delay_s)
            else:
                return

    async def _call(self, provider: Streams, request: Request) -> None:
        self.calls += 1
        self.reply.begin()
        self.append([Requested(self.calls)])
        self.requested_at = time.monotonic()
        try:
            async with (
                asyncio.timeout(self.deadlines.first_token_s) as deadline,
                provider.stream(request) as chunks,
            ):
                async for deltas in chunks:
                    self._take(deltas)
                    self._extend(deadline)
        except (TimeoutError, Unreachable) as error:
            if self.reply.finish_reason:
                return  # the model had ended; only the end of the stream is missing
            if isinstance(error, Unreachable):
                raise
            what = "no token" if self.first_delta_at is None else "no byte"
            raise TimedOut(f"the provider sent {what} within the deadline") from None

    def _extend(self, deadline: asyncio.Timeout) -> None:
        """Something came: the deadline moves, once a token has come."""
        if self.first_delta_at is None:
            return
        patience_s = self.deadlines.idle_s
        if self.reply.finish_reason:
            patience_s = min(patience_s, AFTER_FINISH_S)
        # Moving a timer costs as much as a token does: rather it rings a little late.
        slack_s = patience_s / 50
        until = asyncio.get_running_loop().time() + patience_s
        if not until <= (deadline.when() or 0.0) <= until + slack_s:
            deadline.reschedule(until + slack_s)

    def _take(self, deltas: list[Delta]) -> None:
        now = time.monotonic()
        shown: list[Event] = []
        for delta in deltas:
            self.reply.feed(delta)
            if isinstance(delta, (UsageDelta, FinishDelta)):
                continue
            if self.first_text_at is None and isinstance(delta, (TextDelta, RefusalDelta)):
                self.first_text_at = now
                if self.first_delta_at is not None and self.reply.reasoning:
                    shown.append(Thought((now - self.first_delta_at) * 1000))
            if self.first_delta_at is None:
                self.first_delta_at = now
            shown.append(delta)
        if shown:
            self.last_delta_at = now
            self.append(shown)

    def _judge(self) -> None:
        """A stream that ended without an error: is it a complete reply?"""
        reason = self.reply.finish_reason
        if reason == "error":
            raise ProviderError("the provider ended the stream with finish_reason 'error'")
        if not self.reply.text.strip():
            raise Empty(f"the stream ended without any text (finish_reason {reason!r})")
        if not reason:
            raise Empty("the stream ended without a finish reason")
        self.outcome = Outcome.COMPLETE

    def _fail(self, error: ProviderError) -> None:
        self.error = error
        self.outcome = Outcome.FAILED if self.reply.empty else Outcome.INTERRUPTED

    def _may_retry(self, error: ProviderError) -> float | None:
        """Seconds to wait before the next call, or None."""
        if not error.retryable or self.first_delta_at is not None or self.calls >= CALLS:
            return None
        if error.retry_after_s is not None:
            return error.retry_after_s if error.retry_after_s <= RETRY_AFTER_CAP_S else None
        return BACKOFF_S[min(self.calls, len(BACKOFF_S)) - 1] * random.uniform(0.8, 1.2)  # noqa: S311
