"""CSV that a spreadsheet shows and does not run.

A cell that begins like a formula is executed by spreadsheet programs, whoever wrote it; with an
apostrophe before it, it is text (OWASP, "CSV Injection").
"""

import csv
import io
import unicodedata
from collections.abc import Iterable
from decimal import Decimal

FORMULA = frozenset("=+-@\u2212")  # the last one is the minus sign of typographers
UNSEEN = ("Z", "C")  # Unicode's categories of what programs may skip before they look
FIRST = frozenset("\t\r\n")  # some programs take what follows them for a cell of its own


def cell(value: object) -> object:
    """The value as it may stand in a cell: numbers as they are, text that is no formula."""
    if value is None:
        return ""
    if isinstance(value, int | float | Decimal):
        return value
    text = str(value).replace("\0", "")
    return f"'{text}" if text[:1] in FIRST or _begins_like_a_formula(text) else text


def _begins_like_a_formula(text: str) -> bool:
    """Full-width, small and superscript twins of the signs are signs, too."""
    seen = (char for char in text if not unicodedata.category(char).startswith(UNSEEN))
    return unicodedata.normalize("NFKC", next(seen, " "))[:1] in FORMULA


def lines(rows: Iterable[Iterable[object]]) -> str:
    """The rows as CSV (RFC 4180)."""
    out = io.StringIO()
    csv.writer(out).writerows([cell(value) for value in row] for row in rows)
    return out.getvalue()
