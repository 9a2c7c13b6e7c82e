"""What is typed into the search box becomes terms, whatever it is."""

import pytest

from chat.search.terms import TERMS_MAX, parse


def words(typed: str) -> list[tuple[str, bool]]:
    return [(term.text, term.is_prefix) for term in parse(typed)]


def test_words_phrases_and_beginnings() -> None:
    assert words('tides "the moon" nea*') == [
        ("tides", False),
        ("the moon", False),
        ("nea", True),
    ]


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ('"open', ["open"]),
        ('a"b', ["ab"]),
        ('a"b*', ["ab"]),
        ('"*', []),
        ("*", ["*"]),
        ("**", [""]),
        ('""', []),
        ("\0 a\0b \x1b", ["a", "b"]),
        ("\ud800", []),
        ("", []),
    ],
)
def test_what_is_odd_is_no_error(typed: str, expected: list[str]) -> None:
    assert [term.text for term in parse(typed)] == [text for text in expected if text]


def test_too_much_is_cut_off() -> None:
    assert len(parse("word " * 10_000)) == TERMS_MAX


def test_signs_and_scripts_without_spaces_are_looked_for_in_the_texts() -> None:
    assert [term.is_indexed for term in parse("!? 天気 Wetter")] == [False, False, True]
