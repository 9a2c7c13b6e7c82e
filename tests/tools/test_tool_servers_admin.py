"""Tool servers in the admin: clear errors, and no secret on any page."""

import sys
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from chat.models import ToolServer, User
from tests.tools.conftest import SERVER, over_stdio

URL = "/admin/chat/toolserver/"
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def office(admin: User, sign_in: Callable[[User], Client]) -> Client:
    return sign_in(admin)


def form(**fields: Any) -> dict[str, Any]:
    return {
        "name": "files",
        "transport": "stdio",
        "command": "/nonexistent/program",
        "arguments": "",
        "environment": "",
        "url": "",
        "headers": "",
        "timeout_s": "30",
        "enabled": "on",
        **fields,
    }


def errors(office: Client, **fields: Any) -> str:
    page = office.post(f"{URL}add/", form(**fields))
    assert page.status_code == 200
    assert not ToolServer.objects.exists()
    return " ".join(
        str(one) for found in page.context["adminform"].form.errors.values() for one in found
    )


def test_saving_lists_the_tools(office: Client) -> None:
    data = form(command=sys.executable, arguments=f"{SERVER}\n")
    page = office.post(f"{URL}add/", data, follow=True)
    assert "tools of files: echo, add" in page.content.decode()
    server = ToolServer.objects.get()
    assert server.arguments == [str(SERVER)]
    assert "echo" in [entry["name"] for entry in server.listed]
    html = office.get(f"{URL}{server.pk}/change/").content.decode()
    assert "<b>echo</b> Say it again." in html


def test_a_failure_is_a_neutral_sentence(office: Client) -> None:
    data = form(environment="TOKEN=s3cret-value", arguments="--key=other-secret")
    html = office.post(f"{URL}add/", data, follow=True).content.decode()
    assert "The program of the tool server files could not be started." in html
    assert "s3cret" not in html
    assert "other-secret" not in html
    assert ToolServer.objects.get().environment == {"TOKEN": "s3cret-value"}


def test_values_are_kept_replaced_removed_and_never_shown(office: Client) -> None:
    server = over_stdio(
        command="/nonexistent",
        environment={"KEEP": "s3cret-1", "CHANGE": "s3cret-2", "DROP": "s3cret-3", "OURS": "$HOME"},
        headers={"Authorization": "Bearer s3cret-4"},
    )
    server.save()
    url = f"{URL}{server.pk}/change/"
    page = office.get(url)
    assert "s3cret" not in page.content.decode()
    shown = page.context["adminform"].form
    assert shown["environment"].value() == "KEEP=\nCHANGE=\nDROP=\nOURS=$HOME"
    assert shown["headers"].value() == "Authorization: "
    data = form(
        command="/nonexistent",
        environment="KEEP=\nCHANGE=new = value\nOURS=$HOME",
        headers="Authorization:",
    )
    office.post(url, data)
    server.refresh_from_db()
    assert server.environment == {"KEEP": "s3cret-1", "CHANGE": "new = value", "OURS": "$HOME"}
    assert server.headers == {"Authorization": "Bearer s3cret-4"}
    history = office.get(f"{URL}{server.pk}/history/").content.decode()
    assert "s3cret" not in history


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"command": ""}, "needs a command"),
        ({"transport": "http"}, "needs the address"),
        ({"transport": "http", "url": "ftp://a.test/"}, "http:// or https://"),
        ({"transport": "http", "url": "mcp.test/mcp"}, "http:// or https://"),
        ({"transport": "http", "url": "http://a:99999/"}, "not an address"),
        ({"transport": "http", "url": "https://me:s3cret@a.test/"}, "No user name"),
        ({"name": "a__b"}, "Two underscores"),
        ({"name": "a_"}, "none at the end"),
        ({"name": "a b"}, "valid"),
        ({"timeout_s": "0"}, "greater than or equal to 1"),
        ({"timeout_s": "9999"}, "less than or equal to 600"),
        ({"environment": "s3cret"}, "Line 1 does not begin with a name"),
        ({"environment": "A=1\nA=2"}, "A is there twice"),
        ({"environment": "A="}, "A has no value"),
        ({"headers": "X Y: 1"}, "Line 1 does not begin with a name"),
        ({"headers": "X: grün"}, "no header can"),
    ],
)
def test_errors_are_clear(fields: dict[str, Any], words: str, office: Client) -> None:
    found = errors(office, **fields)
    assert words in found
    assert "s3cret" not in found


def test_a_host_on_a_network_of_containers_is_an_address(office: Client) -> None:
    url = "http://files:9/mcp"
    office.post(f"{URL}add/", form(transport="http", command="", url=url, enabled=""))
    server = ToolServer.objects.get()
    assert (server.url, server.problem) == (url, "")


def test_the_action_asks_again(office: Client) -> None:
    server = over_stdio()
    server.save()
    data = {"action": "list_tools", "_selected_action": [server.pk]}
    html = office.post(URL, data, follow=True).content.decode()
    assert "tools of test: echo, add" in html
    server.refresh_from_db()
    assert server.listed


def test_what_a_server_says_is_no_html(office: Client) -> None:
    entry = {
        "name": "<b>n</b>",
        "description": "<script>alert(1)</script>",
        "parameters": {"type": "object"},
    }
    server = over_stdio(listed=[entry])
    server.save()
    html = office.get(f"{URL}{server.pk}/change/").content.decode()
    assert "&lt;script&gt;alert(1)" in html
    assert "<script>alert" not in html
    assert "<b>n</b>" not in html


def test_only_superusers_see_them(sign_in: Callable[[User], Client], ada: User) -> None:
    ada.is_staff = True
    ada.save()
    client = sign_in(ada)
    over_stdio().save()
    assert client.get(URL).status_code == 403
    assert client.get(f"{URL}add/").status_code == 403
    assert "toolserver" not in client.get("/admin/").content.decode()
