"""Judge again what was judged by rules or a policy that have changed since.

A verdict carries the versions of both, so that one that is out of date shows it by itself, whoever
changed what. A new policy is applied to the scores on record; new rules, or a new version of the
local list, are applied to the text. A remote backend is asked again only when somebody says so.

What a person has decided on, or has overridden, stays as it is.
"""

import time
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

import structlog
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from chat import pending, policy, reconcile, verdicts
from chat.asking import ask_metered
from chat.database import in_database
from chat.engine.provider import Provider
from chat.models import (
    Direction,
    Generation,
    Message,
    ReviewItem,
    ReviewState,
    Verdict,
    VerdictState,
)
from chat.moderation.registry import AT_ONCE
from chat.policy import RULES, Current
from chat.verdicts import Place

logger = structlog.get_logger()

DAYS = 30  # by itself; ``manage.py remoderate`` goes farther back
BATCH = 100
# A reply that began under the old policy ends with verdicts of that, after all others were found
# to be up to date; and who changes the policy in another process tells nobody.
LOOK_AGAIN_S = 600.0
LEASE_S = 60.0  # of a batch, which takes seconds: who has it may die meanwhile
READ = ("policy", "version", "state", "action")  # changes when a verdict is revised
PASS_S = 3.0  # for as many batches as fit: a new policy may concern all of a month


@dataclass(slots=True)
class _Progress:
    """To which versions this process has brought everything up to date, or is about to.

    From the newest message down: what lies above ``verdict`` (a message's id) has verdicts that are
    up to date, and what lies above ``rules`` has been judged by the rules. So no batch looks at
    what those before it have done. ``clean_at`` is when it came to the end.
    """

    versions: tuple[str, ...] = ()
    verdict: int | None = None
    rules: int | None = None
    clean_at: float | None = None

    def is_clean(self, versions: tuple[str, ...]) -> bool:
        """Nothing to do? Begins anew for other versions, and after a while."""
        at = self.clean_at
        if self.versions != versions or (at and time.monotonic() - at >= LOOK_AGAIN_S):
            self.versions = versions
            self.verdict = self.rules = self.clean_at = None
        return self.clean_at is not None


_progress = _Progress()


async def some(provider: Provider) -> int:
    """Batches of what is out of date; returns how many verdicts. Cheap when nothing is."""
    current = await in_database(policy.current)
    versions = (current.version, *sorted(current.versions.values()))
    until = time.monotonic() + PASS_S
    done = 0
    while not _progress.is_clean(versions) and time.monotonic() < until:
        found = await _batch(provider, current)
        if found is None:
            break  # another process is at it; we look again with the next pass
        found = found or await _judge_by_rules(provider, current)
        done += found
        if not found:
            _progress.clean_at = time.monotonic()
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


async def _batch(provider: Provider, current: Current) -> int | None:
    """The newest that are out of date, up to BATCH verdicts; None when another process has them."""
    rows = stale(current, DAYS)
    if _progress.verdict is not None:
        rows = rows.filter(message__lte=_progress.verdict)  # some of its own may be left
    found = await in_database(_listed, rows.order_by("-message", "-pk")[:BATCH])
    if not found:
        return 0
    until = await in_database(_take, found[0])
    if until is None:
        return None
    try:
        done = await _revise(found, provider, current, "")
    finally:
        await in_database(_let_go, found[0], until)
    _progress.verdict = found[-1].message_id
    return done


def _take(first: Verdict) -> datetime | None:
    """Win the batch that begins with this verdict, until then; None when another process has it.

    Those that judge again begin with the same one, and N that did would take N times the CPU. The
    next try of a verdict that has been decided means nothing else.
    """
    now = timezone.now()
    free = Q(next_try_at=None) | Q(next_try_at__lte=now)
    until = now + timedelta(seconds=LEASE_S)
    rows = Verdict.objects.filter(free, pk=first.pk, **dict(zip(READ, _read(first), strict=True)))
    return until if rows.update(next_try_at=until) else None


def _let_go(first: Verdict, until: datetime) -> None:
    Verdict.objects.filter(pk=first.pk, next_try_at=until).update(next_try_at=None)


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
    reply = Generation.objects.filter(message=OuterRef("message"))
    return list(rows.annotate(is_of_reply=Exists(reply)))


