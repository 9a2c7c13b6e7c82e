"""The users: each asks and records what comes, as cheaply as Python can, since it shares the
machine with the server. While tokens flow nothing is parsed but what ends the reply."""

import asyncio
import json
import time
from typing import Protocol

from .measure import Recording

BODY_END = b"\r\n0\r\n\r\n"


class User(Protocol):
    async def prepare(self) -> None:
        """Does what comes before the question: connects, opens the page."""

    async def ask(self, text: str, patience_s: float) -> Recording:
        """Asks and records until the reply is finished."""

    async def check(self, recording: Recording) -> None:
        """After the measured window: looks what was kept of the reply."""

    async def close(self) -> None: ...


class SseUser(asyncio.Protocol):
    """Asks over one keep-alive connection and reads the event stream that answers."""

    def __init__(self, port: int, path: str) -> None:
        self._port, self._path = port, path
        self._transport: asyncio.Transport | None = None
        self._recording = Recording([], messages=False)
        self._tail = b""
        self._done: asyncio.Future[None] | None = None

    def body(self, text: str) -> bytes:
        raise NotImplementedError

    async def prepare(self) -> None:
        if self._transport is None:
            loop = asyncio.get_running_loop()
            self._transport, _ = await loop.create_connection(lambda: self, "127.0.0.1", self._port)

    async def ask(self, text: str, patience_s: float) -> Recording:
        body = self.body(text)
        head = (
            f"POST {self._path} HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
            "Accept: text/event-stream\r\n\r\n"
        )
        self._recording, self._tail = Recording([], messages=False), b""
        self._done = asyncio.get_running_loop().create_future()
        assert self._transport is not None
        self._recording.started = time.monotonic_ns()
        self._transport.write(head.encode() + body)
        try:
            async with asyncio.timeout(patience_s):
                await self._done
        except TimeoutError:
            self._recording.problem = f"not finished within {patience_s:.0f} s"
        return self._recording

    def data_received(self, data: bytes) -> None:
        now = time.monotonic_ns()
        recording = self._recording
        if not recording.reads and not data.startswith(b"HTTP/1.1 200 "):
            recording.problem = f"answered {data[:60]!r}"
        recording.reads.append((now, data))
        self._tail = (self._tail + data)[-len(BODY_END) :]
        if self._tail == BODY_END or recording.problem:
            self._finish("")

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._finish(f"connection lost: {exc}")

    def _finish(self, problem: str) -> None:
        if self._done is not None and not self._done.done():
            self._recording.problem = self._recording.problem or problem
            self._done.set_result(None)

    async def check(self, recording: Recording) -> None:
        """Nothing is kept here: only repeats can be seen, in the stream itself."""
        recording.stored = b"".join(data for _, data in recording.reads)

    async def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


class DirectUser(SseUser):
    """Straight at the provider: the floor."""

    def __init__(self, provider_port: int) -> None:
        super().__init__(provider_port, "/v1/chat/completions")

    def body(self, text: str) -> bytes:
        messages = [{"role": "user", "content": text}]
        return json.dumps({"model": "fake", "messages": messages, "stream": True}).encode()


class TutorialUser(SseUser):
    def __init__(self, port: int) -> None:
        super().__init__(port, "/chat")

    def body(self, text: str) -> bytes:
        return json.dumps({"message": text}).encode()
