"""Plays one script on one connection."""

import asyncio
import json
import socket
import struct
from collections.abc import Awaitable, Callable
from typing import Literal, NoReturn

from . import stamped
from .answers import error_body
from .encode import ENCODED, Encoder
from .recorded import Request
from .script import (
    Bench,
    Cut,
    Gate,
    Headers,
    Reset,
    Script,
    StallForever,
    Status,
    Step,
    Text,
    Wait,
    Wire,
)
from .wire import LAST_CHUNK, chunk, head

FLUSH_BYTES = 64 * 1024  # output without a wait is written in pieces of about this size
LINGER_0 = struct.pack("ii", 1, 0)  # close() sends RST instead of FIN


class ConnectionOverError(Exception):
    """The script has ended the connection: nothing more may be written."""


class Player:
    """Output is collected and leaves before every wait and at the end, so that the last bytes of a
    stream and the end of its body travel together and no client can hang up in between."""

    def __init__(
        self,
        writer: asyncio.StreamWriter,
        script: Script,
        request: Request,
        pass_gate: Callable[[str], Awaitable[None]],
    ) -> None:
        self._writer, self._script, self._request = writer, script, request
        self._pass_gate = pass_gate
        self._encoder = Encoder(request.model, request.include_usage)
        self._pending: list[bytes] = []
        self._pending_bytes = self._sent = 0
        self._head: bytes | None = self._head_of(Headers())  # None once it is out
        # What ends the body: the script's framing, a Status's length, or nothing after a Wire.
        self._framing: Literal["chunked", "close", "length", "wire"] = script.framing

    async def play(self) -> bool:
        """Plays to the end; says whether the connection can carry another request.

        Raises ConnectionError when the client left.
        """
        try:
            for step in self._script.steps:
                await self._step(step)
            await self._flush(LAST_CHUNK if self._framing == "chunked" else b"", whole_head=True)
            reusable = self._framing in ("chunked", "length")
        except ConnectionOverError:
            reusable = False
        self._request.finish()
        return reusable

    async def _step(self, step: Step) -> None:
        match step:
            case Text(rate=rate) if rate > 0:
                await self._paced(step)
            case step if isinstance(step, ENCODED):
                for event in self._encoder.events(step):
                    await self._put(event)
            case Bench():
                await self._stamped(step)
            case Wait():
                await self._flush()
                await asyncio.sleep(step.seconds)
            case Gate():
                await self._flush()
                await self._pass_gate(step.name)
            case StallForever():
                await self._flush()
                await asyncio.Event().wait()
            case Headers():
                self._head = self._head_of(step)
                await self._flush(whole_head=True)
            case Status():
                await self._whole(step)
            case Wire():
                await self._wire(step.data)
            case Cut():
                await self._flush()
                self._cut()
            case Reset():
                await self._flush()
                sock: socket.socket = self._writer.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_0)
                self._writer.transport.abort()
                raise ConnectionOverError
            case _:
                raise TypeError(f"not a step: {step!r}")

    def _cut(self) -> NoReturn:
        self._writer.close()
        raise ConnectionOverError

    def _head_of(self, step: Headers) -> bytes:
        chunked = self._script.framing == "chunked"
        how = {"Transfer-Encoding": "chunked"} if chunked else {"Connection": "close"}
        return head(step.status, {"Content-Type": step.content_type, **how, **step.extra})

    async def _put(self, data: bytes) -> None:
        self._pending.append(data)
        self._pending_bytes += len(data)
        if self._pending_bytes >= FLUSH_BYTES:
            await self._flush()

    async def _paced(self, step: Text) -> None:
        clock = asyncio.get_running_loop().time
        start = clock()
        for number, event in enumerate(self._encoder.events(step)):
            await asyncio.sleep(max(0.0, start + number / step.rate - clock()))
            await self._put(event)
            await self._flush()

    async def _flush(self, tail: bytes = b"", *, whole_head: bool = False) -> None:
        """Writes what is pending and ``tail``, the end of the framing; the head with the first
        output, or now if ``whole_head``."""
        parts, self._pending, self._pending_bytes = self._pending, [], 0
        limit, size = self._script.cut_after, self._script.byte_split
        cut = False
        if limit is not None and parts:
            body = b"".join(parts)
            cut = self._sent + len(body) >= limit
            parts = [body[: limit - self._sent]]
        if size:
            body = b"".join(parts)
            for start in range(0, len(body), size):
                part = body[start : start + size]
                await self._write(self._frame(part), len(part))
                await asyncio.sleep(0)
            parts = []
        framed = b"".join([self._frame(part) for part in parts if part])
        count = sum(map(len, parts))
        await self._write(framed if cut else framed + tail, count, whole_head=whole_head or cut)
        if cut:
            self._cut()

    def _frame(self, data: bytes) -> bytes:
        return chunk(data) if self._framing == "chunked" else data

    async def _write(self, data: bytes, count: int = 0, *, whole_head: bool = False) -> None:
        if self._head is not None and (data or whole_head):
            data, self._head = self._head + data, None
        if not data:
            return
        self._writer.write(data)
        await self._writer.drain()
        self._sent += count
        self._request.sent(count)

    async def _whole(self, step: Status) -> None:
        body = step.body if step.body is not None else error_body(step.code)
        if isinstance(body, str):
            data, content_type = body.encode(), "text/html; charset=utf-8"
        elif isinstance(body, bytes):
            data, content_type = body, "application/octet-stream"
        else:
            data, content_type = json.dumps(body).encode(), "application/json"
        headers = {"Content-Type": content_type, "Content-Length": str(len(data)), **step.headers}
        self._head, self._framing = head(step.code, headers), "length"
        await self._put(data)
        await self._flush(whole_head=True)

    async def _wire(self, data: bytes) -> None:
        await self._flush()
        self._head, self._framing = None, "wire"
        await self._write(data, len(data))

    async def _stamped(self, step: Bench) -> None:
        await self._flush(whole_head=True)
        step = stamped.directed(step, self._request.body)
        arrived_us = int(self._request.received_at * 1_000_000)
        make = stamped.token_maker(step, self._request.model, arrived_us)
        self._request.sent(await stamped.send(self._writer, step, make))
