"""What somebody types as a response schema → a JSON Schema that replies can be checked against.

Draft 2020-12, an object at the top, nothing that has to be fetched, nothing that a database cannot
keep. It is a stranger's all the same: a reference can lead back to itself, and a pattern can take
for ever, so replies are checked as ``chat.tools.schemas`` does it.
"""

import json
from collections.abc import Iterator
from typing import Any, NoReturn

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from jsonschema import Draft202012Validator, SchemaError  # type: ignore[import-untyped]
from referencing import Registry, Resource
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012

DRAFT = "https://json-schema.org/draft/2020-12/schema"
MAX_BYTES = 20 * 1024  # it goes to the provider with every request
MAX_DEPTH = 60  # what validators recurse into; hand-made ones have ten levels
REFERENCES = ("$ref", "$dynamicRef")


def read_schema(text: str) -> dict[str, Any] | None:
    """The schema, or None for an empty text.

    Raises:
        ValidationError: with a sentence that says what is wrong, and where.
    """
    if not text.strip():
        return None
    if len(text.encode()) > MAX_BYTES:
        _refuse(_("Too long: at most %(limit)s KB.") % {"limit": MAX_BYTES // 1024})
    schema = _parsed(text)
    if not isinstance(schema, dict):
        _refuse(_("A schema is a JSON object: it begins with { and ends with }."))
    if schema.get("$schema", DRAFT) != DRAFT:
        _refuse(_("“$schema” can only be %(draft)s.") % {"draft": DRAFT})
    if schema.get("type") != "object":
        _refuse(_('The reply has to be an object: write "type": "object" at the top.'))
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        where = error.json_path.removeprefix("$").removeprefix(".") or _("the top")
        _refuse(
            _("Not a valid JSON Schema, at %(where)s: %(what)s")
            % {"where": where, "what": _short(error.message)}
        )
    except RecursionError:
        _refuse(_deep())
    _check_references(schema)
    return schema


def written(schema: dict[str, Any] | None) -> str:
    """The schema as its author would like to see it again."""
    return "" if schema is None else json.dumps(schema, indent=2, ensure_ascii=False)


def _parsed(text: str) -> Any:
    try:
        found = json.loads(text, parse_constant=_no_number)
    except json.JSONDecodeError as error:
        _refuse(
            _("Not valid JSON, line %(line)s, column %(column)s: %(what)s.")
            % {"line": error.lineno, "column": error.colno, "what": error.msg}
        )
    except (RecursionError, ValueError) as error:
        _refuse(_("Not usable as JSON: %(what)s") % {"what": _short(str(error))})
    for depth, value in _values(found):
        if depth > MAX_DEPTH:
            _refuse(_deep())
        if isinstance(value, str) and not _can_be_kept(value):
            _refuse(_("It has a character that cannot be kept: \\u0000 or half of a pair."))
        if isinstance(value, float) and value in (float("inf"), float("-inf")):
            _refuse(_("It has a number that is too large."))
    return found


def _values(value: Any) -> Iterator[tuple[int, Any]]:
    """Everything in a JSON value, keys too, with its depth; without recursion of our own."""
    waiting: list[tuple[int, Any]] = [(0, value)]
    while waiting:
        depth, value = waiting.pop()
        yield depth, value
        if isinstance(value, dict):
            waiting += ((depth + 1, part) for pair in value.items() for part in pair)
        elif isinstance(value, list):
            waiting += ((depth + 1, part) for part in value)


def _can_be_kept(text: str) -> bool:
    """PostgreSQL takes no U+0000, and no UTF-8 has half of a surrogate pair."""
    return "\0" not in text and not any("\ud800" <= letter <= "\udfff" for letter in text)


def _check_references(schema: dict[str, Any]) -> None:
    root: Resource[Any] = Resource.from_contents(schema, default_specification=DRAFT202012)
    registry: Registry[Any] = Registry()
    resolver = registry.resolver_with_root(root)
    for _depth, value in _values(schema):
        if not isinstance(value, dict):
            continue
        for name in REFERENCES:
            target = value.get(name)
            if not isinstance(target, str):
                continue
            if not target.startswith("#"):
                _refuse(
                    _("A reference can only point into the schema itself: “%(target)s” does not.")
                    % {"target": _short(target)}
                )
            try:
                resolver.lookup(target)
            except (Unresolvable, ValueError):
                _refuse(_("“%(target)s” points to nothing.") % {"target": _short(target)})


def _deep() -> str:
    return _("Nested too deeply: at most %(limit)s levels.") % {"limit": MAX_DEPTH}


def _no_number(name: str) -> NoReturn:
    raise ValueError(name)


def _short(text: str, limit: int = 160) -> str:
    return text if len(text) <= limit else f"{text[:limit]}…"


def _refuse(text: str) -> NoReturn:
    raise ValidationError(text, code="schema")
