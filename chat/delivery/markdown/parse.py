"""Text → top-level blocks.

What makes streaming possible: block structure is decided line by line, so a top-level block that
another one follows can no longer change, and parsing from the end of a finished block gives the
same blocks as parsing the whole text. Only link reference definitions reach further; they are
kept apart, in ``references``.
"""

import re
from collections.abc import MutableMapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.token import Token

from chat.delivery.markdown.links import bare_url

# Each level costs the parser a few stack frames and a pass over the lines inside. A quotation is
# one level, a list two.
MAX_NESTING = 20

# Cells that markdown-it adds to one table's short rows before it ends the table. Its own limit of
# 65,536 makes 650 KB of HTML from less than 2 KB of text.
MAX_ADDED_CELLS = 2_000

# Characters at which inline parsing has to look closer. A subset of markdown-it's default, which
# also stops at characters that only its plugins use.
MARKUP = re.compile(r"[\n!&*:<\[\\\]_`~]")

LINE_END = re.compile(r"\r\n?")
UNENCODABLE = re.compile(r"[\x00\ud800-\udfff]")

# Label → definition, as markdown-it keeps them.
References = MutableMapping[str, dict[str, Any]]


def _parser() -> MarkdownIt:
    options = {"maxNesting": MAX_NESTING, "html": False, "breaks": True, "tasklists": True}
    parser = MarkdownIt("commonmark", options)
    parser.enable(["table", "strikethrough", "linkify"])
    parser.disable(["html_block", "html_inline"])  # they never match with html=False
    parser.inline.ruler.at("linkify", bare_url)
    parser.inline.terminator_re = MARKUP
    # links.py judges every target; here a forbidden one must parse, so that it can become text.
    parser.validateLink = lambda url: True  # type: ignore[method-assign]
    return parser


table_rule: Any = import_module("markdown_it.rules_block.table")
table_rule.MAX_AUTOCOMPLETED_CELLS = MAX_ADDED_CELLS

PARSER = _parser()


@dataclass(slots=True)
class Block:
    """A top-level block: its tokens and its lines, ``first`` included, ``end`` not."""

    tokens: list[Token]
    first: int
    end: int
    # The source, where a block nests too deeply to be parsed and is shown as it stands.
    literal: str | None = None

    @property
    def kind(self) -> str:
        """The first token's type, which names the block: paragraph_open, fence, …"""
        return self.tokens[0].type

    @property
    def depth(self) -> int:
        return max(token.level for token in self.tokens)


def clean(text: str) -> str:
    """``text`` with ``\\n`` line ends and without what cannot be encoded (NUL, lone surrogates)."""
    if "\r" in text:
        text = LINE_END.sub("\n", text)
    return UNENCODABLE.sub("\ufffd", text)


def parse_blocks(text: str, references: References) -> list[Block]:
    """The top-level blocks of cleaned ``text``; new definitions are added to ``references``."""
    tokens: list[Token] = []
    PARSER.block.parse(text, PARSER, {"references": references}, tokens)
    blocks = []
    start = 0
    for index, token in enumerate(tokens, 1):
        if token.level == 0 and token.nesting <= 0:
            first, end = tokens[start].map or (0, 0)
            blocks.append(Block(tokens[start:index], first, end))
            start = index
    for block in blocks:
        if any(_is_too_deep(token) for token in block.tokens):
            block.literal = "\n".join(text.split("\n")[block.first : block.end])
    return blocks


def _is_too_deep(token: Token) -> bool:
    """Whether markdown-it has dropped the content of this container, as it does without a word.

    A reply must not be able to hide text from the person who reviews it.
    """
    return token.level >= MAX_NESTING - 1 and token.type in ("blockquote_open", "list_item_open")
