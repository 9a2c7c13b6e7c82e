"""CSV that a spreadsheet shows and does not run.

A cell that begins like a formula is executed by spreadsheet programs, whoever wrote it; with an
apostrophe before it, it is text (OWASP, "CSV Injection").
"""

import csv
import io
from collections.abc import Iterable

# The ASCII ones, their full-width twins, and what programs strip before they look.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def cell(value: object) -> object:
    """The value as it may stand in a cell: numbers as they are, text that is no formula."""
    if value is None:
        return ""
    if isinstance(value, int | float):
        return value
    text = str(value).replace("\0", "")
    return f"'{text}" if text.lstrip(" \u00a0\ufeff").startswith(FORMULA) else text


def lines(rows: Iterable[Iterable[object]]) -> str:
    """The rows as CSV (RFC 4180)."""
    out = io.StringIO()
    csv.writer(out).writerows([cell(value) for value in row] for row in rows)
    return out.getvalue()
