"""Inline markup that is still being written: when does it have to be rendered again?

A page shows ``**bold`` as it stands until ``**`` comes. So the start of some markup can be
appended like any text, and only what may finish it asks for rendering. A wrong guess is a matter
of looks for a moment: every block is rendered when it closes.
"""

import re

# Text without these characters can be appended to a settled line as it stands: none of them
# starts or finishes inline markup, needs escaping or ends a line.
NOT_PLAIN = re.compile(r"[\x00\n\r*_`~\])<>&;|\\/\ud800-\udfff]")

# Signs that can start or finish markup, in runs. An underscore inside a word is only that.
SIGNS = re.compile(r"\*+|~~+|`+|(?<![^\W_])_+|_+(?![^\W_])|[\])<>&;]")
STARTED_BY = {"*": "*", "_": "_", "`": "`", "~": "~", ")": "]", ">": "<", ";": "&"}
STARTS = frozenset(STARTED_BY.values())
RUNS = frozenset("*_`~")

ADDRESS_ENDED = re.compile(r"//\S*\s")
SPACE = re.compile(r"\s")


class OpenMarkup:
    """What may be open since the last rendering."""

    def __init__(self) -> None:
        self.reset("")

    def reset(self, signs: str) -> None:
        """The text has been rendered; ``signs`` stayed in it as they are."""
        self._signs = set(signs)
        self._in_address = False
        self.waiting = False  # even plain text that comes next may finish something

    def may_finish(self, text: str, before: str) -> bool:
        """Whether ``text`` may finish some markup; ``before`` is the character in front of it.

        The next character decides what an escape or a run of signs at the end of ``text`` is.
        """
        found = (self.waiting and not self._in_address) or "\\" in text[:-1]
        self.waiting = text.endswith("\\")
        for run in SIGNS.finditer(text):
            sign = text[run.start()]
            if STARTED_BY.get(sign) in self._signs:
                if sign in RUNS and run.end() == len(text):
                    self.waiting = True
                else:
                    found = True
            elif sign in STARTS:
                self._signs.add(sign)
        if self._in_address or ("/" in text and "//" in before + text):
            ended = SPACE if self._in_address else ADDRESS_ENDED
            self._in_address = not ended.search(before + text)
            found = found or not self._in_address
            self.waiting = self.waiting or self._in_address
        return found
