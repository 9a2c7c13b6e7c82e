"""Answers in a form: does the whole satisfy the schema that it was asked to satisfy?"""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from chat.delivery import structured
from chat.engine.wellformed import well_formed
from chat.models import SchemaVerdict
from chat.tools.schemas import Inapplicable, errors

Judgement = tuple[SchemaVerdict, list[dict[str, Any]]]

MOST_ERRORS = 20
PATH_PARTS = 20
PART_CHARS = 80
SCHEMA_CHARS = 100_000  # what came through the API was checked by nobody


def judge(text: str, schema: dict[str, Any]) -> Judgement:
    """The verdict on a whole answer, and what is wrong: dicts with ``path`` and ``message``."""
    try:
        value = structured.parse(text)
    except ValueError:
        return SchemaVerdict.INVALID, [_problem([], "The answer is not JSON, or was cut.")]
    try:
        if len(json.dumps(schema)) > SCHEMA_CHARS:
            raise Inapplicable
        found = errors(schema, value, MOST_ERRORS)
    except Inapplicable:
        return SchemaVerdict.INVALID, [_problem([], "The schema cannot be applied.")]
    problems = [_problem(path, message) for path, message in found[:MOST_ERRORS]]
    if len(found) > MOST_ERRORS:
        problems.append(_problem([], "There are more errors."))
    return (SchemaVerdict.INVALID if found else SchemaVerdict.VALID), problems


def readable(
    text: str,
    schema: dict[str, Any] | None,
    calls: Iterable[tuple[str, str]],
    reasoning: str = "",
    unshown: Iterable[str] = (),
) -> str:
    """All that a reader can read: text, what JSON in it says, what it calls, how it was reasoned.

    A word that JSON spells with escapes, or that stands in a call's arguments, is on the page like
    any other, and judged like any other. ``calls`` are names and arguments; ``unshown`` is what a
    model reads although no page shows it.
    """
    parts = [text]
    if schema is not None:
        parts += _spoken(text)
    for name, arguments in calls:
        # As they came, too: what stands around the JSON, its numbers, a name that comes twice.
        parts += [name, arguments, *_spoken(arguments)]
    parts.append(reasoning)
    for piece in unshown:
        parts += [piece, *_spoken(piece)] if "{" in piece else [piece]
    return "\n".join(part for part in parts if part)


def _spoken(text: str) -> Iterator[str]:
    """The strings in a JSON text, names too, as they are read."""
    try:
        value = structured.parse(text, partial=True)
    except ValueError:
        return
    waiting = [value]
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict):
            waiting += [part for pair in reversed(value.items()) for part in reversed(pair)]
        elif isinstance(value, list):
            waiting += reversed(value)


def _problem(path: list[str | int], message: str) -> dict[str, Any]:
    parts = [
        part if isinstance(part, int) else well_formed(part[:PART_CHARS])
        for part in path[:PATH_PARTS]
    ]
    return {"path": parts, "message": well_formed(message)}
