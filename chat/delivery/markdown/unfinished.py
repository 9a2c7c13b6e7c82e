"""The last block of a text that is still being written."""

import re

from markdown_it.common.utils import mdTrim
from markdown_it.rules_block.table import escapedSplit
from markdown_it.token import Token

from chat.delivery.markdown.lines import fence_end
from chat.delivery.markdown.parse import Block

# What a blank line ends; lists and indented code go on behind it.
ENDED_BY_BLANK_LINE = frozenset({"paragraph_open", "blockquote_open", "table_open", "heading_open"})

BLOCK_END = re.compile(r"</(?:p|li|ul|ol|blockquote|t[dhr]|thead|tbody|table|h[3-6]|div|pre)>\s*")


def last_paragraph(blocks: list[Block]) -> Token | None:
    """The content of the paragraph that ``blocks`` end with, if they end with one."""
    if not blocks or blocks[-1].literal is not None:
        return None
    tokens = blocks[-1].tokens
    index = len(tokens) - 1
    while index > 0 and tokens[index].nesting < 0:
        index -= 1
    is_paragraph = tokens[index].type == "inline" and tokens[index - 1].type == "paragraph_open"
    return tokens[index] if is_paragraph else None


def is_closed(block: Block, text: str) -> bool:
    """Whether the last block of ``text`` can no longer change. Only whole lines count."""
    whole_lines = text.count("\n")
    if block.end > whole_lines:
        return False
    lines = text.split("\n")[block.first : block.end]
    if block.kind == "fence":
        # The parser ends a fence at the first line that closes it, or else with the text.
        end = fence_end(block.tokens[0].markup)
        return len(lines) > 1 and end.fullmatch(lines[-1]) is not None
    if block.kind == "hr" or (block.kind == "heading_open" and "|" not in lines[0]):
        return True
    # A heading with a "|" is a table's head if the next line is a delimiter row.
    return block.kind in ENDED_BY_BLANK_LINE and block.end < whole_lines


def trim_open_row(block: Block, text: str) -> None:
    """Drop the cells of a table's last row that its line, still being written, has not come to.

    The parser fills a short row up, and the caret would stand in the last cell.
    """
    tokens = block.tokens
    if text.endswith("\n") or tokens[-2].type != "tbody_close":
        return
    cells = escapedSplit(mdTrim(text[text.rfind("\n") + 1 :]))
    begun = len(cells) - (cells[0] == "")
    columns = sum(token.type == "th_open" for token in tokens)
    end = len(tokens) - 3  # where the row ends; each cell before it is three tokens
    del tokens[end - 3 * max(0, columns - max(1, begun)) : end]


def insertion_point(html: str) -> int:
    """Where appended text belongs: before the block-level end tags that ``html`` ends with.

    Not inside an inline element that has just ended: text after bold text is not bold.
    """
    position = len(html)
    while True:
        start = html.rfind("<", 0, position)
        if start < 0 or not BLOCK_END.fullmatch(html, start, position):
            return position
        position = start
        if html.startswith("</pre>", start) and html.endswith("</code>", 0, start):
            return start - len("</code>")
