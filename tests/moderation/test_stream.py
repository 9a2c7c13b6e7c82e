"""Windows of a growing text: everything new is in one, whole words only, however it is cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat.moderation.stream import OVERLAP_CHARS, WORD_CHARS, Windows

TEXT = "An assistant wrote of the badger and its passage. " * 60


def windows(text: str, every: int, cut: int, seen: int = 0) -> list[tuple[int, str]]:
    cutter = Windows(every, seen)
    ends = range(seen + cut, len(text) + cut, cut)
    return [cutter.next(text[:end]) for end in ends if cutter.is_due(min(end, len(text)))]


@pytest.mark.parametrize("every", [1, 10, 200, 900])
@pytest.mark.parametrize("cut", [1, 3, 50])
def test_every_window_begins_and_ends_between_words(every: int, cut: int) -> None:
    words = {*TEXT.split(), ""}
    found = windows(TEXT, every, cut)
    assert found
    for at, window in found:
        assert TEXT[at : at + len(window)] == window
        if " " in window:
            assert set(window.split()) <= words
        assert len(window) <= OVERLAP_CHARS + every + cut + WORD_CHARS


@given(st.text(max_size=400), st.integers(1, 50), st.integers(1, 20))
def test_all_but_the_last_word_is_in_a_window(text: str, every: int, cut: int) -> None:
    covered = 0
    for at, window in windows(text, every, cut):
        assert at <= covered
        covered = max(covered, at + len(window))
    assert covered >= len(text) - WORD_CHARS - every - cut


def test_what_was_there_before_is_no_reason_to_look() -> None:
    assert not Windows(100, seen=2_000).is_due(2_050)
    assert Windows(100, seen=2_000).is_due(2_100)
