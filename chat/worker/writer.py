"""The one write-behind task of a process: partial texts, half-written tool calls, heartbeats.

Every running reply is saved at most ``INTERVAL_S`` behind what is shown (I2), all of them in one
transaction; a reply that has not moved costs a heartbeat only.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import structlog
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from chat.database import in_database
from chat.engine.events import Step
from chat.engine.reply import Reply
from chat.engine.tool_calls import Call
from chat.models import Generation, State, ToolCall
from chat.tools import record
from chat.worker.claim import Job

logger = structlog.get_logger()

# I2 allows 1 s: half of it to wait, half for a slow commit.
INTERVAL_S = 0.5
HEARTBEAT_EVERY = 4  # rounds, so 2 s; the sweeper calls a row orphaned after ten times that

# Only the claim that still holds the row may write; plain SQL because a hundred of these run twice
# a second, and executemany of one statement costs a tenth of as many ORM updates.
SAVE = """
UPDATE chat_message SET text = %s, reasoning = %s WHERE id = %s AND EXISTS (
    SELECT 1 FROM chat_generation g
    WHERE g.message_id = chat_message.id AND g.id = %s AND g.attempt = %s AND g.state = 'streaming'
)
"""


@dataclass(slots=True)
class _Watched:
    job: Job
    reply: Reply
    saved_characters: int = 0
    saved_calls: dict[int, int] = field(default_factory=dict)  # characters, by number

    def growing_calls(self) -> list[Call]:
        """Those that are being written and have grown. Who runs them keeps them from then on."""
        return [
            call
            for call in self.reply.open_calls.calls
            if call.step is Step.WRITTEN and _size(call) != self.saved_calls.get(call.number)
        ]


def _size(call: Call) -> int:
    return len(call.id) + len(call.name) + len(call.arguments)


class Writer:
    """Saves the replies that it watches until they are forgotten."""

    def __init__(self) -> None:
        self._watched: dict[int, _Watched] = {}
        self._task: asyncio.Task[None] | None = None

    def watch(self, job: Job, reply: Reply) -> None:
        self._watched[job.generation_id] = _Watched(job, reply)

    def forget(self, job: Job) -> None:
        self._watched.pop(job.generation_id, None)

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="writer")

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        rounds = 0
        while True:
            await asyncio.sleep(INTERVAL_S)
            rounds += 1
            if not self._watched:
                continue
            try:
                await self.flush(beat=rounds % HEARTBEAT_EVERY == 0)
            except DatabaseError as error:
                # The texts stay in memory; the next round saves them.
                logger.warning("write_behind_failed", error=type(error).__name__)

    async def flush(self, *, beat: bool = False) -> None:
        """Save what has grown since the last time."""
        grown = [w for w in self._watched.values() if w.reply.characters != w.saved_characters]
        rows = [
            (
                w.reply.text,
                w.reply.reasoning,
                w.job.message_id,
                w.job.generation_id,
                w.job.attempt,
            )
            for w in grown
            if w.job.message_id is not None
        ]
        sizes = [w.reply.characters for w in grown]
        calling = []
        for watched in self._watched.values():
            job = watched.job
            if job.message_id is not None and (calls := watched.growing_calls()):
                claim = record.Claim(job.message_id, job.generation_id, job.attempt)
                called = {call.number: _size(call) for call in calls}
                # As they are now: they grow while the thread writes.
                calling.append((watched, called, (claim, record.rows_of(job.message_id, calls))))
        beating = list(self._watched) if beat else []
        if rows or calling or beating:
            await in_database(_save, rows, [calls for _, _, calls in calling], beating)
        for watched, size in zip(grown, sizes, strict=True):
            watched.saved_characters = size
        for watched, called, _ in calling:
            watched.saved_calls |= called


def _save(
    rows: Sequence[tuple[str, str, int, int, int]],
    calling: Sequence[tuple[record.Claim, list[ToolCall]]],
    beating: list[int],
) -> None:
    with transaction.atomic():
        # Generations before messages, as everybody locks them.
        for claim, calls in calling:
            record.keep_growing(claim, calls)
        if beating:
            streaming = Generation.objects.filter(pk__in=beating, state=State.STREAMING)
            streaming.update(heartbeat_at=timezone.now())
        if rows:
            with connection.cursor() as cursor:
                cursor.executemany(SAVE, rows)
