"""Whatever text comes, what leaves can be stored and sent."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat.engine.wellformed import opens_pair, well_formed


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("plain", "plain"),
        ("Grüße, 世界 🌍", "Grüße, 世界 🌍"),
        ("a\0b", "a\ufffdb"),
        ("\ud83d\ude00", "😀"),
        ("a\ud83db", "a\ufffdb"),
        ("\ude00\ud83d", "\ufffd\ufffd"),
    ],
)
def test_what_no_database_takes_is_replaced(given: str, expected: str) -> None:
    assert well_formed(given) == expected


@given(st.text(st.characters(codec=None)))
def test_any_text_becomes_utf_8_without_nul_and_stays_so(text: str) -> None:
    once = well_formed(text)
    once.encode()
    assert "\0" not in once
    assert well_formed(once) == once


def test_only_a_first_half_opens_a_pair() -> None:
    assert [opens_pair(c) for c in "\ud7ff\ud800\udbff\udc00a"] == [False, True, True, False, False]
