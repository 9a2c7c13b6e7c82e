"""The sweeper: finishes what a crash left, and what could not be finished at once.

Orphans, whose worker has died; replies that ended without a receipt; verdicts still pending. Every
serving process and every engine sweeps; each step is won by one of them. The verdicts are a pass of
their own (``moderate``): a moderation service may be slow, and an orphan is found meanwhile.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

import structlog
from django.db import InterfaceError, OperationalError, transaction
from django.db.models import Count, Min
from django.utils import timezone

from chat import doorbell, ledger, pending, policy, reconcile, remoderate, verdicts
from chat.database import in_database
from chat.engine.provider import Provider
from chat.models import Generation, Message, Purpose, State, Verdict, VerdictState
from chat.record import purge
from chat.tools import record

logger = structlog.get_logger()

ORPHANED_AFTER_S = 15.0  # seven missed heartbeats
BATCH = 100
# Of a backend that is configured here no more, or not yet: other processes may still have it.
GIVEN_UP_AFTER = timedelta(minutes=10)


class Orphans:
    """Finds generations whose worker has died: their heartbeat has stopped.

    By what this process has seen itself, on its own monotonic clock: wall clocks jump, and those of
    two machines differ. ``only_holder`` is the one worker that can be alive: what another holds is
    orphaned at once.
    """

    def __init__(self, only_holder: str | None = None) -> None:
        self.only_holder = only_holder
        self._seen: dict[int, tuple[datetime | None, float]] = {}

    def forget(self) -> None:
        """Heartbeats may have been missed for another reason: begin to watch anew."""
        self._seen.clear()

    def find(self, running: Iterable[Generation]) -> list[Generation]:
        now = time.monotonic()
        before, self._seen = self._seen, {}
        found = []
        for row in running:
            beat, since = before.get(row.pk, (None, now))
            if row.heartbeat_at != beat:
                since = now
            self._seen[row.pk] = (row.heartbeat_at, since)
            stopped = now - since >= ORPHANED_AFTER_S
            if stopped or (self.only_holder and row.claimed_by != self.only_holder):
                found.append(row)
        return found


class OrphansAtOnce(Orphans):
    """For a single pass, which has seen nothing before: by the heartbeats' own times."""

    def find(self, running: Iterable[Generation]) -> list[Generation]:
        cutoff = timezone.now() - timedelta(seconds=ORPHANED_AFTER_S)
        return [r for r in running if r.heartbeat_at is None or r.heartbeat_at < cutoff]


def _interrupt_orphans(orphans: Orphans) -> int:
    interrupted = 0
    rows = Generation.objects.filter(state=State.STREAMING).select_related("conversation")
    for generation in orphans.find(rows):
        with transaction.atomic():
            revision = generation.conversation.bump()
            won = Generation.objects.filter(
                pk=generation.pk, attempt=generation.attempt, heartbeat_at=generation.heartbeat_at
            ).move(
                State.INTERRUPTED,
                expect=State.STREAMING,
                stop_reason="orphaned",
                finished_at=timezone.now(),
            )
            if won and generation.message_id is not None:
                record.stop_open(generation.message_id)
            interrupted += won
            kept_back = reconcile.unjudged() if won else {}
            Message.objects.filter(generation=generation).update(revision=revision, **kept_back)
            transaction.on_commit(
                partial(doorbell.ring_conversation, generation.conversation_id), robust=True
            )
    return interrupted


@dataclass(frozen=True, slots=True)
class Swept:
    """What one pass of the sweeper did."""

    orphans: int
    reconciled: int
    moderated: int
    purged: int = 0


async def sweep(provider: Provider, orphans: Orphans) -> Swept:
    """All of it in one pass: what a crash left, what is due, and the verdicts."""
    swept = await tidy(provider, orphans)
    return replace(swept, moderated=await moderate(provider))


