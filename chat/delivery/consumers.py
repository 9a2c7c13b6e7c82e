"""The page's WebSocket: authorises, forwards rings to its viewer, and nothing else.

Close codes: 4401 signed out (htmx does not come back), 4404 the conversation is gone, 4400 not our
protocol, 1012 the server restarts (htmx comes back), 1011 an error of ours.
"""

import asyncio
import contextlib
import json
from typing import Any
from urllib.parse import parse_qs
from uuid import UUID

import structlog
from channels.consumer import get_handler_name
from channels.generic.websocket import AsyncWebsocketConsumer
from django.http import Http404
from django.utils.translation import gettext as _

from chat import access, doorbell, services, tickets
from chat.database import in_database
from chat.delivery.frames import Fragment, envelope
from chat.delivery.live import status
from chat.delivery.viewer import Gone, Viewer

logger = structlog.get_logger()

SIGNED_OUT, GONE, NOT_OUR_PROTOCOL, RESTART, OUR_ERROR = 4401, 4404, 4400, 1012, 1011
RESUME_WITHIN_S = 0.3  # the page sends its cursor at once; who sends none gets the URL's
INBOUND_CHARS = 4_096

_open: set["ConversationConsumer"] = set()


class ConversationConsumer(AsyncWebsocketConsumer):  # type: ignore[misc]
    """One socket of one page."""

    viewer: Viewer | None = None
    running: asyncio.Task[None] | None = None
    user_id: int
    conversation_id: UUID

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        # Channels does not call disconnect() when a handler raises or when the server kills the
        # application: what was begun ends here, on every path.
        try:
            await super().__call__(scope, receive, send)
        finally:
            _open.discard(self)
            await self._end()

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
        self.user_id = user.pk
        self.conversation_id = self.scope["url_route"]["kwargs"]["conversation_id"]
        query = parse_qs(self.scope.get("query_string", b"").decode("latin-1"))
        ticket = query.get("new", [""])[0]
        new = tickets.is_valid(ticket, self.user_id, self.conversation_id)
        if not await in_database(_may_watch, self.user_id, self.conversation_id, new):
            await self.close()
            return
        for group in self._groups():
            await self.channel_layer.group_add(group, self.channel_name)
        self.viewer = Viewer(
            self.user_id,
            self.conversation_id,
            services.ensure_started().log,
            self._send_text,
            new=new,
        )
        await self.accept()
        _open.add(self)
        self._cursor = asyncio.get_running_loop().create_future()
        self.running = asyncio.create_task(self._watch(self.viewer, query))

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
                    self._cursor.set_result(_cursor(said["cursor"]))
                return
            if said["type"] == "ack":
                if self.viewer is not None:
                    self.viewer.window.acknowledge(int(said["frame"]))
                return
            raise ValueError("unknown type")
        except (ValueError, TypeError, KeyError, AttributeError):
            await self.close(NOT_OUR_PROTOCOL)

    async def ring(self, message: dict[str, Any]) -> None:
        if self.viewer is not None:
            self.viewer.ring()

    async def ring_list(self, message: dict[str, Any]) -> None:
        if self.viewer is not None:
            self.viewer.ring_list()

    async def ring_status(self, message: dict[str, Any]) -> None:
        if self.viewer is not None:
            self.viewer.ring_status()

    async def ring_session(self, message: dict[str, Any]) -> None:
        """Check at once whether the session that opened this socket still stands."""
        session_key = self.scope["session"].session_key
        ended = message["ended"] == doorbell.session_mark(session_key)
        if ended or await in_database(access.user_of_session, session_key) != self.user_id:
            await self._end()
            await self.close(SIGNED_OUT)

    async def _watch(self, viewer: Viewer, query: dict[str, list[str]]) -> None:
        cursor = _cursor(query.get("after", ["-1"])[0])
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(RESUME_WITHIN_S):
                cursor = await self._cursor
        try:
            await viewer.run(cursor)
        except Gone:
            text = _("This conversation was deleted.")
            gone = [Fragment("#messages", "innerHTML", ""), status("gone", text)]
            await self._send_text(envelope(gone, cursor))
            await self.close(GONE)
        except Exception:
            logger.exception("viewer_failed", conversation=str(self.conversation_id))
            await self.close(OUR_ERROR)

    async def _send_text(self, text: str) -> None:
        await self.base_send({"type": "websocket.send", "text": text})

    async def _end(self) -> None:
        running, self.running = self.running, None
        if running is not None:
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running
        if self.viewer is not None:
            for group in self._groups():
                await self.channel_layer.group_discard(group, self.channel_name)

    def _groups(self) -> list[str]:
        return [
            doorbell.conversation_group(self.conversation_id),
            doorbell.user_group(self.user_id),
            doorbell.EVERYBODY,
        ]


async def close_all() -> None:
    """Tell every page that the server restarts; they come back by themselves."""
    for consumer in list(_open):
        try:
            await consumer._end()
            await consumer.close(RESTART)
        except Exception:
            # One page that cannot be told must not keep the others from being told.
            logger.exception("close_failed")


def _cursor(value: Any) -> int:
    """The page's cursor; anything strange means that it has nothing."""
    try:
        return int(value)
    except (TypeError, ValueError):
        return -1


def _may_watch(user_id: int, conversation_id: UUID, new: bool) -> bool:
    try:
        return access.conversation_if_any(user_id, conversation_id) is not None or new
    except Http404:
        return False
