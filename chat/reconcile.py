"""The step after the stream: the full text hashed and moderated, the receipt written, once.

Idempotent: it may run again for the same generation, and chat.sweeper runs it for whatever a crash
left behind. A reply without text gets a receipt and no verdict to wait for. What people write has
verdicts too, which are asked for here when no worker has done so.
"""

import asyncio
import hashlib
import random
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from chat import answers, doorbell, ledger, policy, verdicts
from chat.database import in_database
from chat.engine.provider import Provider
from chat.models import (
    Direction,
    Generation,
    Message,
    Purpose,
    Receipt,
    Verdict,
    VerdictState,
    next_revision,
)
from chat.moderation.base import ModerationUnavailable, Result, Unclear, ask
from chat.policy import Current
from chat.verdicts import Place, Weighed

logger = structlog.get_logger()

RETRY_S = (5, 15, 60, 300, 900)  # between tries of a moderation service that is down
ANSWER_S = 240.0  # for all pieces of one text
LEASE_S = 300.0  # who asks has the verdict to himself for so long; he may have died meanwhile


@dataclass(frozen=True, slots=True)
class Whole:
    """A reply as it is to be judged: its text, all that can be read of it, its form if it has one.

    ``judgement`` is had before any transaction begins: it may take a while.
    """

    text: str
    readable: str
    judgement: answers.Judgement | None = None


def whole(
    text: str,
    schema: dict[str, Any] | None,
    calls: Iterable[tuple[int, str]],
    reasoning: str = "",
) -> Whole:
    """``calls`` are offsets and arguments of the reply's tool calls."""
    called = list(calls)
    readable = answers.readable(text, schema, [arguments for _, arguments in called], reasoning)
    answer = text[max((offset for offset, _ in called), default=0) :]
    judgement = answers.judge(answer, schema) if text and schema is not None else None
    return Whole(text, readable, judgement)


def whole_of(message: Message) -> Whole:
    """The same of one on record. Synchronous."""
    generation = message.generation
    calls = message.tool_calls.values_list("offset", "arguments")
    return whole(message.text, generation.schema, calls, message.reasoning)


async def reconcile(generation_id: int, provider: Provider) -> None:
    """Hash, moderate and write the receipt of a generation that ended without one."""
    found = await in_database(_to_reconcile, generation_id)
    if found is None:
        return
    reply, text_before, current = found
    results = await moderate_at_once(reply.readable, provider, text_before, current)
    message_id = await in_database(
        _write_later, generation_id, reply, results, current, len(text_before)
    )
    if message_id is not None and has_pending(reply.readable, results, current):
        await moderate_pending(message_id, provider)


async def moderate_at_once(
    text: str,
    provider: Provider,
    text_before: str,
    current: Current,
    direction: str = Direction.OUTPUT,
) -> dict[str, Result | Unclear]:
    """The verdicts that are had without asking anybody: they go in with the receipt.

    A remote backend is asked afterwards: while it may be down, its verdict is on record as pending.
    A continuation is judged together with what it continues (``Message.text_before``).
    """
    if not text:
        return {}
    return {
        name: await ask(current.backend(name, direction, provider), text_before + text)
        for name in current.at_once
    }


def has_pending(readable: str, results: Collection[str], current: Current) -> bool:
    return bool(readable) and len(results) < len(current.backends)


@dataclass(frozen=True, slots=True)
class Taken:
    """Pending verdicts on a message that this process is to ask for, and what they are about."""

    message_id: int
    names: tuple[str, ...]
    text: str
    at: Place
    direction: Direction
    current: Current


async def moderate_pending(
    message_id: int,
    provider: Provider,
    *,
    but: Collection[str] = (),
    at_once: bool = False,
    stop_replies: bool = True,
) -> set[str]:
    """Ask the backends whose verdict on this message is pending and due; the names that are down.

    ``but`` names those that need not be asked now; ``at_once`` takes what is not due yet, too.
    """
    taken = await in_database(_take, message_id, frozenset(but), at_once)
    down: set[str] = set()
    if taken is None:
        return down
    for name in taken.names:
        backend = taken.current.backend(name, taken.direction, provider)
        try:
            async with asyncio.timeout(ANSWER_S):
                result = await ask(backend, taken.text)
        except (ModerationUnavailable, TimeoutError) as error:
            logger.warning("moderation_unavailable", backend=name, error=str(error))
            await in_database(_postpone, message_id, name)
            down.add(name)
        else:
            write = partial(verdicts.decide, stop_replies=stop_replies)
            await in_database(write, message_id, {name: result}, taken.current, taken.at)
    return down


def _to_reconcile(generation_id: int) -> tuple[Whole, str, Current] | None:
    rows = Generation.objects.filter(pk=generation_id, purpose=Purpose.REPLY).unreconciled()
    found = rows.select_related("message", "assistant").first()
    if found is None or found.message is None:
        return None
    return whole_of(found.message), found.message.text_before(), policy.current()


