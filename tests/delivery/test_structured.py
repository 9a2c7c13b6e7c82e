"""A card that grows with its JSON is, at the end, the card of the whole; at a linear cost."""

import json
import re
import time
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat.delivery.structured import PARSED_TIMES, Card, CardStream, Change, parse

Node = dict[str, Any]


class Page(HTMLParser):
    """Elements with ids and children: enough to swap as htmx does, and to compare."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.root: Node = {"tag": "", "id": "", "children": []}
        self._open = [self.root]
        self.feed(html)
        self.close()
        assert self._open == [self.root], "not balanced"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        node = {"tag": tag, "id": dict(attrs).get("id", ""), "children": []}
        self._open[-1]["children"].append(node)
        self._open.append(node)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop()["tag"] == tag

    def handle_data(self, data: str) -> None:
        children = self._open[-1]["children"]
        if children and isinstance(children[-1], str):
            children[-1] += data
        else:
            children.append(data)


def _find(node: Node, identity: str) -> tuple[Node, int]:
    found = [
        (node, place)
        for place, child in enumerate(node["children"])
        if isinstance(child, dict) and child["id"] == identity
    ]
    for child in node["children"]:
        if isinstance(child, dict):
            found += [_find(child, identity)] if _has(child, identity) else []
    assert len(found) == 1, f"{len(found)} elements with the id {identity}"
    return found[0]


def _has(node: Node, identity: str) -> bool:
    return any(
        isinstance(child, dict) and (child["id"] == identity or _has(child, identity))
        for child in node["children"]
    )


def swapped(root: Node, card: Card, change: Change) -> None:
    new = Page(change.html).root["children"]
    if change.swap == "begin":
        root["children"] = new
        return
    parent, place = _find(root, card.id_of(change.path))
    if change.swap == "outerHTML":
        parent["children"][place : place + 1] = new
        return
    assert change.swap == "beforeend"
    children = parent["children"][place]["children"]
    for one in new:
        if isinstance(one, str) and children and isinstance(children[-1], str):
            children[-1] += one
        else:
            children.append(one)


def shown(pieces: list[str], schema: dict[str, Any] | None = None) -> Node:
    """What a page shows that has had all changes."""
    stream = CardStream(Card("a", schema))
    root = Page("").root
    for piece in pieces:
        for change in stream.feed(piece):
            swapped(root, stream.card, change)
    whole = stream.finish()
    return root if whole is None else Page(whole).root


def whole(text: str, schema: dict[str, Any] | None = None) -> Node:
    return Page(Card("a", schema).whole(text)).root


scalars = st.none() | st.booleans() | st.integers(-999, 999) | st.text(max_size=10)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=12,
)
answers = st.dictionaries(st.text(max_size=6), values, max_size=5)


@given(answers, st.lists(st.integers(1, 9), min_size=1, max_size=20))
def test_any_split_ends_in_the_card_of_the_whole(value: Any, sizes: list[int]) -> None:
    text = json.dumps(value, ensure_ascii=False)
    pieces, at = [], 0
    while at < len(text):
        size = sizes[len(pieces) % len(sizes)]
        pieces.append(text[at : at + size])
        at += size
    assert shown(pieces) == whole(text)


@given(answers)
def test_what_is_on_the_page_is_always_the_card_of_what_has_come(value: Any) -> None:
    text = json.dumps(value, ensure_ascii=False)
    card = Card("a")
    stream = CardStream(card)
    root = Page("").root
    for character in text:
        for change in stream.feed(character):
            swapped(root, card, change)
        if stream.shown is not None:
            assert root == Page(card.node(stream.shown, (), None)).root


def test_fields_are_there_before_the_end_and_grow() -> None:
    card = Card("a")
    stream = CardStream(card)
    first = stream.feed('{"title": "So')
    assert [change.swap for change in first] == ["begin"]
    assert "Title" in first[0].html
    assert "So" in first[0].html
    assert stream.feed("up") == [Change((0,), "beforeend", "up")]
    (row,) = stream.feed('", "steps": ["Boil')
    assert (row.path, row.swap) == ((), "beforeend")
    assert stream.feed(" it") == [Change((1, 0), "beforeend", " it")]


def test_names_are_the_titles_of_the_schema_or_words() -> None:
    schema = {"properties": {"a": {"title": "First <b>"}, "b_c": {"items": {}}}}
    html = Card("a", schema).whole('{"a": true, "b_c": [null, 1.5]}')
    assert "First &lt;b&gt;" in html
    assert "B c" in html
    for word in ("Yes", "–", "1.5"):
        assert word in html
    words = re.sub("<[^>]*>", " ", html)
    assert not set(words) & set('{}[]"')


@pytest.mark.parametrize(
    "text",
    ['```json\n{"a": 1}\n```', '```\n{"a": 1}\n```\n', 'Here it is:\n{"a": 1}', '\ufeff {"a": 1}'],
)
def test_a_fence_or_words_before_it_do_not_matter(text: str) -> None:
    assert parse(text) == {"a": 1}
    assert shown(list(text)) == whole('{"a": 1}')


@pytest.mark.parametrize("text", ["", "Sorry, no.", "12", '"x"', "[1", "{" * 3_000, '{"a": 1} b'])
def test_what_is_no_answer_is_shown_as_it_is_and_breaks_nothing(text: str) -> None:
    assert shown(list(text)) == whole(text)


def test_a_name_that_comes_twice_shows_its_last_value() -> None:
    text = '{"a": "first", "b": 1, "a": "second"}'
    assert shown(list(text)) == whole(text)
    assert "first" not in Card("a").whole(text)


HOSTILE = '<img src=x onerror=alert(1)><script>alert(1)</script>" onclick="x'


def test_nothing_hostile_is_anything_but_text() -> None:
    text = json.dumps({HOSTILE: [HOSTILE, {"x": HOSTILE}]})
    page = repr(shown(list(text), {"properties": {HOSTILE: {"title": HOSTILE}}}))
    assert "'tag': 'img'" not in page
    assert "'tag': 'script'" not in page


def test_the_cost_is_linear() -> None:
    """Parsing is counted in characters, so that no clock decides; the clock has room for any."""
    item = {"name": "A thing", "words": "lorem ipsum dolor sit amet " * 4, "tags": ["a", "b", "c"]}
    text = json.dumps({"items": [item] * 1_300})
    assert len(text) > 200_000
    stream = CardStream(Card("a"))
    parsed = changed = 0
    begun = time.process_time()
    for at in range(0, len(text), 4):
        before = stream._parsed_at
        changes = stream.feed(text[at : at + 4])
        parsed += stream._parsed_at if stream._parsed_at != before else 0
        changed += sum(len(change.html) for change in changes)
    assert parsed <= len(text) * (PARSED_TIMES + 8)
    assert changed <= len(text) * 4  # markup included, nothing is sent twice
    assert time.process_time() - begun < 30
