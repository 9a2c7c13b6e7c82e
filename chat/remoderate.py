"""Judge again what was judged by rules or a policy that have changed since.

A verdict carries the versions of both, so that one that is out of date shows it by itself, whoever
changed what. A new policy is applied to the scores on record; new rules, or a new version of the
local list, are applied to the text. A remote backend is asked again only when somebody says so.

What a person has decided on, or has overridden, stays as it is.
"""

import time
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import groupby
from typing import Any

import structlog
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from chat import policy, reconcile, verdicts
from chat.database import in_database
from chat.engine.provider import Provider
from chat.models import Message, ReviewItem, ReviewState, Verdict, VerdictState
from chat.moderation.base import ask
from chat.moderation.registry import AT_ONCE
from chat.policy import RULES, Current
from chat.verdicts import Place

logger = structlog.get_logger()

DAYS = 30  # by itself; ``manage.py remoderate`` goes farther back
BATCH = 100
# A reply that began under the old policy ends with verdicts of that, after all others were found
# to be up to date; and who changes the policy in another process tells nobody.
LOOK_AGAIN_S = 600.0


@dataclass(slots=True)
class _Clean:
    """The versions to which this process has found everything up to date, and when."""

    versions: tuple[str, ...] = ()
    at: float = field(default=float("-inf"))

    def holds(self, versions: tuple[str, ...]) -> bool:
        return self.versions == versions and time.monotonic() - self.at < LOOK_AGAIN_S


_clean = _Clean()


async def some(provider: Provider) -> int:
    """A batch of what is out of date; returns how many verdicts. Cheap when nothing is."""
    current = await in_database(policy.current)
    versions = (current.version, *sorted(current.versions.values()))
    if _clean.holds(versions):
        return 0
    done = await batch(provider, current, DAYS)
    done += await in_database(_expect_rules, current, DAYS)
    if not done:
        _clean.versions, _clean.at = versions, time.monotonic()
    return done


async def everything(
    days: int, provider: Provider, *, backend: str = "", whether_stale_or_not: bool = False
) -> AsyncIterator[int]:
    """Judge again what the last ``days`` days have; yields after each batch how many are done.

    ``backend`` is asked again, also a remote one, and no other is. A remote one that is down ends
    it with ModerationUnavailable; what has been done by then stays.
    """
    current = await in_database(policy.current)
    done, after = 0, 0
    while True:
        rows = _chosen(current, days, backend, whether_stale_or_not).filter(pk__gt=after)
        found = await in_database(_listed, rows.order_by("pk")[:BATCH])
        if not found:
            return
        after = found[-1].pk
        done += await _revise(found, provider, current, backend)
        yield done


async def batch(provider: Provider, current: Current, days: int) -> int:
    """The newest that are out of date, up to BATCH verdicts."""
    rows = await in_database(_listed, stale(current, days).order_by("-message")[:BATCH])
    return await _revise(rows, provider, current, "")


def stale(current: Current, days: int) -> QuerySet[Verdict]:
    """Verdicts of the last days that another policy, or other rules, have given."""
    judged = Q(state__in=(VerdictState.PASSED, VerdictState.FLAGGED))
    out_of_date = Q(pk__in=())
    for name, version in current.versions.items():
        # What a backend of ours could not judge, a new version of it may.
        out_of_date |= (
            (judged | Q(state=VerdictState.ERROR)) & Q(backend=name) & ~Q(version=version)
        )
    # Scores from before there was a policy do not say what their backend objected to.
    scored = judged & ~Q(policy=current.version) & (~Q(policy="") | Q(backend__in=AT_ONCE))
    return _open(days).filter(out_of_date | scored)


def _open(days: int) -> QuerySet[Verdict]:
    decided = ReviewItem.objects.filter(message=OuterRef("message")).exclude(
        state=ReviewState.OPEN, outcome=""
    )
    since = timezone.now() - timedelta(days=days)
    return Verdict.objects.filter(~Exists(decided), message__created_at__gte=since)


def _chosen(
    current: Current, days: int, backend: str, whether_stale_or_not: bool
) -> QuerySet[Verdict]:
    kept = (VerdictState.OVERRIDDEN, VerdictState.PENDING)
    if backend:
        rows = _open(days).filter(backend=backend)
        again = rows if whether_stale_or_not else rows.exclude(policy=current.version)
        return again.exclude(state__in=kept)
    if whether_stale_or_not:
        return _open(days).exclude(state__in=kept).exclude(~Q(backend__in=AT_ONCE), policy="")
    return stale(current, days)


def _listed(rows: QuerySet[Verdict]) -> list[Verdict]:
    return list(rows)


async def _revise(
    found: Iterable[Verdict], provider: Provider, current: Current, backend: str
) -> int:
    """Say anew what these verdicts say, message by message; returns how many."""
    done = 0
    for message_id, rows in groupby(found, key=lambda verdict: verdict.message_id):
        mine = list(rows)
        ran = [v.backend for v in mine if _must_run(v, current, backend)]
        message = await in_database(_message, message_id)
        if message is None:
            continue
        text, at, direction = message
        revised: dict[int, dict[str, Any]] = {}
        for verdict in mine:
            if verdict.backend in ran:
                asked = current.backend(verdict.backend, direction, provider)
                result = await ask(asked, text)
                revised[verdict.pk] = verdicts.opinion(result, direction, current, at)
            elif verdict.state != VerdictState.ERROR:
                acted = verdicts.acted(direction, verdict.categories, verdict.hits, current)
                revised[verdict.pk] = {**acted, "policy": current.version}
        await in_database(verdicts.revise, message_id, revised)
        done += len(mine)
    return done


def _must_run(verdict: Verdict, current: Current, backend: str) -> bool:
    if verdict.backend == backend:
        return True
    return current.versions.get(verdict.backend, verdict.version) != verdict.version


def _message(message_id: int) -> tuple[str, Place, str] | None:
    rows = Message.objects.select_related("generation__assistant").filter(pk=message_id)
    message = rows.first()
    if message is None:
        return None  # purged meanwhile
    text, at = reconcile.judged(message)
    return text, at, verdicts.direction_of(message)


def _expect_rules(current: Current, days: int) -> int:
    """What was said before the first rule was made has no verdict of the rules yet: it waits."""
    if not current.rules:
        return 0
    since = timezone.now() - timedelta(days=days)
    of_rules = Verdict.objects.filter(message=OuterRef("pk"), backend=RULES)
    of_others = Verdict.objects.filter(message=OuterRef("pk")).exclude(backend=RULES)
    closed = ReviewItem.objects.filter(message=OuterRef("pk"), state=ReviewState.CLOSED)
    rows = Message.objects.filter(
        Exists(of_others), ~Exists(of_rules), ~Exists(closed), created_at__gte=since
    )
    messages = list(rows.order_by("-pk")[:BATCH])
    Verdict.objects.bulk_create(
        [Verdict(message=m, backend=RULES, next_try_at=timezone.now()) for m in messages],
        ignore_conflicts=True,
    )
    return len(messages)
