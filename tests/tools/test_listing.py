"""What a server says it has, squeezed into what is stored."""

import json
from types import SimpleNamespace
from typing import Any

import pytest

from chat.models import ToolServer
from chat.tools import schemas
from chat.tools.base import InvalidArguments
from chat.tools.registry import available
from chat.tools.servers import listing
from chat.tools.servers.listing import list_tools, refresh
from tests.tools.conftest import Make, over_stdio


async def test_the_tools_of_a_server(make: Make) -> None:
    found = {entry["name"]: entry for entry in await list_tools(make(), within_s=30)}
    assert {"echo", "add", "stall", "fail", "die", "hostile", "slow"} <= set(found)
    assert found["echo"]["description"] == "Say it again."
    assert found["echo"]["read_only"]
    assert not found["add"]["read_only"]
    assert found["add"]["parameters"]["required"] == ["a", "b"]
    schemas.check(found["add"]["parameters"], {"a": 1, "b": 2})
    with pytest.raises(InvalidArguments, match="b: 'x' is not of type 'integer'"):
        schemas.check(found["add"]["parameters"], {"a": 1, "b": "x"})
    assert json.dumps(found)


def raw(**fields: Any) -> SimpleNamespace:
    usual = {
        "name": "look",
        "title": None,
        "description": "Look.",
        "inputSchema": {"type": "object"},
        "annotations": None,
    }
    return SimpleNamespace(**{**usual, **fields})


def test_long_and_strange_texts_are_squeezed() -> None:
    entry = listing._entry(raw(description="a\0\x1b[31m" + "x" * 9000, title="t" * 900))
    assert entry is not None
    assert entry["description"].startswith("a\ufffd[31mx")
    assert len(entry["description"]) <= listing.DESCRIPTION_CHARS
    assert len(entry["title"]) == listing.TITLE_CHARS


@pytest.mark.parametrize(
    "fields",
    [
        {"name": ""},
        {"name": "a\0b"},
        {"name": "n" * 200},
        {"inputSchema": {"type": "array"}},
        {"inputSchema": {"properties": "none"}},
        {"inputSchema": {"description": "x" * 30_000}},
        {"inputSchema": {"description": "\0"}},
        {"inputSchema": {"description": "\ud800"}},
    ],
)
def test_a_tool_that_cannot_be_kept_whole_is_left_out(fields: dict[str, Any]) -> None:
    assert listing._entry(raw(**fields)) is None


async def test_pages_are_followed_up_to_a_number() -> None:
    class Endless:
        asked = 0

        async def list_tools(self, params: Any) -> SimpleNamespace:
            self.asked += 1
            return SimpleNamespace(tools=[], nextCursor="more")

    session = Endless()
    assert await listing._listed(session) == []
    assert session.asked == listing.PAGES


@pytest.mark.django_db(transaction=True)
def test_a_refresh_is_stored_and_a_failure_keeps_what_was_there() -> None:
    server = over_stdio()
    server.save()
    refresh(server)
    server.refresh_from_db()
    assert server.listed_at is not None
    assert server.problem == ""
    assert "test__echo" in available()
    server.command = "/nonexistent"
    refresh(server)
    stored = ToolServer.objects.get()
    assert stored.problem == "The program of the tool server test could not be started."
    assert stored.listed == server.listed != []
