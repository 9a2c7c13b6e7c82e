"""Compile terms.txt, whose head says how it is written, into rules found by their trigger words."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .fold import fold

TERMS = Path(__file__).with_name("terms.txt")
_WORD = re.compile(r"[^\W\d_]{2,}")
_TRIGGER = re.compile(r"<([^<>]+)>")
_NAME = re.compile(r"\{(\w+)\}")
_GAP = re.compile(r"( ?)~(\d+) ")


@dataclass(frozen=True, slots=True)
class Guard:
    """A cue that makes a match harmless: before it, up to its end, or anywhere in its sentence."""

    where: str
    regex: re.Pattern[str]

    def excuses(self, match: re.Match[str]) -> bool:
        ends = {"before": match.start(), "upto": match.end(), "anywhere": len(match.string)}
        return self.regex.search(match.string, 0, ends[self.where]) is not None


@dataclass(frozen=True, slots=True, eq=False)  # identity is enough, and hashing it is cheap
class Rule:
    """One pattern of terms.txt with what its section says."""

    categories: tuple[str, ...]
    score: float
    guards: tuple[Guard, ...]
    regex: re.Pattern[str]

    def matches(self, sentence: str) -> bool:
        return any(
            not any(guard.excuses(match) for guard in self.guards)
            for match in self.regex.finditer(sentence)
        )


class Rules:
    """Rules by trigger word. `in` tells whether a word means anything here."""

    def __init__(self, text: str) -> None:
        self._exact: dict[str, tuple[Rule, ...]] = {}
        self._stems: dict[str, tuple[Rule, ...]] = {}
        self._words: set[str] = set()
        self._masked = {form: word for word in _masked_words(text) for form in _masks(word)}
        for triggers, rule, words in _parse(text):
            self._words.update(words)
            for trigger in triggers:
                table = self._stems if trigger.endswith("*") else self._exact
                key = trigger.rstrip("*")
                table[key] = (*table.get(key, ()), rule)
        self._stem_lengths = sorted({len(stem) for stem in self._stems})

    def __contains__(self, word: object) -> bool:
        if not isinstance(word, str):
            return False
        if word in self._words or word in self._exact:
            return True
        return any(word[:length] in self._stems for length in self._stem_lengths)

    def unmask(self, word: str) -> str:
        """`f*ck` and `f**k` as the word; anything else as it is."""
        return self._masked.get(word, word)

    def triggered(self, word: str) -> tuple[Rule, ...]:
        found = self._exact.get(word, ())
        for length in self._stem_lengths:
            if length > len(word):
                break
            found += self._stems.get(word[:length], ())
        return found


def _parse(text: str) -> Iterator[tuple[list[str], Rule, list[str]]]:
    names: dict[str, str] = {}
    guards: dict[str, Guard] = {}
    categories: tuple[str, ...] = ()
    score, excuses = 0.0, tuple[Guard, ...]()
    for number, raw in enumerate(fold(text).splitlines(), start=1):
        line = raw.rstrip("\n")
        if not line.strip() or line.startswith(("#", "mask ")):
            continue
        if line.startswith("guard "):
            name, where, pattern = line.removeprefix("guard ").split(" ", 2)
            guards[name] = Guard(where.rstrip(":"), _compile(pattern, names))
        elif line.startswith("let "):
            name, pattern = line.removeprefix("let ").split(" ", 1)
            names[name] = _expand(pattern, names)
        elif line.startswith("["):
            *labels, level = (p for p in line.strip("[]").split() if not p.startswith("unless="))
            wanted = re.findall(r"unless=(\S+?)\]", line)
            categories, score = tuple(labels), float(level)
            excuses = tuple(guards[n] for part in wanted for n in part.split(","))
        elif line.startswith("= "):
            words = line.removeprefix("= ").split()
            regex = _compile(f"<{' '.join(words)}>", names)
            yield words, Rule(categories, score, excuses, regex), []
        else:
            trigger = _TRIGGER.search(line)
            if trigger is None:
                raise ValueError(f"terms.txt:{number}: no <trigger> in {line!r}")
            regex = _compile(line.strip(), names)
            yield trigger[1].split(), Rule(categories, score, excuses, regex), _WORD.findall(
                regex.pattern
            )


def _masked_words(text: str) -> list[str]:
    return [word for line in text.splitlines() if line.startswith("mask ") for word in line.split()[1:]]


def _masks(word: str) -> Iterator[str]:
    """All runs of asterisks inside the word that leave its first and one more letter."""
    for start in range(1, len(word)):
        for end in range(start + 1, len(word) + (start > 1)):
            yield word[:start] + "*" * (end - start) + word[end:]


def _expand(pattern: str, names: dict[str, str]) -> str:
    return _NAME.sub(lambda m: names.get(m[1], m[0]), pattern)


def _compile(pattern: str, names: dict[str, str]) -> re.Pattern[str]:
    """Whole words; gaps are counted, so that no pattern costs more than a constant per word."""
    pattern = _expand(pattern, names)
    pattern = _TRIGGER.sub(
        lambda m: "(?:" + "|".join(m[1].split()).replace("*", r"\w*") + ")", pattern
    )
    pattern = _GAP.sub(lambda m: rf"{m[1]}(?:\S+ ){{0,{m[2]}}}?", pattern)
    return re.compile(rf"(?<!\S)(?:{pattern})(?!\S)")
