"""What a line that is still being written can turn into."""

import re

from markdown_it.common.utils import MD_TRIM_CHARS

# What markdown-it takes off both ends of a table row: more than space and tab.
SPACE = re.escape(MD_TRIM_CHARS)

# A line that is nothing but white space, quotation and list markers, the characters of rules,
# underlines, fences and table separators, a number that may become a list marker, or a check box
# in the making; and the whole first line of a fence, whose info string one more backtick makes
# ordinary text. Anything else settles what the line is: no further character can change it.
OPEN_LINE = re.compile(
    rf"(?:[{SPACE}>\-+*_=#~`|:]|\d{{1,9}}[.)](?![^ \t])|\[[ xX]\](?![^ \t]))*"
    r"(?:\d{1,9}|\[[ xX]?|`{3,}[^`]*|~{3,}.*)?"
)

# Characters. A longer line without an end is shown as it stands, so that looking at it again with
# every piece cannot take quadratic time.
MAX_OPEN_LINE = 256


def is_settled(line: str) -> bool:
    """Whether no further character can change what kind of block ``line`` belongs to."""
    return OPEN_LINE.fullmatch(line) is None


def fence_end(markup: str) -> re.Pattern[str]:
    """The line that closes a fence: at least as many signs as opened it, and nothing else."""
    return re.compile(rf"^ {{0,3}}{markup[0]}{{{len(markup)},}}[ \t]*$", re.MULTILINE)


class Fence:
    """An open code fence at the top level; looks for its end line by line, each only once."""

    def __init__(self, markup: str, at_line_start: bool) -> None:
        self._sign = markup[0]
        self._end = fence_end(markup)
        self._at_line_start = at_line_start

    def scan(self, text: str) -> tuple[bool, str]:
        """Whether the fence ends in ``text``; and the end of ``text`` that may yet end it.

        That end belongs in front of the next text.
        """
        start = 0 if self._at_line_start else text.find("\n") + 1
        if not self._at_line_start and not start:
            return False, ""
        match = self._end.search(text, start)
        if match and match.end() < len(text):
            return True, ""
        line = text[text.rfind("\n") + 1 :]
        held = line if self._may_end(line) else ""
        self._at_line_start = bool(held) or not line
        return False, held

    def _may_end(self, line: str) -> bool:
        signs = line.lstrip(" ").rstrip(" \t")
        return bool(signs) and len(line) <= MAX_OPEN_LINE and not signs.strip(self._sign)
