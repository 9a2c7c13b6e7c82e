"""JSON that streams in → a card of fields that grow. Pure; the cost is linear in the text.

What has come is parsed as far as it goes (jiter's partial mode) and compared with what is on the
page, along the one path on which JSON can still grow: the last member of the last member. So an
update is as large as what is new. It is parsed again when it has grown by a part of itself, which
makes all parsing together a multiple of the text (``PARSED_TIMES``).
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from html import escape
from typing import Any

import jiter

PARSED_TIMES = 128
FENCE_CHARS = 200  # before the object: a code fence, or words that were not asked for
DEEPEST = 40  # what is nested deeper is shown as text

Path = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Words:
    """What the card says itself, translated by the caller."""

    yes: str = "Yes"
    no: str = "No"
    nothing: str = "–"
    raw: str = "What the model wrote"


ENGLISH = Words()


@dataclass(frozen=True, slots=True)
class Change:
    """HTML to swap at the node ``path``: its place among its siblings, from the outermost on.

    The empty path is the outermost node; ``swap`` is one of htmx's.
    """

    path: Path
    swap: str
    html: str


def parse(text: str, *, partial: bool = False) -> Any:
    """The JSON in an answer, be there a code fence around it.

    Raises:
        ValueError: there is none.
    """
    body = _body(text)
    if not partial and body.rstrip().endswith("```"):
        body = body.rstrip()[:-3]
    try:
        mode: Any = "trailing-strings" if partial else False
        return jiter.from_json(body.encode("utf-8", "replace"), partial_mode=mode)
    except RecursionError as error:
        raise ValueError("nested too deep") from error


def _body(text: str) -> str:
    starts = [at for at in (text.find("{"), text.find("[")) if 0 <= at < FENCE_CHARS]
    return text[min(starts) :] if starts else text


@dataclass(slots=True)
class Card:
    """The rendering of one answer. ``prefix`` makes the ids of its nodes unique on the page."""

    prefix: str
    schema: dict[str, Any] | None = None
    words: Words = ENGLISH

    def whole(self, text: str) -> str:
        """The card of a finished answer; the text as it is where there is no JSON in it."""
        try:
            value = parse(text)
        except ValueError:
            try:
                value = parse(text, partial=True)
            except ValueError:
                value = None
        if not isinstance(value, dict | list):
            return self._raw(text) if text.strip() else ""
        return self.node(value, (), self.schema)

    def _raw(self, text: str) -> str:
        return (
            f'<details class="answer-raw" open><summary>{escape(self.words.raw)}</summary>'
            f"<pre>{escape(text, quote=False)}</pre></details>"
        )

    def node(self, value: Any, path: Path, schema: Any) -> str:
        identity = f'id="{self.id_of(path)}"'
        if len(path) > DEEPEST:
            return f'<span class="answer-text" {identity}>{escape(json.dumps(value))}</span>'
        match value:
            case dict():
                rows = (
                    self.row(path, number, name, one, schema)
                    for number, (name, one) in enumerate(value.items())
                )
                return f'<dl class="answer" {identity}>{"".join(rows)}</dl>'
            case list():
                items = (self.item(path, n, one, schema) for n, one in enumerate(value))
                return f'<ol class="answer-list" {identity}>{"".join(items)}</ol>'
            case str():
                return f'<span class="answer-text" {identity}>{escape(value, quote=False)}</span>'
        return f'<span class="answer-value" {identity}>{escape(self._word(value))}</span>'

    def row(self, path: Path, number: int, name: str, value: Any, schema: Any) -> str:
        inner = _property(schema, name)
        label = escape(_label(name, inner), quote=False)
        return f"<div><dt>{label}</dt><dd>{self.node(value, (*path, number), inner)}</dd></div>"

    def item(self, path: Path, number: int, value: Any, schema: Any) -> str:
        inner = schema.get("items") if isinstance(schema, dict) else None
        return f"<li>{self.node(value, (*path, number), inner)}</li>"

    def id_of(self, path: Path) -> str:
        return "-".join((self.prefix, *map(str, path)))

    def _word(self, value: Any) -> str:
        if value is None:
            return self.words.nothing
        if isinstance(value, bool):
            return self.words.yes if value else self.words.no
        return json.dumps(value)

    def changes(self, old: Any, new: Any) -> Iterator[Change]:
        """What brings a page that shows ``old`` to ``new``, which has grown out of it."""
        path: Path = ()
        schema: Any = self.schema
        while True:
            if type(old) is not type(new) or len(path) > DEEPEST:
                if old != new:
                    yield Change(path, "outerHTML", self.node(new, path, schema))
                return
            if isinstance(new, str) and new.startswith(old):
                if len(new) > len(old):
                    yield Change(path, "beforeend", escape(new[len(old) :], quote=False))
                return
            if not isinstance(new, dict | list) or not _has_grown(old, new):
                if old != new:
                    yield Change(path, "outerHTML", self.node(new, path, schema))
                return
            if len(new) > len(old):
                yield Change(path, "beforeend", self._more(path, new, len(old), schema))
            if not old:
                return
            # Only the last one that was there can have grown.
            last = len(old) - 1
            if isinstance(new, dict):
                name = next(reversed(old))
                old, new, schema = old[name], new[name], _property(schema, name)
            else:
                old, new = old[last], new[last]
                schema = schema.get("items") if isinstance(schema, dict) else None
            path = (*path, last)

    def _more(self, path: Path, new: Any, start: int, schema: Any) -> str:
        if isinstance(new, list):
            return "".join(
                self.item(path, number, new[number], schema) for number in range(start, len(new))
            )
        items = list(new.items())[start:]
        rows = (
            self.row(path, number, name, value, schema)
            for number, (name, value) in enumerate(items, start)
        )
        return "".join(rows)


def _has_grown(old: Any, new: Any) -> bool:
    """Does the new container begin with all members of the old one?"""
    if len(new) < len(old):
        return False
    return isinstance(new, list) or all(a == b for a, b in zip(old, new, strict=False))


def _is_odd(text: str) -> bool:
    """Is it cut, or has a name in it twice?"""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            raise ValueError("twice")
        return found

    try:
        json.JSONDecoder(object_pairs_hook=once).raw_decode(_body(text))
    except (ValueError, RecursionError):
        return True
    return False


def _property(schema: Any, name: str) -> Any:
    properties = schema.get("properties") if isinstance(schema, dict) else None
    return properties.get(name) if isinstance(properties, dict) else None


def _label(name: str, schema: Any) -> str:
    """What a person reads instead of a key: the schema's title, or the key as words."""
    title = schema.get("title") if isinstance(schema, dict) else None
    if isinstance(title, str) and title.strip():
        return title
    words = name.replace("_", " ").strip()
    return words[:1].upper() + words[1:] if words else name


