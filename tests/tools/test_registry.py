"""Which tools there are, and what they tell the model."""

import re
from typing import Any

import pytest
from django.conf import LazySettings
from pydantic import Field

from chat.models import ToolServer
from chat.tools.base import Context, InvalidArguments
from chat.tools.registry import Arguments, available, built_in, tool
from chat.tools.servers.tools import name_of

ENTRY: dict[str, Any] = {
    "name": "look.up",
    "title": "Look up",
    "description": "Look something up.",
    "parameters": {"type": "object", "properties": {"word": {"type": "string"}}},
    "read_only": True,
}


def test_the_specs_are_as_providers_want_them() -> None:
    for name, one in built_in().items():
        assert one.name == name
        assert one.spec["type"] == "function"
        function = one.spec["function"]
        assert set(function) == {"name", "description", "parameters"}
        assert re.fullmatch("[a-zA-Z0-9_-]{1,64}", name)
        assert function["description"]
        assert function["parameters"]["type"] == "object"
        assert "title" not in function["parameters"]
        assert one.title
        assert one.parallel
        assert not one.asks_first


def test_pages_are_fetched_only_where_the_operator_says_which(settings: LazySettings) -> None:
    assert set(built_in()) == {
        "current_time",
        "date_arithmetic",
        "calculator",
        "search_conversations",
    }
    settings.TOOL_FETCH_HOSTS = ["example.org"]
    assert "fetch_page" in built_in()


class Greeting(Arguments):
    name: str = Field(max_length=5, description="whom to greet")
    times: int = 1


@tool("Greet")
def greet(arguments: Greeting, context: Context) -> str:
    """Say hello.

    More than once if that is wanted.
    """
    return " ".join([f"Hello, {arguments.name}!"] * arguments.times)


async def test_a_tool_is_a_typed_function(context: Context) -> None:
    assert greet.spec["function"] == {
        "name": "greet",
        "description": "Say hello.\n\nMore than once if that is wanted.",
        "parameters": {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "name": {"type": "string", "maxLength": 5, "description": "whom to greet"},
                "times": {"type": "integer", "default": 1},
            },
            "required": ["name"],
        },
    }
    greet.check({"name": "Ada"})
    assert await greet.run({"name": "Ada", "times": 2}, context) == "Hello, Ada! Hello, Ada!"


@pytest.mark.parametrize(
    ("arguments", "lines"),
    [
        ({}, ["name: Field required"]),
        ({"name": "Ada", "age": 3}, ["age: Extra inputs are not permitted"]),
        ({"name": "Adelaide", "times": "x"}, ["name: String should", "times: Input should"]),
    ],
)
def test_invalid_arguments_are_listed_by_field(arguments: dict[str, Any], lines: list[str]) -> None:
    with pytest.raises(InvalidArguments) as caught:
        greet.check(arguments)
    found = str(caught.value).splitlines()
    assert len(found) == len(lines)
    assert all(line.startswith(start) for line, start in zip(found, lines, strict=True))


def server(name: str, *entries: dict[str, Any], **fields: Any) -> ToolServer:
    return ToolServer.objects.create(
        name=name, transport="stdio", command="/bin/true", listed=list(entries), **fields
    )


@pytest.mark.usefixtures("db")
def test_the_tools_of_enabled_servers_are_there() -> None:
    server("words", {**ENTRY, "name": "look_up"}, {**ENTRY, "name": "write", "read_only": False})
    server("off", ENTRY, enabled=False)
    found = available()
    assert set(found) - set(built_in()) == {"words__look_up", "words__write"}
    reads, writes = found["words__look_up"], found["words__write"]
    assert (reads.parallel, reads.asks_first) == (True, False)
    assert (writes.parallel, writes.asks_first) == (False, True)
    assert str(reads.title) == "words: Look up"
    with pytest.raises(InvalidArguments, match="word: 3 is not of type 'string'"):
        reads.check({"word": 3})


def test_names_fit_are_unique_and_stay() -> None:
    assert name_of("words", "look_up") == "words__look_up"
    assert name_of("words", "look.up") == name_of("words", "look.up")
    names = [
        name_of(server, one)
        for server, one in [
            ("a", "b.c"),
            ("a", "b_c"),
            ("a", "b/c"),
            ("a", "x" * 100),
            ("a", "x" * 101),
            ("a", "b__c"),
            ("a__b", "c"),
            ("a", "_b"),
            ("a_", "b"),
            ("s" * 40, "t" * 40),
            ("a", name_of("a__b", "c").removeprefix("a__")),
            ("a", "übung"),
        ]
    ]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch("[a-zA-Z0-9_-]{1,64}", name) for name in names)
