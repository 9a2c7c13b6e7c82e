"""The passage of a text where the terms stand, with a mark on each. Pure but for the escaping."""

import re
import unicodedata
from collections.abc import Iterable
from functools import cache

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from chat.search.terms import Term

ACCENTS = "[\u0300-\u036f]"  # that stand after their letter
_ACCENTED: dict[str, str] = {}
for _point in (*range(0xC0, 0x250), *range(0x1E00, 0x1F00)):
    if (_parts := unicodedata.normalize("NFD", chr(_point))) != chr(_point):
        _ACCENTED[_parts[0].lower()] = _ACCENTED.get(_parts[0].lower(), "") + chr(_point)

BEFORE_CHARS, EXCERPT_CHARS = 60, 220


def excerpt(text: str, terms: Iterable[Term]) -> SafeString:
    """As HTML; the beginning of the text where none of the terms is found in it."""
    pattern = _pattern(terms)
    found = pattern.search(text) if pattern else None
    start = max(0, found.start() - BEFORE_CHARS) if found else 0
    end = start + EXCERPT_CHARS
    piece = " ".join(text[start:end].split())
    marked = _marked(piece, pattern) if pattern else format_html("{}", piece)
    return format_html("{}{}{}", "…" if start else "", marked, "…" if end < len(text) else "")


def has(text: str, terms: Iterable[Term]) -> bool:
    pattern = _pattern(terms)
    return bool(pattern and pattern.search(text))


def _pattern(terms: Iterable[Term]) -> re.Pattern[str] | None:
    spelled = []
    for term in terms:
        if not term.is_indexed:
            spelled.append(re.escape(term.text))
            continue
        words = r"[\W_]+".join("".join(map(_accented, word)) for word in term.words)
        spelled.append(rf"(?<![^\W_]){words}" + ("" if term.is_prefix else r"(?![^\W_])"))
    return re.compile("|".join(spelled), re.IGNORECASE) if spelled else None


@cache
def _accented(letter: str) -> str:
    """The letter with whatever accent: SQLite's index takes them off."""
    base = unicodedata.normalize("NFD", letter)[0].lower()
    return f"[{re.escape(letter + base)}{_ACCENTED.get(base, '')}]{ACCENTS}*"


def _marked(piece: str, pattern: re.Pattern[str]) -> SafeString:
    parts, at = [], 0
    for found in pattern.finditer(piece):
        parts.append(("{}", piece[at : found.start()]))
        parts.append(("<mark>{}</mark>", found.group()))
        at = found.end()
    parts.append(("{}", piece[at:]))
    return format_html_join("", "{}", ((format_html(*part),) for part in parts))
