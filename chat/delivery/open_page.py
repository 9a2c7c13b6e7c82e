"""A page that is open, over whatever transport: its viewer, its rings, its right to be served.

The WebSocket's consumer and the event stream differ in how a frame travels and how the end is said;
everything else is here.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import structlog
from channels.layers import get_channel_layer
from django.db import DatabaseError
from django.http import Http404
from django.utils.translation import gettext as _
from redis.exceptions import RedisError

from chat import access, doorbell, services
from chat.database import in_database
from chat.delivery.frames import Fragment, envelope
from chat.delivery.live import status
from chat.delivery.viewer import Gone, Viewer
from chat.models import Conversation, Transport

logger = structlog.get_logger()

# Why a page is let go, in the WebSocket's close codes: htmx does not come back from those of 4000
# and above.
SIGNED_OUT, GONE, NOT_OUR_PROTOCOL, RESTART, OUR_ERROR = 4401, 4404, 4400, 1012, 1011
JOIN_S = 1.0  # without a doorbell a page is served all the same, and looks by itself
REJOIN_EVERY_S = 3600.0  # layers forget a group's members after a day
RETRY_S = 1.0
CLOSED_WITHIN_S = 2.0

Send = Callable[[str], Awaitable[None]]

GUARD_EVERY_S = 2.5  # rings may be lost; no byte may go out after 5 s

_open: set["OpenPage"] = set()
_guarding: asyncio.Task[None] | None = None
_leaving: set[asyncio.Task[None]] = set()


class OpenPage:
    """Serves one conversation to one page. ``send`` takes frames; ``run`` returns a close code."""

    def __init__(
        self,
        user_id: int,
        session_key: str,
        conversation_id: UUID,
        send: Send,
        *,
        new: bool,
        transport: Transport = Transport.WEBSOCKET,
    ) -> None:
        self.user_id, self.session_key = user_id, session_key
        self.conversation_id = conversation_id
        self._send = send
        log = services.ensure_started().log
        self.viewer = Viewer(user_id, conversation_id, log, send, new=new, transport=transport)
        self._joined = asyncio.Event()
        self._told: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._closed = asyncio.Event()
        _open.add(self)
        self.standing: access.Standing | None = None  # at the guard's last look

    async def run(self, cursor: Awaitable[int]) -> int:
        """Serve from this cursor, once it is known, until there is a reason to end; returns it."""
        _guard()
        listening = asyncio.create_task(self._listen())
        serving: asyncio.Task[int] | None = None
        try:
            serving = asyncio.create_task(self._serve(cursor))
            done, _pending = await asyncio.wait(
                {serving, self._told}, return_when=asyncio.FIRST_COMPLETED
            )
            return done.pop().result()
        finally:
            _let_go(listening)
            if serving is not None:
                serving.cancel()
                await asyncio.gather(serving, return_exceptions=True)

    def end(self, code: int) -> None:
        """Let the page go, for this reason."""
        if not self._told.done():
            self._told.set_result(code)

    def closed(self) -> None:
        """The transport has said goodbye. Called on every path."""
        _open.discard(self)
        self._closed.set()

    async def wait_closed(self) -> None:
        await self._closed.wait()

    async def check_session(self, ended: str = "") -> None:
        """End, unless the session that opened this page still stands."""
        named = bool(ended) and ended == doorbell.session_mark(self.session_key)
        if named or await in_database(access.user_of_session, self.session_key) != self.user_id:
            self.end(SIGNED_OUT)

    async def _serve(self, awaited: Awaitable[int]) -> int:
        cursor = await awaited
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(JOIN_S):
                await self._joined.wait()
        try:
            await self.viewer.run(cursor)
        except Gone:
            text = _("This conversation was deleted.")
            gone = [Fragment("#messages", "innerHTML", ""), status("gone", text)]
            await self._send(envelope(gone, cursor))
            return GONE
        except Exception:
            logger.exception("viewer_failed", conversation=str(self.conversation_id))
        return OUR_ERROR

    async def _listen(self) -> None:
        """Be rung. What is rung while Redis is away is made up for when its log is back."""
        layer = get_channel_layer()
        assert layer is not None
        while True:
            channel = ""
            try:
                channel = await layer.new_channel("page")
                for group in self._groups():
                    await layer.group_add(group, channel)
                if self._joined.is_set():
                    self.viewer.ring()
                self._joined.set()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(REJOIN_EVERY_S):
                        while True:
                            await self._rung(await layer.receive(channel))
            except (OSError, RedisError, DatabaseError) as error:
                logger.warning("doorbell_failed", error=type(error).__name__)
                await asyncio.sleep(RETRY_S)
            finally:
                for group in self._groups():
                    with contextlib.suppress(OSError, RedisError):
                        await layer.group_discard(group, channel)

    async def _rung(self, message: dict[str, Any]) -> None:
        match message["type"]:
            case "ring":
                self.viewer.ring()
            case "ring.list":
                self.viewer.ring_list()
            case "ring.status":
                self.viewer.ring_status()
            case "ring.session":
                await self.check_session(message["ended"])

    def _groups(self) -> list[str]:
        return [
            doorbell.conversation_group(self.conversation_id),
            doorbell.user_group(self.user_id),
            doorbell.EVERYBODY,
        ]


def _let_go(listening: asyncio.Task[None]) -> None:
    """Unsubscribe, without waiting for it: a Redis that hangs must not hold up the page's end."""
    listening.cancel()
    _leaving.add(listening)
    listening.add_done_callback(_leaving.discard)


