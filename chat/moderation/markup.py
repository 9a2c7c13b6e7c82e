"""Words that stand whole on the page and are taken apart in the text: `b**ad**ger`, `b&#97;dger`.

Markdown's own marks inside a word, and HTML's entities. A line that has them is judged a second
time as a reader sees it, behind the text; a mark around whole words changes nothing. What stands in
a code fence is shown as it is.
"""

import html
import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import replace

from chat.moderation.base import Result, Span

_FENCE = re.compile(r" {0,3}(?:```|~~~)")
# Counted, so that no text makes it slow.
_MARK = re.compile(
    r"(?P<code>`{1,2})(?P<literal>[^`\n]{1,200})(?P=code)"
    r"|(?<![*~])(?P<mark>\*{1,3}|~{1,2})(?P<marked>[^\s*~](?:[^*~\n]{0,200}[^\s*~])?)(?P=mark)(?![*~])"
    r"|&(?:\#[0-9]{1,7}|\#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,30});"
)


class Spelled:
    """A text, and behind it the lines that read otherwise on the page."""

    def __init__(self, text: str) -> None:
        self._length = len(text)
        self._at: list[int] = []  # where each of those lines begins here
        self._from: list[tuple[int, int]] = []  # and where it begins and ends in the text
        parts = [text]
        end = self._length
        for start, line, shown in _lines(text):
            self._at.append(end + 1)
            self._from.append((start, start + len(line)))
            parts.append(shown)
            end += 1 + len(shown)
        self.text = "\n".join(parts)

    def placed(self, result: Result) -> Result:
        """What was found in ``text``, with its passages in the text that was given."""
        if not self._at or not result.spans:
            return result
        return replace(result, spans=tuple(dict.fromkeys(map(self._place, result.spans))))

    def _place(self, span: Span) -> Span:
        start, end, category = span
        if end <= self._length:
            return span
        if start < self._length:
            return start, self._length, category
        return (*self._from[max(0, bisect_right(self._at, start) - 1)], category)


def _lines(text: str) -> Iterator[tuple[int, str, str]]:
    """Where a line begins that reads otherwise, it, and how it reads."""
    if not any(mark in text for mark in "*`&~"):
        return
    start, is_code = 0, False
    for line in text.split("\n"):
        if _FENCE.match(line):
            is_code = not is_code
        elif not is_code:
            shown = _MARK.sub(_shown, line)
            if shown != line:
                yield start, line, shown
        start += len(line) + 1


def _shown(found: re.Match[str]) -> str:
    inner = found["literal"] or found["marked"]
    if inner is None:
        return html.unescape(found[0])
    before = found.string[found.start() - 1 : found.start()]
    after = found.string[found.end() : found.end() + 1]
    in_word = (before.isalnum() and inner[0].isalnum()) or (after.isalnum() and inner[-1].isalnum())
    return inner if in_word else found[0]
