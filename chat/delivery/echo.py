"""A socket of no conversation: the status page asks by it whether WebSockets get through.

It says once what it hears, and closes. For those who may see that page; others are refused at the
handshake, as from elsewhere.
"""

import asyncio
from typing import Any

from channels.generic.websocket import AsyncWebsocketConsumer

from chat.database import in_database
from chat.operate.who import may_see_status

PATH = "ws/echo/"
OPEN_MAX_S = 10.0
ECHO_CHARS = 64


class EchoConsumer(AsyncWebsocketConsumer):  # type: ignore[misc]
    channel_layer_alias = ""  # none: nobody rings it

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            async with asyncio.timeout(OPEN_MAX_S):
                await super().__call__(scope, receive, send)
        except TimeoutError:
            await send({"type": "websocket.close"})

    async def connect(self) -> None:
        if await in_database(may_see_status, self.scope["user"]):
            await self.accept()
        else:
            await self.close()

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        await self.send(text_data=(text_data or "")[:ECHO_CHARS])
        await self.close()
