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
from django.db import Error, transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from chat import answers, doorbell, ledger, passed_on, policy, verdicts
from chat.asking import ask_metered
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
from chat.record import seals
from chat.verdicts import Place, Weighed

logger = structlog.get_logger()

RETRY_S = (5, 15, 60, 300, 900)  # between tries of a moderation service that is down
ANSWER_S = 240.0  # for all pieces of one text
LEASE_S = 300.0  # who asks has the verdict to himself for so long; he may have died meanwhile
LOOK_S = 0.25  # between two looks at whether somebody else's answer is there
UNAVAILABLE = "unavailable"  # the error of a pending verdict that has been put off


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
    calls: Iterable[tuple[int, str, str]],
    reasoning: str = "",
) -> Whole:
    """``calls`` are offsets, names and arguments of the reply's tool calls."""
    called = list(calls)
    said = [(name, arguments) for _, name, arguments in called]
    readable = answers.readable(text, schema, said, reasoning)
    answer = text[max((offset for offset, _, _ in called), default=0) :]
    judgement = answers.judge(answer, schema) if text and schema is not None else None
    return Whole(text, readable, judgement)


def whole_of(message: Message) -> Whole:
    """The same of one on record. Synchronous."""
    generation = message.generation
    calls = message.tool_calls.values_list("offset", "name", "arguments")
    return whole(message.text, generation.schema, calls, message.reasoning)


async def reconcile(generation_id: int, provider: Provider) -> None:
    """Hash, moderate and write the receipt of a generation that ended without one.

    Remote backends are not waited for: what they have to say is pending, and due.
    """
    found = await in_database(_to_reconcile, generation_id)
    if found is None:
        return
    reply, text_before, current = found
    results = await moderate_at_once(reply.readable, provider, text_before, current)
    await in_database(_write_later, generation_id, reply, results, current, len(text_before))


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
) -> None:
    """``write`` in a transaction of its own; nothing when somebody else has written."""
    rows = Generation.objects.filter(pk=generation_id)
    with transaction.atomic():
        revision = next_revision(rows.values_list("conversation", flat=True).get())
        if not rows.filter(reconciled_at=None).update(reconciled_at=timezone.now()):
            transaction.set_rollback(True)
            return
        generation = rows.select_related("conversation", "assistant", "message").get()
        assert generation.message is not None
        weighed = write(generation, reply, results, current, before)
        shown = withheld(weighed, generation.stop_reason) or verdicts.lifted(generation.message)
        Message.objects.filter(pk=generation.message.pk).update(revision=revision, **shown)
        transaction.on_commit(
            partial(doorbell.ring_conversation, generation.conversation_id), robust=True
        )
        seals.seal(generation.conversation_id, generation_id)


def write(
    generation: Generation,
    reply: Whole,
    results: Mapping[str, Result | Unclear],
    current: Current | None = None,
    before: int = 0,
) -> Weighed:
    """Verdicts and receipt of a generation in its terminal state, within the caller's transaction.

    The caller has won the right to it by setting ``reconciled_at``, does to the message what
    ``withheld`` says, and seals the reply when all is written. ``before`` characters of other
    messages were judged in front of this one.
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


def unjudged(current: Current | None = None) -> dict[str, datetime]:
    """What it changes in the message of a reply that it has ended and nobody has judged it yet."""
    if settings.MODERATION_FAIL == "closed" and (
        current.backends if current else policy.backends()
    ):
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
        calls = message.tool_calls.values_list("name", "arguments")
        unshown = passed_on.unshown_of(message)
        readable = answers.readable(message.text, None, calls, unshown=unshown)
    return before + readable, Place(len(before), len(message.text))


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
