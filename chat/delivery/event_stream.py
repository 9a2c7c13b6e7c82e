"""The same stream as the WebSocket's, as server-sent events, for where no WebSocket gets through.

An event's data is the frame's envelope and its id the cursor, so that ``Last-Event-ID`` resumes. A
comment line every few seconds keeps intermediaries from closing a quiet stream. The last event of a
stream that ends for a reason is ``bye`` with the WebSocket's close code as data.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from http import HTTPStatus
from uuid import UUID

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.views.decorators.http import require_GET

from chat import services, tickets
from chat.delivery.consumers import cursor_of
from chat.delivery.open_page import SIGNED_OUT, OpenPage, may_open
from chat.models import Transport, User

RETRY_MS = 400
HEADERS = {
    "Cache-Control": "no-store, no-transform",
    # nginx and those that learnt from it pass each piece on as it comes.
    "X-Accel-Buffering": "no",
}


@require_GET
def events(request: HttpRequest, conversation_id: UUID) -> HttpResponseBase:
    """``?after=<cursor>`` where the page is, unless ``Last-Event-ID`` says better."""
    user: User | AnonymousUser = request.user
    if not isinstance(user, User):
        # Said in the stream: a browser's EventSource shows its page no status.
        return _response(_bye(SIGNED_OUT))
    new = tickets.is_valid(request.GET.get("new", ""), user.pk, conversation_id)
    if not may_open(user.pk, conversation_id, new=new):
        raise Http404
    if services.is_draining():
        return HttpResponse(status=HTTPStatus.SERVICE_UNAVAILABLE, headers={"Retry-After": "1"})
    given = request.headers.get("Last-Event-ID") or request.GET.get("after", "-1")
    session_key = request.session.session_key
    assert session_key is not None
    return _response(_stream(user.pk, session_key, conversation_id, cursor_of(given), new))


def _response(pieces: AsyncIterator[str]) -> StreamingHttpResponse:
    return StreamingHttpResponse(pieces, content_type="text/event-stream", headers=HEADERS)


async def _stream(
    user_id: int, session_key: str, conversation_id: UUID, cursor: int, new: bool
) -> AsyncIterator[str]:
    frames: asyncio.Queue[str] = asyncio.Queue(maxsize=1)  # a slow client holds its viewer, only
    page = OpenPage(
        user_id, session_key, conversation_id, frames.put, new=new, transport=Transport.SSE
    )
    ended = asyncio.Event()
    running = asyncio.create_task(page.run(_known(cursor)))
    running.add_done_callback(lambda _: ended.set())
    try:
        yield f"retry: {RETRY_MS}\n\n"
        while (frame := await _next(frames, ended)) is not None:
            yield f"id: {page.viewer.cursor}\ndata: {frame}\n\n" if frame else ": \n\n"
        yield _goodbye(running.result())
    finally:
        page.closed()
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running


async def _known(cursor: int) -> int:
    return cursor


async def _next(frames: asyncio.Queue[str], ended: asyncio.Event) -> str | None:
    """The next frame; empty when there was none for a heartbeat, None when there will be none."""
    getting = asyncio.create_task(frames.get())
    ending = asyncio.create_task(ended.wait())
    try:
        await asyncio.wait(
            {getting, ending},
            # Before the bound, not at it: the way takes time too.
            timeout=settings.STREAM_HEARTBEAT * 0.8,
            return_when=asyncio.FIRST_COMPLETED,
        )
        if getting.done():
            return getting.result()
        return None if ended.is_set() and frames.empty() else ""
    finally:
        getting.cancel()
        ending.cancel()


async def _bye(code: int) -> AsyncIterator[str]:
    yield _goodbye(code)


def _goodbye(code: int) -> str:
    return f"event: bye\ndata: {code}\n\n"
