"""What the provider was asked, and what became of each answer."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from .wire import Incoming

Kind = Literal["stream", "completion", "models", "moderations", "other"]
PATIENCE_S = 5.0  # how long a waiting test waits unless told; far over what a busy machine needs

T = TypeVar("T")

KINDS: dict[str, Kind] = {"/models": "models", "/moderations": "moderations"}


class Changes:
    """Tells waiting tests that something happened. No test sleeps and hopes."""

    def __init__(self) -> None:
        self._condition = threading.Condition()

    def tell(self) -> None:
        with self._condition:
            self._condition.notify_all()

    def wait_for(
        self, predicate: Callable[[], T | None], timeout: float, what: Callable[[], str]
    ) -> T:
        """The first true value of the predicate. Raises TimeoutError, saying what there was."""
        with self._condition:
            value = self._condition.wait_for(predicate, timeout)
        if not value:
            raise TimeoutError(f"not within {timeout} s: {what()}")
        return value


@dataclass(eq=False)
class Request:
    """One request. Times are `time.monotonic()`.

    bytes_sent: bytes of the answer's body given to the socket (HTTP head and chunk sizes apart).
    finished_at: the whole script was played, its own Cut or Reset included.
    closed_at: the client closed the connection before that.
    """

    kind: Kind
    method: str
    path: str
    headers: dict[str, str]
    body: Any
    changes: Changes = field(repr=False)
    received_at: float = field(default_factory=time.monotonic)
    bytes_sent: int = 0
    first_sent_at: float | None = None
    finished_at: float | None = None
    closed_at: float | None = None

    @property
    def finished(self) -> bool:
        return self.finished_at is not None

    @property
    def closed_by_client(self) -> bool:
        return self.closed_at is not None

    @property
    def messages(self) -> list[dict[str, Any]]:
        messages: list[dict[str, Any]] = self.body["messages"]
        return messages

    @property
    def model(self) -> str:
        return str(self.body.get("model", "fake")) if isinstance(self.body, dict) else "fake"

    @property
    def include_usage(self) -> bool:
        options = self.body.get("stream_options") if isinstance(self.body, dict) else None
        return isinstance(options, dict) and options.get("include_usage") is True

    def sent(self, count: int) -> None:
        if count and self.first_sent_at is None:
            self.first_sent_at = time.monotonic()
        self.bytes_sent += count
        self.changes.tell()

    def finish(self) -> None:
        self.finished_at = time.monotonic()
        self.changes.tell()

    def client_closed(self) -> None:
        self.closed_at = time.monotonic()
        self.changes.tell()

    def wait_closed(self, timeout: float = PATIENCE_S) -> float:
        """Waits until the client has closed the connection mid-answer; the time when it did."""
        return self.changes.wait_for(lambda: self.closed_at, timeout, lambda: repr(self))

    def wait_finished(self, timeout: float = PATIENCE_S) -> float:
        return self.changes.wait_for(lambda: self.finished_at, timeout, lambda: repr(self))

    def wait_sent(self, count: int = 1, timeout: float = PATIENCE_S) -> None:
        """Waits until so many bytes of the body have been given to the socket."""
        self.changes.wait_for(lambda: self.bytes_sent >= count, timeout, lambda: repr(self))


def record(incoming: Incoming, changes: Changes) -> Request:
    body = incoming.json
    path = incoming.path.partition("?")[0].removeprefix("/v1")
    kind = KINDS.get(path, "other")
    if path == "/chat/completions":
        kind = "stream" if isinstance(body, dict) and body.get("stream") else "completion"
    return Request(kind, incoming.method, incoming.path, incoming.headers, body, changes)
