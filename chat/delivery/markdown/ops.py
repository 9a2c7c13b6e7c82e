"""The operations that bring a page up to date.

A message body on a page is ``closed blocks… <div class="tail">TAIL</div>``. The tail holds the
caret from the start (``MarkdownStream.tail_html``) until the text has ended.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Close:
    """Insert ``html`` just before the tail. What it holds will not change any more."""

    html: str


@dataclass(frozen=True, slots=True)
class Tail:
    """Replace the tail's inner HTML. It holds the caret until the text has ended."""

    html: str


@dataclass(frozen=True, slots=True)
class Text:
    """Insert ``html``, which is escaped text, right before the caret."""

    html: str


@dataclass(frozen=True, slots=True)
class Reset:
    """Replace everything: ``html`` is the closed part, and the tail is empty."""

    html: str


Op = Close | Tail | Text | Reset
