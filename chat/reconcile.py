"""The step after the stream: the full text hashed and moderated, the receipt written, once.

Idempotent: it may run again for the same generation, and chat.sweeper runs it for whatever a crash
left behind. A reply without text gets a receipt and no verdict to wait for. Those that have to be
waited for are asked for by ``chat.pending``.
"""

import hashlib
import random
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

import structlog
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from chat import answers, doorbell, ledger, passed_on, policy, verdicts
from chat.database import in_database
from chat.engine.provider import Provider
from chat.models import (
    Direction,
    Generation,
    Message,
    Purpose,
    Receipt,
    Verdict,
    next_revision,
)
from chat.moderation.base import Result, Unclear, ask
from chat.policy import Current
from chat.record import seals
from chat.verdicts import Place, Weighed

logger = structlog.get_logger()


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
