"""Words that stand whole on the page and are taken apart in the text: `b**ad**ger`, `b&#97;dger`.

Markdown's own marks and links inside a word, and HTML's entities. A line that has them is judged a
second time as a reader sees it, behind the text; a mark around whole words changes nothing. What
stands in a code fence is shown as it is.
"""

import html
import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import replace

from chat.moderation.base import Result, Span

PASSES = 3  # marks within links within marks
_FENCE = re.compile(r" {0,3}(?:```|~~~)")
# Counted, so that no text makes them slow.
_CODE = re.compile(r"(`{1,2})([^`\n]{1,200})\1")
_LINK = re.compile(r"\[([^\[\]\n]{0,200})\](?:\([^()\n]{0,500}\)|\[[^\[\]\n]{0,100}\])?")
_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,30});")
_RUN = re.compile(r"[*~]{1,6}")
_IN_WORD = re.compile(r"(?<=[^\W_])[*~]{1,6}(?=[^\W_])")
_AT_WORD = re.compile(r"(?<=[^\W_])[*~]{1,6}|[*~]{1,6}(?=[^\W_])")
# What stands in code is no mark: it is something else meanwhile.
_HIDE = str.maketrans("*~[]&", "\ue000\ue001\ue002\ue003\ue004")
_SHOW = str.maketrans("\ue000\ue001\ue002\ue003\ue004", "*~[]&")


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
    if not any(mark in text for mark in "*`&~["):
        return
    start, is_code = 0, False
    for line in text.split("\n"):
        if _FENCE.match(line):
            is_code = not is_code
        elif not is_code:
            shown = _shown(line)
            if shown != line:
                yield start, line, shown
        start += len(line) + 1


def _shown(line: str) -> str:
    line = _CODE.sub(_code, line)
    line = _ENTITY.sub(lambda found: html.unescape(found[0]), line)
    for _ in range(PASSES):
        before = line
        line = _LINK.sub(_link, line)
        # A single mark in a word is a letter that somebody has starred out.
        if len(_RUN.findall(line)) > 1 and _IN_WORD.search(line):
            line = _AT_WORD.sub("", line)
        if line == before:
            break
    return line.translate(_SHOW)


def _code(found: re.Match[str]) -> str:
    return (found[2] if _is_in_word(found, found[2]) else found[0]).translate(_HIDE)


def _link(found: re.Match[str]) -> str:
    return found[1] if _is_in_word(found, found[1]) else found[0]


def _is_in_word(found: re.Match[str], inner: str) -> bool:
    """Does what is shown of it go on with the word before it, or does the word behind it?"""
    before = found.string[max(0, found.start() - 1) : found.start()].isalnum()
    after = found.string[found.end() : found.end() + 1].isalnum()
    if not inner:
        return before and after
    return (before and not inner[0].isspace()) or (after and not inner[-1].isspace())
