"""One open page: waits for rings and for events, and sends what the page does not have yet.

Its loop is its own task. It looks at the database when it is rung (and now and then, because rings
may be lost), and takes from the log of a running reply whatever is new since the last frame: the
first event at once, later ones as fast as a screen can show them.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from uuid import UUID

import structlog
from django.db import DatabaseError
from django.utils import timezone
from django.utils.translation import gettext as _

from chat import ledger
from chat.database import in_database
from chat.delivery import changes, frames
from chat.delivery.changes import Changes, Running
from chat.delivery.live import LiveReply, status
from chat.delivery.page import idle_status, waiting_status
from chat.delivery.window import Window
from chat.engine.events import CallDelta, ReasoningDelta, RefusalDelta, TextDelta
from chat.engine.log import Log, Subscription
from chat.models import Transport

logger = structlog.get_logger()

# A reader sees no difference above 30 frames a second, and each costs the page a layout. A large
# frame, as an open table makes them, is followed by a longer pause.
FRAME_GAP_S = 1 / 30
CHARACTERS_PER_S = 400_000
# The list may be a little late; the first words may not, and both come at the same time.
LIST_DELAY_S = 0.15
POLL_S = 15.0  # a lost ring is noticed after this long at the latest
STILL_WAITING_S = 10.0
SEEN = (TextDelta, ReasoningDelta, RefusalDelta, CallDelta)  # what ends the wait for a first token

Send = Callable[[str], Awaitable[None]]


class Gone(Exception):
    """The page's user may no longer read the conversation."""


