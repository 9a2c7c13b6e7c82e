"""A reply is its deltas folded, and the same however they were cut."""

from hypothesis import given
from hypothesis import strategies as st

from chat.engine.events import (
    FinishDelta,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
    ToolCallDelta,
    UsageDelta,
)
from chat.engine.reply import Reply


def test_deltas_are_joined_by_kind() -> None:
    reply = Reply()
    for delta in (
        ReasoningDelta("Hm"),
        TextDelta("He"),
        ReasoningDelta("."),
        TextDelta("llo"),
        UsageDelta(1, 2, None),
        FinishDelta("stop"),
    ):
        reply.feed(delta)
    assert (reply.text, reply.reasoning, reply.finish_reason) == ("Hello", "Hm.", "stop")
    assert (reply.pieces, reply.characters) == (4, 8)
    assert reply.usage == UsageDelta(1, 2, None)


def test_a_refusal_is_text_that_is_marked() -> None:
    reply = Reply()
    reply.feed(RefusalDelta("I cannot."))
    assert (reply.text, reply.refused, reply.empty) == ("I cannot.", True, False)


def test_the_last_usage_and_the_first_finish_reason_count() -> None:
    reply = Reply()
    for delta in (
        UsageDelta(1, 1, None),
        FinishDelta("length"),
        UsageDelta(1, 9, 3),
        FinishDelta("stop"),
    ):
        reply.feed(delta)
    assert (reply.usage, reply.finish_reason) == (UsageDelta(1, 9, 3), "length")


def test_an_end_before_more_text_was_none() -> None:
    reply = Reply()
    for delta in (FinishDelta("stop"), UsageDelta(1, 1, None), ToolCallDelta(0, "c", "f", "{}")):
        reply.feed(delta)
    assert reply.finish_reason == "stop"
    for delta in (ReasoningDelta("Hm"), TextDelta("Hi"), RefusalDelta("No")):
        reply.feed(delta)
        assert reply.finish_reason == ""
        reply.feed(FinishDelta("length"))
        assert reply.finish_reason == "length"


def test_a_reply_is_empty_until_a_reader_could_see_something() -> None:
    reply = Reply()
    for delta in (
        TextDelta(" \n"),
        ReasoningDelta("\t"),
        UsageDelta(1, 2, 3),
        FinishDelta("stop"),
    ):
        reply.feed(delta)
        assert reply.empty
    reply.feed(TextDelta("."))
    assert not reply.empty
    for delta in (ReasoningDelta("Hm"), ToolCallDelta(0, "c", "f", "{}")):
        other = Reply()
        other.feed(delta)
        assert not other.empty


def test_the_tokens_of_all_rounds_count_and_each_call_knows_its_place() -> None:
    reply = Reply()
    for delta in (
        TextDelta("Let me see."),
        ToolCallDelta(0, "a", "now", "{}"),
        UsageDelta(10, 5, None),
        FinishDelta("tool_calls"),
    ):
        reply.feed(delta)
    reply.next_round()
    assert reply.finish_reason == ""
    for delta in (
        TextDelta(" Noon."),
        ToolCallDelta(0, "a", "now", "{}"),
        UsageDelta(20, 7, 3),
        FinishDelta("stop"),
    ):
        reply.feed(delta)
    assert reply.usage == UsageDelta(30, 12, 3)
    assert [(c.number, c.round, c.offset) for c in reply.all_calls] == [(0, 1, 11), (1, 2, 17)]


def test_a_new_call_speaks_for_itself() -> None:
    reply = Reply()
    reply.feed(UsageDelta(1, 2, 3))
    reply.feed(FinishDelta("error"))
    reply.begin()
    assert (reply.usage, reply.finish_reason) == (None, "")


@given(st.lists(st.text()))
def test_the_text_is_the_same_however_it_is_cut(pieces: list[str]) -> None:
    cut, whole = Reply(), Reply()
    for piece in pieces:
        cut.feed(TextDelta(piece))
    whole.feed(TextDelta("".join(pieces)))
    assert (cut.text, cut.characters, cut.empty) == (whole.text, whole.characters, whole.empty)
