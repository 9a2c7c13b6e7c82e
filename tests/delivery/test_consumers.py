"""The socket: who may open it, what it takes, how it ends."""

import json
import uuid
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from channels.testing import WebsocketCommunicator
from django.conf import LazySettings
from django.test import Client

from chat import actions, services, tickets
from chat.database import in_database
from chat.delivery import open_page
from chat.models import User
from chat.services import Services
from chatsite.asgi import application
from tests.conftest import PASSWORD, make_user
from tests.fake_provider import FakeProvider
from tests.support import eventually
from tests.test_pipeline import ask, ended

HOST = b"chat.example:8443"


@pytest.fixture(autouse=True)
def _hosts(settings: LazySettings) -> None:
    settings.ALLOWED_HOSTS = ["chat.example"]


def session_of(user: User) -> str:
    client = Client()
    client.force_login(user)
    return client.cookies["sessionid"].value


class Socket:
    """A client's end of the socket."""

    def __init__(self, path: str, session: str = "", origin: str | None = None) -> None:
        headers = [(b"host", HOST), (b"cookie", f"sessionid={session}".encode())]
        if origin is not None:
            headers.append((b"origin", origin.encode()))
        self.communicator = WebsocketCommunicator(application, path, headers)

    async def opens(self) -> bool:
        opened, _ = await self.communicator.connect(timeout=10)
        return bool(opened)

    async def says(self, **message: Any) -> None:
        await self.communicator.send_to(text_data=json.dumps(message))

    async def frame(self) -> dict[str, Any]:
        return dict(json.loads(await self.communicator.receive_from(timeout=10)))

    async def close_code(self) -> int:
        while True:
            output = await self.communicator.receive_output(timeout=10)
            if output["type"] == "websocket.close":
                return int(output["code"])

    async def until(self, text: str) -> dict[str, Any]:
        while True:
            frame = await self.frame()
            if text in frame["content"]:
                return frame


@pytest.fixture
async def ada_session(running: Services) -> tuple[User, str]:
    ada = await in_database(make_user, "ada")
    return ada, await in_database(session_of, ada)


async def test_the_owner_s_page_resumes_from_its_cursor(
    ada_session: tuple[User, str], provider: FakeProvider
) -> None:
    ada, session = ada_session
    conversation = await ask("What now?", ada)
    await ended(conversation)
    socket = Socket(f"/ws/c/{conversation}/", session)
    assert await socket.opens()
    await socket.says(type="resume", cursor=-1)
    await socket.until("What now?")
    await socket.communicator.disconnect()


async def test_a_client_that_does_not_resume_is_served_all_the_same(
    ada_session: tuple[User, str], provider: FakeProvider
) -> None:
    ada, session = ada_session
    conversation = await ask("What now?", ada)
    socket = Socket(f"/ws/c/{conversation}/", session)
    assert await socket.opens()
    await socket.until("All is well.")
    await socket.communicator.disconnect()


async def test_a_stranger_and_nobody_s_id_are_refused_alike(
    ada_session: tuple[User, str],
) -> None:
    _, session = ada_session
    bob = await in_database(make_user, "bob")
    theirs = await ask("A secret", bob)
    assert not await Socket(f"/ws/c/{theirs}/", session).opens()
    assert not await Socket(f"/ws/c/{uuid.uuid4()}/", session).opens()


async def test_a_ticket_opens_the_socket_of_an_unwritten_conversation(
    ada_session: tuple[User, str],
) -> None:
    ada, session = ada_session
    conversation = uuid.uuid4()
    ticket = tickets.issue(ada.pk, conversation)
    socket = Socket(f"/ws/c/{conversation}/?after=0&new={ticket}", session)
    assert await socket.opens()
    await socket.says(type="resume", cursor=0)
    await in_database(actions.send, ada, conversation, "Hi!", "first-key", may_create=True)
    await socket.until("Hi!")
    await socket.communicator.disconnect()


async def test_the_anonymous_are_closed_with_a_code_that_ends_reconnecting(
    running: Services,
) -> None:
    socket = Socket(f"/ws/c/{uuid.uuid4()}/")
    assert await socket.opens()
    assert await socket.close_code() == 4401


