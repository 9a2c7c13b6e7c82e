"""A body becomes the same deltas however its bytes arrive; whatever is no answer is an error."""

import json

import pytest

from chat.engine.answer import WHOLE_BYTES, Answer
from chat.engine.events import FinishDelta, TextDelta, UsageDelta
from tests.engine.running import read, reasoning_of, text_of
from tests.fake_provider import (
    Chunk,
    Comment,
    Done,
    Finish,
    Raw,
    Reasoning,
    Refusal,
    Script,
    Text,
    Usage,
    body_of,
    reply,
    tool_call,
)
from tests.streams import load, names

WHOLE = {
    "object": "chat.completion",
    "choices": [{"message": {"content": "Hé"}, "finish_reason": "stop"}],
}

RICH = Script(
    Comment(),
    Chunk({"role": "assistant", "content": ""}),
    Reasoning("Hm, 🌍?", size=2),
    Raw(b"id: 1\n: comment\n"),
    Text("Grüße, 世界 😀!", size=3),
    Text("\ud83d\ude00", size=1),
    Refusal("No."),
    *tool_call("f", '{"a": 1}'),
    Finish(),
    Usage(),
    Done(),
)


def test_a_rich_stream_is_the_same_at_every_split() -> None:
    body = body_of(RICH, include_usage=True)
    expected, answer = read(body)
    assert answer.error is None
    assert text_of(expected) == "Grüße, 世界 😀!😀No."
    assert reasoning_of(expected) == "Hm, 🌍?"
    for cut in range(len(body) + 1):
        assert read(body[:cut], body[cut:])[0] == expected
    for size in (1, 2, 7, 100):
        pieces = [body[i : i + size] for i in range(0, len(body), size)]
        assert read(*pieces)[0] == expected


RECORDED = {  # text, reasoning, finish reason, kind of the error
    "deepseek-reasoning-beside-null-content": ("Hello!", "Greeting. Answer.", "stop", ""),
    "emoji-cut-into-surrogates": ("Hi 😀!", "", "stop", ""),
    "gateway-crlf-ids-comments-no-done": ("Hello", "", "stop", ""),
    "mistral-thinking-in-parts": ("Bonjour 👋", "The user greets me.", "stop", ""),
    "openrouter-error-beside-choices": ("The answer", "", "error", "unavailable"),
    "vllm-error-then-done": ("One, two", "", "", "unavailable"),
}


def test_every_recorded_stream_is_read() -> None:
    assert names() == sorted(RECORDED)


@pytest.mark.parametrize("name", names())
def test_a_recorded_stream_says_what_it_said(name: str) -> None:
    deltas, answer = read(load(name))
    finish = [delta.reason for delta in deltas if isinstance(delta, FinishDelta)]
    kind = answer.error.kind if answer.error else ""
    assert (text_of(deltas), reasoning_of(deltas), "".join(finish), kind) == RECORDED[name]


@pytest.mark.parametrize("name", names())
def test_a_recorded_stream_is_the_same_at_every_split(name: str) -> None:
    body = load(name)
    expected, answer = read(body)
    for cut in range(len(body) + 1):
        deltas, cut_answer = read(body[:cut], body[cut:])
        assert deltas == expected
        assert repr(cut_answer.error) == repr(answer.error)


def test_a_body_cut_at_any_byte_gives_a_prefix_and_no_error() -> None:
    body = body_of(Script(Text("né 😀 done"), Finish(), Done()))
    whole = text_of(read(body)[0])
    for cut in range(len(body)):
        deltas, answer = read(body[:cut])
        assert answer.error is None
        assert whole.startswith(text_of(deltas))


def test_nothing_after_done_counts() -> None:
    body = body_of(reply("Hi")) + body_of(reply("more"))
    deltas, answer = read(body)
    assert text_of(deltas) == "Hi"
    assert answer.done
    assert answer.feed(body) == []


def test_a_stream_may_end_without_done_and_without_its_last_blank_line() -> None:
    body = body_of(Script(Text("Hi"), Finish()))
    for kept in (body, body[:-1], body[:-2]):
        deltas, answer = read(kept)
        assert deltas == [TextDelta("Hi"), FinishDelta("stop")]
        assert answer.error is None


