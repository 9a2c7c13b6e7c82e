"""The text of a stream: which of its blocks are closed, and how the open ones look."""

import re
from collections import ChainMap
from dataclasses import dataclass
from html import escape
from typing import Any

from markdown_it.common.utils import MD_TRIM_CHARS, mdTrim

from chat.delivery.markdown.labels import Labels
from chat.delivery.markdown.parse import Block, References, parse_blocks
from chat.delivery.markdown.render import Inline, Rendering, render_uncached
from chat.delivery.markdown.sanitize import sanitize
from chat.delivery.markdown.unfinished import (
    ENDED_BY_BLANK_LINE,
    insertion_point,
    is_closed,
    last_paragraph,
    trim_open_row,
)

BLANK_LINES = re.compile(r"(?:[ \t]*\n)*")

# Characters. Longer open blocks are not rendered again before they close, as that would hold an
# event loop up for tens of milliseconds each time.
MAX_OPEN = 64_000


@dataclass(slots=True)
class _Paragraph:
    """The paragraph that the text ends in, and the HTML of the open blocks around its content."""

    content: str
    before: str
    after: str


class Source:
    """A growing text. Closed blocks are rendered once; then only their text is kept."""

    def __init__(self, labels: Labels) -> None:
        self._labels = labels
        self._closed: list[str] = []
        self._tail: list[str] = []
        self._line_ended = False  # since the text was last divided
        # Definitions that closed blocks can use; whether one came behind a "[" that might use it.
        self._references: References = {}
        self._bracket = False
        self._late_reference = False
        # The open blocks when the text was last divided, and what they alone define so far.
        self._open: list[Block] = []
        self.open_text = ""  # their text
        self._seen: ChainMap[str, dict[str, Any]] = ChainMap({}, self._references)
        # The inline content of the open blocks as rendered last.
        self._known: dict[str, Inline] = {}
        self._paragraph: _Paragraph | None = None
        self._definition = ""  # a link definition that the text ends in
        self.markup = ""  # the signs in it that may still start something
        self.work = 0  # characters of inline content that the last rendering had to parse

    @property
    def last(self) -> str:
        """The last character of what is not closed."""
        return self._tail[-1][-1:] if self._tail else ""

    @property
    def kind(self) -> str:
        """The type of the last open block, by its first token's name; empty if none is open."""
        return self._open[-1].kind if self._open else ""

    @property
    def ends_with_blank_line(self) -> bool:
        """Whether a blank line closes every open block."""
        return self.kind in ENDED_BY_BLANK_LINE

    @property
    def has_references(self) -> bool:
        return bool(self._references)

    @property
    def open_fence(self) -> str:
        """The signs that opened the fence that the text is in, if it is a top-level one."""
        return self._open[-1].tokens[0].markup if self.kind == "fence" else ""

    @property
    def parse_cost(self) -> int:
        """What finding and joining the open blocks costs, in characters of inline content.

        Each token costs about as much as four characters. Each level of nesting goes over all
        lines inside it.
        """
        tokens = sum(len(block.tokens) for block in self._open)
        depth = max((block.depth for block in self._open), default=0)
        lines = self.open_text.count("\n")
        return len(self.open_text) // 8 + 4 * (tokens + lines * (1 + depth))

    @property
    def is_stuck(self) -> bool:
        """Whether looking at the open blocks is no use: too long to render, nothing to close."""
        return len(self.open_text) > MAX_OPEN and not self._line_ended

    def append(self, text: str) -> None:
        self._tail.append(text)
        self._line_ended = self._line_ended or "\n" in text

    def close(self, held: int) -> str:
        """Divide all but the last ``held`` characters into blocks; HTML of those newly closed.

        A block is closed when another one follows it, or when nothing can be added to it.
        """
        whole = "".join(self._tail)
        text = whole[: len(whole) - held]
        blocks = self._parse(text)
        count = len(blocks)
        if blocks and not is_closed(blocks[-1], text):
            count -= 1
        html = ""
        rest = text
        if count:
            end = blocks[count - 1].end
            rest = "".join(text.split("\n", end)[end:])
            blank = BLANK_LINES.match(rest)
            rest = rest[blank.end() if blank else 0 :]
            html = self._close(blocks[:count], text[: len(text) - len(rest)], end)
        self._open, self.open_text = blocks[count:], rest
        self._line_ended = False
        self._paragraph = None
        self._definition = self._open_definition(text)
        self._tail = [whole[len(text) - len(rest) :]]
        return html

    def grow(self) -> bool:
        """Add what was appended to the last paragraph, if no more than its last line has grown.

        That is what most renderings are for, and it takes no parsing into blocks.
        """
        if self._paragraph is None or self._line_ended:
            return False
        appended = "".join(self._tail[1:])
        self._paragraph.content += appended
        self.open_text += appended
        self._tail = [self.open_text]
        return True

    def close_all(self) -> str:
        """The text has ended: HTML of all that was open."""
        text = "".join(self._tail)
        html = self._close(self._parse(text), text, text.count("\n") + 1)
        self._open, self.open_text, self._tail = [], "", []
        return html

    def render_open(self) -> tuple[str, str]:
        """HTML of the open blocks, in two parts: appended text belongs between them.

        Code is not coloured before its block closes.
        """
        rendering = Rendering(
            self._labels, self._seen, known=self._usable(self._seen), coloured=False
        )
        if self._paragraph:
            inline = sanitize(rendering.inline(mdTrim(self._paragraph.content)))
            before, after = self._paragraph.before + inline, self._paragraph.after
        else:
            if self.kind == "table_open":
                trim_open_row(self._open[-1], self.open_text)
            html = sanitize(rendering.html(self._open))
            at = insertion_point(html)
            before, after = html[:at], html[at:]
            self._known = {} if self._seen else rendering.used
            self._paragraph = self._growing_paragraph(before, after, rendering.last.html)
            before += escape(self._definition, quote=False)
        self.markup = rendering.last.open
        self.work = rendering.work
        return before, after

    def _growing_paragraph(self, before: str, after: str, inline: str) -> "_Paragraph | None":
        """The paragraph that the text is in, if it is in one, so that it can ``grow``."""
        if self.open_text.endswith("\n") or self._definition:
            return None
        token = last_paragraph(self._open)
        if token is None or not before.endswith(inline := sanitize(inline)):
            return None
        line = token.content.rsplit("\n", 1)[-1]
        trimmed = self.open_text.rstrip(MD_TRIM_CHARS)
        if not trimmed.endswith(line):
            return None
        content = token.content + self.open_text[len(trimmed) :]
        return _Paragraph(content, before[: len(before) - len(inline)], after)

    def whole_if_different(self, html: str) -> str | None:
        """After the end: the whole text's HTML if ``html``, its blocks' HTML, is not the same.

        Only a link definition that comes behind its use can make a difference. When there is
        none, nothing is rendered.
        """
        if not self._late_reference:
            return None
        whole = render_uncached("".join(self._closed), self._labels)
        return whole if whole != html else None

    def _parse(self, text: str) -> list[Block]:
        # Definitions in open blocks may still change, so they are kept in a layer of their own.
        self._seen = ChainMap({}, self._references)
        return parse_blocks(text, self._seen)

    def _open_definition(self, text: str) -> str:
        """The source of a link definition that ``text`` breaks off in, or an empty string.

        It may yet turn out to be no definition, so a page shows it until its line has ended.
        """
        if text.endswith("\n"):
            return ""
        lines = text.split("\n")
        starts = [it["map"][0] for it in self._seen.maps[0].values() if it["map"][1] >= len(lines)]
        return "\n".join(lines[min(starts) :]) if starts else ""

    def _close(self, blocks: list[Block], text: str, end: int) -> str:
        """HTML of ``blocks``, made from ``text``, which ends before line ``end``."""
        new = {label: it for label, it in self._seen.maps[0].items() if it["map"][1] <= end}
        self._late_reference = self._late_reference or (self._bracket and bool(new))
        self._bracket = self._bracket or "[" in text
        self._references.update(new)
        self._closed.append(text)
        rendering = Rendering(self._labels, self._references, known=self._usable(self._references))
        return sanitize(rendering.html(blocks))

    def _usable(self, references: References) -> dict[str, Inline]:
        """Inline content is known only as it looks without link definitions."""
        return {} if references else self._known
