"""A viewer that stops reading: the server queues little for it, and nobody else notices."""

import asyncio
import json
import re
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import websockets

from tests.e2e.server import Person, Server
from tests.fake_provider import Done, FakeProvider, Finish, Gate, Reasoning, Script, Text
from tests.faults.people import Guest
from tests.faults.tab import OVER, Over

LINE = "thinking " * 500  # of one piece
PIECES = 1_000
PIECES_PER_S = 78  # just under what one page is sent: above it, frames grow without end
REPLY_BYTES = len(LINE) * PIECES
# 1 MiB that may be queued for it, and what two servers differ by anyway.
GROWTH_BYTES = 3 * 1024 * 1024
RECEIVE_BUFFER_BYTES = 4_096
COMPLETE = b'data-state=\\"complete'
# Reasoning: much text that costs the server little, so that the pages are what is measured.
TORRENT = Script(
    Reasoning(LINE * PIECES, size=len(LINE), rate=PIECES_PER_S),
    Gate("end"),
    Text("The end."),
    Finish(),
    Done(),
)


def resident_bytes(server: Server) -> int:
    status = Path(f"/proc/{server.popen.pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) * 1024  # type: ignore[index]


def narrow(port: int) -> socket.socket:
    """A connection whose kernel keeps next to nothing for who does not read."""
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
    made.connect(("127.0.0.1", port))
    made.setblocking(False)
    return made


class Sleeper:
    """Opens the page's stream and reads nothing of it until told."""

    def __init__(self, guest: Guest, port: int, over: Over) -> None:
        self._guest, self._port, self._over = guest, port, over

    async def open(self) -> None:
        guest = self._guest
        if self._over == "socket":
            self._socket = await websockets.connect(
                guest.url.replace("http", "ws") + guest.socket_path,
                origin=guest.url,  # type: ignore[arg-type]
                additional_headers={"Cookie": guest.person.cookie},
                sock=narrow(self._port),
                max_size=None,
                max_queue=1,
                ping_interval=None,
                compression=None,
            )
            await self._socket.send(json.dumps({"type": "resume", "cursor": -1}))
        else:
            self._reader, self._writer = await asyncio.open_connection(
                sock=narrow(self._port), limit=8_192
            )
            query = guest.socket_path.partition("?")[2]
            self._writer.write(
                f"GET {guest.path}events?{query} HTTP/1.1\r\nHost: {guest.url[7:]}\r\n"
                f"Cookie: {guest.person.cookie}\r\n\r\n".encode()
            )

    async def read_to_the_end(self) -> int:
        """Read until the reply is complete; returns how many bytes that were."""
        read, overlap = 0, b""
        while True:
            if self._over == "socket":
                frame = await self._socket.recv()
                assert isinstance(frame, str)
                piece = frame.encode()
            else:
                piece = await self._reader.read(256 * 1024)
            assert piece, "it ended"
            read += len(piece)
            if COMPLETE in overlap + piece:
                return read
            overlap = piece[-len(COMPLETE) :]

    async def close(self) -> None:
        if self._over == "socket":
            await self._socket.close()
        else:
            self._writer.close()


@dataclass
class Audience:
    """A server with a reply that one page reads, and another page that may not read it."""

    server: Server
    guest: Guest
    sleeper: Sleeper | None

    async def watch(self, stack: AsyncExitStack) -> None:
        self.reading = await stack.enter_async_context(self.guest.opened())
        if self.sleeper is None:
            self.other = await stack.enter_async_context(self.guest.opened())
        else:
            await self.sleeper.open()
        self.before = resident_bytes(self.server)
        await self.guest.asks("Think!")

    async def has_read_all(self) -> int:
        """By how much the server has grown when the page that reads has all of it."""
        await self.reading.until(lambda: self.reading.received >= REPLY_BYTES, 120, "the torrent")
        return resident_bytes(self.server) - self.before


async def test_a_viewer_that_does_not_read_costs_no_more_than_one_that_does_and_catches_up(
    own_server: Callable[..., Server], people: Iterator[Person], provider: FakeProvider
) -> None:
    provider.script(TORRENT)
    # What is freed goes back to the system at once: what is resident is what is used.
    malloc = {f"MALLOC_{name}": "65536" for name in ("MMAP_THRESHOLD_", "TRIM_THRESHOLD_")}
    audiences = []
    for over in (None, *OVER):
        server = await asyncio.to_thread(own_server, MALLOC_ARENA_MAX="1", **malloc)
        guest = Guest(server.url, next(people))
        sleeper = Sleeper(guest, server.port, over) if over else None
        audiences.append(Audience(server, guest, sleeper))
    async with AsyncExitStack() as stack:
        await asyncio.gather(*(audience.watch(stack) for audience in audiences))
        read, *slept = await asyncio.gather(*(a.has_read_all() for a in audiences))
        print(f"grown by {read}, with a sleeper by {slept}")
        assert max(slept) <= read + GROWTH_BYTES
        opened_at = time.monotonic()
        provider.open("end")
        for audience in audiences:
            # Nobody waits for who sleeps.
            await audience.reading.becomes("complete")
        assert time.monotonic() - opened_at <= 5
        for audience in audiences[1:]:
            assert audience.sleeper is not None
            async with asyncio.timeout(60):
                assert await audience.sleeper.read_to_the_end() >= REPLY_BYTES
            await audience.sleeper.close()
