"""Read terms.txt, whose head says how it is written, into rules found by their trigger words."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from chat.moderation.fold import fold

TERMS = Path(__file__).with_name("terms.txt")
_WORD = re.compile(r"[^\W\d_]{2,}")
_TRIGGER = re.compile(r"<([^<>]+)>")
_NAME = re.compile(r"\{(\w+)\}")
_GAP = re.compile(r"( ?)~(\d+) ")
_SECTION = re.compile(r"\[(?P<labels>[^\]=]+) (?P<score>[01]\.\d)(?: unless=(?P<guards>\S+))?\]")


@dataclass(frozen=True, slots=True)
class Guard:
    """A cue that makes a match harmless: before it, up to its end, or anywhere in its sentence."""

    where: str
    regex: re.Pattern[str]

    def excuses(self, match: re.Match[str]) -> bool:
        end = match.start() if self.where == "before" else match.end()
        return self.regex.search(match.string, 0, end) is not None


@dataclass(frozen=True, slots=True, eq=False)  # identity is enough, and hashing it is cheap
class Rule:
    """One pattern of terms.txt with what its section says."""

    categories: tuple[str, ...]
    score: float
    anywhere: tuple[Guard, ...]
    nearby: tuple[Guard, ...]
    regex: re.Pattern[str]

    def matches(self, sentence: str) -> bool:
        found = self.regex.finditer(sentence)
        first = next(found, None)
        if first is None or any(guard.regex.search(sentence) for guard in self.anywhere):
            return False
        return any(
            not any(guard.excuses(match) for guard in self.nearby)
            for match in chain((first,), found)
        )


class Rules:
    """Rules by trigger word. `in` tells whether a word means anything here.

    Raises ValueError for a line that cannot be read, with its number.
    """

    def __init__(self, text: str) -> None:
        self._exact: dict[str, tuple[Rule, ...]] = {}
        self._stems: dict[str, tuple[Rule, ...]] = {}
        self._words: set[str] = set()
        self._masked: dict[str, str] = {}
        self._names: dict[str, str] = {}
        self._guards: dict[str, Guard] = {}
        section = None
        for number, raw in enumerate(fold(text).splitlines(), start=1):
            line = raw.strip()
            try:
                if line.startswith("["):
                    section = _SECTION.fullmatch(line)
                    if section is None:
                        raise ValueError("not a section")
                elif line and not line.startswith("#"):
                    self._read(line, section)
            except (KeyError, ValueError, re.error) as error:
                raise ValueError(f"terms.txt:{number}: {error} in {line!r}") from error
        self._stem_lengths = sorted({len(stem) for stem in self._stems})
        self._stem_starts = {stem[:2] for stem in self._stems}  # most words stop here

    def __contains__(self, word: object) -> bool:
        if not isinstance(word, str):
            return False
        if word in self._words or word in self._exact:
            return True
        return word[:2] in self._stem_starts and bool(self.triggered(word))

    def unmask(self, word: str) -> str:
        """`f*ck` and `f**k` as the word; anything else as it is."""
        return self._masked.get(word, word)

    def triggered(self, word: str) -> tuple[Rule, ...]:
        """The rules of which the word is a trigger."""
        found = self._exact.get(word, ())
        for length in self._stem_lengths:
            if length > len(word):
                break
            found += self._stems.get(word[:length], ())
        return found

    def _read(self, line: str, section: re.Match[str] | None) -> None:
        keyword, _, rest = line.partition(" ")
        if keyword == "mask":
            self._masked |= {form: word for word in rest.split() for form in _masks(word)}
        elif keyword == "let":
            name, pattern = rest.split(" ", 1)
            self._names[name] = self._expand(pattern)
        elif keyword == "guard":
            name, where, pattern = rest.split(" ", 2)
            self._guards[name] = Guard(where.rstrip(":"), self._compile(pattern))
        elif section is None:
            raise ValueError("no section above it")
        elif keyword == "=":
            self._add(rest.split(), section, self._compile(f"<{rest}>"))
        elif trigger := _TRIGGER.search(line):
            regex = self._compile(line)
            self._words.update(_WORD.findall(regex.pattern))
            self._add(trigger[1].split(), section, regex)
        else:
            raise ValueError("no <trigger>")

    def _add(self, triggers: list[str], section: re.Match[str], regex: re.Pattern[str]) -> None:
        guards = [self._guards[name] for name in (section["guards"] or "").split(",") if name]
        rule = Rule(
            categories=tuple(section["labels"].split()),
            score=float(section["score"]),
            anywhere=tuple(guard for guard in guards if guard.where == "anywhere"),
            nearby=tuple(guard for guard in guards if guard.where != "anywhere"),
            regex=regex,
        )
        for trigger in triggers:
            table = self._stems if trigger.endswith("*") else self._exact
            key = trigger.rstrip("*")
            table[key] = (*table.get(key, ()), rule)

    def _expand(self, pattern: str) -> str:
        # {0,3} is a repeat, {person} a name.
        return _NAME.sub(lambda m: m[0] if m[1].isdigit() else self._names[m[1]], pattern)

    def _compile(self, pattern: str) -> re.Pattern[str]:
        """Whole words; gaps are counted, so that a pattern costs at most a constant per word."""
        pattern = self._expand(pattern)
        pattern = _TRIGGER.sub(
            lambda m: "(?:" + "|".join(m[1].split()).replace("*", r"\w*") + ")", pattern
        )
        pattern = _GAP.sub(lambda m: rf"{m[1]}(?:\S+ ){{0,{m[2]}}}?", pattern)
        return re.compile(rf"(?<!\S)(?:{pattern})(?!\S)")


def _masks(word: str) -> Iterator[str]:
    """Each run of asterisks inside the word that leaves its first letter and one more."""
    for start in range(1, len(word)):
        for end in range(start + 1, len(word) + (start > 1)):
            yield word[:start] + "*" * (end - start) + word[end:]
