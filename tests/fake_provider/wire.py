"""HTTP/1.1 by hand: reading requests, writing heads and chunks."""

import asyncio
import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import responses
from typing import Any

MAX_BODY = 64 * 1024 * 1024  # bytes; a test that sends more has gone wrong


@dataclass(frozen=True)
class Incoming:
    method: str
    path: str
    headers: dict[str, str]
    raw: bytes

    @property
    def json(self) -> Any:
        """The body as JSON; None when it is none."""
        try:
            return json.loads(self.raw)
        except ValueError:
            return None

    @property
    def keeps_alive(self) -> bool:
        return self.headers.get("connection", "").lower() != "close"


class RequestReader:
    """Reads requests from a connection and sees the client leave while one is answered.

    The watch is a pending read of one byte: an empty one is the client's close; a real one opens
    the next request and is put back in front of it.
    """

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader
        self._watch: asyncio.Task[bytes] | None = None

    def watch(self) -> asyncio.Task[bytes]:
        if self._watch is None:
            self._watch = asyncio.create_task(self._reader.read(1))
        return self._watch

    async def next(self) -> Incoming | None:
        """The next request, or None when the client has closed."""
        first = await self.watch()
        self._watch = None
        if not first:
            return None
        head = first + await self._reader.readuntil(b"\r\n\r\n")
        request_line, *lines = head.decode("latin-1").split("\r\n")
        method, path, _ = request_line.split(" ", 2)
        headers = {}
        for line in filter(None, lines):
            name, _, value = line.partition(":")
            headers[name.strip().lower()] = value.strip()
        return Incoming(method, path, headers, await self._body(headers))

    async def _body(self, headers: Mapping[str, str]) -> bytes:
        if headers.get("transfer-encoding", "").lower() != "chunked":
            length = int(headers.get("content-length") or 0)
            if length > MAX_BODY:
                raise ValueError(f"a request body of {length} bytes")
            return await self._reader.readexactly(length)
        parts = []
        while size := int((await self._reader.readline()).split(b";")[0], 16):
            parts.append(await self._reader.readexactly(size))
            await self._reader.readline()
        await self._reader.readline()
        return b"".join(parts)

    async def aclose(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
            with contextlib.suppress(asyncio.CancelledError, OSError):
                await self._watch


def head(status: int, headers: Mapping[str, str]) -> bytes:
    phrase = responses.get(status, "Odd")
    lines = [f"HTTP/1.1 {status} {phrase}", *(f"{k}: {v}" for k, v in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


LAST_CHUNK = b"0\r\n\r\n"
