"""A person with a session, over plain HTTP and a WebSocket: a page without its browser."""

import asyncio
import contextlib
import http.client
import json
import re
import ssl
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode, urlsplit

import websockets

from tests.e2e.server import Person

# Tests make their own.
ANY_CERTIFICATE = ssl.create_default_context()
ANY_CERTIFICATE.check_hostname = False
ANY_CERTIFICATE.verify_mode = ssl.CERT_NONE


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)

    @property
    def text(self) -> str:
        return self.body.decode()


def ask(
    url: str,
    method: str = "GET",
    body: bytes | None = None,
    *,
    source: str = "127.0.0.1",
    within: float = 60,
    **headers: str,
) -> Answer:
    """One request on a connection of its own, from this address; ``_`` for ``-`` in a header."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    how = {"timeout": within, "source_address": (source, 0)}
    connection = (
        http.client.HTTPSConnection(parts.hostname, parts.port, context=ANY_CERTIFICATE, **how)  # type: ignore[arg-type]
        if parts.scheme == "https"
        else http.client.HTTPConnection(parts.hostname, parts.port, **how)  # type: ignore[arg-type]
    )
    try:
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body, named)
        response = connection.getresponse()
        return Answer(response.status, dict(response.headers), response.read())
    finally:
        connection.close()


async def ask_soon(
    url: str,
    method: str = "GET",
    body: bytes | None = None,
    *,
    source: str = "127.0.0.1",
    **headers: str,
) -> Answer:
    """The same, while the event loop goes on."""
    return await asyncio.to_thread(ask, url, method, body, source=source, **headers)


class Visitor:
    """Opens a new conversation at ``url``; later requests may go to another process."""

    def __init__(self, url: str, person: Person) -> None:
        self.url, self.person = url, person
        page = ask(url + "/", Cookie=person.cookie).text
        self.socket_path = re.search(r'hx-ws:connect="([^"]+)"', page)[1].replace("&amp;", "&")  # type: ignore[index]
        form = page[page.index('class="composer"') :]
        action: str = re.search(r'action="([^"]+)"', form)[1]  # type: ignore[index]
        self.path = action.removesuffix("messages")
        self.fields = dict(re.findall(r'type="hidden" name="([^"]+)"[^>]*value="([^"]*)"', form))

    @asynccontextmanager
    async def watching(self, at: str = "") -> AsyncIterator[websockets.ClientConnection]:
        """The page's socket, with the page's own origin."""
        base = at or self.url
        async with websockets.connect(
            base.replace("http", "ws", 1) + self.socket_path,
            origin=base,  # type: ignore[arg-type]
            additional_headers={"Cookie": self.person.cookie},
            ssl=ANY_CERTIFICATE if base.startswith("https") else None,
        ) as connection:
            yield connection

    async def post(self, command: str, at: str = "", **fields: str) -> Answer:
        """A command of the page: ``messages``, ``stop`` …"""
        token = self.fields["csrfmiddlewaretoken"]
        return await ask_soon(
            f"{at or self.url}{self.path}{command}",
            "POST",
            urlencode({"csrfmiddlewaretoken": token, **fields}).encode(),
            Cookie=f"{self.person.cookie}; csrftoken={token}",
            Content_Type="application/x-www-form-urlencoded",
            HX_Request="true",
            Origin=at or self.url,
        )

    async def send(self, text: str, at: str = "", key: str = "") -> Answer:
        """Post the composer."""
        fields = {**self.fields, "text": text, "key": key or uuid.uuid4().hex}
        return await self.post("messages", at, **fields)

    async def get(self, path: str = "", at: str = "") -> Answer:
        return await ask_soon(f"{at or self.url}{path or self.path}", Cookie=self.person.cookie)

    async def messages(self, at: str = "") -> list[dict[str, Any]]:
        """What is on record, by the owner's export."""
        answer = await self.get(f"{self.path}export.json", at)
        if answer.status == 404:
            return []
        assert answer.status == 200, answer
        found: list[dict[str, Any]] = json.loads(answer.body)["messages"]
        return found

    async def reply(self, at: str = "") -> dict[str, Any]:
        """The newest reply on record; empty when there is none."""
        found = [m for m in await self.messages(at) if m["role"] == "assistant"]
        return found[-1] if found else {}

    async def ended(self, at: str = "", within: float = 30) -> dict[str, Any]:
        """The newest reply, once it has ended and has its receipt."""
        async with asyncio.timeout(within):
            while True:
                found = await self.reply(at)
                if found.get("sha256"):
                    return found
                await asyncio.sleep(0.1)


async def until(connection: websockets.ClientConnection, text: str, within: float = 30) -> None:
    """Read frames until one has this text."""
    async with asyncio.timeout(within):
        async for frame in connection:
            if text in json.loads(frame)["content"]:
                return
    raise AssertionError(f"the socket ended before {text!r} came")


async def close_code(connection: websockets.ClientConnection, within: float = 30) -> int:
    """Read to the end; returns the code that the server gave, 1006 if it gave none."""
    async with asyncio.timeout(within):
        with contextlib.suppress(websockets.ConnectionClosed):
            while True:
                await connection.recv()
    return connection.close_code or 1006