@dataclass(slots=True)
class CardStream:
    """Text that arrives in pieces → changes of a card; fed in any pieces it ends in ``whole``."""

    card: Card
    shown: Any = None  # the value that is on the page
    _pieces: list[str] = field(default_factory=list)
    _chars: int = 0
    _parsed_at: int = 0
    _whole: str | None = None

    @property
    def text(self) -> str:
        return "".join(self._pieces)

    def html(self) -> str:
        """All that a page shows now."""
        if self._whole is not None:
            return self._whole
        return "" if self.shown is None else self.card.node(self.shown, (), self.card.schema)

    def feed(self, text: str) -> list[Change]:
        """Take the next piece, cut at any character; the first change makes the outermost node."""
        self._pieces.append(text)
        self._chars += len(text)
        if self._chars - self._parsed_at < self._parsed_at / PARSED_TIMES:
            return []
        self._pieces = ["".join(self._pieces)]
        self._parsed_at = self._chars
        try:
            value = parse(self._pieces[0], partial=True)
        except ValueError:
            return []
        return self._show(value)

    def finish(self) -> str | None:
        """The whole card, where it is not what the changes have led to; else None.

        A name that comes twice makes the difference, and an answer that is no JSON.
        """
        text = self.text
        whole = self.card.whole(text)
        shown, self._whole = self.html(), whole
        return None if whole == shown and not _is_odd(text) else whole

    def _show(self, value: Any) -> list[Change]:
        if not isinstance(value, dict | list):
            return []
        before, self.shown = self.shown, value
        if before is None:
            return [Change((), "begin", self.card.node(value, (), self.card.schema))]
        return list(self.card.changes(before, value))
