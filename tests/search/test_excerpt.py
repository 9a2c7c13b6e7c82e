"""The passage around what was found, marked, and harmless whatever the text says."""

from chat.search.excerpt import EXCERPT_CHARS, excerpt
from chat.search.terms import parse


def test_the_words_are_marked_as_words() -> None:
    html = excerpt("Tides and the tide of the sea.", parse("tide sea"))
    assert html == "Tides and the <mark>tide</mark> of the <mark>sea</mark>."


def test_beginnings_and_phrases() -> None:
    html = excerpt("Neap tides, spring-tides", parse('nea* "spring tides"'))
    assert html == "<mark>Nea</mark>p tides, <mark>spring-tides</mark>"


def test_accents_do_not_matter() -> None:
    """SQLite finds them without; with a letter's accent as a sign of its own, too."""
    html = excerpt("Käthe, Ka\u0308the, KATHE, Kuthe", parse("kathe"))
    assert html == ("<mark>Käthe</mark>, <mark>Ka\u0308the</mark>, <mark>KATHE</mark>, Kuthe")
    assert excerpt("Kathe", parse("Käthe")) == "<mark>Kathe</mark>"


def test_a_text_cannot_speak_html() -> None:
    html = excerpt("<script>alert('x')</script> &amp; <mark>", parse("script mark"))
    assert html.replace("<mark>", "").replace("</mark>", "").count("<") == 0
    assert "&lt;<mark>script</mark>&gt;" in html


def test_the_passage_is_found_far_into_the_text() -> None:
    html = excerpt("word " * 5_000 + "needle " + "word " * 5_000, parse("needle"))
    assert "<mark>needle</mark>" in html
    assert html.startswith("…")
    assert html.endswith("…")
    assert len(html) < EXCERPT_CHARS + 40


def test_without_terms_it_is_the_beginning() -> None:
    assert excerpt("Short.", []) == "Short."