class Viewer:
    """Follows one conversation for one page, from a cursor."""

    def __init__(
        self,
        user_id: int,
        conversation_id: UUID,
        log: Log,
        send: Send,
        *,
        new: bool = False,
        transport: Transport = Transport.WEBSOCKET,
    ) -> None:
        self.user_id, self.conversation_id = user_id, conversation_id
        self._log, self._send, self._transport = log, send, transport
        self._new = new  # the page of a conversation whose first message is still to be written
        self.cursor = 0
        self._opening = True  # until the page has been told what is being written
        self._followed: set[int] = set()
        self._wake = asyncio.Event()
        self._rung = self._list_rung = self._status_rung = False
        self._still_waiting: asyncio.TimerHandle | None = None
        self._running: Running | None = None
        self._live: LiveReply | None = None
        self._subscription: Subscription | None = None
        self._last_frame = 0.0
        self._sent_at = timezone.now()
        self._served = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._list_later: asyncio.TimerHandle | None = None
        self._delayed = False
        self._frames = 0
        self._gap_s = FRAME_GAP_S
        self.window = Window()

    def ring(self) -> None:
        """Something changed in the conversation."""
        self._rung = True
        self._wake.set()

    def ring_list(self) -> None:
        """Something changed in the user's list of conversations."""
        if self._list_later is None:
            loop = asyncio.get_running_loop()
            self._list_later = loop.call_later(LIST_DELAY_S, self._ring_list_now)

    def _ring_list_now(self) -> None:
        self._list_later = None
        self._list_rung = True
        self._wake.set()

    def ring_status(self) -> None:
        """The model became ready, or failed."""
        self._status_rung = True
        self._wake.set()

    def _ring_log(self) -> None:
        """The log cannot be read any more, or again: say so, and look for what was missed."""
        self._status_rung = self._rung = True
        self._wake.set()

    async def run(self, cursor: int) -> None:
        """Send until cancelled.

        Raises:
            Gone: the conversation was deleted, or is not the user's any more.
        """
        self.cursor = cursor
        self._rung = True
        poll = asyncio.create_task(self._poll())
        self._log.listeners.add(self._ring_log)
        try:
            while True:
                self._wake.clear()
                # The log before the database: a reply's end is in the log before the ring for it
                # comes, and a page that has followed it to the end needs no second copy.
                if self._subscription is not None:
                    await self._pump(self._subscription)
                if self._rung:
                    self._rung = False
                    await self._refresh()
                if self._list_rung:
                    self._list_rung = False
                    await self._refresh_list()
                if self._status_rung:
                    self._status_rung = False
                    await self._refresh_status()
                await self._wake.wait()
        finally:
            poll.cancel()
            self._log.listeners.discard(self._ring_log)
            if self._list_later is not None:
                self._list_later.cancel()
            self._unfollow()

    async def _poll(self) -> None:
        while True:
            await asyncio.sleep(POLL_S)
            self.ring()

    async def _refresh(self) -> None:
        found = await self._load()
        if found is None:
            return
        if found.gone:
            if not (self._new and found.missing):
                raise Gone
            return
        self._new = self._opening = False
        self.cursor = found.cursor
        # A notice stands there now, say: when the text comes back, it has to be sent.
        self._followed -= self._followed if found.whole else found.replaced
        following = self._running.message_id if self._running is not None else None
        if found.whole or following in found.settled:
            self._unfollow()
        if found.fragments:
            await self._frame(found.fragments)
        if found.running is not None:
            self._unfollow()
            self._follow(found.running)

    async def _load(self) -> Changes | None:
        try:
            return await in_database(
                changes.load,
                self.user_id,
                self.conversation_id,
                self.cursor,
                frozenset(self._followed),
                opening=self._opening,
            )
        except DatabaseError as error:
            # What is on screen stays; the poll comes back to it.
            logger.warning("viewer_load_failed", error=type(error).__name__)
            return None

    async def _refresh_list(self) -> None:
        with contextlib.suppress(DatabaseError):
            await self._frame(
                await in_database(changes.load_list, self.user_id, self.conversation_id)
            )

    async def _refresh_status(self) -> None:
        """Say what the page waits for, as long as no reply says it better."""
        was_delayed, self._delayed = self._delayed, not self._log.available
        if self._delayed:
            text = _("Live text is interrupted, reconnecting… Nothing is lost.")
            await self._frame([status("delayed", text)])
        elif self._running is None:
            await self._frame([idle_status()])
        elif self._live is None:
            await self._frame([waiting_status()])
        elif self._still_waiting is not None and not self._served:
            await self._frame([status("waiting", _("Still waiting for the first token…"))])
        elif was_delayed:
            await self._frame([self._live.status_now()])

    def _follow(self, running: Running) -> None:
        self._running = running
        loop = asyncio.get_running_loop()
        self._still_waiting = loop.call_later(STILL_WAITING_S, self.ring_status)
        self._served = False
        self._live = None
        self._subscription = self._log.subscribe(running.generation_id, self._wake.set)

    def _unfollow(self) -> None:
        if self._subscription is not None:
            self._subscription.close()
        if self._still_waiting is not None:
            self._still_waiting.cancel()
            self._still_waiting = None
        self._running = self._live = self._subscription = None

    async def _pump(self, subscription: Subscription) -> None:
        since = time.monotonic() - self._last_frame
        if since < self._gap_s:
            await asyncio.sleep(self._gap_s - since)
        events = subscription.take()
        if not events:
            return
        assert self._running is not None
        if self._live is None:
            running = self._running
            self._live = LiveReply(running.message_id, self.conversation_id, running.schema)
            fragments = self._live.start(events)
        else:
            fragments = self._live.apply(events)
        for group in frames.groups(fragments):
            await self._frame(group)
            self._last_frame = time.monotonic()
        if not self._served and any(
            isinstance(event, TextDelta | ReasoningDelta | RefusalDelta | CallDelta)
            for event in events
        ):
            self._served = True
            self._report_served(self._running)
        if self._live.ended is not None:
            self._followed.add(self._running.message_id)

    def _report_served(self, running: Running) -> None:
        elapsed = (self._sent_at - running.accepted_at).total_seconds() * 1000
        task = asyncio.create_task(self._record_served(running.generation_id, elapsed))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _record_served(self, generation_id: int, milliseconds: float) -> None:
        with contextlib.suppress(DatabaseError):
            await in_database(ledger.keep_served, generation_id, milliseconds, self._transport)

    async def _frame(self, fragments: list[frames.Fragment]) -> None:
        self._frames += 1
        frame = frames.envelope(fragments, self.cursor, self._frames)
        await self.window.wait_for_room(len(frame))
        self.window.sent(self._frames, len(frame))
        # Before it goes: the page may have painted it before this task has its turn again.
        self._sent_at = timezone.now()
        await self._send(frame)
        self._gap_s = max(FRAME_GAP_S, len(frame) / CHARACTERS_PER_S)
