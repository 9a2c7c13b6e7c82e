"""Looks at a reply while it is being written, and ends it where the policy says to stop.

Beside the reply, window by window: a token never waits for it.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Self

import structlog
from django.conf import settings

from chat import answers, reconcile
from chat.engine.events import CallDelta, Event, ReasoningDelta, RefusalDelta, TextDelta
from chat.engine.provider import Provider
from chat.engine.tool_calls import Call
from chat.engine.toolbox import Move, Toolbox
from chat.models import Action, Direction
from chat.moderation.base import Result, Unclear, joined
from chat.moderation.stream import Windows
from chat.verdicts import Found
from chat.worker.claim import Job

logger = structlog.get_logger()

TEXT, REASONING = "text", "reasoning"

Append = Callable[[Iterable[Event]], object]


class _Part:
    """One of what grows side by side: text, reasoning, the arguments of a call."""

    def __init__(self, every_chars: int, before: str = "") -> None:
        self._text = [before]
        self._chars = len(before)
        self.windows = Windows(every_chars, len(before))

    def feed(self, piece: str) -> bool:
        """Take a piece; is it time to look?"""
        self._text.append(piece)
        self._chars += len(piece)
        return self.windows.is_due(self._chars)

    def window(self) -> tuple[int, str] | None:
        """What is to be looked at, and where in the whole it begins; None when nothing is due."""
        if not self.windows.is_due(self._chars):
            return None
        self._text = ["".join(self._text)]
        return self.windows.next(self._text[0])


class Watch:
    """Use as a context manager while the reply is written. ``stop`` is called at most once."""

    def __init__(self, job: Job, provider: Provider, stop: Callable[[], object]) -> None:
        self._job, self._provider, self._stop = job, provider, stop
        self._found: dict[str, tuple[int, Result]] = {}
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._every = settings.MODERATION_STREAM_CHARS
        self._may_stop = job.current.policy.may_stop(Direction.OUTPUT)
        self._wanted = self._every > 0 and self._may_stop
        self._parts: dict[str | int, _Part] = {TEXT: _Part(self._every, job.text_before)}

    def after(self, append: Append) -> Append:
        """``append``, and a look at what it appended; itself where nothing could be stopped."""
        if not self._wanted:
            return append

        def appended(events: Iterable[Event]) -> None:
            events = list(events)
            append(events)
            for event in events:
                if isinstance(event, TextDelta | RefusalDelta):
                    self._feed(TEXT, event.text)
                elif isinstance(event, ReasoningDelta):
                    self._feed(REASONING, event.text)
                elif isinstance(event, CallDelta):
                    self._feed(event.number, event.name + event.arguments)

        return appended

    def _feed(self, name: str | int, piece: str) -> None:
        part = self._parts.get(name)
        if part is None:
            part = self._parts[name] = _Part(self._every)
        if part.feed(piece):
            self._news.set()

    async def __aenter__(self) -> Self:
        if self._wanted:
            self._task = asyncio.create_task(self._run(), name="watch")
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def before(self, calls: Iterable[Call]) -> None:
        """What is stopped never gets to a tool, which may send it anywhere.

        Raises:
            asyncio.CancelledError: the reply was ended.
        """
        if not self._may_stop:
            return
        said = [(call.name, call.arguments) for call in calls]
        if await self._objects(answers.readable("", None, said), 0, shown=False):
            self._stop()
            await asyncio.sleep(0)  # whoever waits for the tools is cancelled by now

    def added(self, results: Found) -> dict[str, Result | Unclear]:
        """The results of the whole reply, with what ended it before its end."""
        merged: dict[str, Result | Unclear] = dict(results)
        for name, window in self._found.items():
            whole = results.get(name)
            merged[name] = joined([(0, whole), window] if isinstance(whole, Result) else [window])
        return merged

    async def _run(self) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            try:
                for name in list(self._parts):
                    if await self._look(name):
                        self._stop()
                        return
            except Exception:
                # The whole is judged in any case, at its end.
                logger.exception("watch_failed", generation=self._job.generation_id)

    async def _look(self, name: str | int) -> bool:
        window = self._parts[name].window()
        if window is None:
            return False
        at, text = window
        return await self._objects(text, at, shown=name == TEXT)

    async def _objects(self, text: str, at: int, *, shown: bool) -> bool:
        """Does the policy stop this? Passages are of the text that is ``shown`` alone."""
        current = self._job.current
        results = await reconcile.moderate_at_once(text, self._provider, "", current)
        for backend, result in results.items():
            if (
                isinstance(result, Result)
                and current.policy.action(Direction.OUTPUT, result.categories, result.hits)
                == Action.STOP
            ):
                self._found[backend] = at, result if shown else replace(result, spans=())
        return bool(self._found)


class Watched:
    """A ``chat.engine.toolbox.Toolbox`` of which each call is looked at first."""

    def __init__(self, box: Toolbox, watch: Watch) -> None:
        self._box, self._watch = box, watch

    async def run(self, calls: Sequence[Call], move: Move) -> None:
        await self._watch.before(calls)
        await self._box.run(calls, move)
