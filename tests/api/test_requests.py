"""What a body asks for, and what is refused by name."""

import contextlib
import json
from typing import Any

import pytest
from django.conf import LazySettings
from hypothesis import given
from hypothesis import strategies as st

from chat.api.errors import ApiError
from chat.api.requests import Asked, read
from chat.models import Role

HELLO = [{"role": "user", "content": "Hello?"}]
CALL = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}


def ask(names: tuple[str, ...] = ("fake",), **body: Any) -> Asked:
    return read(json.dumps({"messages": HELLO, **body}).encode(), list(names), "fake")


def refused(raw: bytes | None = None, **body: Any) -> ApiError:
    given = json.dumps({"messages": HELLO, **body}).encode() if raw is None else raw
    with pytest.raises(ApiError) as caught:
        read(given, ["fake"], "fake")
    return caught.value


def test_what_is_the_providers_is_kept_as_it_came() -> None:
    theirs = {"temperature": 0.5, "tools": [{"type": "function"}], "odd": {"a": [1]}}
    ours = {"model": "fake", "stream": True, "stream_options": {"include_usage": True}, "n": 1}
    asked = ask(**theirs, **ours, user="u", safety_identifier="s")
    assert asked.given == {"messages": HELLO, **theirs}
    assert (asked.model, asked.stream, asked.include_usage) == ("fake", True, True)


def test_without_a_model_it_is_the_default() -> None:
    assert ask().model == "fake"
    assert ask(model=None).model == "fake"


def test_a_model_is_looked_for_only_where_they_are_known() -> None:
    error = refused(model="other")
    assert (error.status, error.code, error.param) == (404, "model_not_found", "model")
    assert ask(names=(), model="other").model == "other"


def test_the_transcript_is_text() -> None:
    messages = [
        {"role": "developer", "content": "Be brief."},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "What is it?"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
                {"type": "odd"},
            ],
        },
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "c1", "content": "rain"},
        {"role": "assistant", "refusal": "No."},
    ]
    said = ask(messages=messages).said
    assert [(one.role, one.text) for one in said] == [
        (Role.SYSTEM, "Be brief."),
        (Role.USER, "What is it?\n[image]\n[odd]"),
        (Role.ASSISTANT, ""),
        (Role.TOOL, "rain"),
        (Role.ASSISTANT, "No."),
    ]
    assert [call.name for call in said[2].calls] == ["weather"]


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"messages": None}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": "Hello"}, "messages"),
        ({"messages": HELLO * 2049}, "messages"),
        ({"messages": ["Hello"]}, "messages[0]"),
        ({"messages": [*HELLO, {"role": "robot", "content": "x"}]}, "messages[1].role"),
        ({"messages": [{"role": ["user"], "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": 1}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": []}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": ["x"]}]}, "messages[0].content[0]"),
        (
            {"messages": [{"role": "user", "content": [{"type": "text"}]}]},
            "messages[0].content[0].text",
        ),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].tool_call_id"),
        (
            {"messages": [{"role": "assistant", "tool_calls": [{}]}]},
            "messages[0].tool_calls[0].function",
        ),
        ({"messages": [{"role": "assistant", "tool_calls": {}}]}, "messages[0].tool_calls"),
        ({"n": 2}, "n"),
        ({"model": 1}, "model"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"audio": {"voice": "x"}}, "audio"),
        ({"functions": [{}]}, "functions"),
        ({"logprobs": True}, "logprobs"),
        ({"stream": "yes"}, "stream"),
        ({"stream_options": {}}, "stream_options"),
        ({"stream": True, "stream_options": 1}, "stream_options"),
        (
            {"stream": True, "stream_options": {"include_usage": 1}},
            "stream_options.include_usage",
        ),
        ({"tools": {}}, "tools"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": True}, "max_tokens"),
        ({"max_completion_tokens": 10**9}, "max_completion_tokens"),
        ({"temperature": 1e999}, "temperature"),
        ({"stop": "a\0b"}, "stop"),
        ({"metadata": "\ud800"}, "metadata"),
    ],
)
def test_a_mistake_is_named(body: dict[str, Any], param: str) -> None:
    error = refused(**body)
    assert (error.status, error.param, error.type) == (400, param, "invalid_request_error")


@pytest.mark.parametrize(
    "raw", [b"", b"{", b"[]", b'"x"', b"\xff", b"[" * 100_000, b'{"a": ' + b"1" * 5000 + b"}"]
)
def test_what_is_no_object_is_refused(raw: bytes) -> None:
    assert refused(raw).code == "invalid_json"


def test_what_is_nested_too_deep_to_be_stored_is_refused() -> None:
    deep: Any = "x"
    for _ in range(100):
        deep = [deep]
    assert refused(odd=deep).param == "odd"


def test_the_text_is_bounded_by_the_context_and_not_by_a_message(settings: LazySettings) -> None:
    settings.MESSAGE_MAX_CHARS, settings.CONTEXT_MAX_CHARS = 10, 100
    assert ask(messages=[{"role": "user", "content": "x" * 100}]).characters == 100
    error = refused(messages=[{"role": "user", "content": "x" * 101}])
    assert error.code == "context_length_exceeded"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
NAMES = ["messages", "model", "stream", "stream_options", "n", "tools", "modalities", "max_tokens"]


@given(st.dictionaries(st.sampled_from(NAMES), json_values), st.lists(json_values))
def test_whatever_comes_is_taken_or_refused(body: dict[str, Any], messages: list[Any]) -> None:
    for whole in (body, {**body, "messages": messages}):
        with contextlib.suppress(ApiError):
            read(json.dumps(whole).encode(), ["fake"], "fake")
