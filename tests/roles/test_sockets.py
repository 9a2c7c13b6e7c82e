"""Every socket, as every role: who may not read is closed before a frame of it is sent."""

import json
import uuid
from typing import Any

import pytest
from channels.testing import WebsocketCommunicator
from django.conf import LazySettings

from chat.database import in_database
from chat.delivery.routing import websocket
from chat.services import Services
from chatsite.asgi import application
from tests.roles.cast import ROLES, SECRET, World, make_world
from tests.roles.test_every_url import OPERATORS, OUTSIDE, OWNERS

HOST = b"chat.example"
SIGNED_OUT = 4401
CONVERSATION, ECHO = "ws/c/<uuid:conversation_id>/", "ws/echo/"


@pytest.fixture
async def world(running: Services, settings: LazySettings) -> World:
    settings.ALLOWED_HOSTS = [HOST.decode(), "testserver"]
    found: World = await in_database(make_world)
    return found


def socket_of(world: World, role: str, path: str) -> WebsocketCommunicator:
    headers = [(b"host", HOST)]
    client = world.clients[role]
    if "sessionid" in client.cookies:
        headers.append((b"cookie", f"sessionid={client.cookies['sessionid'].value}".encode()))
    if role == "api key":
        headers.append((b"authorization", client.defaults["HTTP_AUTHORIZATION"].encode()))
    return WebsocketCommunicator(application, path, headers)


def routes() -> set[str]:
    """Of the router, within its middlewares."""
    app: Any = websocket
    while not hasattr(app, "routes"):
        app = getattr(app, "inner", None) or app.app
    return {str(route.pattern) for route in app.routes}


async def frames(socket: WebsocketCommunicator) -> tuple[str, int | None]:
    """What it says until it has said the secret or is closed, and the close code."""
    said = ""
    await socket.send_to(text_data=json.dumps({"type": "resume", "cursor": -1}))
    while SECRET not in said:
        output = await socket.receive_output(timeout=10)
        if output["type"] == "websocket.close":
            return said, output["code"]
        said += output.get("text") or ""
    await socket.disconnect()
    return said, None


async def test_who_may_open_which(world: World) -> None:
    assert routes() == {CONVERSATION, ECHO}
    for role in ROLES:
        conversation = world.names[role]["conversation_id"]
        socket = socket_of(world, role, f"/ws/c/{conversation}/")
        opened, _ = await socket.connect(timeout=10)
        if role in OUTSIDE:
            # Opened and closed at once, so that a page hears why.
            assert await frames(socket) == ("", SIGNED_OUT), role
        else:
            assert opened == (role in OWNERS), role
        if opened and role not in OUTSIDE:
            said, _ = await frames(socket)
            assert SECRET in said, role
        nothing = socket_of(world, role, f"/ws/c/{uuid.uuid4()}/")
        assert (await nothing.connect(timeout=10))[0] == (role in OUTSIDE), role
        echo = socket_of(world, role, "/ws/echo/")
        assert (await echo.connect(timeout=10))[0] == (role in OPERATORS), role
        await echo.disconnect()
