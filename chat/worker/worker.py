"""The loop: claim what is queued, run it, save it, reconcile it; stop and drain on request."""

import asyncio
import contextlib
import os
import secrets
import socket
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ParamSpec, TypeVar

import structlog
from django.conf import settings
from django.db import DatabaseError

from chat import doorbell, pending, titles
from chat.database import in_database
from chat.engine.errors import ProviderError, TimedOut
from chat.engine.events import Ended, Outcome
from chat.engine.log import Log
from chat.engine.provider import Provider
from chat.engine.turn import Deadlines, Turn
from chat.models import Purpose
from chat.tools.box import Box, open_box
from chat.tools.record import Claim
from chat.verdicts import MODERATION
from chat.worker import questions
from chat.worker.claim import Job, claim_some
from chat.worker.finish import finish
from chat.worker.judging import judge
from chat.worker.patrol import NO_VIEWER, has_left, may_be_abandoned, to_stop
from chat.worker.watch import Watch, Watched
from chat.worker.writer import Writer

logger = structlog.get_logger()

P = ParamSpec("P")
T = TypeVar("T")

POLL_S = 2.0  # a wake-up is a hint; this is how long a lost one can go unnoticed
# Twice in a second: a stop and a page that left may take one to reach the provider.
PATROL_S = 0.4
# Nobody waits for a title: a hundred of them at once would hold up a hundred replies.
TITLES_AT_ONCE = 2
# Reasons that end a turn as stopped: somebody wanted it so. Any other way is an interruption.
WANTED = {"user", "deleted", MODERATION}
DEADLINE, DRAINED = "deadline", "drained"


class InternalError(ProviderError):
    """Our own fault. The user reads the same neutral sentence, the log has the traceback."""

    kind = "internal"


@dataclass(slots=True)
class _Running:
    job: Job
    turn: Turn
    produce: asyncio.Task[None] | None = None
    stop_reason: str = ""
    told: set[str] = field(default_factory=set)  # every reason to stop that was given
    hurry: asyncio.Event = field(default_factory=asyncio.Event)  # wait for no verdict
    seen: bool = False  # by somebody, once
    box: Box | None = None
    watch: Watch | None = None
    tasks: list[asyncio.Task[Any]] = field(default_factory=list)


def _waits_for_user(running: _Running) -> bool:
    """Then nothing is being paid for, and he may come back for it."""
    return running.box is not None and running.box.waiting > 0


