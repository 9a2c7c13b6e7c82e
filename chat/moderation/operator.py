"""The operator's own rules: terms, regular expressions, personal data, secrets.

Regular expressions are RE2's: their time is linear in the text whatever they say. All but they are
looked for in folded text, window by window, so that disguises do not help and memory is bounded.
"""

import asyncio
import hashlib
import json
import time
from collections.abc import Iterator
from dataclasses import astuple, dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path

import re2
import structlog

from chat.engine.wellformed import well_formed
from chat.moderation import credentials, fold, markup, personal, words
from chat.moderation.base import MOST_SPANS, Result, Span

logger = structlog.get_logger()

NAME = "rules"
MODEL = "operator"
PATTERN_CHARS = 1_000
RULE_CHARS = 20_000  # of a list of terms
REGEX_BYTES = 1 << 20  # of a compiled expression: repeats of repeats are refused
INLINE_CHARS = 500  # as chat.moderation.local has it
# Of all rules together: who needs them first compiles them, 4 ms for 1,000 characters of terms.
LIGHT_CHARS = 1_000
BREATH_S = 0.000_2
WINDOW_CHARS = 2_000
OVERLAP_CHARS = 500  # more than the longest term, spelled out
WHITESPACE_CHARS = 200  # how far from its end a window may be cut between words


class BadRule(ValueError):
    """A rule that cannot be applied; says why."""


@dataclass(frozen=True, slots=True)
class Rule:
    """As ``chat.models.ModerationRule``."""

    name: str
    kind: str
    pattern: str
    category: str
    direction: str = ""  # both
    score: float = 1.0


def lines(pattern: str) -> list[str]:
    return [line.strip() for line in pattern.splitlines() if line.strip()]


def expression(pattern: str) -> "re2._Regexp":
    """The compiled expression.

    Raises:
        BadRule
    """
    options = re2.Options()
    options.log_errors = False
    options.max_mem = REGEX_BYTES
    try:
        found = re2.compile(pattern, options)
    except UnicodeEncodeError:
        raise BadRule("it holds half of a surrogate pair") from None
    except re2.error as error:
        reason = error.args[0] if error.args else "it cannot be read"
        raise BadRule(
            reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
        ) from None
    return found


def kinds_of(rule: Rule) -> frozenset[str]:
    """The kinds of personal data or of secrets that a rule names; all when it names none."""
    known = personal.KINDS if rule.kind == "personal" else credentials.KINDS
    named = {word.casefold() for line in lines(rule.pattern) for word in line.split(",")}
    named = {word.strip() for word in named if word.strip()}
    if unknown := sorted(named - set(known)):
        raise BadRule(f"unknown: {', '.join(unknown)}")
    return frozenset(named or known)


