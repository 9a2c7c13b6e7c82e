"""A user of Parley's page, as its browser speaks: the page, its WebSocket, the composer's POST.

All that depends on the page's own names stands at the top.
"""

import asyncio
import json
import re
import struct
import time
from collections.abc import Callable
from html.parser import HTMLParser
from urllib.parse import urlencode

from .http_client import Http
from .measure import Recording
from .websocket import PING, WebSocket

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
# The number by which a frame is acknowledged; only numbers stand after it.
FRAME = re.compile(rb'"frame":\s*(\d+)[^"}]*(?:"cursor":[^"}]*)?\}\s*$')
FRAME_WITHIN = 80  # of the frame's end

# A page says what it has painted after about so long, or so much, whichever comes first.
ACKNOWLEDGE_S = 1.0
ACKNOWLEDGE_BYTES = 256 * 1024

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


def frame_number(message: bytes) -> int | None:
    found = FRAME.search(message[-FRAME_WITHIN:])
    return int(found[1]) if found else None


class Page(HTMLParser):
    """What the driver needs of a page: the socket's path and cursor, the composer's form."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.socket = self.cursor = self.action = ""
        self.hidden: dict[str, str] = {}
        self.size = len(html.encode())
        self._in_composer = False
        self.feed(html)
        if not self.socket or not self.action:
            raise LookupError(f"no {SOCKET_ATTRIBUTE} or composer in the page: {html[:300]!r}")

    @property
    def conversation(self) -> str:
        """The path of the page that shows the conversation."""
        return self.socket.partition("?")[0].removeprefix("/ws")

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


class Acknowledgements:
    """Says now and then which frame was the last, so that the server goes on sending."""

    def __init__(self, send: Callable[[dict[str, object]], None]) -> None:
        self._send = send
        self._newest = b""
        self._bytes = 0
        self._timer: asyncio.TimerHandle | None = None

    def received(self, message: bytes) -> None:
        self._newest = message
        self._bytes += len(message)
        if self._bytes >= ACKNOWLEDGE_BYTES:
            self._now()
        elif self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(ACKNOWLEDGE_S, self._now)

    def _now(self) -> None:
        self.stop()
        self._bytes = 0
        if (number := frame_number(self._newest)) is not None:
            self._send({"type": "ack", "frame": number})

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class View:
    """One connection of a page: what comes through it, until the reply has ended."""

    def __init__(self) -> None:
        self.recording = Recording([], messages=True)
        self.begun = asyncio.Event()  # something has come, or nothing will
        self.ended_at = 0
        self._ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.pongs: list[tuple[int, int]] = []  # when one came, when its ping was sent, in ns
        self._socket = WebSocket(self._received, self._finish, self._ponged)
        self._acknowledgements = Acknowledgements(self._send)

    async def connect(self, port: int, page: Page, cookie: str) -> None:
        await self._socket.connect(port, page.socket, cookie)
        self._send({"type": "resume", "cursor": page.cursor})

    async def wait(self) -> None:
        await self._ended

    def ping(self) -> None:
        self._socket.send(struct.pack("!Q", time.monotonic_ns()), PING)

    def _ponged(self, now: int, payload: bytes) -> None:
        self.pongs.append((now, *struct.unpack("!Q", payload)))

    @property
    def is_open(self) -> bool:
        return not self._ended.done()

    def _received(self, now: int, message: bytes) -> None:
        self.recording.reads.append((now, message))
        self.begun.set()
        self._acknowledgements.received(message)
        if MAYBE_ENDED.search(message) and (state := ended(message)):
            self._finish("" if state == "complete" else f"the reply ended {state}")

    def _finish(self, problem: str) -> None:
        if not self._ended.done():
            self.ended_at = time.monotonic_ns()
            self.begun.set()
            self.recording.problem = self.recording.problem or problem
            self._ended.set_result(None)

    def _send(self, message: dict[str, object]) -> None:
        self._socket.send(json.dumps(message).encode())

    def close(self) -> None:
        self._acknowledgements.stop()
        if not self._ended.done():
            self._ended.cancel()
        self._socket.close()


class ParleyUser:
    """Opens a new conversation for every question.

    Where several processes serve, a balancer may give the page to one and its socket to another.
    """

    def __init__(self, port: int, cookies: dict[str, str], socket_port: int | None = None) -> None:
        self._port, self._socket_port = port, socket_port or port
        self._http = Http(port, dict(cookies))
        self.page: Page | None = None
        self.view: View | None = None

    async def prepare(self) -> None:
        await self.open()
        await asyncio.sleep(SETTLE_S)

    async def open(self, path: str = HOME) -> None:
        """The page and its socket."""
        await self.join(Page(await self._http.page(path)))

    async def join(self, page: Page) -> None:
        """The socket of a page that is there already."""
        self.leave()
        self.page, self.view = page, View()
        await self.view.connect(self._socket_port, page, self._http.cookie)

    async def ask(self, text: str, patience_s: float) -> Recording:
        page, view = self.page, self.view
        assert page is not None
        assert view is not None
        recording = view.recording
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
                await view.wait()
        except TimeoutError:
            recording.problem = f"not finished within {patience_s:.0f} s"
        except (OSError, asyncio.IncompleteReadError) as error:
            recording.problem = f"sending failed: {error!r}"
        return recording

    async def watch(self, patience_s: float) -> Recording:
        """What another page of this conversation asked for."""
        view = self.view
        assert view is not None
        view.recording.started = time.monotonic_ns()
        try:
            async with asyncio.timeout(patience_s):
                await view.wait()
        except TimeoutError:
            view.recording.problem = f"not finished within {patience_s:.0f} s"
        return view.recording

    async def check(self, recording: Recording) -> None:
        """Reads the conversation's page anew: each token must be in the last reply, once."""
        assert self.page is not None
        html = await self._http.page(self.page.conversation)
        starts = [tag.end() for tag in ARTICLE.finditer(html) if ASSISTANT.search(tag[0])]
        reply = html[starts[-1] :].partition("</article>")[0] if starts else ""
        recording.stored = reply.encode()

    def leave(self) -> None:
        """Closes the socket."""
        if self.view is not None:
            self.view.close()
        self.view = None

    def hang_up(self) -> None:
        """Ends the connection that the page was fetched over, as browsers do after a while."""
        self._http.close()

    async def close(self) -> None:
        self.leave()
        self.hang_up()
