"""Fragments of calls are the same calls, however they were cut, mixed, numbered and named."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat.engine.events import ToolCallDelta as Piece
from chat.engine.tool_calls import ARGUMENTS_CHARS, CALLS, Call, ToolCalls


@dataclass(frozen=True)
class Told:
    """What a page puts together from what it is told."""

    name: str = ""
    arguments: str = ""


def folded(pieces: Iterable[Piece]) -> tuple[list[Call], dict[int, Told]]:
    calls, told = ToolCalls(), {}
    for piece in pieces:
        if (news := calls.feed(piece)) is not None:
            before = told.get(news.number, Told())
            told[news.number] = Told(before.name + news.name, before.arguments + news.arguments)
    return calls.close(), told


def seen(pieces: Iterable[Piece]) -> list[tuple[str, object]]:
    calls, told = folded(pieces)
    assert [call.number for call in calls] == list(range(len(calls)))
    assert len({call.id for call in calls}) == len(calls)
    assert told == {call.number: Told(call.name, call.arguments) for call in calls}
    return [(call.name, call.parsed) for call in calls]


json_objects = st.dictionaries(
    st.text(max_size=8),
    st.recursive(
        st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.text(max_size=12),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=6,
    ),
    max_size=4,
)
names = st.sampled_from(["add", "search", "now"])
sets_of_calls = st.lists(st.tuples(names, json_objects), min_size=1, max_size=4)


def cut(text: str, places: Sequence[int]) -> list[str]:
    edges = sorted({0, len(text), *(place % (len(text) + 1) for place in places)})
    return [text[a:b] for a, b in pairwise(edges)]


@given(sets_of_calls, st.data())
def test_any_interleaving_of_any_split_gives_the_same_calls(
    wanted: list[tuple[str, dict[str, object]]], data: st.DataObject
) -> None:
    queues = []
    for index, (name, arguments) in enumerate(wanted):
        places = data.draw(st.lists(st.integers(0, 1_000), max_size=6))
        texts = cut(json.dumps(arguments), places)
        opening = data.draw(st.booleans())  # the name comes with the first arguments, or before
        first = Piece(index, f"c{index}", name, "" if opening else texts.pop(0))
        # Some repeat the id, or id and name, with every fragment.
        again = data.draw(st.sampled_from([(None, None), (f"c{index}", None), (f"c{index}", name)]))
        queues.append([first, *(Piece(index, *again, text) for text in texts)])
    # Calls begin in the order of their indexes; what follows may be mixed as it likes.
    pieces: list[Piece] = [queue.pop(0) for queue in queues]
    while queues := [queue for queue in queues if queue]:
        pieces.append(queues[data.draw(st.integers(0, len(queues) - 1))].pop(0))
    assert seen(pieces) == wanted


@given(sets_of_calls, st.data())
def test_calls_without_an_index_come_one_after_another(
    wanted: list[tuple[str, dict[str, object]]], data: st.DataObject
) -> None:
    pieces = []
    for number, (name, arguments) in enumerate(wanted):
        texts = cut(json.dumps(arguments), data.draw(st.lists(st.integers(0, 1_000), max_size=6)))
        pieces.append(Piece(None, f"c{number}", name, texts[0]))
        pieces += [Piece(None, None, None, text) for text in texts[1:]]
    assert seen(pieces) == wanted


A, B = ("add", {"a": 1}), ("add", {"a": 2})


@pytest.mark.parametrize(
    ("pieces", "calls"),
    [
        pytest.param(
            [Piece(0, "x", "add", '{"a": 1}'), Piece(0, "y", "add", '{"a": 2}')], [A, B],
            id="all calls share an index",
        ),
        pytest.param(
            [Piece(0, "x", "add", '{"a"'), Piece(0, "y", "add", ": 1}")], [A],
            id="every fragment has an id of its own",
        ),
        pytest.param(
            [Piece(0, "x", "add", '{"a": 1}'), Piece(1, "x", "add", '{"a": 2}')], [A, B],
            id="all calls share an id",
        ),
        pytest.param(
            [Piece(None, None, None, '{"a"'), Piece(None, None, "add", ": 1}")], [A],
            id="the name comes late",
        ),
        pytest.param(
            [Piece(None, None, "add", '{"a"'), Piece(None, "x", None, ": 1}")], [A],
            id="the id comes late",
        ),
        pytest.param(
            [Piece(None, "x", "add", '{"a"'), Piece(0, None, None, ": 1}")], [A],
            id="the index comes late",
        ),
        pytest.param(
            [Piece(None, None, "add", '{"a": 1}'), Piece(None, None, "add", '{"a": 2}')], [A, B],
            id="neither index nor id",
        ),
        pytest.param(
            [Piece(0, "x", "add", '{"a"'), Piece(0, "x", "add", '{"a": 1}')], [A],
            id="all of the arguments so far, each time",
        ),
        pytest.param(
            [Piece(0, "x", "add", '{"a": 1}'), Piece(0, "x", "add", '{"a": 1}')], [A],
            id="the whole once more at the end",
        ),
        pytest.param([Piece(0, "x", "add", '"{\\"a\\": 1}"')], [A], id="encoded twice"),
        pytest.param([Piece(0, "x", "now", "")], [("now", {})], id="no arguments"),
        pytest.param([Piece(0, "x", "now", "null")], [("now", {})], id="arguments null"),
        pytest.param([Piece(0, "x", "add", '{"a": ')], [("add", None)], id="cut"),
        pytest.param([Piece(0, "x", "add", "[1]")], [("add", None)], id="a list"),
        pytest.param([Piece(0, "x", "add", "a=1")], [("add", None)], id="no JSON"),
        pytest.param([Piece(0, "x", None, "{}")], [("", {})], id="no name"),
        pytest.param([Piece(None, None, None, " ")], [], id="nothing"),
        pytest.param(
            [Piece(0, "x", "add", '{"a": 1}'), Piece(2, "y", "add", '{"a": 2}')], [A, B],
            id="an index is left out",
        ),
    ],
)  # fmt: skip
def test_what_providers_do(pieces: list[Piece], calls: list[tuple[str, object]]) -> None:
    assert seen(pieces) == calls


@pytest.mark.parametrize("arguments", ['{"a": ', "[1]", "a=1"])
def test_what_is_no_object_has_a_problem_and_is_not_sent_back(arguments: str) -> None:
    (call,), _ = folded([Piece(0, "x", "add", arguments)])
    assert "JSON object" in call.problem
    assert call.arguments == arguments
    assert call.as_sent()["function"]["arguments"] == "{}"


def test_arguments_without_end_are_cut() -> None:
    calls = ToolCalls()
    calls.feed(Piece(0, "x", "add", '{"a": "'))
    for _ in range(ARGUMENTS_CHARS // 1_000 + 2):
        calls.feed(Piece(0, None, None, "x" * 1_000))
    (call,) = calls.close()
    assert calls.runaway
    assert len(call.arguments) == ARGUMENTS_CHARS
    assert "longer than" in call.problem


def test_calls_without_end_are_cut() -> None:
    calls = ToolCalls()
    for index in range(CALLS + 5):
        calls.feed(Piece(index, f"c{index}", "add", "{}"))
    assert calls.runaway
    assert len(calls.close()) == CALLS