class Rules:
    """The enabled rules of one direction, ready to be applied."""

    def __init__(self, rules: tuple[Rule, ...]) -> None:
        terms: list[tuple[str, Rule]] = []
        self._expressions: list[tuple[re2._Regexp, Rule]] = []
        self._personal: list[tuple[frozenset[str], Rule]] = []
        self._secrets: list[tuple[frozenset[str], Rule]] = []
        for rule in rules:
            try:
                match rule.kind:
                    case "term":
                        terms += [(line[: words.TERM_CHARS], rule) for line in lines(rule.pattern)]
                    case "pattern":
                        self._expressions.append((expression(rule.pattern), rule))
                    case "personal":
                        self._personal.append((kinds_of(rule), rule))
                    case "secret":
                        self._secrets.append((kinds_of(rule), rule))
            except BadRule as error:
                # The form refuses such a rule; one that came another way must not stop the others.
                logger.warning("moderation_rule_broken", rule=rule.name, error=str(error))
        self._words = words.Words(terms)

    def judge(self, text: str, *, breathe: bool = False) -> dict[str, tuple[float, list[Span]]]:
        """Score and passages by category."""
        text = well_formed(text)
        found: dict[str, tuple[float, list[Span]]] = {}
        for start, end, rule in self._find(text, breathe=breathe):
            score, spans = found.get(rule.category, (0.0, []))
            span = (start, end, rule.category)
            if len(spans) < MOST_SPANS and span not in spans:
                spans.append(span)
            found[rule.category] = max(score, rule.score), spans
        return found

    def _find(self, text: str, *, breathe: bool) -> Iterator[tuple[int, int, Rule]]:
        unpadded = fold.Unpadded(text)
        for compiled, rule in self._expressions:
            yield from (
                (match.start(), match.end(), rule)
                for match in islice(compiled.finditer(text), MOST_SPANS)
            )
        for start, window in windows(unpadded.text):
            folded = well_formed(fold.fold(window))
            found = list(self._in_window(folded, disguised=folded != window))
            places = fold.origins(window) if found and folded != window else None
            for first, last, rule in found:
                if places is not None:
                    first, last = places[first], places[max(last - 1, first)] + 1
                yield unpadded.origin(start + first), unpadded.origin(start + last - 1) + 1, rule
            if breathe:
                time.sleep(BREATH_S)

    def _in_window(self, folded: str, *, disguised: bool) -> Iterator[tuple[int, int, Rule]]:
        yield from self._words.find(folded)
        for kinds, rule in self._personal:
            yield from ((start, end, rule) for start, end, _ in personal.find(folded, kinds))
        for kinds, rule in self._secrets:
            yield from ((start, end, rule) for start, end, _ in credentials.find(folded, kinds))
        if disguised:
            for compiled, rule in self._expressions:
                yield from (
                    (match.start(), match.end(), rule)
                    for match in islice(compiled.finditer(folded), MOST_SPANS)
                )


def windows(text: str) -> Iterator[tuple[int, str]]:
    """Overlapping pieces with their offsets; cut between words where there is a gap."""
    start = 0
    while start + WINDOW_CHARS < len(text):
        end = start + WINDOW_CHARS
        gap = max(text.rfind(" ", end - WHITESPACE_CHARS, end), text.rfind("\n", end - 200, end))
        end = gap if gap >= 0 else end
        yield start, text[start:end]
        gap = text.find(" ", end - OVERLAP_CHARS, end - OVERLAP_CHARS + WHITESPACE_CHARS)
        start = gap + 1 if gap >= 0 else end - OVERLAP_CHARS
    yield start, text[start:]


def _code() -> bytes:
    total = hashlib.sha256(Path(__file__).read_bytes())
    for module in (words, fold, markup, personal, credentials):
        total.update(Path(str(module.__file__)).read_bytes())
    return total.digest()


_CODE = _code()


@lru_cache(maxsize=16)
def version(rules: tuple[Rule, ...]) -> str:
    """Twelve characters that change with the rules and the code that applies them."""
    given = json.dumps([astuple(rule) for rule in rules])
    return hashlib.sha256(_CODE + given.encode("utf-8", "surrogatepass")).hexdigest()[:12]


@lru_cache(maxsize=16)
def compiled(rules: tuple[Rule, ...], direction: str) -> Rules:
    """Those that hold in this direction. Compiling thousands of terms takes a while: kept."""
    return Rules(tuple(rule for rule in rules if rule.direction in ("", direction)))


class RulesBackend:
    """All enabled rules, for what goes one way."""

    name = NAME

    def __init__(self, rules: tuple[Rule, ...], direction: str) -> None:
        self._rules, self._direction = rules, direction
        self.version = version(rules)

    async def moderate(self, text: str) -> Result:
        weight = sum(len(rule.pattern) for rule in self._rules)
        if len(text) <= INLINE_CHARS and weight <= LIGHT_CHARS:
            return self.judge(text)
        return await asyncio.to_thread(self.judge, text, breathe=True)

    def judge(self, text: str, *, breathe: bool = False) -> Result:
        spelled = markup.Spelled(text)
        found = compiled(self._rules, self._direction).judge(spelled.text, breathe=breathe)
        scores = {category: score for category, (score, _) in sorted(found.items())}
        spans = sorted(span for _, spans in found.values() for span in spans)[:MOST_SPANS]
        result = Result(NAME, MODEL, self.version, bool(found), scores, tuple(scores), tuple(spans))
        return spelled.placed(result)