def _write_later(
    generation_id: int,
    reply: Whole,
    results: Mapping[str, Result | Unclear],
    current: Current | None = None,
    before: int = 0,
) -> int | None:
    """``write`` in a transaction of its own; None when somebody else has written."""
    rows = Generation.objects.filter(pk=generation_id)
    with transaction.atomic():
        revision = next_revision(rows.values_list("conversation", flat=True).get())
        if not rows.filter(reconciled_at=None).update(reconciled_at=timezone.now()):
            transaction.set_rollback(True)
            return None
        generation = rows.select_related("conversation", "assistant").get()
        assert generation.message_id is not None
        weighed = write(generation, reply, results, current, before)
        Message.objects.filter(pk=generation.message_id).update(
            revision=revision, **withheld(weighed, generation.stop_reason)
        )
        transaction.on_commit(
            partial(doorbell.ring_conversation, generation.conversation_id), robust=True
        )
    return generation.message_id


def write(
    generation: Generation,
    reply: Whole,
    results: Mapping[str, Result | Unclear],
    current: Current | None = None,
    before: int = 0,
) -> Weighed:
    """Verdicts and receipt of a generation in its terminal state, within the caller's transaction.

    The caller has won the right to it by setting ``reconciled_at``, and does to the message what
    ``withheld`` says. ``before`` characters of other messages were judged in front of this one.
    """
    assert generation.message_id is not None
    text, current = reply.text, current or policy.current()
    names = current.backends if reply.readable else ()
    rows = verdicts.made(
        generation.message_id,
        Direction.OUTPUT,
        names,
        results,
        current,
        Place(before, len(text)),
    )
    Verdict.objects.bulk_create(rows)
    weighed = verdicts.weigh(rows)
    schema_verdict, schema_errors = reply.judgement or ("", [])
    Receipt.objects.create(
        generation=generation,
        state=generation.state,
        finish_reason=generation.finish_reason,
        sha256=hashlib.sha256(text.encode()).hexdigest(),
        characters=len(text),
        verdict=weighed.overall,
        prompt_tokens=generation.prompt_tokens,
        completion_tokens=generation.completion_tokens,
        ttft_provider_ms=generation.ttft_provider_ms,
        ttft_served_ms=generation.ttft_served_ms,
        schema_verdict=schema_verdict,
        schema_errors=schema_errors,
    )
    # Of those that nothing was found in, a share is read all the same: who only reads what was
    # flagged never learns what is not.
    sampled = bool(rows) and not weighed.flagged and _is_drawn(settings.REVIEW_SAMPLE)
    verdicts.announce(generation.message_id, weighed, sampled=sampled)
    ledger.enter(generation)
    return weighed


def withheld(weighed: Weighed, stop_reason: str) -> dict[str, datetime]:
    """What the verdicts of a reply that has just ended change in its message."""
    if weighed.blocks or stop_reason == verdicts.MODERATION:
        return {"withheld_at": timezone.now()}
    return {}


def _is_drawn(share: float) -> bool:
    return share > 0 and random.random() < share  # noqa: S311


def judged(message: Message) -> tuple[str, Place]:
    """All that is to be judged of a message on record, and where its own text stands in it."""
    before = message.text_before()
    if verdicts.direction_of(message) == Direction.OUTPUT:
        readable = whole_of(message).readable
    else:
        arguments = message.tool_calls.values_list("arguments", flat=True)
        readable = answers.readable(message.text, None, arguments)
    return before + readable, Place(len(before), len(message.text))


def due() -> QuerySet[Verdict]:
    """Pending verdicts that may be asked for now: a reply's, once it has ended."""
    now = timezone.now()
    ended = Q(message__generation=None) | Q(message__generation__reconciled_at__isnull=False)
    return Verdict.objects.filter(
        Q(next_try_at=None) | Q(next_try_at__lte=now), ended, state=VerdictState.PENDING
    )


def _take(message_id: int, but: Collection[str], at_once: bool) -> Taken | None:
    """Win the due verdicts of a message: of several processes, each is taken by one."""
    pending = Verdict.objects.filter(state=VerdictState.PENDING)
    rows = pending if at_once else due()
    lease = timezone.now() + timedelta(seconds=LEASE_S)
    names = []
    for verdict in rows.filter(message=message_id).exclude(backend__in=but):
        # The time of the next try is what two that want it see: it moves with the first.
        mine = pending.filter(pk=verdict.pk, next_try_at=verdict.next_try_at)
        if mine.update(next_try_at=lease):
            names.append(verdict.backend)
    message = Message.objects.select_related("generation__assistant").filter(pk=message_id).first()
    if not names or message is None:
        return None
    text, at = judged(message)
    direction = verdicts.direction_of(message)
    return Taken(message_id, tuple(names), text, at, direction, policy.current())


def _postpone(message_id: int, name: str) -> None:
    rows = Verdict.objects.filter(message=message_id, backend=name, state=VerdictState.PENDING)
    for tries in rows.values_list("tries", flat=True):
        wait = RETRY_S[min(tries, len(RETRY_S) - 1)]
        rows.update(tries=tries + 1, next_try_at=timezone.now() + timedelta(seconds=wait))
