"""A message's source with what was marked in it: passages that a backend objects to, redactions.

Everything is escaped. ``data-chars`` says how many characters of the text stand behind a
tombstone, so that a selection can still be counted.
"""

from collections.abc import Iterable
from itertools import pairwise
from typing import Any, NamedTuple

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import ngettext

from chat.models import Redaction, Verdict

MARKS_MAX = 500  # of one message; a verdict comes from a service outside


class Mark(NamedTuple):
    """A passage that a backend objects to: where it is in the text, and why."""

    start: int
    end: int
    category: str


def marks(verdicts: Iterable[Verdict], length: int) -> list[Mark]:
    """What the verdicts mark, in order; only what is within the text."""
    found = set()
    for verdict in verdicts:
        for span in verdict.spans if isinstance(verdict.spans, list) else ():
            try:
                start, end, category = int(span[0]), int(span[1]), str(span[2])
            except (TypeError, ValueError, IndexError, KeyError):
                continue
            if 0 <= start < end <= length:
                found.add(Mark(start, end, category))
    return sorted(found)[:MARKS_MAX]


def merged(marked: Iterable[Mark]) -> list[Mark]:
    """One of each passage, with all that is objected to in it."""
    why: dict[tuple[int, int], list[str]] = {}
    for start, end, category in marked:
        why.setdefault((start, end), []).append(category)
    return [Mark(*span, ", ".join(categories)) for span, categories in why.items()]


def source(text: str, marked: Iterable[Mark], redactions: Iterable[Redaction]) -> SafeString:
    """The text as HTML that keeps every character of it, with its marks and tombstones."""
    marked = list(marked)
    gone = sorted({(r.start, r.start + r.characters) for r in redactions})
    cuts = sorted(
        {0, len(text), *(at for m in marked for at in m[:2]), *(e for g in gone for e in g)}
    )
    pieces = []
    for start, end in pairwise(cuts):
        whole = next(((s, e) for s, e in gone if s <= start and end <= e), None)
        if whole is not None:
            if whole[0] == start:
                pieces.append(tombstone(whole[1] - whole[0]))
            continue
        categories = sorted({m.category for m in marked if m.start <= start and end <= m.end})
        pieces.append(_piece(text[start:end], categories))
    return format_html_join("", "{}", ((piece,) for piece in pieces))


def tombstone(characters: int) -> SafeString:
    words = ngettext(
        "[redacted: %(number)s character]", "[redacted: %(number)s characters]", characters
    ) % {"number": characters}
    return format_html('<span class="redacted" data-chars="{}">{}</span>', characters, words)


def _piece(text: str, categories: list[str]) -> Any:
    if not categories:
        return text
    return format_html('<mark title="{}">{}</mark>', ", ".join(categories), text)
