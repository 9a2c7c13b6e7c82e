"""A user of Parley's page, as its browser speaks: the page, its WebSocket, the composer's POST.

All that depends on the page's own names stands at the top.
"""

import asyncio
import json
import re
import time
from html.parser import HTMLParser
from urllib.parse import urlencode

from .measure import Recording
from .websocket import WebSocket

HOME = "/"
SOCKET_ATTRIBUTE = "hx-ws:connect"  # on the element that opens the page's WebSocket
CURSOR_ATTRIBUTE = "data-cursor"  # on the same element: what the page already shows
COMPOSER = {"id": "composer"}  # the form; its action is where a message is sent
TEXT_FIELD = "text"
ENDED = rb"complete|stopped|failed|interrupted"
# Cheap test of a raw frame, where quotes may be escaped; ended() then looks properly.
MAYBE_ENDED = re.compile(rb"data-state=(?:\\?[\"']|\\u00(?:22|27))(?:" + ENDED + rb")\b")
ARTICLE = re.compile(r"<article\b[^>]*>")
# The status region and the reply's foot carry the state; a user's own article may too.
STATE = re.compile(r"<\w[^<>]*\bdata-state=[\"']?(" + ENDED.decode() + r")\b[^<>]*>")
USERS = re.compile(r"\bdata-role=[\"']?user\b")
ASSISTANT = re.compile(r"\bdata-role=[\"']?assistant\b")
ACK = re.compile(rb"\"ack\":\s*(\d+)")

# A person needs longer than this between opening the page and sending; without it the page's own
# work (the socket's first frames) would be counted as time to first token.
SETTLE_S = 0.1


def ended(message: bytes) -> str | None:
    """The terminal state that the message shows for the reply, or None."""
    try:
        content = json.loads(message)["content"]
    except (ValueError, KeyError, TypeError):
        content = message.decode(errors="replace")
    return next((tag[1] for tag in STATE.finditer(content) if not USERS.search(tag[0])), None)


