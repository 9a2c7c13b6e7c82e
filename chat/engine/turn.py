"""The turn: one generation's conversation with the provider, from request to outcome.

A round is one request that is answered, and as many rounds follow as the model calls tools, up to
``ROUNDS``. Requests are repeated only before their first token, at most ``CALLS`` times, and each
is an event.
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
    CallStep,
    Delta,
    Event,
    FinishDelta,
    Outcome,
    RefusalDelta,
    Requested,
    Retrying,
    Step,
    TextDelta,
    Thought,
    ToolCallDelta,
    UsageDelta,
)
from chat.engine.pace import Pace
from chat.engine.reply import Reply
from chat.engine.request import Dialect, Request
from chat.engine.tool_calls import Call
from chat.engine.toolbox import Toolbox

CALLS = 3
UNFINISHED = "Stopped while it ran; it may have had effects."  # for the model, and who reads
ROUNDS = 8  # of tool calls in one reply; then the model has to answer without
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
    requested_at: float | None = None  # for the first delta; time.monotonic(), as all of these
    first_delta_at: float | None = None
    first_text_at: float | None = None
    last_delta_at: float | None = None
    pace: Pace = field(default_factory=Pace)
    _heard: bool = False  # something of this round
    _tried: int = 0  # requests in this round
    _round_at: int = 0  # where its text begins
    _with_tools: bool = False
    _apart: bool = False  # the next text is the first one after tool calls

    async def run(
        self, provider: Streams, request: Request, toolbox: Toolbox | None = None
    ) -> None:
        """Stream the reply. Returns when it is complete, interrupted or failed.

        ``toolbox`` runs the tools that the request names; without one the calls are the reply, for
        whoever asked to run them himself.

        Raises:
            asyncio.CancelledError: the turn was stopped; the connection is closed, the reply so far
                is kept, the outcome is the canceller's to name.
        """
        try:
            while await self._round(provider, request):
                calls = self.reply.close_calls()
                if toolbox is None or not calls or self.reply.finish_reason == "length":
                    self._leave(calls, Step.STOPPED if toolbox else Step.PASSED_ON)
                    self.outcome = Outcome.COMPLETE
                    return
                await toolbox.run(calls, self._move)
                request = request.answered(
                    self._round_text(), calls, tools=self.reply.round < ROUNDS
                )
                self.reply.next_round()
                self._round_at = self.reply.text_chars
                self._apart = self._round_at > 0
                self._heard, self._tried = False, 0
        finally:
            self._leave(self.reply.close_calls(), Step.STOPPED)

    async def _round(self, provider: Streams, request: Request) -> bool:
        """One request, and as many repeated ones as it needs; False when the turn has failed."""
        self._with_tools = request.may_call
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
                    return False
                self.append([Retrying(delay_s, error.kind)])
                await asyncio.sleep(delay_s)
            else:
                return True

    def _round_text(self) -> str:
        return self.reply.text[self._round_at :]

    def _move(self, call: Call, step: Step, result: str, duration_ms: float | None) -> None:
        call.step, call.result, call.duration_ms = step, result, duration_ms
        self.append([CallStep(call.number, step, result, duration_ms)])

    def _leave(self, calls: list[Call], step: Step) -> None:
        """What has not come to its end by now does not any more."""
        for call in calls:
            if not call.step.last:
                self._move(call, step, UNFINISHED if call.step is Step.RUNNING else "", None)

    async def _call(self, provider: Streams, request: Request) -> None:
        self.calls += 1
        self._tried += 1
        self.reply.begin()
        self.append([Requested(self.calls)])
        now = time.monotonic()
        self.pace.request(now)
        if self.first_delta_at is None:
            self.requested_at = now
        try:
            async with (
                asyncio.timeout(self.deadlines.first_token_s) as deadline,
                provider.stream(request) as chunks,
            ):
                async for deltas in chunks:
                    self._take(deltas)
                    self._extend(deadline)
                    if self.reply.open_calls.runaway:
                        self.reply.finish_reason = "tool_calls"
                        break
        except (TimeoutError, Unreachable) as error:
            if self.reply.finish_reason:
                return  # the model had ended; only the end of the stream is missing
            if isinstance(error, Unreachable):
                raise
            what = "no byte" if self._heard else "no token"
            raise TimedOut(f"the provider sent {what} within the deadline") from None

    def _extend(self, deadline: asyncio.Timeout) -> None:
        """Something came: the deadline moves, once a token has come."""
        if not self._heard:
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
        said = 0
        for delta in deltas:
            if self._apart and isinstance(delta, (TextDelta, RefusalDelta)):
                shown.append(self._begin_paragraph())
            called = self.reply.feed(delta) if self._is_wanted(delta) else None
            if isinstance(delta, (UsageDelta, FinishDelta)):
                continue
            self._heard = True
            if isinstance(delta, (TextDelta, RefusalDelta)):
                said += 1
                if self.first_text_at is None:
                    self.first_text_at = now
                    if self.first_delta_at is not None and self.reply.reasoning:
                        shown.append(Thought((now - self.first_delta_at) * 1000))
            if self.first_delta_at is None:
                self.first_delta_at = now
            if isinstance(delta, ToolCallDelta):
                shown += [called] if called is not None else []
            else:
                shown.append(delta)
        if shown:
            self.last_delta_at = now
            reply = self.reply
            self.pace.take(now, said, reply.text_chars, reply.characters - reply.text_chars)
            self.append(shown)

    def _is_wanted(self, delta: Delta) -> bool:
        """A call of one who was offered no tools is noise. It still is an answer."""
        return self._with_tools or not isinstance(delta, ToolCallDelta)

    def _begin_paragraph(self) -> TextDelta:
        """What keeps the text of two rounds apart; part of the reply, like everything shown."""
        self._apart = False
        space = TextDelta("\n\n")
        self.reply.feed(space)
        return space

    def _judge(self) -> None:
        """A stream that ended without an error: is it a complete reply?"""
        reason = self.reply.finish_reason
        if reason == "error":
            raise ProviderError("the provider ended the stream with finish_reason 'error'")
        called = bool(self.reply.open_calls.calls)
        if not called and not self._round_text().strip():
            raise Empty(f"the stream ended without any text (finish_reason {reason!r})")
        if not reason:
            raise Empty("the stream ended without a finish reason")

    def _fail(self, error: ProviderError) -> None:
        self.error = error
        self.outcome = Outcome.FAILED if self.reply.empty else Outcome.INTERRUPTED

    def _may_retry(self, error: ProviderError) -> float | None:
        """Seconds to wait before the next call, or None."""
        if not error.retryable or self._heard or self._tried >= CALLS:
            return None
        if error.retry_after_s is not None:
            return error.retry_after_s if error.retry_after_s <= RETRY_AFTER_CAP_S else None
        return BACKOFF_S[min(self._tried, len(BACKOFF_S)) - 1] * random.uniform(0.8, 1.2)  # noqa: S311
