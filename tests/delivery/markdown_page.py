"""A page that applies a stream's operations to strings, and what the tests read from its HTML."""

import random
from html.parser import HTMLParser

from chat.delivery.markdown import Close, Labels, MarkdownStream, Op, Reset, Tail, Text

CARET = '<span class="caret" id="caret-7"></span>'

# The renderer's own words would count as text that nobody wrote.
NO_WORDS = Labels(copy="", image="", table="")


class Page:
    """Message body: closed blocks, then the tail element."""

    def __init__(self, stream: MarkdownStream) -> None:
        self.closed = stream.closed_html
        self.tail = stream.tail_html

    @property
    def html(self) -> str:
        return self.closed + self.tail

    def apply(self, ops: list[Op]) -> None:
        for op in ops:
            match op:
                case Close(html):
                    self.closed += html
                case Tail(html):
                    self.tail = html
                case Text(html):
                    before, after = self.tail.split(CARET)
                    self.tail = before + html + CARET + after
                case Reset(html):
                    self.closed, self.tail = html, ""


def cut(text: str, seed: int, longest: int = 9) -> list[str]:
    """``text`` in pieces of random lengths."""
    rng = random.Random(seed)
    pieces = []
    while text:
        length = rng.randint(1, longest)
        pieces.append(text[:length])
        text = text[length:]
    return pieces


def streamed(pieces: list[str]) -> Page:
    """The page after all pieces and the end of the text."""
    stream = MarkdownStream(caret=CARET)
    page = Page(stream)
    for piece in pieces:
        page.apply(stream.feed(piece))
    page.apply(stream.finish())
    return page


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag in ("br", "hr", "input"):
            return
        self.open.append(tag)
        classes = (dict(attrs).get("class") or "").split()
        if self._hidden or "code-head" in classes or "link-host" in classes:
            self._hidden += 1

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
        self._hidden -= bool(self._hidden)

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.text.append(data)

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"comment in output: {data!r}")

    handle_decl = handle_pi = unknown_decl = handle_comment


def read(html: str) -> _Reader:
    """Parse ``html``; fails if an element is not closed where it should be."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    assert reader.open == []
    return reader


def words(html: str) -> str:
    """The letters that a reader sees, without code labels, link hosts and check boxes."""
    text = "".join(read(html).text)
    return letters(text)


def letters(text: str) -> str:
    return "".join(c for c in text if c.isascii() and c.isalpha() and c not in "xX")


def is_within(part: str, whole: str) -> bool:
    """Whether ``part`` is ``whole`` with some characters left out."""
    rest = iter(whole)
    return all(c in rest for c in part)
