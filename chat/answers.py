"""Answers in a form: does the whole satisfy the schema that it was asked to satisfy?"""

from typing import Any

from chat.delivery import structured
from chat.models import SchemaVerdict
from chat.tools.schemas import Inapplicable, errors

MOST_ERRORS = 20
PATH_PARTS = 20
PART_CHARS = 80


def judge(text: str, schema: dict[str, Any]) -> tuple[SchemaVerdict, list[dict[str, Any]]]:
    """The verdict on a whole answer, and what is wrong: dicts with ``path`` and ``message``."""
    try:
        value = structured.parse(text)
    except ValueError:
        return SchemaVerdict.INVALID, [_problem([], "The answer is not JSON, or was cut.")]
    try:
        found = errors(schema, value, MOST_ERRORS)
    except Inapplicable:
        return SchemaVerdict.INVALID, [_problem([], "The schema cannot be applied.")]
    problems = [_problem(path, message) for path, message in found[:MOST_ERRORS]]
    if len(found) > MOST_ERRORS:
        problems.append(_problem([], "There are more errors."))
    return (SchemaVerdict.INVALID if found else SchemaVerdict.VALID), problems


def _problem(path: list[str | int], message: str) -> dict[str, Any]:
    parts = [part if isinstance(part, int) else part[:PART_CHARS] for part in path[:PATH_PARTS]]
    return {"path": parts, "message": message}
