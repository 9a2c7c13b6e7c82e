"""The response to a chat completion request. Its status waits for the first token.

What fails before anything is written can still be told by an HTTP status, which programs look at
first; so the response is settled on the event loop before its head is sent. What fails later is an
error event in the stream, and no ``[DONE]``.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import structlog
from django.conf import settings
from django.db import InterfaceError, OperationalError
from django.http import StreamingHttpResponse

from chat.api import chunks, errors
from chat.api.actions import Ending
from chat.api.errors import ApiError
from chat.api.follow import Followed
from chat.api.requests import Asked
from chat.models import ApiKey

logger = structlog.get_logger()

# A stream whose first token is late begins before it: what lies between must see a sign of life.
SIGN_OF_LIFE = 0.8  # of STREAM_HEARTBEAT; before the bound, not at it, for the way takes time too
HEADERS = {
    "Cache-Control": "no-store",
    # nginx and those that learnt from it pass each piece on as it comes.
    "X-Accel-Buffering": "no",
}


class CompletionResponse(StreamingHttpResponse):
    """A completion, streamed or whole. ``settle`` first, then it can be sent."""

    def __init__(self, key: ApiKey, asked: Asked, conversation_id: UUID, request_id: str) -> None:
        super().__init__(
            self._body(),
            content_type="text/event-stream" if asked.stream else "application/json",
            headers={**HEADERS, "X-Parley-Conversation": str(conversation_id)},
        )
        self._key, self._asked, self._conversation_id = key, asked, conversation_id
        self._request_id = request_id
        head = chunks.Head(f"chatcmpl-{conversation_id.hex}", asked.model, int(time.time()))
        self._completion = chunks.Completion(head, asked.include_usage)
        self._reply: Followed | None = None
        self._first: list[dict[str, Any]] = []
        self._failed: ApiError | None = None

    async def settle(self) -> None:
        """Accept the request and wait until it is known how the answer begins.

        Raises:
            asyncio.CancelledError: the client has gone; the reply is being stopped.
        """
        self._reply = Followed(self._key, self._asked, self._conversation_id, self._completion)
        try:
            await self._reply.begin(self._request_id)
            if self._asked.stream:
                await self._first_token(self._reply)
            else:
                await self._whole(self._reply)
            self._check(self._reply.ending)
        except asyncio.CancelledError:
            self._reply.leave()
            raise
        except Exception as error:
            self._reply.leave()
            self._fail(error)

    def close(self) -> None:
        super().close()
        if self._reply is not None:
            self._reply.leave()

    async def _first_token(self, reply: Followed) -> None:
        """Up to something that is seen, the end, or the time for a sign of life."""
        until = time.monotonic() + _patience_s()
        while not self._first and reply.ending is None and time.monotonic() < until:
            self._first = self._completion.feed(await reply.events(until - time.monotonic()))

    async def _whole(self, reply: Followed) -> None:
        while reply.ending is None:
            self._completion.feed(await reply.events(_patience_s()))

    def _check(self, ending: Ending | None) -> None:
        if ending is not None and not ending.complete and not self._first:
            raise _why(ending)

    def _fail(self, error: Exception) -> None:
        match error:
            case ApiError():
                self._failed = error
            case OperationalError() | InterfaceError():
                self._failed = errors.database_away()
            case _:
                logger.error("completion_failed", exc_info=error)
                self._failed = errors.internal()
        self.status_code = self._failed.status
        self["Content-Type"] = "application/json"
        for name, value in self._failed.headers().items():
            self[name] = value

    async def _body(self) -> AsyncIterator[str]:
        if self._failed is not None:
            yield chunks.dumps(self._failed.body())
            return
        assert self._reply is not None, "settle first"
        try:
            if self._asked.stream:
                async for piece in self._pieces(self._reply):
                    yield piece
            else:
                assert self._reply.ending is not None
                if not self._reply.ending.withheld:
                    self._reply.served()
                yield chunks.dumps(self._completion.whole(*self._end(self._reply.ending)))
        finally:
            self._reply.leave()

    async def _pieces(self, reply: Followed) -> AsyncIterator[str]:
        if self._first:
            reply.served()
        yield _written(self._first) or chunks.ALIVE
        try:
            while reply.ending is None:
                events = await reply.events(_patience_s())
                piece = _written(self._completion.feed(events))
                if piece:
                    reply.served()
                if piece or not events:
                    yield piece or chunks.ALIVE
        except ApiError as error:
            yield chunks.data(error.body())
            return
        except Exception:
            logger.exception("completion_failed")
            yield chunks.data(errors.internal().body())
            return
        if reply.ending.complete:
            yield _written(self._completion.finish(*self._end(reply.ending))) + chunks.DONE
        else:
            yield chunks.data(_why(reply.ending).body())

    def _end(self, ending: Ending) -> tuple[str, dict[str, Any]]:
        """Why it ended, and what it took."""
        reason = chunks.finish_reason(
            ending.finish_reason, called=self._completion.called, withheld=ending.withheld
        )
        usage = chunks.usage(
            ending.prompt_tokens,
            ending.completion_tokens,
            ending.reasoning_tokens,
            asked_chars=self._asked.characters,
        )
        return reason, usage


def _written(given: list[dict[str, Any]]) -> str:
    return "".join(map(chunks.data, given))


def _why(ending: Ending) -> ApiError:
    return errors.of_reply(ending.state, ending.error_kind, ending.stop_reason)


def _patience_s() -> float:
    patience_s: float = settings.STREAM_HEARTBEAT * SIGN_OF_LIFE
    return patience_s
