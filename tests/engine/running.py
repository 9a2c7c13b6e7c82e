"""Turns as the worker runs them: a log, a task, a provider over a real socket."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from chat.engine.answer import Answer
from chat.engine.events import Delta, Event, ReasoningDelta, RefusalDelta, Requested, TextDelta
from chat.engine.log import MemoryLog
from chat.engine.provider import Provider
from chat.engine.request import Request
from chat.engine.toolbox import Toolbox
from chat.engine.turn import Deadlines, Turn

KEY = "sk-live-0123456789abcdef"
PATIENT = Deadlines(first_token_s=10, idle_s=10)


def asking(text: str = "Hi", **parameters: float | int) -> Request:
    return Request("fake", ({"role": "user", "content": text},), **parameters)  # type: ignore[arg-type]


@dataclass
class Run:
    """A turn, its log and the task that runs it."""

    turn: Turn
    log: MemoryLog
    task: asyncio.Task[None]
    number: int

    @property
    def events(self) -> list[Event]:
        subscription = self.log.subscribe(self.number, lambda: None)
        try:
            return subscription.take()
        finally:
            subscription.close()

    @property
    def text(self) -> str:
        return self.turn.reply.text

    @property
    def calls(self) -> int:
        return sum(isinstance(event, Requested) for event in self.events)

    @property
    def kind(self) -> str:
        return self.turn.error.kind if self.turn.error else ""

    async def until(self, holds: Callable[[], object]) -> None:
        """Waits until something holds that can only change when an event comes."""
        news = asyncio.Event()
        subscription = self.log.subscribe(self.number, news.set)
        try:
            async with asyncio.timeout(10):
                while not holds():
                    news.clear()
                    await news.wait()
        finally:
            subscription.close()

    async def cancel(self) -> None:
        self.task.cancel()
        await asyncio.wait([self.task])
        assert self.task.cancelled()


def start(
    client: Provider,
    request: Request | None = None,
    *,
    deadlines: Deadlines = PATIENT,
    log: MemoryLog | None = None,
    number: int = 1,
    toolbox: Toolbox | None = None,
) -> Run:
    log = MemoryLog() if log is None else log
    log.open(number, 1)
    turn = Turn(append=partial(log.append, number, 1), deadlines=deadlines)
    task = asyncio.create_task(turn.run(client, request or asking(), toolbox))
    return Run(turn, log, task, number)


async def run(
    client: Provider, request: Request | None = None, *, deadlines: Deadlines = PATIENT
) -> Run:
    begun = start(client, request, deadlines=deadlines)
    async with asyncio.timeout(30):
        await begun.task
    return begun


def read(*pieces: bytes, content_type: str = "text/event-stream") -> tuple[list[Delta], Answer]:
    """The deltas of a body that comes in these pieces, and what became of it."""
    answer = Answer(content_type)
    deltas = [delta for piece in pieces for delta in answer.feed(piece)]
    return deltas + answer.finish(), answer


def text_of(deltas: list[Delta] | list[Event]) -> str:
    return "".join(d.text for d in deltas if isinstance(d, TextDelta | RefusalDelta))


def reasoning_of(deltas: list[Delta] | list[Event]) -> str:
    return "".join(d.text for d in deltas if isinstance(d, ReasoningDelta))
