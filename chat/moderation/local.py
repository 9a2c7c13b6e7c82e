"""Moderation without a network: own word list and patterns over folded text.

Word-level evidence, not intent; docs/moderation.md has the measurements and the limits.
"""

import asyncio
import hashlib
import re
import time
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

from chat.moderation import fold, markup, rules
from chat.moderation.base import MOST_SPANS, Result, Span

NAME = "local"
MODEL = "parley-rules"
FLAG_AT = 0.5  # score from which a category flags the text; below it is noted only
INLINE_CHARS = 500  # under 5 ms even for hostile text; anything longer goes to a thread
WINDOW_CHARS = 1_000  # about 1 ms; between two windows a thread gives the GIL away
BREATH_S = 0.000_2  # not 0: the thread would have the GIL back before the loop wakes up
OVERLAP_CHARS = 200  # shared by two windows when no sentence ends near the cut
SENTENCE_WORDS = 60  # a guard must stand within this many words of what it excuses
SENTENCE_OVERLAP = 15  # words

_FENCE = re.compile(r"^ {0,3}(?:```|~~~)[^\n]*$", re.MULTILINE)
_URL = re.compile(r"\b(?:https?|ftp)://\S{1,2000}")
# Counted repeats, so that a page of full stops or blanks costs no more than prose. A full stop
# before a lower-case word ("Stop!" she said) ends nothing, nor does a newline inside a paragraph.
_SENTENCE_END = re.compile(
    r"[.?!…。]{1,8}[\"'”’»)\]]{0,4}(?=\s{1,8}[^\sa-z]|\s{0,8}\Z)"
    r"|\n[^\S\n]{0,80}\n|\n(?=[ \t]{0,8}(?:[-*#>|]|\d{1,3}[.)]))"
)
_TOKEN = re.compile(r"[\w@$€*!|+']+")


def _digest() -> str:
    """Changes with the rules, the code that reads them, and the Unicode tables."""
    total = hashlib.sha256(unicodedata.unidata_version.encode())
    for path in (rules.TERMS, rules.__file__, fold.__file__, markup.__file__, __file__):
        total.update(Path(path).read_bytes())
    return total.hexdigest()[:12]


VERSION = f"1+{_digest()}"
_RULES = rules.Rules(rules.TERMS.read_text(encoding="utf-8"))


@lru_cache(maxsize=16_384)
def _word(token: str) -> str:
    return fold.canonical(token, _RULES)


@lru_cache(maxsize=16_384)
def _triggered(word: str) -> tuple[rules.Rule, ...]:
    return _RULES.triggered(word)


def classify(text: str, *, breathe: bool = False) -> Result:
    """The verdict on `text`. Pure; cost is linear in its length."""
    spelled = markup.Spelled(text)
    return spelled.placed(_classify(spelled.text, breathe=breathe))


class LocalBackend:
    name = NAME
    version = VERSION

    async def moderate(self, text: str) -> Result:
        if len(text) <= INLINE_CHARS:
            return classify(text)
        return await asyncio.to_thread(classify, text, breathe=True)


def _classify(text: str, *, breathe: bool) -> Result:
    scores: dict[str, float] = {}
    spans: list[Span] = []
    unpadded = fold.Unpadded(text)
    for start, window, is_code in _windows(unpadded.text):
        found = _scores(window, is_code=is_code)
        for name, score in found.items():
            scores[name] = max(scores.get(name, 0.0), score)
        if len(spans) < MOST_SPANS and any(score >= FLAG_AT for score in found.values()):
            spans += (
                (unpadded.origin(start + first), unpadded.origin(start + last - 1) + 1, name)
                for first, last, name in _passages(window, found, is_code=is_code)
            )
        if breathe:
            time.sleep(BREATH_S)
    scores = dict(sorted(scores.items()))
    hits = tuple(name for name, score in scores.items() if score >= FLAG_AT)
    passages = tuple(dict.fromkeys(spans))[:MOST_SPANS]
    return Result(NAME, MODEL, VERSION, bool(hits), scores, hits, passages)


def _scores(window: str, *, is_code: bool) -> dict[str, float]:
    scores: dict[str, float] = {}
    for words in _sentences(window, is_code=is_code):
        sentence = " ".join(words)
        for rule in dict.fromkeys(rule for word in words for rule in _triggered(word)):
            if rule.matches(sentence):
                for category in rule.categories:
                    # Like OpenAI: a subcategory counts for its parent too.
                    for name in (category, category.partition("/")[0]):
                        scores[name] = max(scores.get(name, 0.0), rule.score)
    return scores


def _passages(window: str, found: dict[str, float], *, is_code: bool) -> Iterator[Span]:
    """The sentences of a window that are flagged by themselves; else the window."""
    left = {name for name, score in found.items() if score >= FLAG_AT}
    ends = [match.end() for match in _SENTENCE_END.finditer(window)]
    for start, end in pairwise([0, *(end for end in ends if end < len(window)), len(window)]):
        for name, score in _scores(window[start:end], is_code=is_code).items():
            if score >= FLAG_AT and name in found:
                left.discard(name)
                blank = len(window[start:end]) - len(window[start:end].lstrip())
                yield start + blank, end, name
    for name in sorted(left):
        yield 0, len(window), name


def _windows(text: str) -> Iterator[tuple[int, str, bool]]:
    """Pieces of at most WINDOW_CHARS: where they begin, and whether inside a code fence."""
    start, is_code = 0, False
    for fence in _FENCE.finditer(text):
        yield from ((at, piece, is_code) for at, piece in _pieces(text, start, fence.start()))
        start, is_code = fence.end(), not is_code
    yield from ((at, piece, is_code) for at, piece in _pieces(text, start, len(text)))


def _pieces(text: str, start: int, end: int) -> Iterator[tuple[int, str]]:
    while end - start > WINDOW_CHARS:
        window = text[start : start + WINDOW_CHARS]
        ends = [match.end() for match in _SENTENCE_END.finditer(window, WINDOW_CHARS // 2)]
        # The end of the window looks like the end of a sentence and is none.
        cut = next((at for at in reversed(ends) if at < WINDOW_CHARS - 1), None)
        yield start, window[:cut]
        start += cut or WINDOW_CHARS - OVERLAP_CHARS
    if start < end:
        yield start, text[start:end]


def _sentences(window: str, *, is_code: bool) -> Iterator[list[str]]:
    text = fold.fold(_URL.sub(" ", window))
    if not is_code:
        text = fold.join_spaced(text, _RULES)
    for sentence in _SENTENCE_END.split(text):
        words = [
            word
            for token in _TOKEN.findall(sentence)
            if len(token) <= fold.MAX_WORD and (word := _word(token))
        ]
        for at in range(0, max(1, len(words) - SENTENCE_OVERLAP), SENTENCE_WORDS):
            yield words[at : at + SENTENCE_WORDS + SENTENCE_OVERLAP]
