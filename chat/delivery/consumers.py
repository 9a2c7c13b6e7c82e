"""The page's WebSocket: authorises, hands frames over, and nothing else.

Close codes: 4401 signed out (htmx does not come back), 4404 the conversation is gone, 4400 not our
protocol, 1012 the server restarts (htmx comes back), 1011 an error of ours.
"""

import asyncio
import contextlib
import json
from typing import Any
from urllib.parse import parse_qs

from channels.consumer import get_handler_name
from channels.generic.websocket import AsyncWebsocketConsumer

from chat import services, tickets
from chat.database import in_database
from chat.delivery.open_page import NOT_OUR_PROTOCOL, SIGNED_OUT, OpenPage, may_open

RESUME_WITHIN_S = 0.3  # the page sends its cursor at once; who sends none gets the URL's
INBOUND_CHARS = 4_096


class ConversationConsumer(AsyncWebsocketConsumer):  # type: ignore[misc]
    """One socket of one page."""

    channel_layer_alias = ""  # none: the page has a channel of its own, whatever its transport
    page: OpenPage | None = None
    running: asyncio.Task[None] | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        # Channels does not call disconnect() when a handler raises or when the server kills the
        # application: what was begun ends here, on every path.
        try:
            await super().__call__(scope, receive, send)
        finally:
            running, self.running = self.running, None
            if running is not None:
                running.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await running
            if self.page is not None:
                self.page.closed()

    async def dispatch(self, message: dict[str, Any]) -> None:
        # Without the base class's hop through the thread that all consumers of a process share:
        # nothing here touches that thread's database connection.
        await getattr(self, get_handler_name(message))(message)

    async def connect(self) -> None:
        user = self.scope["user"]
        if not user.is_authenticated:
            # Accepted first: only a close code, which a refused handshake has not, tells htmx not
            # to come back.
            await self.accept()
            await self.close(SIGNED_OUT)
            return
        if services.is_draining():
            await self.close()
            return
        conversation_id = self.scope["url_route"]["kwargs"]["conversation_id"]
        query = parse_qs(self.scope.get("query_string", b"").decode("latin-1"))
        new = tickets.is_valid(query.get("new", [""])[0], user.pk, conversation_id)
        if not await in_database(may_open, user.pk, conversation_id, new=new):
            await self.close()
            return
        session_key = self.scope["session"].session_key
        self.page = OpenPage(user.pk, session_key, conversation_id, self._send_text, new=new)
        await self.accept()
        self._cursor = asyncio.get_running_loop().create_future()
        self.running = asyncio.create_task(self._serve(self.page, query))

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """What a page says.

        ``{"type": "resume", "cursor": n}``, once, after each connection, and now and then
        ``{"type": "ack", "frame": n}`` for the newest frame that it has painted.
        """
        try:
            if text_data is None or len(text_data) > INBOUND_CHARS:
                raise ValueError("not a short text frame")
            said = json.loads(text_data)
            if said["type"] == "resume":
                if not self._cursor.done():
                    self._cursor.set_result(cursor_of(said["cursor"]))
            elif said["type"] == "ack":
                assert self.page is not None
                self.page.viewer.window.acknowledge(int(said["frame"]))
            else:
                raise ValueError("unknown type")
        except (ValueError, TypeError, KeyError, AttributeError):
            await self.close(NOT_OUR_PROTOCOL)

    async def _serve(self, page: OpenPage, query: dict[str, list[str]]) -> None:
        await self.close(await page.run(self._resumed(query)))
        page.closed()

    async def _resumed(self, query: dict[str, list[str]]) -> int:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(RESUME_WITHIN_S):
                cursor: int = await self._cursor
                return cursor
        return cursor_of(query.get("after", ["-1"])[0])

    async def _send_text(self, text: str) -> None:
        await self.base_send({"type": "websocket.send", "text": text})


def cursor_of(value: Any) -> int:
    """The page's cursor; anything strange means that it has nothing."""
    try:
        return int(value)
    except (TypeError, ValueError):
        return -1