@pytest.mark.parametrize(
    ("origin", "opens"),
    [
        (None, True),
        ("http://chat.example:8443", True),
        ("https://chat.example:8443", False),
        ("http://chat.example", False),
        ("http://chat.example:8444", False),
        ("http://evil.example:8443", False),
        ("http://chat.example:8443.evil.example", False),
        ("null", False),
        ("https://app.trusted.example", True),
        ("https://trusted.example.evil", False),
    ],
)
async def test_only_a_page_of_the_same_origin_opens_a_socket(
    ada_session: tuple[User, str], settings: LazySettings, origin: str | None, opens: bool
) -> None:
    settings.CSRF_TRUSTED_ORIGINS = ["https://*.trusted.example"]
    ada, session = ada_session
    conversation = await ask(user=ada)
    socket = Socket(f"/ws/c/{conversation}/", session, origin)
    assert await socket.opens() is opens
    if opens:
        await socket.communicator.disconnect()


@pytest.mark.parametrize("said", ["not json", "[]", "42", '{"type": "shout"}', "x" * 5000])
async def test_what_is_not_our_protocol_ends_the_socket(
    ada_session: tuple[User, str], said: str
) -> None:
    ada, session = ada_session
    conversation = await ask(user=ada)
    socket = Socket(f"/ws/c/{conversation}/", session)
    assert await socket.opens()
    await socket.communicator.send_to(text_data=said)
    assert await socket.close_code() == 4400


async def test_signing_out_closes_the_sockets_of_that_session_only(
    ada_session: tuple[User, str],
) -> None:
    ada, session = ada_session
    conversation = await ask(user=ada)
    other_session = await in_database(session_of, ada)
    here = Socket(f"/ws/c/{conversation}/", session)
    there = Socket(f"/ws/c/{conversation}/", other_session)
    assert await here.opens()
    assert await there.opens()

    def sign_out() -> None:
        client = Client()
        client.cookies["sessionid"] = session
        client.post("/accounts/logout/", headers={"host": HOST.decode()})

    await sync_to_async(sign_out)()
    assert await here.close_code() == 4401
    await there.until("All is well.")
    await there.communicator.disconnect()


async def test_a_new_password_and_a_deactivation_close_the_sockets(
    ada_session: tuple[User, str],
) -> None:
    ada, _ = ada_session
    conversation = await ask(user=ada)

    def new_password() -> None:
        ada.set_password(PASSWORD + "!")
        ada.save()

    def deactivate() -> None:
        ada.is_active = False
        ada.save()

    for change in (new_password, deactivate):
        socket = Socket(f"/ws/c/{conversation}/", await in_database(session_of, ada))
        assert await socket.opens()
        await in_database(change)
        assert await socket.close_code() == 4401


async def test_at_a_restart_the_pages_are_told_to_come_back(
    ada_session: tuple[User, str],
) -> None:
    ada, session = ada_session
    conversation = await ask(user=ada)
    socket = Socket(f"/ws/c/{conversation}/", session)
    assert await socket.opens()
    await open_page.close_all()
    assert await socket.close_code() == 1012


async def test_a_draining_server_opens_no_socket(ada_session: tuple[User, str]) -> None:
    ada, session = ada_session
    conversation = await ask(user=ada)
    current = services.current()
    assert current is not None
    current.draining.set()
    assert not await Socket(f"/ws/c/{conversation}/", session).opens()


async def test_a_closed_socket_leaves_nothing_behind(
    ada_session: tuple[User, str], running: Services, provider: FakeProvider
) -> None:
    ada, session = ada_session
    conversation = await ask(user=ada)
    socket = Socket(f"/ws/c/{conversation}/", session)
    assert await socket.opens()
    await socket.until("All is well.")
    await socket.communicator.disconnect()
    assert not open_page.open_pages()

    async def forgotten() -> bool:
        return len(running.log) == 0  # type: ignore[arg-type]

    await eventually(forgotten)
