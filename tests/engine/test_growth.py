"""Text that comes whole each time is shown once; text that only looks like it is left alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat.engine.growth import Growth


def joined(*pieces: str) -> str:
    growth = Growth()
    return "".join([*map(growth.feed, pieces), growth.rest()])


@pytest.mark.parametrize(
    "pieces",
    [
        ["He", "Hello", "Hello, you"],
        ["He", "Hello", "Hello, you", "Hello, you"],
        ["He", "Hello", "Hello, you", "Hello", "Hello, you"],
        ["\n", "\nHello", "\nHello, you"],
    ],
)
def test_wholes_are_shown_once(pieces: list[str]) -> None:
    assert joined(*pieces) == max(pieces, key=len)


@pytest.mark.parametrize(
    "pieces",
    [
        [],
        ["Hello"],
        ["Hello", "Hello"],
        ["#", "##"],
        ["#", "##", " Ha"],
        ["\n", "\n", "Here"],
        ["ha", "ha", "ha", "haha"],
        ["a", "ab", "ab"],
        ["Row", "Row, row", "Row"],
        ["The", " sea", "The sea is wide", "The sea is wide and deep"],
    ],
)
def test_parts_stay_parts(pieces: list[str]) -> None:
    assert joined(*pieces) == "".join(pieces)


def test_a_piece_that_is_no_whole_ends_the_growth() -> None:
    assert joined("a", "ab", "abc", "!", "?") == "abc!?"


def test_it_is_settled_with_the_second_piece() -> None:
    growth = Growth()
    assert [growth.feed("Hel"), growth.feed("lo")] == ["Hel", "lo"]
    assert growth.parts


@given(st.text(min_size=1), st.lists(st.integers(0, 50), min_size=3))
def test_any_growing_text_comes_out_whole(text: str, steps: list[int]) -> None:
    ends = sorted({min(len(text), 1 + sum(steps[: n + 1])) for n in range(len(steps))})
    if len(ends) > 2:
        assert joined(*(text[:end] for end in ends)) == text[: ends[-1]]


@given(st.lists(st.text("ab\n", min_size=1, max_size=3), max_size=6))
def test_nothing_is_lost_without_two_growths_in_a_row(pieces: list[str]) -> None:
    first, second, third = [*pieces, "", "", ""][:3]
    grows = second.startswith(first) and third.startswith(second)
    if not (grows and len(first) < len(second) < len(third)):
        assert joined(*pieces) == "".join(pieces)
