"""Ask for the verdicts that are pending: of replies that have ended, and of what people write.

Several processes look for them. Who asks has a lease on the verdict, which its row holds in place
of the time of the next try; who cannot go on gives it back, and one that has died loses it.
"""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import structlog
from django.db import Error
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from chat import policy, verdicts
from chat.asking import ask_metered
from chat.database import in_database
from chat.engine.provider import Provider
from chat.models import Direction, Message, Verdict, VerdictState
from chat.moderation.base import ModerationUnavailable
from chat.policy import Current
from chat.reconcile import judged
from chat.verdicts import Place

logger = structlog.get_logger()

RETRY_S = (5, 15, 60, 300, 900)  # between tries of a moderation service that is down
ANSWER_S = 240.0  # for all pieces of one text
LEASE_S = 300.0  # who asks has the verdict to himself for so long; he may have died meanwhile
LOOK_S = 0.25  # between two looks at whether somebody else's answer is there
UNAVAILABLE = "unavailable"  # the error of a pending verdict that has been put off


@dataclass(frozen=True, slots=True)
class Taken:
    """A pending verdict on a message that this process is to ask for, and what it is about.

    Its row says until when it is taken; ``before`` is what it said in its place.
    """

    verdict_id: int
    until: datetime
    before: dict[str, Any]
    name: str
    text: str
    at: Place
    direction: Direction
    current: Current
    owner_id: int


async def moderate_pending(
    message_id: int,
    provider: Provider,
    *,
    only: Collection[str] | None = None,
    at_once: bool = False,
    patient: bool = False,
    stop_replies: bool = True,
) -> set[str]:
    """Ask the backends whose verdict on this message is pending and due; the names that are down.

    ``only`` names those to be asked, if not all; ``at_once`` takes what a backend that was down has
    put off, too; ``patient`` waits for the answer where somebody else is asking. What nobody has
    configured any more is not asked.
    """
    down: set[str] = set()
    for name in await in_database(_to_ask, message_id, only):
        # Each is taken when its turn comes: the one before may have needed most of a lease.
        taken = await _taken(message_id, name, at_once, LEASE_S if patient else 0)
        if taken is None:
            continue
        at = taken.direction, taken.current, provider, taken.owner_id
        try:
            async with asyncio.timeout(ANSWER_S):
                result = await ask_metered(name, taken.text, *at)
        except (ModerationUnavailable, TimeoutError) as error:
            logger.warning("moderation_unavailable", backend=name, error=str(error))
            await in_database(_postpone, message_id, name)
            down.add(name)
        except asyncio.CancelledError:
            # Whoever is told to try again a moment later must not wait for a lease to end.
            await asyncio.shield(asyncio.ensure_future(in_database(_give_back, taken)))
            raise
        else:
            write = partial(verdicts.decide, stop_replies=stop_replies)
            await in_database(write, message_id, {name: result}, taken.current, taken.at)
    return down


def due() -> QuerySet[Verdict]:
    """Pending verdicts that may be asked for now: a reply's, once it has ended."""
    now = timezone.now()
    ended = Q(message__generation=None) | Q(message__generation__reconciled_at__isnull=False)
    return Verdict.objects.filter(
        Q(next_try_at=None) | Q(next_try_at__lte=now), ended, state=VerdictState.PENDING
    )


def _to_ask(message_id: int, only: Collection[str] | None) -> list[str]:
    rows = Verdict.objects.filter(message=message_id, state=VerdictState.PENDING)
    names = policy.backends() if only is None else only
    return list(rows.filter(backend__in=names).order_by("pk").values_list("backend", flat=True))


def _take(message_id: int, name: str, at_once: bool) -> Taken | None:
    """Win a pending verdict of a message: of several processes, it is taken by one."""
    current = policy.current()
    if name not in current.backends:
        return None
    pending = Verdict.objects.filter(state=VerdictState.PENDING)
    verdict = (_waiting() if at_once else due()).filter(message=message_id, backend=name).first()
    if verdict is None:
        return None
    # The time of the next try is what two that want it see: it moves with the first.
    mine = pending.filter(pk=verdict.pk, next_try_at=verdict.next_try_at)
    until = timezone.now() + timedelta(seconds=LEASE_S)
    if not mine.update(next_try_at=until, error=""):
        return None
    rows = Message.objects.select_related("generation__assistant", "conversation")
    message = rows.filter(pk=message_id).first()
    if message is None:
        return None
    text, at = judged(message)
    direction, owner_id = verdicts.direction_of(message), message.conversation.owner_id
    before = {"next_try_at": verdict.next_try_at, "error": verdict.error}
    return Taken(verdict.pk, until, before, name, text, at, direction, current, owner_id)


def _give_back(taken: Taken) -> None:
    """Nobody is asking for it any more: let its row say what it did before."""
    rows = Verdict.objects.filter(pk=taken.verdict_id, next_try_at=taken.until)
    try:
        rows.filter(state=VerdictState.PENDING).update(**taken.before)
    except Error as error:
        logger.warning("verdict_not_given_back", error=type(error).__name__)


async def _taken(message_id: int, name: str, at_once: bool, within_s: float) -> Taken | None:
    """Take it; if somebody else has it, wait until he has the answer, or has left it to us.

    One that has died leaves it when its lease ends.
    """
    loop = asyncio.get_running_loop()
    until = loop.time() + within_s
    while True:
        taking = asyncio.ensure_future(in_database(_take, message_id, name, at_once))
        try:
            taken = await asyncio.shield(taking)
        except asyncio.CancelledError:
            if (taken := await taking) is not None:  # a thread is not cancelled
                await in_database(_give_back, taken)
            raise
        if taken is not None or loop.time() >= until:
            return taken
        if not await in_database(_to_ask, message_id, (name,)):
            return None
        await asyncio.sleep(LOOK_S)


def _waiting() -> QuerySet[Verdict]:
    """Pending verdicts that nobody is asking for at present, due or not.

    One that was put off says why; one that is new is left to a worker for a while; and all others
    that are not due are somebody's.
    """
    new = Q(next_try_at__lte=F("created_at") + timedelta(seconds=verdicts.WORKERS_S), tries=0)
    due_now = Q(next_try_at=None) | Q(next_try_at__lte=timezone.now())
    rows = Verdict.objects.filter(state=VerdictState.PENDING)
    return rows.filter(due_now | new | ~Q(error=""))


def _postpone(message_id: int, name: str) -> None:
    rows = Verdict.objects.filter(message=message_id, backend=name, state=VerdictState.PENDING)
    for tries in rows.values_list("tries", flat=True):
        wait = RETRY_S[min(tries, len(RETRY_S) - 1)]
        later = timezone.now() + timedelta(seconds=wait)
        rows.update(tries=tries + 1, next_try_at=later, error=UNAVAILABLE)