async def tidy(provider: Provider, orphans: Orphans) -> Swept:
    """Finish what a crash left, orphans and unreconciled replies, and purge. Asks nobody."""
    interrupted = await in_database(_interrupt_orphans, orphans)
    await in_database(ledger.enter_titles)
    unreconciled = await in_database(_unreconciled)
    await _each(reconcile.reconcile, unreconciled, provider)
    purged = await in_database(purge.purge_due)
    if interrupted or unreconciled:
        logger.info("swept", orphans=interrupted, reconciled=len(unreconciled))
    return Swept(interrupted, len(unreconciled), 0, purged)


async def moderate(provider: Provider) -> int:
    """Ask for the verdicts that are due, and again for those that are out of date.

    May take as long as the slowest backend. Returns on how many messages verdicts were due.
    """
    await in_database(_give_up)
    moderated = await _moderate_due(provider)
    await _remoderate(provider)
    return moderated


async def _each(
    step: Callable[[int, Provider], Awaitable[None]], ids: Iterable[int], provider: Provider
) -> None:
    """One that cannot be finished must not keep the others waiting, nor end the sweeper."""
    for pk in ids:
        try:
            await step(pk, provider)
        except (OperationalError, InterfaceError):
            raise
        except Exception:
            logger.exception("sweep_step_failed", step=step.__name__, id=pk)


async def _moderate_due(provider: Provider) -> int:
    """Ask for the verdicts that are due, every backend for its own: none waits for another's."""
    due = await in_database(_due_messages)
    work = [_moderate_by(name, messages, provider) for name, messages in due.items()]
    for failure in await asyncio.gather(*work, return_exceptions=True):
        if isinstance(failure, BaseException):
            raise failure
    return len({message for messages in due.values() for message in messages})


async def _moderate_by(name: str, messages: Iterable[int], provider: Provider) -> None:
    """One that is down is asked once in a pass: each refusal may take its whole deadline."""
    down: set[str] = set()

    async def moderate(message_id: int, provider: Provider) -> None:
        if not down:
            down.update(await pending.moderate_pending(message_id, provider, only=(name,)))

    await _each(moderate, messages, provider)


async def _remoderate(provider: Provider) -> None:
    try:
        await remoderate.some(provider)
    except (OperationalError, InterfaceError):
        raise
    except Exception:
        logger.exception("remoderation_failed")


def _due_messages() -> dict[str, list[int]]:
    """By backend, those that have waited longest first."""
    due = pending.due().order_by("next_try_at")
    return {
        name: list(due.filter(backend=name).values_list("message", flat=True)[:BATCH])
        for name in policy.backends()
    }


def _give_up() -> None:
    configured = policy.backends()
    rows = verdicts.unasked(configured, GIVEN_UP_AFTER)
    for message_id in set(rows.values_list("message", flat=True)[:BATCH]):
        verdicts.give_up(message_id, configured, GIVEN_UP_AFTER)


def _unreconciled() -> list[int]:
    rows = Generation.objects.unreconciled().filter(purpose=Purpose.REPLY)
    return list(rows.order_by("finished_at").values_list("pk", flat=True)[:BATCH])


def backlog() -> dict[str, int]:
    """How many replies wait to be reconciled, how many verdicts are pending, and for how long.

    ``oldest_pending_s`` is the age in seconds of the oldest pending verdict, 0 without one.
    """
    waiting = Verdict.objects.filter(state=VerdictState.PENDING)
    found = waiting.aggregate(oldest=Min("created_at"), count=Count("pk"))
    age = timezone.now() - found["oldest"] if found["oldest"] else timedelta()
    return {
        "unreconciled": Generation.objects.unreconciled().filter(purpose=Purpose.REPLY).count(),
        "verdicts_pending": found["count"],
        "oldest_pending_s": max(0, round(age.total_seconds())),
    }


def verdict_counts() -> dict[str, int]:
    """How many verdicts there are in each state. Counts them all: for a page, not for a probe."""
    rows = Verdict.objects.order_by().values_list("state").annotate(n=Count("pk"))
    return {str(state): 0 for state in VerdictState} | dict(rows)
