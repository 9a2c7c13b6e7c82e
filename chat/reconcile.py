"""The step after the stream: the full text hashed and moderated, the receipt written, once.

Idempotent: it may run again for the same generation, and chat.sweeper runs it for whatever a crash
left behind. A reply without text gets a receipt and no verdict to wait for.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from chat import answers, doorbell
from chat.database import in_database
from chat.engine.provider import Provider
from chat.models import (
    Generation,
    Message,
    Purpose,
    Receipt,
    Verdict,
    VerdictState,
    next_revision,
)
from chat.moderation.base import ModerationUnavailable, Result
from chat.moderation.registry import backend

logger = structlog.get_logger()

RETRY_S = (5, 15, 60, 300, 900)  # between tries of a moderation service that is down


@dataclass(frozen=True, slots=True)
class Whole:
    """A reply as it is to be judged: its text, all that can be read of it, its form if it has one.

    ``judgement`` is had before any transaction begins: it may take a while.
    """

    text: str
    readable: str
    judgement: answers.Judgement | None = None


def whole(text: str, schema: dict[str, Any] | None, calls: Iterable[tuple[int, str]]) -> Whole:
    """``calls`` are offsets and arguments of the reply's tool calls."""
    called = list(calls)
    readable = answers.readable(text, schema, [arguments for _, arguments in called])
    answer = text[max((offset for offset, _ in called), default=0) :]
    judgement = answers.judge(answer, schema) if text and schema is not None else None
    return Whole(text, readable, judgement)


def whole_of(message: Message) -> Whole:
    """The same of one on record. Synchronous."""
    generation = message.generation
    calls = message.tool_calls.values_list("offset", "arguments")
    return whole(message.text, generation.schema, calls)


async def reconcile(generation_id: int, provider: Provider) -> None:
    """Hash, moderate and write the receipt of a generation that ended without one."""
    reply = await in_database(_to_reconcile, generation_id)
    if reply is None:
        return
    text_before = await in_database(_text_before, generation_id)
    results = await moderate_at_once(reply.readable, provider, text_before)
    message_id = await in_database(_write_later, generation_id, reply, results)
    if message_id is not None and has_pending(reply.readable, results):
        await moderate_pending(message_id, provider)


async def moderate_at_once(
    text: str, provider: Provider, text_before: str = ""
) -> dict[str, Result]:
    """The verdicts that are had without asking anybody: they go in with the receipt.

    A remote backend is asked afterwards: while it may be down, its verdict is on record as pending.
    A continuation is judged together with what it continues (``Message.text_before``).
    """
    if not text or "local" not in settings.MODERATION_BACKENDS:
        return {}
    return {"local": await backend("local", provider).moderate(text_before + text)}


def has_pending(readable: str, results: dict[str, Result]) -> bool:
    return bool(readable) and len(results) < len(settings.MODERATION_BACKENDS)


async def moderate_pending(message_id: int, provider: Provider) -> None:
    """Ask the backends whose verdict on this message is pending and due."""
    for verdict_id, name, text in await in_database(_pending, message_id):
        try:
            result = await backend(name, provider).moderate(text)
        except ModerationUnavailable as error:
            logger.warning("moderation_unavailable", backend=name, error=str(error))
            await in_database(_postpone, verdict_id)
        else:
            await in_database(_decide, verdict_id, result)


def _to_reconcile(generation_id: int) -> Whole | None:
    rows = Generation.objects.filter(pk=generation_id, purpose=Purpose.REPLY).unreconciled()
    found = rows.select_related("message", "assistant").first()
    if found is None or found.message is None:
        return None
    return whole_of(found.message)


def _text_before(generation_id: int) -> str:
    return Message.objects.get(generation=generation_id).text_before()


def _write_later(generation_id: int, reply: Whole, results: dict[str, Result]) -> int | None:
    """``write`` in a transaction of its own; None when somebody else has written."""
    generation = Generation.objects.get(pk=generation_id)
    with transaction.atomic():
        revision = next_revision(generation.conversation_id)
        rows = Generation.objects.filter(pk=generation_id, reconciled_at=None)
        if not rows.update(reconciled_at=timezone.now()):
            transaction.set_rollback(True)
            return None
        assert generation.message_id is not None
        flagged = write(generation, reply, results)
        _apply(generation.message_id, revision, flagged=flagged)
        transaction.on_commit(
            partial(doorbell.ring_conversation, generation.conversation_id), robust=True
        )
    return generation.message_id


