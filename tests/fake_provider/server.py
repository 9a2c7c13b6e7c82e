"""FakeProvider: the server, in its own thread with its own event loop.

    with FakeProvider() as provider:
        provider.script(reply("Hello"))    # what every streaming request is answered with
        provider.enqueue(Script(Text("one"), Gate("go"), Text("two"), Finish(), Done()))  # the next
        ...                                # point the code under test at provider.base_url
        provider.wait_at_gate("go")
        provider.open("go")
        (request,) = provider.wait_for_requests(1)
        request.wait_finished()

Its methods may be called from any thread. Those named `wait_…` block: in an async test, which
shares its loop with the client under test, use `await provider.eventually(…)`.
"""

import asyncio
import threading
from collections import Counter, deque
from collections.abc import Callable
from typing import Any, Literal, Self

from . import answers
from .connection import Connection
from .recorded import PATIENCE_S, Changes, Kind, Request, T, record
from .script import Script, Status, reply
from .wire import Incoming

Endpoint = Literal["titles", "models", "moderations"]
BACKLOG = 1024  # a hundred users may connect in the same instant


class FakeProvider:
    """Settings that a test may change at any time:

    title: the text that requests with `stream: false` are answered with.
    models: what `GET /v1/models` lists.
    flag_words: word → moderation category.
    refuses_stream_options: answers 400 to who sends `stream_options`, as older endpoints do.
    api_key: when set, any other key is answered 401.
    choose: picks the script of a streaming request, ahead of the queue; None leaves it to that.
    judge: answers requests without a stream that want an answer in a form, with a script or a text.
    """

    def __init__(self, script: Script | None = None, *, port: int = 0) -> None:
        self._given, self._port = script or reply("Hello from the fake provider."), port
        self._changes = Changes()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._answering: set[asyncio.Task[None]] = set()
        self._broken: list[BaseException] = []  # errors of this server itself: raised by stop()
        self._defaults()

    def _defaults(self) -> None:
        self._script = self._given
        self._queue: deque[Script] = deque()
        self._overrides: dict[Endpoint, Script] = {}
        self._gates: dict[str, asyncio.Event] = {}
        self._at_gate: Counter[str] = Counter()
        self.requests: list[Request] = []
        self.title = "A short title"
        self.models = ["fake"]
        self.flag_words = {"flagme": "violence"}
        self.refuses_stream_options = False
        self.api_key: str | None = None
        self.choose: Callable[[Request], Script | None] | None = None
        self.judge: Callable[[Request], Script | str] | None = None

    # What it answers

    def script(self, script: Script) -> None:
        """The answer to every streaming request that has no other."""
        self._script = script

    def enqueue(self, *scripts: Script) -> None:
        """The answers to the next streaming requests, one each, in order."""
        self._queue.extend(scripts)

    def override(self, endpoint: Endpoint, script: Script | None) -> None:
        """Answers that endpoint with a script, until called with None. "titles" are the requests
        with `stream: false`."""
        if script is None:
            self._overrides.pop(endpoint, None)
        else:
            self._overrides[endpoint] = script

    def open(self, name: str) -> None:
        """Opens the gate: lets pass who waits there, and who comes later."""
        self._running.call_soon_threadsafe(lambda: self._gate(name).set())

    # What it was asked

    @property
    def streams(self) -> list[Request]:
        return [request for request in self.requests if request.kind == "stream"]

    @property
    def open_streams(self) -> list[Request]:
        return [r for r in self.streams if not r.finished and not r.closed_by_client]

    def wait_for(self, predicate: Callable[[], T | None], timeout: float = PATIENCE_S) -> T:
        """Waits until the predicate holds; looks again after every request, write and close."""
        return self._changes.wait_for(predicate, timeout, lambda: f"requests: {self.requests}")

    def wait_for_requests(
        self, count: int = 1, *, kind: Kind = "stream", timeout: float = PATIENCE_S
    ) -> list[Request]:
        def arrived() -> list[Request]:
            found = [request for request in self.requests if request.kind == kind]
            return found if len(found) >= count else []

        return self.wait_for(arrived, timeout)

    def wait_at_gate(self, name: str, count: int = 1, timeout: float = PATIENCE_S) -> None:
        """Waits until so many streams stand at the gate; what came before it has been sent."""
        self.wait_for(lambda: self._at_gate[name] >= count, timeout)

    def wait_idle(self, timeout: float = PATIENCE_S) -> None:
        """Waits until no stream is open."""
        self.wait_for(lambda: not self.open_streams, timeout)

    async def eventually(
        self,
        predicate: Callable[[], T | None],
        timeout: float = PATIENCE_S,  # noqa: ASYNC109 (the message needs what there was)
    ) -> T:
        """`wait_for` for async tests: the caller's event loop keeps running."""
        return await asyncio.to_thread(self.wait_for, predicate, timeout)

    # Its life

    @property
    def port(self) -> int:
        return self._port

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._port}/v1"

    @property
    def _running(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            raise RuntimeError("the fake provider is not running")
        return self._loop

    def start(self) -> Self:
        """Listens. After stop() it takes the same port again, as a provider that came back."""
        started = threading.Event()
        failure: list[BaseException] = []

        def run() -> None:
            try:
                asyncio.run(self._serve_until_stopped(started))
            except BaseException as error:
                failure.append(error)
            finally:
                started.set()

        self._thread = threading.Thread(target=run, name="fake-provider", daemon=True)
        self._thread.start()
        started.wait()
        if failure:
            raise failure[0]
        return self

    def stop(self) -> None:
        """Closes every connection and the port: from here on it is a refused connection."""
        if self._thread is None:
            return
        self._running.call_soon_threadsafe(self._stopping.set)
        self._thread.join()
        self._thread = self._loop = None
        if self._broken:
            raise ExceptionGroup("the fake provider itself broke", self._take_broken())

    def reset(self) -> None:
        """As it was built, and every connection dropped: for a fixture that outlives a test."""

        async def drop() -> None:
            await self._drop_connections()
            self._defaults()

        asyncio.run_coroutine_threadsafe(drop(), self._running).result()
        if self._broken:
            raise ExceptionGroup("the fake provider itself broke", self._take_broken())

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    async def serve(self, ready: Callable[[], None]) -> None:
        """Serves on the caller's own loop until cancelled: what `python -m` does."""
        server = await self._listen()
        async with server:
            ready()
            await asyncio.Event().wait()

    async def _listen(self) -> asyncio.Server:
        server = await asyncio.start_server(
            self._connected, "127.0.0.1", self._port, backlog=BACKLOG
        )
        self._port = server.sockets[0].getsockname()[1]
        return server

    async def _serve_until_stopped(self, started: threading.Event) -> None:
        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        server = await self._listen()
        started.set()
        await self._stopping.wait()
        server.close()
        await self._drop_connections()
        await server.wait_closed()

    async def _drop_connections(self) -> None:
        tasks = list(self._answering)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _take_broken(self) -> list[Exception]:
        taken = [error for error in self._broken if isinstance(error, Exception)]
        self._broken.clear()
        return taken

    # Answering

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._answering.add(task)
        try:
            await Connection(reader, writer, self._answer_to, self._pass_gate).converse()
        except Exception as error:
            self._broken.append(error)
        finally:
            self._answering.discard(task)

    def _answer_to(self, incoming: Incoming) -> tuple[Request, Script]:
        request = record(incoming, self._changes)
        self.requests.append(request)
        self._changes.tell()
        return request, self._script_for(request)

    def _script_for(self, request: Request) -> Script:
        key = self.api_key
        if key is not None and request.headers.get("authorization") != f"Bearer {key}":
            wrong = answers.error_body(401, "Incorrect API key provided.", name="invalid_api_key")
            return Script(Status(401, body=wrong))
        match request.kind:
            case "stream":
                return self._streaming(request)
            case "completion":
                if self.judge is not None and "response_format" in request.body:
                    judged = self.judge(request)
                    if isinstance(judged, Script):
                        return judged
                    return Script(Status(200, body=answers.completion(judged, request.model)))
                return self._plain("titles", answers.completion(self.title, request.model))
            case "models":
                return self._plain("models", answers.models(self.models))
            case "moderations":
                given = request.body.get("input", "")
                return self._plain("moderations", answers.moderation(given, self.flag_words))
            case "other":
                return Script(Status(404))

    def _plain(self, endpoint: Endpoint, body: dict[str, Any]) -> Script:
        return self._overrides.get(endpoint) or Script(Status(200, body=body))

    def _streaming(self, request: Request) -> Script:
        if self.refuses_stream_options and "stream_options" in request.body:
            return Script(Status(400, body=answers.stream_options_refused()))
        chosen = self.choose(request) if self.choose else None
        if chosen is not None:
            return chosen
        return self._queue.popleft() if self._queue else self._script

    def _gate(self, name: str) -> asyncio.Event:
        return self._gates.setdefault(name, asyncio.Event())

    async def _pass_gate(self, name: str) -> None:
        self._at_gate[name] += 1
        self._changes.tell()
        try:
            await self._gate(name).wait()
        finally:
            self._at_gate[name] -= 1
