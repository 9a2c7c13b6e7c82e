"""What requests in one piece have taken: calls and tokens, whatever came of them. Pure.

Their errors and their retries are handled far from whoever has to account for them. So the provider
counts in a variable of the context, as far as somebody has opened one.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from chat.engine.events import UsageDelta


@dataclass(slots=True)
class Tally:
    """``model`` is the one that was asked last; tokens are those that the provider told of."""

    model: str = ""
    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0

    def call(self, model: str) -> None:
        self.model = model
        self.calls += 1

    def add(self, usage: UsageDelta) -> None:
        self.prompt_tokens += usage.prompt_tokens or 0
        self.completion_tokens += usage.completion_tokens or 0


_open: ContextVar[Tally | None] = ContextVar("tally", default=None)


@contextmanager
def tallied() -> Iterator[Tally]:
    """Count what is asked for in here."""
    tally = Tally()
    token = _open.set(tally)
    try:
        yield tally
    finally:
        _open.reset(token)


def current() -> Tally:
    """The one that is open; else one that nobody reads."""
    return _open.get() or Tally()
