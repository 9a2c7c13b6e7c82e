"""Looks at a reply while it is being written, and ends it where the policy says to stop.

Beside the reply, window by window: a token never waits for it.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterable
from typing import Self

import structlog
from django.conf import settings

from chat import reconcile
from chat.engine.events import Event
from chat.engine.provider import Provider
from chat.engine.reply import Reply
from chat.models import Action, Direction
from chat.moderation.base import Result, Unclear, joined
from chat.moderation.stream import Windows
from chat.verdicts import Found
from chat.worker.claim import Job

logger = structlog.get_logger()

Append = Callable[[Iterable[Event]], object]


class Watch:
    """Use as a context manager while the reply is written. ``stop`` is called at most once."""

    def __init__(
        self, job: Job, reply: Reply, provider: Provider, stop: Callable[[], object]
    ) -> None:
        self._job, self._reply, self._provider, self._stop = job, reply, provider, stop
        self._found: dict[str, tuple[int, Result]] = {}
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        every = settings.MODERATION_STREAM_CHARS
        wanted = every > 0 and job.current.policy.may_stop(Direction.OUTPUT)
        self._windows = Windows(every, len(job.text_before)) if wanted else None

    def after(self, append: Append) -> Append:
        """``append``, and a look at what it appended; itself where nothing could be stopped."""
        windows = self._windows
        if windows is None:
            return append

        def appended(events: Iterable[Event]) -> None:
            append(events)
            if windows.is_due(len(self._job.text_before) + self._reply.text_chars):
                self._news.set()

        return appended

    async def __aenter__(self) -> Self:
        if self._windows is not None:
            self._task = asyncio.create_task(self._run(self._windows), name="watch")
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    def added(self, results: Found) -> dict[str, Result | Unclear]:
        """The results of the whole reply, with what ended it before its end."""
        merged: dict[str, Result | Unclear] = dict(results)
        for name, window in self._found.items():
            whole = results.get(name)
            merged[name] = joined([(0, whole), window] if isinstance(whole, Result) else [window])
        return merged

    async def _run(self, windows: Windows) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            try:
                if await self._look(windows):
                    self._stop()
                    return
            except Exception:
                # The whole is judged in any case, at its end.
                logger.exception("watch_failed", generation=self._job.generation_id)

    async def _look(self, windows: Windows) -> bool:
        at, window = windows.next(self._job.text_before + self._reply.text)
        current = self._job.current
        results = await reconcile.moderate_at_once(window, self._provider, "", current)
        for name, result in results.items():
            if (
                isinstance(result, Result)
                and current.policy.action(Direction.OUTPUT, result.categories, result.hits)
                == Action.STOP
            ):
                self._found[name] = at, result
        return bool(self._found)
