"""The end of a generation, in one transaction: state, text, timings, usage."""

from typing import Any

from django.db import transaction
from django.utils import timezone

from chat import reconcile, titles
from chat.engine.errors import ProviderError
from chat.engine.events import Outcome
from chat.engine.turn import Turn
from chat.models import Generation, Message, State, Timeline, next_revision
from chat.record import seals
from chat.tools import record
from chat.verdicts import MODERATION, Found
from chat.worker.claim import Job


def finish(
    job: Job,
    turn: Turn,
    outcome: Outcome,
    reason: str,
    error: ProviderError | None,
    results: Found | None,
) -> bool:
    """Move the generation to its terminal state, save the whole reply and write its receipt.

    ``results`` are the verdicts that are there already; None leaves the receipt to the sweeper.
    Returns False, and changes nothing, when the claim has been lost.
    """
    reply = turn.reply
    usage = reply.usage
    completion = usage.completion_tokens if usage else None
    facts = {
        "finished_at": timezone.now(),
        "reconciled_at": None if results is None else timezone.now(),
        "stop_reason": reason,
        "calls": turn.calls,
        "finish_reason": reply.finish_reason[:40],
        "prompt_tokens": usage.prompt_tokens if usage else None,
        "completion_tokens": reply.pieces if completion is None else completion,
        # Most providers send a token per chunk, so the pieces are a fair guess without usage.
        "tokens_estimated": completion is None,
        "reasoning_tokens": usage.reasoning_tokens if usage else None,
        "ttft_provider_ms": _ms(turn.requested_at, turn.first_delta_at),
        "thinking_ms": _ms(turn.first_delta_at, turn.first_text_at or turn.last_delta_at)
        if reply.reasoning
        else None,
        # Without what tools took.
        "writing_ms": round(turn.pace.writing_s * 1000, 3) if turn.last_delta_at else None,
        "inter_token_p95_ms": turn.pace.gaps.percentile(0.95),
        "error_kind": error.kind if error else "",
        "error_detail": error.detail if error else "",
    }
    whole = reconcile.whole(
        reply.text,
        job.schema,
        [(call.offset, call.name, call.arguments) for call in reply.all_calls],
        reply.reasoning,
    )
    with transaction.atomic():
        revision = next_revision(job.conversation_id)
        rows = Generation.objects.filter(pk=job.generation_id, attempt=job.attempt)
        if not rows.move(State(outcome), expect=State.STREAMING, **facts):
            transaction.set_rollback(True)
            return False
        kept_back: dict[str, Any] = {"withheld_at": timezone.now()} if reason == MODERATION else {}
        if results is None and whole.readable:
            kept_back = kept_back or reconcile.unjudged(job.current)
        if results is not None:
            row = rows.select_related("assistant", "conversation").get()
            weighed = reconcile.write(row, whole, results, job.current, len(job.text_before))
            kept_back = reconcile.withheld(weighed, reason)
        assert job.message_id is not None
        if reply.text:
            Timeline.objects.create(generation_id=job.generation_id, points=turn.pace.growth.points)
        if reply.all_calls:
            record.keep(job.message_id, reply.all_calls)
        Message.objects.filter(pk=job.message_id).update(
            text=reply.text,
            reasoning=reply.reasoning,
            revision=revision,
            **kept_back,
        )
        if outcome == Outcome.COMPLETE and job.wants_title:
            titles.request(job.conversation_id, job.request.model)
        if results is not None:
            seals.seal(job.conversation_id, job.generation_id)
    return True


def _ms(start: float | None, end: float | None) -> float | None:
    if start is None or end is None:
        return None
    return round((end - start) * 1000, 3)
