"""Markdown to safe HTML, whole or while it streams in.

    labels.py      the words that the renderer puts into a page, translated by the caller
    parse.py       text → top-level blocks; block-wise and whole parsing give the same blocks
    links.py       which link targets are allowed, and how a page shows where a link leads
    code.py        code blocks and their highlighting
    render.py      blocks → HTML, and ``render(text)`` for a finished text
    sanitize.py    the allow-list that every piece of HTML passes
    lines.py       what a line that is still being written can turn into
    markup.py      inline markup that is still being written
    unfinished.py  the last block of a text that is still being written
    source.py      the text: which of its blocks are closed, and how the open ones look
    shown.py       what a page shows while a text streams in
    ops.py         the operations that bring a page up to date
    stream.py      ``MarkdownStream``: pieces of text → operations

Pure: no Django, no I/O, no clock.
"""

from chat.delivery.markdown.labels import Labels
from chat.delivery.markdown.ops import Close, Op, Reset, Tail, Text
from chat.delivery.markdown.render import render
from chat.delivery.markdown.stream import MarkdownStream

__all__ = ["Close", "Labels", "MarkdownStream", "Op", "Reset", "Tail", "Text", "render"]