class Worker:
    """Runs generations on this process's event loop until it is drained.

    ``ready`` is awaited before the provider is called: the local model may still be loading.
    """

    def __init__(self, provider: Provider, log: Log, ready: Callable[[], Awaitable[None]]) -> None:
        self.name = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(3)}"
        self._provider, self._log, self._ready = provider, log, ready
        self._writer = Writer()
        self._wake = asyncio.Event()
        self._running: dict[int, _Running] = {}
        self._titles = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop_task: asyncio.Task[None] | None = None
        self._patrol_task: asyncio.Task[None] | None = None
        self._patrol_now = asyncio.Event()
        self._news = asyncio.Event()
        self.draining = False

    def start(self) -> None:
        self._writer.start()
        self._loop_task = asyncio.create_task(self._run(), name="worker")
        self._patrol_task = asyncio.create_task(self._patrol(), name="patrol")

    def wake(self) -> None:
        """There may be something to claim."""
        self._wake.set()

    def look_around(self) -> None:
        """There may be something to claim, to stop, or to go on with."""
        self._wake.set()
        self._patrol_now.set()
        self._news.set()  # who waits goes on, who comes later waits anew
        self._news.clear()

    def stop(self, generation_id: int, reason: str) -> None:
        """Cancel a running turn: its provider connection closes, its text so far is saved.

        One that has ended waits for no verdict any more, unless it is what ended it that is said
        again: the patrol reads it in the row until all is saved. A process that has to go waits
        for none in any case.
        """
        running = self._running.get(generation_id)
        if running is None:
            return
        is_news = reason not in running.told
        running.told.add(reason)
        has_ended = running.produce is not None and running.produce.done()
        if reason == DRAINED or (has_ended and is_news):
            running.hurry.set()
        if has_ended:
            return
        if running.stop_reason:
            return
        running.stop_reason = reason
        if running.produce is not None:
            running.produce.cancel()

    @property
    def running(self) -> int:
        return len(self._running)

    async def drain(self, timeout_s: float) -> None:
        """Claim nothing more; let the running replies finish, save what is left as interrupted."""
        self.draining = True
        if self._loop_task is not None:
            self._loop_task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._loop_task
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=timeout_s)
        self.interrupt_all()
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=5)
        if self._patrol_task is not None:
            self._patrol_task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._patrol_task
        await self._writer.close()

    def interrupt_all(self) -> None:
        """Save what still runs as interrupted."""
        for generation_id in list(self._running):
            self.stop(generation_id, DRAINED)

    async def _run(self) -> None:
        while True:
            self._wake.clear()
            try:
                while jobs := await self._claim():
                    for job in jobs:
                        self._begin(job)
            except DatabaseError as error:
                logger.warning("claim_failed", error=type(error).__name__)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(POLL_S):
                    await self._wake.wait()

    async def _claim(self) -> list[Job]:
        return await in_database(claim_some, self.name, titles=TITLES_AT_ONCE - self._titles)

    async def _patrol(self) -> None:
        while True:
            self._patrol_now.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PATROL_S):
                    await self._patrol_now.wait()
            if not self._running:
                continue
            try:
                jobs = [running.job for running in self._running.values()]
                for generation_id, reason in (await in_database(to_stop, jobs)).items():
                    self.stop(generation_id, reason)
            except DatabaseError as error:
                logger.warning("patrol_failed", error=type(error).__name__)
            await self._leave_abandoned()

    async def _leave_abandoned(self) -> None:
        if self.draining:
            return  # the pages were told to leave, and may have nowhere to come back to yet
        watched = [
            running
            for running in self._running.values()
            if may_be_abandoned(running.job) and not _waits_for_user(running)
        ]
        audiences = await self._log.audience([r.job.generation_id for r in watched])
        for running in watched:
            audience = audiences.get(running.job.generation_id)
            if audience is None:
                continue
            running.seen |= audience.seen
            if has_left(audience._replace(seen=running.seen)):
                self.stop(running.job.generation_id, NO_VIEWER)

    def _begin(self, job: Job) -> None:
        run = self._run_reply if job.purpose == Purpose.REPLY else self._run_title
        task = asyncio.create_task(run(job), name=f"generation-{job.generation_id}")
        # A task that nobody holds may be collected while it runs.
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _beside(self, work: Coroutine[Any, Any, None]) -> None:
        """Let it run on, as long as a reply may."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run_reply(self, job: Job) -> None:
        structlog.contextvars.bind_contextvars(
            generation=job.generation_id, request_id=job.request_id
        )
        self._log.open(job.generation_id, job.attempt)
        append = partial(self._log.append, job.generation_id, job.attempt)
        turn = Turn(
            append=append,
            deadlines=Deadlines(settings.STREAM_FIRST_TOKEN_TIMEOUT, settings.STREAM_IDLE_TIMEOUT),
        )
        running = self._running[job.generation_id] = _Running(job, turn)
        stop = partial(self.stop, job.generation_id, MODERATION)
        running.watch = Watch(job, self._provider, stop)
        turn.append = running.watch.after(append)
        self._writer.watch(job, turn.reply)
        logger.info("generation_started", conversation=str(job.conversation_id))
        try:
            async with running.watch:
                running.produce = asyncio.create_task(self._produce(running))
                await asyncio.wait([running.produce])
            outcome, error = self._outcome(running)
            await self._save(running, outcome, error)
        finally:
            self._writer.forget(job)
            del self._running[job.generation_id]

    async def _produce(self, running: _Running) -> None:
        job, turn = running.job, running.turn
        await questions.check_told(job.told, job.current, self._provider)
        await questions.check(job.questions, job.current, self._provider, self._beside)
        await self._ready()
        if not job.tools:
            await turn.run(self._provider, job.request)
            return
        assert job.message_id is not None
        async with open_box(
            Claim(job.message_id, job.generation_id, job.attempt),
            job.owner_id,
            job.conversation_id,
            job.tools,
            job.approvals,
            self._news,
        ) as running.box:
            assert running.watch is not None
            box = Watched(running.box, running.watch)
            await turn.run(self._provider, job.request, box)

    def _outcome(self, running: _Running) -> tuple[Outcome, ProviderError | None]:
        produce, turn = running.produce, running.turn
        assert produce is not None
        if produce.cancelled():
            wanted = running.stop_reason in WANTED
            return (Outcome.STOPPED if wanted else Outcome.INTERRUPTED), None
        if (error := produce.exception()) is not None:
            if not isinstance(error, ProviderError):
                logger.error("generation_crashed", exc_info=error)
                error = InternalError(type(error).__name__)
            return (Outcome.FAILED if turn.reply.empty else Outcome.INTERRUPTED), error
        # It came to its own end, maybe before a stop could reach it.
        running.stop_reason = DEADLINE if isinstance(turn.error, TimedOut) else ""
        assert turn.outcome is not None
        return turn.outcome, turn.error

    async def _save(self, running: _Running, outcome: Outcome, error: ProviderError | None) -> None:
        """Moderate, save, and only then close the log: who sees the end finds it in the row."""
        job, turn = running.job, running.turn
        reason = running.stop_reason
        judged = await judge(job, turn.reply, self._provider, running.watch, running.hurry)
        won = await self._insist(finish, job, turn, outcome, reason, error, judged.results)
        if won:
            self._log.append(job.generation_id, job.attempt, [Ended(outcome)])
        else:
            logger.warning("claim_lost")  # who took it has said so to the pages
        self._log.drop(job.generation_id)
        # After the end is in the log: a page that has followed so far needs no second copy.
        doorbell.ring_conversation(job.conversation_id)
        logger.info(
            "generation_ended",
            outcome=str(outcome),
            reason=reason or None,
            error=error.kind if error else None,
            calls=turn.calls,
            characters=turn.reply.characters,
        )
        self.wake()  # a title may have been queued
        if won and judged.to_ask:
            assert job.message_id is not None
            await pending.moderate_pending(job.message_id, self._provider)

    async def _insist(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do it in the database, however long the database is away: the reply is in memory."""
        delay_s = 0.2
        while True:
            try:
                return await in_database(call, *args, **kwargs)
            except DatabaseError as failure:
                logger.warning("save_failed", error=type(failure).__name__)
                await asyncio.sleep(delay_s)
                delay_s = min(delay_s * 2, 5.0)

    async def _run_title(self, job: Job) -> None:
        self._titles += 1
        try:
            await self._ready()
            check = questions.check(job.questions, job.current, self._provider, self._beside)
            await titles.run(job, self._provider, check)
        except Exception:
            # A title is a nicety: the first words of the question stay in its place.
            logger.exception("title_failed", generation=job.generation_id)
        finally:
            self._titles -= 1
            self.wake()
