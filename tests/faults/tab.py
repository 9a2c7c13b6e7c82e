"""An open page without a browser, over either transport."""

import asyncio
import contextlib
import json
import re
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Literal

import websockets
from websockets.asyncio.client import ClientConnection
from websockets.frames import Opcode

from tests.e2e.server import CANARY_KEY
from tests.faults.dom import Dom, squeezed
from tests.support import eventually
from tests.visitor import Visitor

Over = Literal["socket", "events"]
OVER: tuple[Over, ...] = ("socket", "events")
# As static/js/socket.js does it.
ACK_AFTER_S = 1.0
ACK_AFTER_CHARS = 256 * 1024


class Tab:
    """What a page shows; it stays when the connection is lost, and can be connected again.

    ``heard`` are the times of everything that came, signs of life included. ``code`` is why the
    server ended the connection, once it has.
    """

    def __init__(self, visitor: Visitor, html: str) -> None:
        self.visitor, self.dom = visitor, Dom(html)
        self.socket_path = re.search(r'hx-ws:connect="([^"]+)"', html)[1].replace("&amp;", "&")  # type: ignore[index]
        self.cursor: int | None = None
        self.heard: list[float] = []
        self.signs: list[float] = []
        self.code: int | None = None
        self.received = 0  # characters
        self.said: list[str] = []
        self._following: asyncio.Task[None] | None = None

    # What it shows

    @property
    def text(self) -> str:
        """The words of the newest message."""
        bodies = self.dom.bodies()
        return bodies[-1] if bodies else ""

    @property
    def state(self) -> str:
        return self.dom.state()

    @property
    def foot(self) -> str:
        """The line under the newest message."""
        feet = [e for e in self.dom.root.elements() if e.attributes.get("class") == "message-foot"]
        return squeezed(feet[-1].text) if feet else ""

    async def shows(self, text: str, within: float = 20) -> float:
        """Wait until the newest message has these words; returns when."""
        return await self.until(lambda: squeezed(text) in self.text, within, repr(text))

    async def becomes(self, *states: str, within: float = 20) -> float:
        """Wait until the status line says one of these; returns when."""
        return await self.until(lambda: self.state in states, within, " or ".join(states))

    async def says(self, words: str, within: float = 20) -> float:
        """Wait until the status line has said these words; returns when."""
        return await self.until(lambda: any(words in s for s in self.said), within, repr(words))

    async def lives(self, signs: int, within: float = 30) -> float:
        """Wait for so many more signs of life that say nothing; returns when."""
        wanted = len(self.signs) + signs
        return await self.until(lambda: len(self.signs) >= wanted, within, "signs of life")

    async def let_go(self, within: float = 20) -> int:
        """Wait until the server ends the connection; returns the code that it gave."""
        await self.until(lambda: self.code is not None, within, "an end")
        assert self.code is not None
        return self.code

    async def until(self, holds: Callable[[], bool], within: float, what: str) -> float:
        async def probe() -> bool:
            if self._following is not None and self._following.done():
                self._following.result()  # what went wrong while it followed
            return holds()

        try:
            await eventually(probe, within=within)
        except AssertionError:
            shows = f"{self.text[-200:]!r}, {self.state!r}, code {self.code}"
            raise AssertionError(f"waited {within} s for {what}: {shows}") from None
        return time.monotonic()

    # How it is connected

    @asynccontextmanager
    async def connected(self, over: Over = "socket", at: str = "") -> AsyncIterator[None]:
        """Follow, from what it has; returns without a goodbye, as a lost network does."""
        follow = self._socket if over == "socket" else self._events
        ready = asyncio.Event()
        self.code = None
        task = self._following = asyncio.create_task(follow(at or self.visitor.url, ready))
        waiting = asyncio.create_task(ready.wait())
        try:
            await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED, timeout=30)
            if task.done():
                task.result()
            assert ready.is_set() or task.done(), "not connected"
            yield
            if task.done():
                task.result()  # what went wrong while it followed
        finally:
            self._following = None
            waiting.cancel()
            task.cancel()
            await asyncio.gather(task, waiting, return_exceptions=True)

    async def _socket(self, base: str, ready: asyncio.Event) -> None:
        tab = self

        class Listening(ClientConnection):
            def process_event(self, event: Any) -> None:
                if getattr(event, "opcode", None) is Opcode.PING:
                    tab._sign()
                super().process_event(event)

        async with websockets.connect(
            base.replace("http", "ws", 1) + self.socket_path,
            origin=base,  # type: ignore[arg-type]
            additional_headers={"Cookie": self.visitor.person.cookie},
            create_connection=Listening,
            max_size=None,
            ping_interval=None,
            compression=None,
            proxy=None,
        ) as connection:
            try:
                if self.cursor is not None:
                    await connection.send(json.dumps({"type": "resume", "cursor": self.cursor}))
                ready.set()
                acknowledged, acknowledged_at = self.received, time.monotonic()
                with contextlib.suppress(websockets.ConnectionClosed):
                    while True:
                        frame = await connection.recv()
                        assert isinstance(frame, str)
                        number = self._take(frame)
                        late = time.monotonic() - acknowledged_at > ACK_AFTER_S
                        if late or self.received - acknowledged > ACK_AFTER_CHARS:
                            acknowledged, acknowledged_at = self.received, time.monotonic()
                            await connection.send(json.dumps({"type": "ack", "frame": number}))
                self.code = connection.close_code or 1006
            except asyncio.CancelledError:
                connection.transport.abort()
                raise

    async def _events(self, base: str, ready: asyncio.Event) -> None:
        query = self.socket_path.partition("?")[2]
        resume = "" if self.cursor is None else f"Last-Event-ID: {self.cursor}\r\n"
        host = base.removeprefix("http://")
        name, port = host.split(":")
        reader, writer = await asyncio.open_connection(name, int(port), limit=64 * 1024 * 1024)
        try:
            writer.write(
                f"GET {self.visitor.path}events?{query} HTTP/1.1\r\nHost: {host}\r\n"
                f"Cookie: {self.visitor.person.cookie}\r\n{resume}\r\n".encode()
            )
            head = await reader.readuntil(b"\r\n\r\n")
            assert b" 200 " in head.splitlines()[0], head
            ready.set()
            async for block in _blocks(reader):
                self._block(block)
            self.code = self.code or 1006
        finally:
            writer.transport.abort()

    def _block(self, block: str) -> None:
        if block.startswith(":"):
            self._sign()
            return
        fields = dict(line.split(": ", 1) for line in block.splitlines())
        if fields.get("event") == "bye":
            self.code = int(fields["data"])
        elif "data" in fields:
            self._take(fields["data"])

    def _sign(self) -> None:
        self.heard.append(time.monotonic())
        self.signs.append(self.heard[-1])

    def _take(self, frame: str) -> int:
        self.heard.append(time.monotonic())
        assert CANARY_KEY not in frame
        said = json.loads(frame)
        self.dom.take(frame)
        self.cursor = said["cursor"]
        self.received += len(frame)
        if "data-state" in said["content"]:
            self.said.append(said["content"])
        return int(said.get("frame", 0))


async def _blocks(reader: asyncio.StreamReader) -> AsyncIterator[str]:
    """The blocks of an event stream, whatever its body's framing."""
    rest = b""
    with contextlib.suppress(OSError, asyncio.IncompleteReadError):
        async for piece in _chunks(reader):
            rest += piece
            while b"\n\n" in rest:
                block, _, rest = rest.partition(b"\n\n")
                yield block.decode()


async def _chunks(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    while size := int((await reader.readline()).strip() or b"0", 16):
        yield await reader.readexactly(size)
        await reader.readline()
