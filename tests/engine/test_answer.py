"""A body becomes the same deltas however its bytes arrive; whatever is no answer is an error."""

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

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


SAID = st.tuples(
    st.sampled_from(["content", "content", "reasoning_content", "refusal"]),
    st.text(st.characters(codec=None), max_size=4) | st.sampled_from(["<think>", "</think>", "a"]),
)


@given(st.lists(SAID, max_size=8), st.sampled_from([b"\n", b"\r", b"\r\n"]), st.data())
def test_any_stream_says_the_same_at_any_split(
    said: list[tuple[str, str]], line_end: bytes, data: st.DataObject
) -> None:
    script = Script(*(Chunk({field: text}) for field, text in said), Finish(), Done())
    body = body_of(script).replace(b"\n", line_end)
    edges = [0, *sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=9))), len(body)]
    deltas, answer = read(*(body[a:b] for a, b in pairwise(edges)))
    assert deltas == read(body)[0]
    assert answer.error is None
    assert deltas[-1] == FinishDelta("stop")


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


@pytest.mark.parametrize("word", ["[DONE]", " [DONE] ", '"[DONE]"', "DONE", "[done]"])
def test_the_word_for_the_end_is_known_in_every_spelling(word: str) -> None:
    body = body_of(Script(Text("Hi"), Finish())) + f"data: {word}\n\n".encode()
    deltas, answer = read(body, body_of(reply("more")))
    assert deltas == [TextDelta("Hi"), FinishDelta("stop")]
    assert (answer.done, answer.error) == (True, None)


@pytest.mark.parametrize("garbage", [b"data: {broken\n\n", b"data: 7\n\n", b"data: oh\n\n"])
def test_garbage_after_the_model_has_ended_is_passed_over(garbage: bytes) -> None:
    deltas, answer = read(body_of(Script(Text("Hi"), Finish())) + garbage)
    assert deltas == [TextDelta("Hi"), FinishDelta("stop")]
    assert answer.error is None


def test_garbage_after_an_end_that_was_none_is_an_error() -> None:
    early = body_of(Script(Text("H"), Finish(), Text("i")))
    for tail, kind in ((b"data: {broken\n\n", "garbled"), (b"data: [DONE]\n\n", "")):
        deltas, answer = read(early + tail)
        assert (answer.error.kind if answer.error else "") == kind
        assert (deltas[-1] == FinishDelta("stop")) is not bool(kind)


def test_an_error_after_the_model_has_ended_is_an_error() -> None:
    error = b'data: {"error": {"message": "Blocked.", "code": 400}}\n\n'
    _, answer = read(body_of(Script(Text("Hi"), Finish())) + error)
    assert answer.error is not None
    assert answer.error.kind == "refused"


def test_a_character_that_is_no_utf_8_is_replaced() -> None:
    deltas, answer = read(b'data: {"choices": [{"delta": {"content": "a\xffb"}}]}\n\n')
    assert deltas == [TextDelta("a\ufffdb")]
    assert answer.error is None


@pytest.mark.parametrize("depth", [150, 500, 950, 100_000])
@pytest.mark.parametrize("name", ["content", "reasoning_details"])
@pytest.mark.parametrize("start", [b"data: ", b"event: error\ndata: ", b""])
def test_no_depth_is_too_much(depth: int, name: str, start: bytes) -> None:
    nested = b"[" * depth + b'"\\ud83d"' + b"]" * depth
    body = b'{"choices": [{"delta": {"%b": %b}}], "error": %b}' % (name.encode(), nested, nested)
    _, answer = read(start + body + b"\n\n")
    assert answer.error is not None


def test_the_operator_reads_what_was_no_answer() -> None:
    page = b"<html>\n  <h1>502 Bad Gateway</h1>" + b"x" * 10_000
    for content_type in ("text/html", "text/event-stream"):
        _, answer = read(page, content_type=content_type)
        assert answer.error is not None
        assert "<h1>502 Bad Gateway</h1>" in answer.error.detail
        assert len(answer.error.detail) < 500
    _, answer = read(b"data: error: the engine stopped\n\n")
    assert answer.error is not None
    assert "the engine stopped" in answer.error.detail


def test_but_not_what_may_be_the_models_words() -> None:
    for data in (b'{"choices": [{"delta": {"content": "private"', b'"private', b'[{"private'):
        _, answer = read(b"data: " + data + b"\n\n")
        assert answer.error is not None
        assert "private" not in answer.error.detail


def test_an_event_named_as_a_sign_of_life_is_none_whatever_it_holds() -> None:
    for data in (b"ping", b"{}", b'""', b"2026-01-01"):
        deltas, answer = read(b"event: ping\ndata: " + data + b"\n\n")
        assert (deltas, answer.error) == ([], None)


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