def test_usage_comes_through_when_it_was_asked_for() -> None:
    assert UsageDelta(10, 5, None) in read(body_of(Script(Usage()), include_usage=True))[0]
    assert read(body_of(Script(Usage())))[0] == []


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"data: {broken\n\n", "garbled"),
        (b'data: {"choices": [{"delta": {"content": "\xff"}}]}\n\n', "garbled"),
        (b'data: "text"\n\n', "garbled"),
        (b"data: " + b"[" * 100_000 + b"\n\n", "garbled"),
        (b'data: {"error": {"message": "It broke.", "code": 503}}\n\n', "unavailable"),
        (b'data: {"error": "It broke."}\n\n', "provider"),
        (b'event: error\ndata: {"code": 429, "msg": "It broke."}\n\n', "rate_limited"),
        (b'event: error\ndata: {"message": "It broke.", "choices": []}\n\n', "provider"),
        (b"event: error\ndata: It broke.\n\n", "provider"),
        (b"event: error\ndata: \xff\n\n", "provider"),
    ],
)
def test_an_error_ends_the_answer_and_keeps_what_came_before(data: bytes, kind: str) -> None:
    before = body_of(Script(Text("kept")))
    after = body_of(reply("not this"))
    for pieces in ([before + data + after], [before, data, after]):
        deltas, answer = read(*pieces)
        assert text_of(deltas) == "kept"
        assert answer.error is not None
        assert answer.error.kind == kind


@pytest.mark.parametrize("content_type", ["application/json", "text/event-stream", ""])
@pytest.mark.parametrize("indent", [None, 2])
def test_a_whole_completion_is_accepted(content_type: str, indent: int | None) -> None:
    body = json.dumps(WHOLE, indent=indent, ensure_ascii=False).encode()
    for cut in range(len(body) + 1):
        deltas, answer = read(body[:cut], body[cut:], content_type=content_type)
        assert deltas == [TextDelta("Hé"), FinishDelta("stop")]
        assert answer.error is None


@pytest.mark.parametrize("content_type", ["application/json", "text/event-stream"])
def test_an_error_in_json_is_an_error(content_type: str) -> None:
    body = json.dumps({"error": {"message": "Over capacity.", "type": "overloaded_error"}})
    _, answer = read(body.encode(), content_type=content_type)
    assert answer.error is not None
    assert (answer.error.kind, answer.error.detail) == ("unavailable", "Over capacity.")


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"<!doctype html><title>Sign in</title>", "text/html"),
        (b"upstream connect error", "text/plain"),
        (b"", "application/json"),
        (b"\xff\xfe", "application/octet-stream"),
    ],
)
def test_what_is_neither_stream_nor_json_is_garbled(body: bytes, content_type: str) -> None:
    deltas, answer = read(body, content_type=content_type)
    assert deltas == []
    assert answer.error is not None
    assert answer.error.kind == "garbled"
    assert content_type in answer.error.detail


def test_a_stream_is_known_by_its_events_not_by_its_label() -> None:
    deltas, answer = read(body_of(reply("Hi")), content_type="text/plain")
    assert text_of(deltas) == "Hi"
    assert answer.error is None


def test_a_stream_of_nothing_but_comments_is_empty_and_no_error() -> None:
    deltas, answer = read(b": keep-alive\n\n" * 3)
    assert deltas == []
    assert answer.error is None


def test_an_answer_without_end_is_given_up() -> None:
    answer = Answer("text/html")
    for _ in range(WHOLE_BYTES // 100_000 + 1):
        answer.feed(b"<p>" + b"x" * 99_997)
    assert answer.done
    assert answer.error is not None


def test_a_long_stream_is_not_taken_for_one_without_end() -> None:
    answer = Answer()
    piece = body_of(Script(Text("x" * 100_000, size=100_000)))
    for _ in range(WHOLE_BYTES // 100_000 + 2):
        assert len(answer.feed(piece)) == 1
    assert answer.error is None