def open_pages() -> list[OpenPage]:
    """The pages that this process serves at present."""
    return list(_open)


def _guard() -> None:
    global _guarding
    if _guarding is None or _guarding.done():
        _guarding = asyncio.create_task(_watch_sessions(), name="guard")


async def _watch_sessions() -> None:
    """Look at the rights of all open pages, three queries for all of them at a time."""
    while _open:
        await asyncio.sleep(GUARD_EVERY_S)
        pages = open_pages()
        try:
            found = await in_database(
                access.standings, [(page.session_key, page.user_id) for page in pages]
            )
            for page, standing in zip(pages, found, strict=True):
                # The first look, too, is a close one: the password may be newer than the page.
                if standing != page.standing or not standing.is_good:
                    await page.check_session()
                page.standing = standing
            for page in await in_database(_no_longer_theirs, pages):
                page.viewer.ring()  # it looks for itself, and ends
        except DatabaseError as error:
            logger.warning("guard_failed", error=type(error).__name__)


def _no_longer_theirs(pages: list[OpenPage]) -> list[OpenPage]:
    """The pages whose conversation was deleted or is another's now. Synchronous."""
    wanted = {page.conversation_id for page in pages}
    rows = Conversation.objects.filter(pk__in=wanted)
    owners = {
        pk: None if deleted_at else owner_id
        for pk, owner_id, deleted_at in rows.values_list("pk", "owner_id", "deleted_at")
    }
    # One that is not written yet has no row, and its page waits for it.
    return [p for p in pages if owners.get(p.conversation_id, p.user_id) != p.user_id]


def may_open(user_id: int, conversation_id: UUID, *, new: bool) -> bool:
    """May this user watch it? ``new``: also when it does not exist yet. Synchronous."""
    try:
        return access.conversation_if_any(user_id, conversation_id) is not None or new
    except Http404:
        return False


async def close_all() -> None:
    """Tell every page that the server restarts; they come back by themselves."""
    pages = open_pages()
    for page in pages:
        page.end(RESTART)
    closing = [asyncio.create_task(page.wait_closed()) for page in pages]
    if closing:
        _done, late = await asyncio.wait(closing, timeout=CLOSED_WITHIN_S)
        for task in late:
            task.cancel()
