"""Arguments against a JSON Schema that a tool server sent.

The schema is a stranger's, and the arguments are a model's: nothing is fetched for a ``$ref``,
patterns are evaluated by RE2 (in time that grows with the text, whatever the pattern), and a schema
that refers to itself runs out of steps. What is not checked here, the server checks itself.
"""

import contextvars
import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import re2
from jsonschema import exceptions, validators  # type: ignore[import-untyped]
from referencing import Registry

from chat.tools.base import MOST_ERRORS, InvalidArguments

STEPS = 50_000  # keywords applied in one check; a schema of 20 KB can ask for 2**500
UNIQUE_ITEMS = 500  # jsonschema compares each with each
MESSAGE_CHARS = 200
PATTERN_MEMORY = 1 << 20

_steps: contextvars.ContextVar[list[int]] = contextvars.ContextVar("steps")
Keyword = Callable[..., Iterator[Any]]


class TooDeep(Exception):
    """The schema asks for more work than any honest one."""


class Inapplicable(Exception):
    """A schema that looks like one, and cannot be applied to anything."""


@functools.lru_cache(256)
def _compiled(pattern: str) -> Any:
    """The pattern, or None if RE2 does not know it: it looks ahead, or back."""
    options = re2.Options()
    options.max_mem = PATTERN_MEMORY
    options.log_errors = False
    try:
        return re2.compile(pattern, options=options)
    except re2.error:
        return None


def _matches(pattern: Any, text: str) -> bool:
    compiled = _compiled(pattern) if isinstance(pattern, str) else None
    # A half of a surrogate pair has no UTF-8, which is what RE2 reads.
    return compiled is None or bool(compiled.search(text.encode(errors="replace").decode()))


def _pattern(validator: Any, pattern: Any, instance: Any, schema: Any) -> Iterator[Any]:
    if isinstance(instance, str) and not _matches(pattern, instance):
        yield exceptions.ValidationError("does not have the form that is asked for")


def _pattern_properties(validator: Any, patterns: Any, instance: Any, schema: Any) -> Iterator[Any]:
    if isinstance(instance, dict) and isinstance(patterns, Mapping):
        for pattern, inner in patterns.items():
            for name, value in instance.items():
                if _compiled(pattern) is not None and _matches(pattern, name):
                    yield from validator.descend(value, inner, path=name, schema_path=pattern)


def _additional(validator: Any, allowed: Any, instance: Any, schema: Any) -> Iterator[Any]:
    if not isinstance(instance, dict):
        return
    patterns = schema.get("patternProperties") or {}
    for name, value in instance.items():
        if name in schema.get("properties", {}) or any(_matches(one, name) for one in patterns):
            continue
        if allowed is False:
            yield exceptions.ValidationError(f"{name[:80]!r} is not expected")
        elif isinstance(allowed, Mapping):
            yield from validator.descend(value, allowed, path=name)


def _nothing(validator: Any, value: Any, instance: Any, schema: Any) -> Iterator[Any]:
    """Keywords that jsonschema can only check with ``re``."""
    return iter(())


def _counted(keyword: Keyword) -> Keyword:
    def counted(*arguments: Any) -> Iterator[Any]:
        left = _steps.get()
        left[0] -= 1
        if left[0] < 0:
            raise TooDeep
        return keyword(*arguments) or iter(())

    return counted


def _few(keyword: Keyword) -> Keyword:
    def few(validator: Any, value: Any, instance: Any, schema: Any) -> Iterator[Any]:
        if isinstance(instance, list) and len(instance) > UNIQUE_ITEMS:
            return iter(())
        return keyword(validator, value, instance, schema) or iter(())

    return few


@functools.cache
def _safe(kind: Any) -> Any:
    """The validator of a draft with its dangerous keywords replaced."""
    changed: dict[str, Keyword] = {
        "pattern": _pattern,
        "patternProperties": _pattern_properties,
        "additionalProperties": _additional,
        "unevaluatedProperties": _nothing,
        "unevaluatedItems": _nothing,
    }
    if "uniqueItems" in kind.VALIDATORS:
        changed["uniqueItems"] = _few(kind.VALIDATORS["uniqueItems"])
    every = {**kind.VALIDATORS, **changed}
    return validators.extend(kind, {name: _counted(keyword) for name, keyword in every.items()})


def usable(schema: Any) -> bool:
    """Whether this is the JSON Schema of an object, as a tool's parameters have to be."""
    if not isinstance(schema, dict) or schema.get("type", "object") != "object":
        return False
    try:
        kind = validators.validator_for(schema, default=validators.Draft202012Validator)
        kind.check_schema(schema, format_checker=None)
    except Exception:  # a stranger's schema can break the library in many ways
        return False
    return True


def errors(schema: dict[str, Any], value: Any, most: int) -> list[tuple[list[str | int], str]]:
    """Where a value does not satisfy a schema, and what is wrong there; ``most`` + 1 at most.

    Raises:
        Inapplicable: the schema cannot be applied.
    """
    token = _steps.set([STEPS])
    found: list[tuple[list[str | int], str]] = []
    try:
        kind = _safe(validators.validator_for(schema, default=validators.Draft202012Validator))
        for error in kind(schema, registry=Registry()).iter_errors(value):
            found.append((list(error.absolute_path), error.message[:MESSAGE_CHARS]))
            if len(found) > most:
                break
    except Exception:  # a stranger's schema can break the library in many ways
        raise Inapplicable from None
    finally:
        _steps.reset(token)
    return found


def check(schema: dict[str, Any], arguments: dict[str, Any]) -> None:
    """Raises:
    InvalidArguments: with the first errors, each with the path of its field.
    """
    try:
        found = errors(schema, arguments, MOST_ERRORS)
    except Inapplicable:
        raise InvalidArguments("The tool's own schema cannot be applied.") from None
    if found:
        listed = [(".".join(map(str, path))[:MESSAGE_CHARS], text) for path, text in found]
        raise InvalidArguments.listing(listed)