class Page(HTMLParser):
    """What the driver needs of a page: the socket's path and cursor, the composer's form."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.socket = self.cursor = self.action = ""
        self.hidden: dict[str, str] = {}
        self._in_composer = False
        self.feed(html)
        if not self.socket or not self.action:
            raise LookupError(f"no {SOCKET_ATTRIBUTE} or composer in the page: {html[:300]!r}")

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if SOCKET_ATTRIBUTE in given:
            self.socket = given[SOCKET_ATTRIBUTE]
            self.cursor = given.get(CURSOR_ATTRIBUTE, "")
        if tag == "form" and COMPOSER.items() <= given.items():
            self.action, self._in_composer = given.get("action", ""), True
        elif tag == "input" and self._in_composer and given.get("type") == "hidden":
            self.hidden[given.get("name", "")] = given.get("value", "")

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._in_composer = False


class Http:
    """One keep-alive connection with its cookies."""

    def __init__(self, port: int, cookies: dict[str, str]) -> None:
        self._port, self._cookies = port, cookies
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    @property
    def cookie(self) -> str:
        return "; ".join(f"{name}={value}" for name, value in self._cookies.items())

    async def open(self) -> None:
        if self._streams is None or self._streams[0].at_eof():
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)

    async def request(
        self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        await self.open()
        assert self._streams is not None
        reader, writer = self._streams
        sent = {
            "Host": f"127.0.0.1:{self._port}",
            "Cookie": self.cookie,
            "Content-Length": str(len(body)),
            **(headers or {}),
        }
        lines = [f"{method} {path} HTTP/1.1", *(f"{k}: {v}" for k, v in sent.items()), "", ""]
        writer.write("\r\n".join(lines).encode() + body)
        status_line, *raw = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        status, got = int(status_line.split(" ", 2)[1]), {}
        for line in filter(None, raw):
            name, _, value = line.partition(":")
            got[name.lower()] = value.strip()
            if name.lower() == "set-cookie":
                key, _, content = value.strip().partition(";")[0].partition("=")
                self._cookies[key] = content
        answer = await self._body(reader, status, got)
        if got.get("connection", "").lower() == "close":
            self.close()
        return status, got, answer

    async def _body(
        self, reader: asyncio.StreamReader, status: int, headers: dict[str, str]
    ) -> bytes:
        if status in (204, 304):
            return b""
        if headers.get("transfer-encoding", "").lower() != "chunked":
            if "content-length" in headers:
                return await reader.readexactly(int(headers["content-length"]))
            return await reader.read()
        parts = []
        while size := int(await reader.readline(), 16):
            parts.append((await reader.readexactly(size + 2))[:-2])
        await reader.readline()
        return b"".join(parts)

    async def page(self, path: str) -> str:
        """The HTML behind the path, after redirects. Raises LookupError for any other answer."""
        for _ in range(4):
            status, headers, body = await self.request("GET", path, headers={"Accept": "text/html"})
            if status == 200:
                return body.decode()
            if status not in (301, 302, 303, 307) or "/login" in headers["location"]:
                raise LookupError(f"GET {path} answered {status} {headers.get('location', '')}")
            path = headers["location"]
        raise LookupError(f"GET {path} redirects in a circle")

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


class ParleyUser:
    """Opens a new conversation for every question."""

    def __init__(self, port: int, cookies: dict[str, str]) -> None:
        self._port = port
        self._http = Http(port, dict(cookies))
        self._page: Page | None = None
        self._socket: WebSocket | None = None
        self._recording = Recording([], messages=True)
        self._done: asyncio.Future[None] | None = None

    async def prepare(self) -> None:
        self._recording, self._done = Recording([], messages=True), None
        self._page = Page(await self._http.page(HOME))
        if self._socket is not None:
            self._socket.close()
        self._socket = WebSocket(self._received, self._finish)
        await self._socket.connect(self._port, self._page.socket, self._http.cookie)
        self._send({"type": "resume", "cursor": self._page.cursor})
        await asyncio.sleep(SETTLE_S)

    async def ask(self, text: str, patience_s: float) -> Recording:
        page, recording = self._page, self._recording
        assert page is not None
        self._done = asyncio.get_running_loop().create_future()
        body = urlencode({**page.hidden, TEXT_FIELD: text}).encode()
        headers = {
            "Content-Type": "application/x-www-form-urlencoded",
            "Origin": f"http://127.0.0.1:{self._port}",
            "HX-Request": "true",
            "X-CSRFToken": page.hidden.get("csrfmiddlewaretoken", ""),
        }
        recording.started = time.monotonic_ns()
        try:
            async with asyncio.timeout(patience_s):
                status, _, answer = await self._http.request("POST", page.action, body, headers)
                recording.accepted = time.monotonic_ns()
                if status not in (200, 202, 204):
                    recording.problem = f"sending was answered {status}: {answer[:200]!r}"
                    return recording
                await self._done
        except TimeoutError:
            recording.problem = f"not finished within {patience_s:.0f} s"
        except (OSError, asyncio.IncompleteReadError) as error:
            recording.problem = f"sending failed: {error!r}"
        return recording

    def _received(self, now: int, message: bytes) -> None:
        self._recording.reads.append((now, message))
        if b'"ack"' in message and (number := ACK.search(message)):
            self._send({"type": "ack", "n": int(number[1])})
        if MAYBE_ENDED.search(message) and (state := ended(message)):
            self._finish("" if state == "complete" else f"the reply ended {state}")

    def _finish(self, problem: str) -> None:
        if self._done is not None and not self._done.done():
            self._recording.problem = problem
            self._done.set_result(None)

    def _send(self, message: dict[str, object]) -> None:
        assert self._socket is not None
        self._socket.send(json.dumps(message).encode())

    async def check(self, recording: Recording) -> None:
        """Reads the conversation's page anew: each token must be in the last reply, once."""
        assert self._page is not None
        conversation = self._page.socket.partition("?")[0].removeprefix("/ws")
        html = await self._http.page(conversation)
        starts = [tag.end() for tag in ARTICLE.finditer(html) if ASSISTANT.search(tag[0])]
        reply = html[starts[-1] :].partition("</article>")[0] if starts else ""
        recording.stored = reply.encode()

    async def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
        self._http.close()
