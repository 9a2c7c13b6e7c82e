"""A lean WebSocket client: a few µs a frame, where a full library takes ten times that."""

import asyncio
import base64
import os
import struct
import time
from collections.abc import Callable

TEXT, CLOSE, PING, PONG = 0x1, 0x8, 0x9, 0xA
FINAL = 0x80


class WebSocket(asyncio.Protocol):
    """Calls ``received(ns, payload)`` for each text message, ``ponged(ns, payload)`` for each pong;
    ``closed(why)`` at the end."""

    def __init__(
        self,
        received: Callable[[int, bytes], None],
        closed: Callable[[str], None],
        ponged: Callable[[int, bytes], None] | None = None,
    ) -> None:
        self._received, self._closed, self._ponged = received, closed, ponged
        self._transport: asyncio.Transport | None = None
        self._open: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._rest = b""
        self._parts: list[bytes] = []

    async def connect(self, port: int, path: str, cookie: str) -> None:
        """Raises ConnectionError when the server does not answer 101."""
        loop = asyncio.get_running_loop()
        await loop.create_connection(lambda: self, "127.0.0.1", port)
        key = base64.b64encode(os.urandom(16)).decode()
        assert self._transport is not None
        self._transport.write(
            (
                f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: Upgrade\r\n"
                f"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n"
                f"Origin: http://127.0.0.1:{port}\r\nCookie: {cookie}\r\n\r\n"
            ).encode()
        )
        await self._open

    def send(self, payload: bytes, opcode: int = TEXT) -> None:
        size = len(payload)
        if size < 126:
            head = struct.pack("!BB", FINAL | opcode, 0x80 | size)
        else:
            head = struct.pack("!BBH", FINAL | opcode, 0x80 | 126, size)
        mask = os.urandom(4)
        whole = (mask * (size // 4 + 1))[:size]
        masked = int.from_bytes(payload, "big") ^ int.from_bytes(whole, "big")
        if self._transport is not None:
            self._transport.write(head + mask + masked.to_bytes(size, "big"))

    def close(self) -> None:
        if self._transport is not None:
            self.send(struct.pack("!H", 1000), CLOSE)
            self._transport.close()

    # asyncio calls these

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if not self._open.done():
            self._open.set_exception(ConnectionError(f"no WebSocket: {exc}"))
        self._closed(f"connection lost: {exc}")

    def data_received(self, data: bytes) -> None:
        now = time.monotonic_ns()
        if self._rest:
            data = self._rest + data
        if not self._open.done():
            head, found, data = data.partition(b"\r\n\r\n")
            if not found:
                self._rest = head
                return
            if not head.startswith(b"HTTP/1.1 101"):
                self._open.set_exception(ConnectionError(f"no WebSocket: {head[:60]!r}"))
                return
            self._open.set_result(None)
        start = 0
        while (end := self._frame(now, data, start)) is not None:
            start = end
        self._rest = data[start:]

    def _frame(self, now: int, data: bytes, start: int) -> int | None:
        """Takes the frame at ``start``; where the next begins, or None when it is incomplete."""
        if len(data) < start + 2:
            return None
        first, size = data[start], data[start + 1]
        start += 2
        if size >= 126:
            width = 2 if size == 126 else 8
            if len(data) < start + width:
                return None
            size = int.from_bytes(data[start : start + width], "big")
            start += width
        end = start + size
        if len(data) < end:
            return None
        self._take(now, first, data[start:end])
        return end

    def _take(self, now: int, first: int, payload: bytes) -> None:
        opcode = first & 0x0F
        if opcode == PING:
            self.send(payload, PONG)
        elif opcode == CLOSE:
            code = int.from_bytes(payload[:2], "big")
            self._closed(f"closed by the server: {code} {payload[2:].decode(errors='replace')}")
        elif opcode == PONG:
            if self._ponged is not None:
                self._ponged(now, payload)
        else:
            self._parts.append(payload)
            if first & FINAL:
                whole = payload if len(self._parts) == 1 else b"".join(self._parts)
                self._parts = []
                self._received(now, whole)