async def _revise(
    found: Iterable[Verdict], provider: Provider, current: Current, backend: str
) -> int:
    """Say anew what these verdicts say, message by message; returns how many."""
    done = 0
    same: list[Verdict] = []
    for message_id, rows in groupby(found, key=lambda verdict: verdict.message_id):
        mine = list(rows)
        done += len(mine)
        ran = [v.backend for v in mine if _must_run(v, current, backend)]
        revised = [
            (verdict, _acted(verdict, current))
            for verdict in mine
            if verdict.backend not in ran and verdict.state != VerdictState.ERROR
        ]
        if not ran and all(_says(verdict, acted) for verdict, acted in revised):
            same += [verdict for verdict, _ in revised]
            continue
        if ran and (message := await in_database(_message, message_id)) is not None:
            text, at, direction, owner_id = message
            for verdict in (verdict for verdict in mine if verdict.backend in ran):
                asked = direction, current, provider, owner_id
                result = await ask_metered(verdict.backend, text, *asked)
                revised.append((verdict, verdicts.opinion(result, direction, current, at)))
        await in_database(verdicts.revise, message_id, revised)
    await in_database(_keep, same, current)
    return done


def _acted(verdict: Verdict, current: Current) -> dict[str, Any]:
    """What the policy makes of the scores on record."""
    direction = Direction.OUTPUT if verdict.is_of_reply else Direction.INPUT  # type: ignore[attr-defined]
    acted = verdicts.acted(direction, verdict.categories, verdict.hits, current)
    return {**acted, "policy": current.version}


def _says(verdict: Verdict, acted: Mapping[str, Any]) -> bool:
    return (verdict.state, verdict.action) == (acted["state"], acted["action"])


def _keep(read: Iterable[Verdict], current: Current) -> None:
    """What says the same by the present policy, most of it, in few statements and without a word.

    By what was read: another process may have revised some of it since, by yet another policy.
    """
    for said, rows in groupby(sorted(read, key=_read), key=_read):
        same = Verdict.objects.filter(pk__in=[verdict.pk for verdict in rows])
        same.filter(**dict(zip(READ, said, strict=True))).update(policy=current.version)


def _read(verdict: Verdict) -> tuple[Any, ...]:
    return tuple(getattr(verdict, name) for name in READ)


def _must_run(verdict: Verdict, current: Current, backend: str) -> bool:
    if verdict.backend == backend:
        return True
    return current.versions.get(verdict.backend, verdict.version) != verdict.version


def _message(message_id: int) -> tuple[str, Place, str, int] | None:
    rows = Message.objects.select_related("generation__assistant", "conversation")
    message = rows.filter(pk=message_id).first()
    if message is None:
        return None  # purged meanwhile
    text, at = reconcile.judged(message)
    return text, at, verdicts.direction_of(message), message.conversation.owner_id


async def _judge_by_rules(provider: Provider, current: Current) -> int:
    """What was said before the first rule was made has no verdict of the rules yet."""
    found = await in_database(_expect_rules) if current.rules else []
    for message_id in found:
        await pending.moderate_pending(message_id, provider, only=(RULES,), at_once=True)
    if found:
        _progress.rules = found[-1]
    return len(found)


def _expect_rules() -> list[int]:
    """Pending ones on the newest messages that have none: who is cut short leaves them due."""
    since = timezone.now() - timedelta(days=DAYS)
    of_rules = Verdict.objects.filter(message=OuterRef("pk"), backend=RULES)
    of_others = Verdict.objects.filter(message=OuterRef("pk")).exclude(backend=RULES)
    closed = ReviewItem.objects.filter(message=OuterRef("pk"), state=ReviewState.CLOSED)
    rows = Message.objects.filter(
        Exists(of_others), ~Exists(of_rules), ~Exists(closed), created_at__gte=since
    )
    if _progress.rules is not None:
        rows = rows.filter(pk__lt=_progress.rules)
    found = list(rows.order_by("-pk").values_list("pk", flat=True)[:BATCH])
    now = timezone.now()
    Verdict.objects.bulk_create(
        [Verdict(message_id=pk, backend=RULES, next_try_at=now) for pk in found],
        ignore_conflicts=True,
    )
    return found
