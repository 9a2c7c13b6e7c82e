"""The same stream over HTTP: who gets it, from where, what keeps it open, how it ends."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from asgiref.testing import ApplicationCommunicator
from django.conf import LazySettings

from chat import actions, services
from chat.database import in_database
from chat.delivery import open_page
from chat.models import Conversation, User
from chat.services import Services
from chatsite.asgi import application
from tests.conftest import make_user
from tests.delivery.test_consumers import session_of
from tests.fake_provider import FakeProvider, Finish, Gate, Script, Text, reply
from tests.support import eventually
from tests.test_pipeline import ask, ended


class Stream:
    """A client of the event stream: what it was answered, and its events."""

    def __init__(self, communicator: ApplicationCommunicator) -> None:
        self._communicator = communicator
        self._unread = ""
        self.status = 0
        self.headers: dict[bytes, bytes] = {}
        self.comments = 0

    async def begin(self) -> None:
        started = await self._communicator.receive_output(timeout=10)
        self.status = started["status"]
        self.headers = {name.lower(): value for name, value in started["headers"]}

    async def event(self) -> dict[str, str]:
        """The next event's fields; comments are counted on the way."""
        while True:
            while "\n\n" not in self._unread:
                output = await self._communicator.receive_output(timeout=10)
                self._unread += output["body"].decode()
            block, _, self._unread = self._unread.partition("\n\n")
            if block.startswith(":"):
                self.comments += 1
                continue
            fields = dict(line.split(": ", 1) for line in block.splitlines())
            if "data" in fields:
                return fields

    async def until(self, text: str) -> dict[str, str]:
        while True:
            event = await self.event()
            if "event" not in event and text in json.loads(event["data"])["content"]:
                return event

    async def bye(self) -> int:
        while True:
            event = await self.event()
            if event.get("event") == "bye":
                return int(event["data"])


@asynccontextmanager
async def streaming(
    conversation: uuid.UUID, session: str = "", after: int | None = None, last_event_id: str = ""
) -> AsyncIterator[Stream]:
    headers = [(b"host", b"localhost"), (b"cookie", f"sessionid={session}".encode())]
    if last_event_id:
        headers.append((b"last-event-id", last_event_id.encode()))
    communicator = ApplicationCommunicator(
        application,
        {
            "type": "http",
            "method": "GET",
            "path": f"/c/{conversation}/events",
            "query_string": b"" if after is None else b"after=%d" % after,
            "headers": headers,
        },
    )
    await communicator.send_input({"type": "http.request"})
    stream = Stream(communicator)
    await stream.begin()
    yield stream
    await communicator.send_input({"type": "http.disconnect"})
    await communicator.wait(timeout=10)


@pytest.fixture
async def ada_session(running: Services) -> tuple[User, str]:
    ada = await in_database(make_user, "ada")
    return ada, await in_database(session_of, ada)


async def test_a_reply_comes_as_it_is_written(
    ada_session: tuple[User, str], provider: FakeProvider
) -> None:
    ada, session = ada_session
    provider.enqueue(Script(Text("First"), Gate("rest"), Text(" and last."), Finish()))
    conversation = await ask("What now?", ada)
    async with streaming(conversation, session) as stream:
        assert stream.status == 200
        assert stream.headers[b"content-type"] == b"text/event-stream"
        assert stream.headers[b"x-accel-buffering"] == b"no"
        await stream.until("First")
        provider.open("rest")
        await stream.until(" and last.")
        await stream.until('data-state="complete"')


async def test_it_goes_on_where_the_last_event_was(
    ada_session: tuple[User, str], provider: FakeProvider
) -> None:
    ada, session = ada_session
    conversation = await ask("What now?", ada)
    await ended(conversation)
    async with streaming(conversation, session, after=-1) as stream:
        event = await stream.until("What now?")
    row = await in_database(Conversation.objects.get, pk=conversation)
    assert event["id"] == str(row.revision)
    # The header is what the browser has seen, the URL what the page was loaded with.
    async with streaming(conversation, session, after=-1, last_event_id=event["id"]) as stream:
        await in_database(actions.rename, ada, conversation, "Another name")
        first = await stream.event()
        assert "Another name" in json.loads(first["data"])["content"]
        assert "What now?" not in json.loads(first["data"])["content"]


async def test_a_quiet_stream_is_kept_open_by_comments(
    ada_session: tuple[User, str], provider: FakeProvider, settings: LazySettings
) -> None:
    settings.STREAM_HEARTBEAT = 0.05
    ada, session = ada_session
    provider.enqueue(Script(Gate("rest"), Text("At last."), Finish()))
    conversation = await ask("What now?", ada)
    async with streaming(conversation, session) as stream:

        async def quiet() -> bool:
            return stream.comments >= 3

        reading = asyncio.create_task(stream.until("At last."))
        await eventually(quiet)
        provider.open("rest")
        await reading


async def test_strangers_find_nothing(ada_session: tuple[User, str]) -> None:
    _, session = ada_session
    bob = await in_database(make_user, "bob")
    theirs = await ask("A secret", bob)
    for conversation in (theirs, uuid.uuid4()):
        async with streaming(conversation, session) as stream:
            assert stream.status == 404


async def test_who_is_not_signed_in_is_told_so(ada_session: tuple[User, str]) -> None:
    ada, _ = ada_session
    conversation = await ask("What now?", ada)
    async with streaming(conversation) as stream:
        assert await stream.bye() == open_page.SIGNED_OUT


async def test_signing_out_elsewhere_ends_it(ada_session: tuple[User, str]) -> None:
    ada, session = ada_session
    conversation = await ask("What now?", ada)
    await ended(conversation)
    async with streaming(conversation, session) as stream:
        await stream.until("What now?")
        ada.is_active = False
        await in_database(ada.save)
        assert await stream.bye() == open_page.SIGNED_OUT


async def test_a_deleted_conversation_ends_it(
    ada_session: tuple[User, str], provider: FakeProvider
) -> None:
    ada, session = ada_session
    conversation = await ask("What now?", ada)
    await ended(conversation)
    async with streaming(conversation, session) as stream:
        await stream.until("What now?")
        await in_database(actions.delete, ada, conversation)
        assert await stream.bye() == open_page.GONE


async def test_a_restart_ends_it_and_lets_nobody_in(ada_session: tuple[User, str]) -> None:
    ada, session = ada_session
    conversation = await ask("What now?", ada)
    await ended(conversation)
    async with streaming(conversation, session) as stream:
        await stream.until("What now?")
        closing = asyncio.create_task(open_page.close_all())
        assert await stream.bye() == open_page.RESTART
    await closing
    current = services.current()
    assert current is not None
    current.draining.set()
    async with streaming(conversation, session) as stream:
        assert stream.status == 503


async def test_a_client_that_left_leaves_nothing_behind(
    ada_session: tuple[User, str], provider: FakeProvider
) -> None:
    ada, session = ada_session
    provider.enqueue(reply("All is well."))
    conversation = await ask("What now?", ada)
    async with streaming(conversation, session) as stream:
        await stream.until("What now?")
        assert open_page.open_pages()
    assert not open_page.open_pages()
