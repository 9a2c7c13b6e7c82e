"""What was typed into a search box: words, "phrases", beginnings*. Pure."""

import re
from dataclasses import dataclass

TERMS_MAX = 12
TYPED_MAX_CHARS = 400  # more is cut off: it is a search box
TOKEN = re.compile(r'"([^"]*)"|(\S+)')
# Written without spaces between words: an index of words does not find one among them.
UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\U00020000-\U0003ffff]"
)


@dataclass(frozen=True, slots=True)
class Term:
    """One thing to be found. ``words`` are its words in order; none: it is signs only."""

    text: str
    words: tuple[str, ...]
    is_prefix: bool = False

    @property
    def is_indexed(self) -> bool:
        """Can an index of words find it? Otherwise it is looked for in the texts themselves."""
        return bool(self.words) and not UNSPACED.search(self.text)


def parse(typed: str) -> list[Term]:
    """The terms, all of which have to be found; at most ``TERMS_MAX``. Never raises."""
    cleaned = "".join(c if c.isprintable() else " " for c in typed[:TYPED_MAX_CHARS])
    found = []
    for phrase, word in TOKEN.findall(cleaned):
        text = (phrase or word).strip()
        is_prefix = not phrase and text.endswith("*") and len(text) > 1
        text = (text.rstrip("*") if is_prefix else text).replace('"', "")
        if text:
            found.append(Term(text, tuple(split(text)), is_prefix))
    return found[:TERMS_MAX]


def split(text: str) -> list[str]:
    """As both databases split: at whatever is neither a letter nor a digit."""
    return re.findall(r"[^\W_]+", text)
