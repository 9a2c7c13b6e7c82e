"""Events → OpenAI's form, however they are cut."""

import json
from collections.abc import Iterable

import pytest

from chat.api.chunks import Completion, Head, data, dumps, finish_reason, usage
from chat.engine.events import (
    CallDelta,
    CallStep,
    Event,
    ReasoningDelta,
    RefusalDelta,
    Requested,
    Retrying,
    Step,
    TextDelta,
    Thought,
)

HEAD = Head("chatcmpl-1", "fake", 1_700_000_000)
USED = usage(10, 5, None, asked_chars=0)
EVENTS: list[Event] = [
    Requested(1),
    Retrying(0.5, "unavailable"),
    Requested(2),
    ReasoningDelta("Let me "),
    ReasoningDelta("think."),
    Thought(12.0),
    TextDelta("Good "),
    TextDelta("morning."),
    CallDelta(0, "weather", ""),
    CallDelta(0, "", '{"city": '),
    CallDelta(0, "", '"Oslo"}'),
    CallDelta(1, "time", "{}"),
    CallStep(0, Step.PASSED_ON),
]


def deltas(chunks: Iterable[dict]) -> list[dict]:
    return [chunk["choices"][0]["delta"] for chunk in chunks]


def test_the_first_chunk_names_the_role_and_each_has_the_envelope() -> None:
    first, second = Completion(HEAD).feed([TextDelta("Hi")])
    envelope = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1_700_000_000,
        "model": "fake",
    }
    assert first == envelope | {"choices": [_choice({"role": "assistant", "content": ""})]}
    assert second == envelope | {"choices": [_choice({"content": "Hi"})]}


def _choice(delta: dict) -> dict:
    return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}


def test_what_nobody_sees_makes_no_chunk() -> None:
    completion = Completion(HEAD)
    assert completion.feed([Requested(1), Retrying(1.0, "unavailable"), Thought(1.0)]) == []


@pytest.mark.parametrize("size", range(1, len(EVENTS) + 1))
def test_a_client_puts_the_same_together_however_the_events_are_cut(size: int) -> None:
    completion = Completion(HEAD)
    chunks = []
    for start in range(0, len(EVENTS), size):
        chunks += completion.feed(EVENTS[start : start + size])
    given = deltas(chunks)
    assert [d["role"] for d in given if "role" in d] == ["assistant"]
    assert "".join(d.get("reasoning_content", "") for d in given) == "Let me think."
    assert "".join(d.get("content", "") for d in given) == "Good morning."
    calls: dict[int, dict] = {}
    for fragment in (f for d in given for f in d.get("tool_calls", [])):
        if (index := fragment["index"]) not in calls:
            assert fragment["type"] == "function"
            assert fragment["id"]
            calls[index] = {"id": fragment["id"], "name": "", "arguments": ""}
        else:
            assert "id" not in fragment
        calls[index]["name"] += fragment["function"].get("name", "")
        calls[index]["arguments"] += fragment["function"]["arguments"]
    assert [(c["name"], c["arguments"]) for c in calls.values()] == [
        ("weather", '{"city": "Oslo"}'),
        ("time", "{}"),
    ]
    message = completion.whole("tool_calls", USED)["choices"][0]["message"]
    assert message["content"] == "Good morning."
    assert message["reasoning_content"] == "Let me think."
    assert [c["id"] for c in message["tool_calls"]] == [c["id"] for c in calls.values()]
    assert [c["function"]["arguments"] for c in message["tool_calls"]] == ['{"city": "Oslo"}', "{}"]


def test_a_batch_of_text_is_one_chunk() -> None:
    pieces = [TextDelta(word) for word in ("a", "b", "c")]
    assert deltas(Completion(HEAD).feed(pieces))[1:] == [{"content": "abc"}]


def test_the_chunks_given_out_are_not_changed_by_later_events() -> None:
    completion = Completion(HEAD)
    first = completion.feed([CallDelta(0, "weather", "{")])
    before = json.dumps(first)
    completion.feed([CallDelta(0, "", "}")])
    assert json.dumps(first) == before


def test_usage_has_a_chunk_of_its_own_when_it_was_asked_for() -> None:
    completion = Completion(HEAD, include_usage=True)
    assert all(chunk["usage"] is None for chunk in completion.feed([TextDelta("Hi")]))
    last, used = completion.finish("stop", USED)
    assert last["choices"][0]["finish_reason"] == "stop"
    assert last["choices"][0]["delta"] == {}
    assert (used["choices"], used["usage"]["total_tokens"]) == ([], 15)
    (only,) = _said("Hi").finish("stop", USED)
    assert "usage" not in only


def _said(text: str) -> Completion:
    completion = Completion(HEAD)
    completion.feed([TextDelta(text)])
    return completion


def test_a_refusal_is_no_content() -> None:
    completion = Completion(HEAD)
    completion.feed([RefusalDelta("I would "), RefusalDelta("rather not.")])
    message = completion.whole("stop", USED)["choices"][0]["message"]
    assert (message["content"], message["refusal"]) == (None, "I would rather not.")


def test_nothing_of_a_filtered_completion_is_given_out() -> None:
    completion = Completion(HEAD)
    completion.feed(EVENTS)
    whole = json.dumps(completion.whole("content_filter", USED))
    assert "morning" not in whole
    assert "think" not in whole
    assert "Oslo" not in whole


@pytest.mark.parametrize(
    ("given", "called", "withheld", "said"),
    [
        ("stop", False, False, "stop"),
        ("end_turn", False, False, "stop"),
        ("eos", True, False, "tool_calls"),
        ("length", True, False, "length"),
        ("content_filter", False, False, "content_filter"),
        ("stop", False, True, "content_filter"),
    ],
)
def test_how_it_ended_is_said_in_openais_words(
    given: str, called: bool, withheld: bool, said: str
) -> None:
    assert finish_reason(given, called=called, withheld=withheld) == said


def test_tokens_that_nobody_counted_are_estimated() -> None:
    assert usage(None, 3, 2, asked_chars=9) == {
        "prompt_tokens": 3,
        "completion_tokens": 3,
        "total_tokens": 6,
        "completion_tokens_details": {"reasoning_tokens": 2},
    }


def test_the_stream_is_utf_8_and_takes_half_a_surrogate_pair() -> None:
    assert data({"a": "ä€"}) == 'data: {"a":"ä€"}\n\n'
    assert dumps({"a": "\ud83d"}) == '{"a":"\\ud83d"}'
