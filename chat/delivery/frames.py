"""How a fragment gets into the page: a target, a swap, HTML.

A frame is one JSON envelope ``{"content", "target", "swap", "frame", "cursor"}`` as htmx's hx-ws
reads it. Several fragments travel in one frame as ``<hx-partial>`` elements. Always an envelope:
a raw frame that happens to parse as JSON would be dropped. ``frame`` counts the frames of one
connection, and is what the page acknowledges; ``cursor`` is the conversation's revision, and is
what the page gives back when it resumes.
"""

import html
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fragment:
    """HTML to swap at a CSS selector. ``content`` is trusted: from a template or the renderer."""

    target: str
    swap: str
    content: str


# Between fragments that must not travel in one frame: htmx looks up the targets of all of a frame's
# fragments before it swaps the first, so that none may be made, or replaced, by another.
CUT = Fragment("", "", "")


def groups(fragments: Iterable[Fragment]) -> Iterator[list[Fragment]]:
    """The fragments of each frame, in order."""
    group: list[Fragment] = []
    for fragment in fragments:
        if fragment is not CUT:
            group.append(fragment)
        elif group:
            yield group
            group = []
    if group:
        yield group


def envelope(fragments: Iterable[Fragment], cursor: int, number: int = 0) -> str:
    """The text frame for these fragments, in order."""
    parts = list(fragments)
    if len(parts) == 1:
        one = parts[0]
        # swapEmpty: a fragment that is only white space must not be dropped.
        frame = {
            "content": one.content,
            "target": one.target,
            "swap": f"{one.swap} swapEmpty:true",
            "frame": number,
            "cursor": cursor,
        }
    else:
        content = "".join(map(partial, parts))
        frame = {"content": content, "frame": number, "cursor": cursor}
    return json.dumps(frame, ensure_ascii=False, separators=(",", ":"))


def partial(fragment: Fragment) -> str:
    """The fragment as an element that htmx swaps on its own."""
    target, swap = html.escape(fragment.target), html.escape(fragment.swap)
    return f'<hx-partial hx-target="{target}" hx-swap="{swap}">{fragment.content}</hx-partial>'


def body_id(message_id: int) -> str:
    return f"body-{message_id}"


def caret(message_id: int) -> str:
    """The insertion point of a running reply; new text goes right before it."""
    return f'<span class="caret" id="caret-{message_id}"></span>'


def tail(message_id: int, content: str) -> str:
    """The open block at the end of a running reply."""
    return f'<div class="tail" id="tail-{message_id}">{content}</div>'
