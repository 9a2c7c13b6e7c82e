"""The queue's filters as conditions on messages."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, time
from typing import Any

from django.db.models import Exists, OuterRef, Q
from django.db.models.fields.json import KeyTransform

from chat.models import Feedback, ToolCall, User, Verdict
from chat.review.pseudonyms import who_is
from chat.search.index import matching
from chat.search.terms import parse

NUMBER = re.compile(r"\s*[+-]?[\d_]+\s*")
LATELY, CATEGORIES_MAX = 2_000, 50  # verdicts that are asked, categories that are offered
CATEGORY_SCORE = 0.5  # from which on a category counts, where no score is asked for


def condition(wanted: dict[str, Any], *, hidden: bool) -> Q:
    """``wanted`` is a ``FilterForm``'s. ``hidden``: users are known by their pseudonyms only."""
    found = Q()
    for name, value in wanted.items():
        if name in PLAIN:
            found &= Q(**{PLAIN[name]: value})
        elif name in MADE:
            found &= MADE[name](value)
    if "category" in wanted:
        found &= _category(wanted["category"], wanted.get("score"))
    elif "score" in wanted:
        found &= Q(review__score__gte=wanted["score"])
    if "user" in wanted:
        found &= _user(wanted["user"], hidden=hidden)
    return found


def categories() -> list[str]:
    """Of which backends have objected lately: to be offered, for they have to be spelled right."""
    rows = Verdict.objects.order_by("-pk").values_list("hits", flat=True)
    return sorted({str(name) for hits in rows[:LATELY] for name in hits})[:CATEGORIES_MAX]


def _category(category: str, score: float | None) -> Q:
    verdicts = Verdict.objects.filter(message=OuterRef("pk"))
    gives = Q()
    if score is None:
        # SQLite has other letters than ASCII's as JSON escapes them, PostgreSQL as they are.
        for ascii_only in (True, False):
            gives |= Q(hits__icontains=json.dumps(category, ensure_ascii=ascii_only))
    if not NUMBER.fullmatch(category):  # of which Django makes a place in a list
        verdicts = verdicts.annotate(given=KeyTransform(category, "categories"))
        gives |= Q(given__gte=CATEGORY_SCORE if score is None else score)
    return Q(Exists(verdicts.filter(gives))) if gives else Q(pk__in=())


def _user(typed: str, *, hidden: bool) -> Q:
    if hidden:
        return Q(conversation__owner__in=who_is(typed))
    people = User.objects.filter(Q(username__icontains=typed) | Q(email__icontains=typed))
    return Q(conversation__owner__in=people.values("pk"))


def _group(group: Any) -> Q:
    return Q(conversation__owner__in=User.objects.filter(groups=group).values("pk"))


def _feedback(said: str) -> Q:
    if said == "reported":
        return Q(review__is_reported=True)
    return Q(Exists(Feedback.objects.filter(message=OuterRef("pk"), opinion=said)))


def _error(kind: str) -> Q:
    if kind == "any":
        return Q(generation__error_kind__gt="")
    return Q(generation__error_kind=kind)


def _tool(name: str) -> Q:
    calls = ToolCall.objects.filter(message=OuterRef("pk"), name__icontains=name)
    return Q(Exists(calls))


PLAIN = {
    "direction": "role",
    "state": "generation__state",
    "assistant": "conversation__assistant",
    "model": "generation__model__icontains",
    "schema": "generation__receipt__schema_verdict",
}
MADE: dict[str, Callable[[Any], Q]] = {
    "q": lambda typed: matching(parse(typed)),
    "reason": lambda name: Q(**{f"review__is_{name}": True}),
    "verdict": lambda state: Q(Exists(Verdict.objects.filter(message=OuterRef("pk"), state=state))),
    "group": _group,
    "tool": _tool,
    "error": _error,
    "feedback": _feedback,
    "since": lambda day: Q(created_at__gte=datetime.combine(day, time.min, UTC)),
    "until": lambda day: Q(created_at__lte=datetime.combine(day, time.max, UTC)),
}
