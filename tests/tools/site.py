"""A web server on the test's own loop, for what a strange one may answer."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Site:
    """A web server whose one handler a test can change; it keeps the requests."""

    def __init__(self) -> None:
        self.requests: list[web.Request] = []
        self.handler: Handler | None = None
        self.port = 0
        self.over = asyncio.Event()

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        assert self.handler is not None
        return await self.handler(request)

    def says(self, **response: Any) -> None:
        async def handler(request: web.Request) -> web.StreamResponse:
            return web.Response(**response)

        self.handler = handler
