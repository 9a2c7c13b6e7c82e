"""A viewer that stops reading: the server queues little for it, and nobody else notices."""

import asyncio
import json
import socket
import time
from collections.abc import Callable

import websockets

from tests.e2e.server import Person, Server
from tests.fake_provider import Done, FakeProvider, Finish, Gate, Reasoning, Script, Text
from tests.faults.people import Guest
from tests.faults.tab import OVER, Over

LINE = "thinking " * 500  # of one piece
PIECES = 1_000
PIECES_PER_S = 78  # just under what one page is sent: above it, frames grow by themselves
REPLY_BYTES = len(LINE) * PIECES
QUEUED_BYTES = 1024 * 1024
KERNEL_BYTES = 2 * 1024 * 1024 + 512 * 1024  # in the buffers of a loopback connection
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
        self._unread = bytearray()

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

    async def read_to_the_end(self) -> list[int]:
        """Read until the reply is complete; returns how large the frames were."""
        frames: list[int] = []
        while True:
            frame = await (self._frame() if self._over == "socket" else self._event())
            frames.append(len(frame))
            if COMPLETE in frame:
                return frames

    async def _frame(self) -> bytes:
        frame = await self._socket.recv()
        assert isinstance(frame, str)
        return frame.encode()

    async def _event(self) -> bytes:
        """Up to an empty line. Not by the reader's own method: its limit is for who sleeps."""
        while b"\n\n" not in self._unread:
            piece = await self._reader.read(256 * 1024)
            assert piece, "it ended"
            self._unread.extend(piece)
        event, _, rest = self._unread.partition(b"\n\n")
        self._unread = rest
        return bytes(event)

    async def close(self) -> None:
        if self._over == "socket":
            await self._socket.close()
        else:
            self._writer.close()


async def test_a_viewer_that_does_not_read_is_not_queued_for_and_catches_up_in_one_go(
    own_server: Callable[..., Server], somebody: Person, provider: FakeProvider
) -> None:
    provider.script(TORRENT)
    # Who does not read answers no ping either, and would be let go after half a minute.
    server = await asyncio.to_thread(own_server, STREAM_HEARTBEAT="120")
    guest = Guest(server.url, somebody)
    sleepers = [Sleeper(guest, server.port, over) for over in OVER]
    async with guest.opened() as tab:
        for sleeper in sleepers:
            await sleeper.open()
        await guest.asks("Think!")
        await tab.until(lambda: tab.received >= REPLY_BYTES, 90, "the torrent")
        opened_at = time.monotonic()
        provider.open("end")
        # Nobody waits for who sleeps.
        assert await tab.becomes("complete") - opened_at <= 5
    for sleeper in sleepers:
        async with asyncio.timeout(60):
            frames = await sleeper.read_to_the_end()
        await sleeper.close()
        largest = frames.index(max(frames))
        waiting = sum(frames[:largest])
        print(
            f"{len(frames)} frames: {waiting} bytes had been sent, then {frames[largest]} at once"
        )
        assert sum(frames) >= REPLY_BYTES
        assert waiting <= KERNEL_BYTES + QUEUED_BYTES
        assert frames[largest] >= REPLY_BYTES / 4
