"""The status page is for operators; to everybody else there is nothing."""

from collections.abc import Callable
from typing import Any

import pytest
from channels.testing import WebsocketCommunicator
from django.contrib.auth.models import AnonymousUser, Permission
from django.test import Client

from chat.delivery.echo import ECHO_CHARS, EchoConsumer
from chat.models import User
from chat.operate.who import may_see_status
from tests.conftest import make_user

PAGES = [
    "/operate/status/",
    "/operate/status/stream",
    "/operate/metrics/",
    "/operate/metrics/usage.csv",
]
CAST: dict[str, tuple[dict[str, Any], bool]] = {
    "a member": ({}, False),
    "staff": ({"is_staff": True}, False),
    "a member with the permission": ({"permitted": True}, False),
    "staff with the permission": ({"is_staff": True, "permitted": True}, True),
    "a superuser": ({"is_staff": True, "is_superuser": True}, True),
    "a superuser who is no staff": ({"is_superuser": True}, False),
}


@pytest.fixture(params=CAST)
def somebody(request: pytest.FixtureRequest, db: None) -> tuple[User, bool]:
    """Each of the cast, and whether they may see it."""
    fields, may = CAST[request.param]
    fields = dict(fields)
    permitted = fields.pop("permitted", False)
    user = make_user("somebody", **fields)
    if permitted:
        user.user_permissions.add(Permission.objects.get(codename="view_status"))
    return user, may


@pytest.mark.parametrize("path", PAGES)
def test_operators_see_it_and_nobody_else_learns_of_it(
    path: str, somebody: tuple[User, bool], sign_in: Callable[[User], Client]
) -> None:
    user, may = somebody
    answer = sign_in(user).get(path)
    assert answer.status_code == (200 if may else 404)
    if not may:
        assert answer.content == sign_in(user).get("/nothing-here/").content
        assert sign_in(user).post(path).status_code == 404


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.django_db
def test_the_anonymous_are_asked_to_sign_in(path: str) -> None:
    answer = Client().get(path)
    assert answer.status_code == 302
    assert answer["Location"] == f"/accounts/login/?next={path}"


def test_a_link_leads_operators_there(
    somebody: tuple[User, bool], sign_in: Callable[[User], Client]
) -> None:
    user, may = somebody
    link = 'href="/operate/status/"'
    assert (link in sign_in(user).get("/").content.decode()) is may
    if user.is_staff:
        assert (link in sign_in(user).get("/admin/").content.decode()) is may


def test_who_was_deactivated_sees_nothing(operator: User) -> None:
    assert may_see_status(operator)
    operator.is_active = False
    assert not may_see_status(operator)


@pytest.mark.django_db(transaction=True)
async def test_the_echo_says_once_what_an_operator_says(operator: User) -> None:
    socket = WebsocketCommunicator(EchoConsumer.as_asgi(), "/ws/echo/")
    socket.scope["user"] = operator
    assert (await socket.connect())[0]
    await socket.send_to(text_data="x" * 1_000)
    assert await socket.receive_from() == "x" * ECHO_CHARS
    assert (await socket.receive_output())["type"] == "websocket.close"


@pytest.mark.django_db(transaction=True)
async def test_the_echo_hears_nobody_else(bob: User) -> None:
    for stranger in (bob, AnonymousUser()):
        socket = WebsocketCommunicator(EchoConsumer.as_asgi(), "/ws/echo/")
        socket.scope["user"] = stranger
        assert not (await socket.connect())[0]


@pytest.mark.django_db(transaction=True)
async def test_who_says_nothing_to_the_echo_is_let_go(
    operator: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chat.delivery.echo.OPEN_MAX_S", 0.05)
    socket = WebsocketCommunicator(EchoConsumer.as_asgi(), "/ws/echo/")
    socket.scope["user"] = operator
    await socket.send_input({"type": "websocket.connect"})
    assert (await socket.receive_output())["type"] == "websocket.accept"
    assert (await socket.receive_output())["type"] == "websocket.close"
