"""A chunk is what a stranger sent: what can be understood is taken, the rest is passed over."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat.engine.chunks import Chunks
from chat.engine.events import (
    Delta,
    FinishDelta,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
    ToolCallDelta,
    UsageDelta,
)
from chat.engine.wellformed import well_formed
from tests.engine.running import text_of


def deltas(*chunks: Any) -> list[Delta]:
    """The deltas of chunks that report no error."""
    reader = Chunks()
    found = [delta for chunk in chunks for delta in reader.feed(chunk)] + reader.finish()
    assert reader.error is None
    return found


def said(finish: str | None = None, index: Any = 0, **delta: Any) -> dict[str, Any]:
    choice = {"index": index, "delta": delta, "finish_reason": finish}
    return {"object": "chat.completion.chunk", "choices": [choice]}


@pytest.mark.parametrize(
    ("delta", "expected"),
    [
        ({"content": "Hi"}, [TextDelta("Hi")]),
        ({"role": "assistant", "content": ""}, []),
        ({"content": None}, []),
        ({"content": 42}, [TextDelta("42")]),
        ({"content": 1.5}, [TextDelta("1.5")]),
        ({"content": True}, []),
        ({"content": ["a", {"type": "text", "text": "b"}, None, 7]}, [*map(TextDelta, "ab7")]),
        ({"content": {"type": "text", "text": "a"}}, [TextDelta("a")]),
        ({"content": {"type": "image_url", "image_url": {}}}, []),
        ({"reasoning_content": "Hm"}, [ReasoningDelta("Hm")]),
        ({"reasoning": "Hm"}, [ReasoningDelta("Hm")]),
        ({"reasoning_content": "", "reasoning": "Hm"}, [ReasoningDelta("Hm")]),
        ({"reasoning_content": "Hm", "reasoning": "Hm"}, [ReasoningDelta("Hm")]),
        ({"reasoning": {"effort": "high"}}, []),
        (
            {"reasoning_content": "Hm", "content": "Hi"},
            [ReasoningDelta("Hm"), TextDelta("Hi")],
        ),
        (
            {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "Hm"}]}]},
            [ReasoningDelta("Hm")],
        ),
        ({"content": [{"type": "thinking", "thinking": "Hm"}]}, [ReasoningDelta("Hm")]),
        ({"content": [{"type": "reasoning", "text": "Hm"}]}, [ReasoningDelta("Hm")]),
        ({"content": [{"type": "thinking", "thinking": [None, {"text": 3}]}]}, []),
        ({"content": [{"type": "reasoning", "summary": [{"text": "Hm"}]}]}, [ReasoningDelta("Hm")]),
        ({"content": [{"type": "text", "text": {"value": "a"}}]}, [TextDelta("a")]),
        ({"content": [{"type": "refusal", "refusal": "No"}]}, [RefusalDelta("No")]),
        ({"content": [{"type": "redacted_thinking", "data": "AAAA"}, {"type": 7}]}, []),
        ({"reasoning_details": [{"type": "reasoning.text", "text": "Hm"}]}, [ReasoningDelta("Hm")]),
        ({"reasoning_details": [{"summary": "Hm"}, {"data": "x"}, 7]}, [ReasoningDelta("Hm")]),
        ({"reasoning_details": "Hm"}, []),
        (
            {"reasoning": "Hm", "reasoning_details": [{"text": "Hm"}], "content": "Hi"},
            [ReasoningDelta("Hm"), TextDelta("Hi")],
        ),
        ({"refusal": "I cannot"}, [RefusalDelta("I cannot")]),
        ({"refusal": None, "audio": {}, "unheard_of": [1]}, []),
    ],
)
def test_what_a_delta_says_is_taken(delta: dict[str, Any], expected: list[Delta]) -> None:
    assert deltas(said(**delta)) == expected


@pytest.mark.parametrize(
    "chunk",
    [
        {},
        {"choices": None},
        {"choices": []},
        {"choices": {}},
        {"choices": [None]},
        {"choices": [{}]},
        {"choices": [{"delta": None}]},
        {"choices": [{"delta": []}]},
        {"choices": [{"delta": {}, "finish_reason": None}]},
        {"choices": [{"delta": {}, "finish_reason": 7}]},
        {"choices": [], "usage": None},
        {"choices": [], "usage": {}},
        {"choices": [], "usage": "12"},
        {"error": None, "choices": []},
        {"error": {"message": "", "code": None}, "choices": []},
        {"choices": [{"delta": {}, "error": None}]},
        {"choices": None, "base_resp": {"status_code": 0, "status_msg": ""}},
        {"choices": [], "x_groq": {"id": "req_1", "usage": {}}},
        {"choices": [], "code": 0, "message": "Success"},
        {"object": "chat.completion.chunk", "message": "beside nothing"},
        {"type": "ping"},
    ],
)
def test_a_chunk_that_says_nothing_says_nothing(chunk: dict[str, Any]) -> None:
    assert deltas(chunk) == []


@pytest.mark.parametrize("chunk", [None, 1, 1.5, "text", True, [], ["x"]])
def test_a_chunk_that_is_no_object_is_an_error(chunk: Any) -> None:
    reader = Chunks()
    assert reader.feed(chunk) == []
    assert reader.error is not None
    assert reader.error.kind == "garbled"
    assert "text" not in reader.error.detail


def test_the_finish_reason_comes_after_the_text_of_its_chunk() -> None:
    assert deltas(said("stop", content="Hi")) == [TextDelta("Hi"), FinishDelta("stop")]


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"prompt_tokens": 3, "completion_tokens": 5}, UsageDelta(3, 5, None)),
        ({"completion_tokens": 0}, UsageDelta(None, 0, None)),
        (
            {"completion_tokens": 5, "completion_tokens_details": {"reasoning_tokens": 2}},
            UsageDelta(None, 5, 2),
        ),
        (
            {"prompt_tokens": -1, "completion_tokens": 5.5, "completion_tokens_details": 1},
            None,
        ),
        ({"prompt_tokens": True, "completion_tokens": 2**31}, None),
    ],
)
def test_usage_is_counts_or_nothing(usage: dict[str, Any], expected: UsageDelta | None) -> None:
    assert deltas({"choices": [], "usage": usage}) == ([expected] if expected else [])


def test_usage_is_taken_from_every_chunk_that_has_it() -> None:
    first, second = said(content="a"), said(content="b")
    first["usage"], second["usage"] = {"completion_tokens": 1}, {"completion_tokens": 2}
    assert deltas(first, second) == [
        TextDelta("a"),
        UsageDelta(None, 1, None),
        TextDelta("b"),
        UsageDelta(None, 2, None),
    ]


def test_of_several_choices_the_first_is_followed() -> None:
    both = {"choices": [{"index": 1, "delta": {"content": "x"}}, {"index": 0, "delta": {}}]}
    assert text_of(deltas(said(content="a"), said(index=1, content="x"), both)) == "a"
    assert text_of(deltas(both, said(content="a"), said(index=1, content="y"))) == "a"
    assert text_of(deltas(said(index=3, content="a"), said(index=3, content="b"))) == "ab"


def test_choices_without_a_number_are_one_choice() -> None:
    assert text_of(deltas(said(index="0", content="a"), said(index="0", content="b"))) == "ab"
    assert text_of(deltas(said(index=None, content="a"), said(content="b"))) == "ab"
    assert text_of(deltas(said(content="a"), said(index=None, content="b"))) == "ab"


def test_a_whole_completion_is_text_too() -> None:
    whole = {
        "object": "chat.completion",
        "choices": [{"message": {"content": "Hi"}, "finish_reason": "stop"}],
        "usage": {"completion_tokens": 1},
    }
    assert deltas(whole) == [TextDelta("Hi"), FinishDelta("stop"), UsageDelta(None, 1, None)]
    legacy = {"object": "text_completion", "choices": [{"text": "Hi", "finish_reason": None}]}
    assert deltas(legacy) == [TextDelta("Hi")]


def test_details_of_reasoning_that_was_told_are_passed_over() -> None:
    details = [{"type": "reasoning.text", "text": "Hm."}]
    assert deltas(said(reasoning="Hm."), said(reasoning_details=details)) == [ReasoningDelta("Hm.")]


def test_a_message_after_deltas_repeats_them() -> None:
    whole = {"message": {"content": "Hi"}, "finish_reason": "stop"}
    for delta in ({}, {"delta": None}, {"delta": {}}):
        found = deltas(said(content="H"), said(content="i"), {"choices": [whole | delta]})
        assert found == [TextDelta("H"), TextDelta("i"), FinishDelta("stop")]
    assert text_of(deltas(said(role="assistant"), {"choices": [whole]})) == "Hi"


def test_a_message_beside_a_delta_is_the_whole_so_far() -> None:
    chunk = said(content="i")
    chunk["choices"][0]["message"] = {"content": "Hi"}
    assert text_of(deltas(said(content="H"), chunk)) == "Hi"


def test_usage_may_stand_in_the_choice_that_ends() -> None:
    chunk = said("stop")
    chunk["choices"][0]["usage"] = {"completion_tokens": 5}
    assert deltas(chunk) == [FinishDelta("stop"), UsageDelta(None, 5, None)]


def test_what_is_held_back_comes_before_the_end() -> None:
    assert deltas(said("stop", content="<th")) == [TextDelta("<th"), FinishDelta("stop")]
    assert deltas(said(content="#"), said("stop", content="##")) == [
        TextDelta("#"),
        TextDelta("##"),
        FinishDelta("stop"),
    ]
    assert deltas(said(content="#"), said(content="##"), said(refusal="No")) == [
        TextDelta("#"),
        TextDelta("##"),
        RefusalDelta("No"),
    ]


def test_an_end_that_was_none_is_repeated_when_the_stream_says_that_it_ended() -> None:
    for in_order, last in ((True, [FinishDelta("length")]), (False, [])):
        reader = Chunks()
        reader.feed(said("length", content="H"))
        assert reader.finish(in_order=in_order) == []
        reader.feed(said(content="i"))
        assert reader.finish(in_order=in_order) == last


@pytest.mark.parametrize("reason", ["network_error", "insufficient_system_resource", "abort"])
def test_an_end_that_is_a_failure_is_an_error(reason: str) -> None:
    reader = Chunks()
    assert reader.feed(said(reason, content="Hi")) == [TextDelta("Hi"), FinishDelta(reason)]
    assert reader.error is not None
    assert (reader.error.kind, reason in reader.error.detail) == ("unavailable", True)
    finished = Chunks()
    finished.feed(said("stop", content="Hi"))
    finished.feed(said(reason))
    assert finished.error is None


def test_a_function_call_is_a_tool_call() -> None:
    call = {"name": "f", "arguments": "{"}
    assert deltas(said(function_call=call)) == [ToolCallDelta(None, None, "f", "{")]
    assert deltas(said(function_call=None)) == []


def test_tool_calls_are_taken_in_any_shape() -> None:
    calls = [
        {"index": 0, "id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"'}},
        {"function": {"arguments": {"a": 1}}},
        {"index": "0", "id": "", "function": None},
        None,
    ]
    assert deltas(said(tool_calls=calls)) == [
        ToolCallDelta(0, "c1", "f", '{"'),
        ToolCallDelta(None, None, None, '{"a": 1}'),
        ToolCallDelta(None, None, None, ""),
    ]
    assert deltas(said(tool_calls={"index": 0})) == []


@pytest.mark.parametrize("field", ["content", "reasoning_content", "refusal"])
@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        (["a\0b"], "a\ufffdb"),
        (["x\ud83d", "\ude00y"], "x😀y"),
        (["\ud83d", "", "\ude00"], "😀"),
        (["\ud83d", "a"], "\ufffda"),
        (["\ud83d", "\ud83d", "\ude00"], "\ufffd😀"),
        (["\ude00"], "\ufffd"),
        (["end\ud83d"], "end\ufffd"),
    ],
)
def test_text_leaves_well_formed(field: str, pieces: list[str], expected: str) -> None:
    found = deltas(*(said(**{field: piece}) for piece in pieces))
    assert "".join(delta.text for delta in found) == expected  # type: ignore[union-attr]
    assert all(delta.text == well_formed(delta.text) for delta in found)  # type: ignore[union-attr]


def test_half_a_character_stays_with_its_own_kind_and_place() -> None:
    found = deltas(said(reasoning="Hm\ud83d"), said(content="\ude00Hi"))
    assert found == [ReasoningDelta("Hm"), ReasoningDelta("\ufffd"), TextDelta("\ufffdHi")]


def test_names_and_reasons_leave_well_formed() -> None:
    call = {"id": "\0", "function": {"name": "\ud83d", "arguments": "\0"}}
    assert deltas(said("st\0p", tool_calls=[call])) == [
        ToolCallDelta(None, "\ufffd", "\ufffd", "\ufffd"),
        FinishDelta("st\ufffdp"),
    ]


@given(st.text(st.characters(codec=None)), st.data())
def test_text_is_the_same_however_its_utf_16_is_cut(text: str, data: st.DataObject) -> None:
    units = text.encode("utf-16-le", "surrogatepass")
    count = len(units) // 2
    cuts = sorted(data.draw(st.sets(st.integers(0, count))) | {0, count})
    pieces = [
        units[2 * start : 2 * end].decode("utf-16-le", "surrogatepass")
        for start, end in pairwise(cuts)
    ]
    assert text_of(deltas(*(said(content=piece) for piece in pieces))) == well_formed(text)


ERROR = {"message": "It broke.", "code": 502}


@pytest.mark.parametrize(
    ("chunk", "kind"),
    [
        ({"error": ERROR}, "unavailable"),
        ({"error": ERROR, "choices": []}, "unavailable"),
        ({"error": ERROR, "choices": None}, "unavailable"),
        ({"error": "It broke."}, "provider"),
        ({"object": "error", "message": "It broke.", "code": 400}, "refused"),
        ({"detail": "It broke."}, "provider"),
        ({"choices": [{"delta": {}, "error": ERROR, "finish_reason": "error"}]}, "unavailable"),
        ({"choices": [{"delta": {}}], "error": ERROR}, "unavailable"),
        ({"choices": [{"delta": {}}], "x_groq": {"error": "It broke."}}, "provider"),
        ({"choices": None, "base_resp": {"status_code": 1, "status_msg": "It broke."}}, "provider"),
        ({"choices": [], "code": 500, "msg": "It broke."}, "unavailable"),
        ({"success": False, "errors": [{"message": "It broke.", "code": 7}]}, "provider"),
        ([{"error": ERROR}], "unavailable"),
    ],
)
def test_an_error_is_seen_in_every_shape(chunk: Any, kind: str) -> None:
    reader = Chunks()
    reader.feed(chunk)
    assert reader.error is not None
    assert (reader.error.kind, reader.error.detail) == (kind, "It broke.")


def test_the_text_that_comes_with_an_error_is_kept() -> None:
    reader = Chunks()
    chunk = said("error", content="last words") | {"error": ERROR}
    assert reader.feed(chunk) == [TextDelta("last words"), FinishDelta("error")]
    assert reader.error is not None
