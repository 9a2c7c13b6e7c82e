"""Thinking between tags is told from the text when it opens it, and only then."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat.engine.events import ReasoningDelta, TextDelta
from chat.engine.thoughts import TAGS, Thoughts


def split(*pieces: str) -> tuple[str, str]:
    """The reasoning and the text."""
    thoughts = Thoughts()
    found = [part for piece in pieces for part in thoughts.feed(piece)] + thoughts.finish()
    assert all(text for _, text in found)
    return (
        "".join(text for kind, text in found if kind is ReasoningDelta),
        "".join(text for kind, text in found if kind is TextDelta),
    )


@pytest.mark.parametrize(
    ("text", "reasoning", "said"),
    [
        ("<think>\nHm.\n</think>\n\nHi", "Hm.", "Hi"),
        ("\n <think>Hm.</think>Hi", "Hm.", "Hi"),
        ("<think>\n\n</think>\n\nHi", "", "Hi"),
        ("<think></think>Hi", "", "Hi"),
        ("<think>a < b, </ c, </thin air</think>Hi", "a < b, </ c, </thin air", "Hi"),
        ("<think>Hm.</think>Hi <think>you</think>", "Hm.", "Hi <think>you</think>"),
        ("<think>Hm.</think> \n", "Hm.", ""),
        ("<think>Hm.", "Hm.", ""),
        ("<think>Hm.\n</thi", "Hm.", ""),
        ("<think>", "", ""),
    ],
)
def test_what_stands_between_the_tags_is_reasoning(text: str, reasoning: str, said: str) -> None:
    assert split(text) == (reasoning, said)
    assert split(*text) == (reasoning, said)


@pytest.mark.parametrize(("tag", "end"), TAGS.items())
def test_every_tag_ends_with_its_own(tag: str, end: str) -> None:
    others = [other for other in TAGS.values() if other != end]
    assert split(*f"{tag}Hm {others[0]}{end}Hi") == (f"Hm {others[0]}", "Hi")


@pytest.mark.parametrize(
    "text",
    [
        "Hi",
        " \n",
        "<",
        "<thin",
        "<thinker>Hm</thinker>",
        "<Think>Hm</Think>",
        "`<think>` opens, `</think>` closes.",
        "```\n<think>Hm</think>\n```",
        "Hm.\n</think>\n\nHi",
        "\n\n[THIN] a [THINK] b",
    ],
)
def test_anything_else_is_text_as_it_is(text: str) -> None:
    assert split(text) == ("", text)
    assert split(*text) == ("", text)


def test_plain_text_is_not_held_back() -> None:
    thoughts = Thoughts()
    assert thoughts.feed("H") == [(TextDelta, "H")]
    assert thoughts.over


def test_a_thought_is_shown_while_it_is_thought() -> None:
    thoughts = Thoughts()
    assert thoughts.feed("<think>We") == [(ReasoningDelta, "We")]
    assert thoughts.feed(" greet") == [(ReasoningDelta, " greet")]


def test_endless_white_space_is_not_held_back() -> None:
    for start in ("", "<think>Hm"):
        thoughts = Thoughts()
        thoughts.feed(start)
        assert sum(len(text) for _ in range(1_000) for _, text in thoughts.feed("\n")) > 900


PARTS = st.sampled_from([*TAGS, *TAGS.values(), "<", "</", "think", ">", " ", "\n", "a", "世"])


@given(st.lists(PARTS).map("".join), st.data())
def test_it_is_the_same_however_it_is_cut(text: str, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)))))
    edges = [0, *cuts, len(text)]
    pieces = [text[a:b] for a, b in pairwise(edges)]
    assert split(*pieces) == split(text)
