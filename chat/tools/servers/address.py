"""A tool server at an address: the library's transport on a client that has bounds.

The client takes nothing from our environment, no proxy and no ``.netrc``; it reads at most
ANSWER_BYTES of an answer, and none that is compressed, for it would grow beyond them.
"""

import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx

from chat.tools.servers.reach import Reach

ANSWER_BYTES = 16 << 20


class Counted(httpx.AsyncByteStream):
    """An answer's bytes. The library waits on when they break off, so ``broken`` says it."""

    def __init__(self, stream: httpx.AsyncByteStream, broken: Callable[[], None]) -> None:
        self._stream, self._broken = stream, broken

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        try:
            async for piece in self._stream:
                size += len(piece)
                if size > ANSWER_BYTES:
                    raise httpx.ReadError("the answer is too large")
                yield piece
        except (httpx.TransportError, httpx.StreamError):
            self._broken()
            raise

    async def aclose(self) -> None:
        await self._stream.aclose()


class BoundedTransport(httpx.AsyncHTTPTransport):
    def __init__(self, broken: Callable[[], None]) -> None:
        super().__init__(trust_env=False)
        self._on_break = broken

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await super().handle_async_request(request)
        if response.headers.get("content-encoding", "identity").lower() != "identity":
            await response.aclose()
            raise httpx.DecodingError("compressed, though we asked for no compression")
        assert isinstance(response.stream, httpx.AsyncByteStream)
        # The answer to a GET is the server's own news, which we can do without.
        broken = self._on_break if request.method == "POST" else lambda: None
        response.stream = Counted(response.stream, broken)
        return response


@contextlib.asynccontextmanager
async def address(reach: Reach, ended: Callable[[], None]) -> AsyncIterator[tuple[Any, Any]]:
    """The streams of messages from and to the server; ``ended`` is called when an answer breaks.

    Raises:
        ExceptionGroup: of httpx.HTTPError, when the connection fails; also while it is used.
        ToolFailed: a variable that it needs is not set.
    """
    from mcp.client.streamable_http import streamable_http_client

    client = httpx.AsyncClient(
        headers={**reach.request_headers(), "Accept-Encoding": "identity"},
        # Answers are waited for by whoever asked; the stream of news may be silent for hours.
        timeout=httpx.Timeout(reach.timeout_s, read=None),
        transport=BoundedTransport(ended),
        trust_env=False,
    )
    async with client, streamable_http_client(reach.url, http_client=client) as (read, write, _):
        yield read, write
