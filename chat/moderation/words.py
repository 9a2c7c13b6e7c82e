"""The operator's words and phrases, found in folded text however they are disguised. Pure."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar

from chat.moderation import fold
from chat.moderation.rules import _masks

T = TypeVar("T")

TERM_CHARS = 200
MASKED_CHARS = 12  # of a word that is looked for as `f*ck` too; longer ones have too many forms
# Words of these scripts stand in no spaces: Thai, Lao, Burmese, Khmer, Chinese, Japanese.
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u9fff\U00020000-\U0003ffff]"
)
_TOKEN = re.compile(r"(?:[^\W_]|[@$€*!|+'])+")


class Words(Generic[T]):
    """Terms, each with what it is for: whole words, in any disguise that ``fold`` undoes.

    A term without a word in it (an emoji), or in a script without spaces, is found anywhere.
    """

    def __init__(self, terms: Iterable[tuple[str, T]]) -> None:
        self._words: set[str] = set()
        self._masked: dict[str, str] = {}
        self._phrases: defaultdict[tuple[str, ...], list[T]] = defaultdict(list)
        self._lengths: defaultdict[str, set[int]] = defaultdict(set)
        self._anywhere: list[tuple[str, T]] = []
        given = [(fold.fold(term).strip(), what) for term, what in terms]
        for term, _ in given:
            self._learn(term)
        for term, what in given:
            self._add(term, what)

    def __bool__(self) -> bool:
        return bool(self._phrases or self._anywhere)

    def __contains__(self, word: object) -> bool:
        return word in self._words

    def unmask(self, word: str) -> str:
        return self._masked.get(word, word)

    def find(self, folded: str) -> Iterator[tuple[int, int, T]]:
        """Start, end and what it is for, of every term in a folded text."""
        if self._phrases:
            yield from self._find_phrases(folded)
        if self._anywhere:
            lowered = folded.lower()
            for term, what in self._anywhere:
                at = lowered.find(term)
                while at >= 0:
                    yield at, at + len(term), what
                    at = lowered.find(term, at + len(term))

    def _learn(self, term: str) -> None:
        for token in _TOKEN.findall(term.casefold()):
            word = token.strip("'!|+*@$") or token
            self._words.add(word)
            if word.isalpha() and len(word) <= MASKED_CHARS:
                self._masked |= dict.fromkeys(_masks(word), word)

    def _add(self, term: str, what: T) -> None:
        words = tuple(word for token in _TOKEN.findall(term) if (word := self._word(token)))
        if not words or _UNSPACED.search(term):
            if term:
                self._anywhere.append((term.lower(), what))
            return
        self._phrases[words].append(what)
        self._lengths[words[0]].add(len(words))

    def _word(self, token: str) -> str:
        word = fold.canonical(token, self)
        if word not in self._words and token[-2:].casefold() == "'s":  # the badger's: the word
            bare = fold.canonical(token[:-2], self)
            word = bare if bare in self._words else word
        return fold.skeleton(word)

    def _find_phrases(self, folded: str) -> Iterator[tuple[int, int, T]]:
        tokens = list(self._tokens(folded))
        words = [word for word, _, _ in tokens]
        for at, word in enumerate(words):
            for length in self._lengths.get(word, ()):
                for what in self._phrases.get(tuple(words[at : at + length]), ()):
                    yield tokens[at][1], tokens[at + length - 1][2], what

    def _tokens(self, folded: str) -> Iterator[tuple[str, int, int]]:
        """Words with where they stand; spelled-out ones stand where their letters do."""
        at = 0
        for start, end, words in fold.spelled(folded, self):
            yield from self._plain(folded, at, start)
            yield from ((fold.skeleton(word), start, end) for word in words)
            at = end
        yield from self._plain(folded, at, len(folded))

    def _plain(self, folded: str, start: int, end: int) -> Iterator[tuple[str, int, int]]:
        for match in _TOKEN.finditer(folded, start, end):
            if match.end() - match.start() <= fold.MAX_WORD and (word := self._word(match[0])):
                yield word, match.start(), match.end()