def write(generation: Generation, reply: Whole, results: dict[str, Result]) -> bool:
    """Verdicts and receipt of a generation in its terminal state, within the caller's transaction.

    The caller has won the right to it by setting ``reconciled_at``. Returns whether a verdict
    flags the text.
    """
    assert generation.message_id is not None
    text = reply.text
    names = settings.MODERATION_BACKENDS if reply.readable else []
    schema_verdict, schema_errors = reply.judgement or ("", [])
    verdicts = [_verdict(generation.message_id, name, results.get(name)) for name in names]
    Verdict.objects.bulk_create(verdicts)
    Receipt.objects.create(
        generation=generation,
        state=generation.state,
        finish_reason=generation.finish_reason,
        sha256=hashlib.sha256(text.encode()).hexdigest(),
        characters=len(text),
        verdict=_overall([verdict.state for verdict in verdicts]),
        prompt_tokens=generation.prompt_tokens,
        completion_tokens=generation.completion_tokens,
        ttft_provider_ms=generation.ttft_provider_ms,
        ttft_served_ms=generation.ttft_served_ms,
        schema_verdict=schema_verdict,
        schema_errors=schema_errors,
    )
    return any(result.flagged for result in results.values())


def _verdict(message_id: int, name: str, result: Result | None) -> Verdict:
    verdict = Verdict(message_id=message_id, backend=name, next_try_at=timezone.now())
    if result is not None:
        _fill(verdict, result)
    return verdict


def _fill(verdict: Verdict, result: Result) -> None:
    verdict.state = VerdictState.FLAGGED if result.flagged else VerdictState.PASSED
    verdict.model, verdict.version = result.model, result.version
    verdict.categories = result.categories
    verdict.decided_at = timezone.now()
    verdict.next_try_at = None
    verdict.tries += 1


def _apply(message_id: int, revision: int, *, flagged: bool) -> None:
    """Show the page that something changed, and take a flagged reply off it."""
    Message.objects.filter(pk=message_id).update(revision=revision, **withheld(flagged=flagged))


def withheld(*, flagged: bool) -> dict[str, datetime]:
    """What a verdict changes in the message."""
    if flagged and settings.MODERATION_ACTION == "withhold":
        return {"withheld_at": timezone.now()}
    return {}


def _overall(states: list[str]) -> VerdictState:
    """One word for the verdicts of a message: the gravest. No text, nothing to object to."""
    for state in (VerdictState.FLAGGED, VerdictState.ERROR, VerdictState.PENDING):
        if state in states:
            return state
    return VerdictState.PASSED


def _pending(message_id: int) -> list[tuple[int, str, str]]:
    rows = due().filter(message=message_id)
    return [
        (
            verdict.pk,
            verdict.backend,
            verdict.message.text_before() + whole_of(verdict.message).readable,
        )
        for verdict in rows.select_related("message__generation__assistant")
    ]


def due() -> QuerySet[Verdict]:
    now = timezone.now()
    return Verdict.objects.filter(
        Q(next_try_at=None) | Q(next_try_at__lte=now), state=VerdictState.PENDING
    )


def _postpone(verdict_id: int) -> None:
    verdict = Verdict.objects.get(pk=verdict_id)
    wait = RETRY_S[min(verdict.tries, len(RETRY_S) - 1)]
    Verdict.objects.filter(pk=verdict_id, state=VerdictState.PENDING).update(
        tries=verdict.tries + 1, next_try_at=timezone.now() + timedelta(seconds=wait)
    )


def _decide(verdict_id: int, result: Result) -> None:
    with transaction.atomic():
        verdict = Verdict.objects.select_related("message__conversation").get(pk=verdict_id)
        conversation = verdict.message.conversation
        revision = conversation.bump()
        if verdict.state != VerdictState.PENDING:
            return
        _fill(verdict, result)
        verdict.save()
        overall = _overall(list(verdict.message.verdicts.values_list("state", flat=True)))
        Receipt.objects.filter(generation__message=verdict.message_id).update(verdict=overall)
        _apply(verdict.message_id, revision, flagged=result.flagged)
        transaction.on_commit(partial(doorbell.ring_conversation, conversation.pk), robust=True)
