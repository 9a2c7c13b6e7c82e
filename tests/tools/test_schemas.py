"""Arguments against a stranger's schema."""

import time
from typing import Any

import pytest

from chat.tools.base import InvalidArguments
from chat.tools.schemas import check, usable


def errors(schema: dict[str, Any], arguments: dict[str, Any]) -> str:
    try:
        check(schema, arguments)
    except InvalidArguments as error:
        return str(error)
    return ""


PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "pattern": "^[a-z]+$"},
        "tags": {"type": "array", "items": {"$ref": "#/$defs/tag"}, "uniqueItems": True},
    },
    "required": ["name"],
    "patternProperties": {"^x-": {"type": "integer"}},
    "additionalProperties": False,
    "$defs": {"tag": {"type": "string", "maxLength": 3}},
}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"name": "ada", "tags": ["a", "b"], "x-one": 1}, ""),
        ({}, "'name' is a required property"),
        ({"name": "Ada"}, "name: does not have the form"),
        ({"name": "ada", "tags": ["a", "long tag"]}, "tags.1: 'long tag' is too long"),
        ({"name": "ada", "tags": ["a", "a"]}, "tags: ['a', 'a'] has non-unique"),
        ({"name": "ada", "age": 3}, "'age' is not expected"),
        ({"name": "ada", "x-one": "1"}, "x-one: '1' is not of type 'integer'"),
    ],
)
def test_errors_name_their_fields(arguments: dict[str, Any], words: str) -> None:
    found = errors(PERSON, arguments)
    assert words in found
    assert bool(words) == bool(found)


def test_all_errors_are_listed_up_to_a_number() -> None:
    schema = {"properties": {f"f{n}": {"type": "string"} for n in range(30)}}
    lines = errors(schema, {f"f{n}": n for n in range(30)}).splitlines()
    assert len(lines) == 11
    assert lines[-1] == "and more"


@pytest.mark.parametrize(
    "field",
    [
        {"pattern": "^(a+)+$"},
        {"pattern": "(a|a)*b"},
        {"anyOf": [{"pattern": "^(([a-z])+.)+[A-Z]([a-z])+$"}]},
    ],
)
@pytest.mark.parametrize("draft", ["2020-12/schema", "2019-09/schema"])
def test_no_pattern_takes_long(field: dict[str, Any], draft: str) -> None:
    schema = {
        "$schema": f"https://json-schema.org/draft/{draft}",
        "properties": {"a": field},
        "patternProperties": {"^(b+)+$": {}},
        "additionalProperties": {"type": "string"},
        "unevaluatedProperties": False,
    }
    started = time.process_time()
    assert "a: " in errors(schema, {"a": "a" * 50_000 + "!", "b" * 50_000 + "!": ""})
    assert time.process_time() - started < 2


def test_a_pattern_that_looks_ahead_is_left_to_the_server() -> None:
    schema = {
        "properties": {"a": {"pattern": "^(?=x)"}},
        "patternProperties": {"(?!y)": False},
        "additionalProperties": False,
    }
    assert errors(schema, {"a": "y", "b": 1}) == ""


def test_nothing_is_fetched_for_a_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    def opened(*arguments: object, **options: object) -> None:
        raise AssertionError("it went to the network")

    monkeypatch.setattr("socket.socket.connect", opened)
    for target in ("https://example.org/schema.json", "file:///etc/passwd", "#/nowhere"):
        assert "cannot be applied" in errors({"properties": {"a": {"$ref": target}}}, {"a": 1})


def test_a_schema_that_multiplies_itself_ends() -> None:
    levels = {f"l{n}": {"allOf": [{"$ref": f"#/$defs/l{n + 1}"}] * 2} for n in range(60)}
    bomb = {"properties": {"a": {"$ref": "#/$defs/l0"}}, "$defs": {**levels, "l60": {}}}
    circle = {"properties": {"a": {"$ref": "#/$defs/c"}}, "$defs": {"c": {"$ref": "#/$defs/c"}}}
    started = time.process_time()
    for schema in (bomb, circle):
        assert usable(schema)
        assert "cannot be applied" in errors(schema, {"a": 1})
    assert time.process_time() - started < 5


def test_many_items_are_not_compared_with_each_other() -> None:
    schema = {"properties": {"a": {"uniqueItems": True}}}
    started = time.process_time()
    assert errors(schema, {"a": [{"n": n % 7} for n in range(20_000)]}) == ""
    assert time.process_time() - started < 2


@pytest.mark.parametrize(
    "schema",
    [
        None,
        [],
        "object",
        {"type": "string"},
        {"type": ["object"]},
        {"properties": []},
        {"properties": {"a": {"type": "strange"}}},
        {"$schema": ["x"]},
        {"required": "name"},
    ],
)
def test_what_is_no_schema_of_an_object(schema: Any) -> None:
    assert not usable(schema)


def test_older_drafts_are_known() -> None:
    schema = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "object",
        "properties": {"a": {"$ref": "#/definitions/b"}},
        "definitions": {"b": {"type": "integer"}},
    }
    assert usable(schema)
    assert "a: 'x' is not of type 'integer'" in errors(schema, {"a": "x"})
    assert usable({"$schema": "https://example.org/mine", "type": "object"})
