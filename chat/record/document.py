"""A conversation as plain data: every message of every branch in order, with what is known of it.

The owner's export shows no more than his page does. The reviewers' (``whole``) has all: withheld
text, verdicts, decisions, and the titles that a model was asked for.
"""

from collections.abc import Callable
from typing import Any

from django.db.models import Model

from chat.models import Conversation, Generation, Message, Purpose, ToolCall
from chat.models.conversation import WITH

Explain = Callable[[Generation], str]
FOR_REVIEW = ("verdicts", "review__decisions", "redactions", "reports", "feedback")
# What a generation says of a message; of one that none has made, nothing.
NOT_MADE: dict[str, Any] = {
    "state": "complete",
    "finish_reason": None,
    "stop_reason": None,
    "error": None,
    "model": None,
    "usage": None,
    "ttft": None,
    "assistant": None,
    "verdict": None,
    "schema_verdict": None,
    "schema_errors": [],
    "sha256": None,
}


def document(
    conversation: Conversation, explain: Explain | None = None, *, whole: bool = False
) -> dict[str, Any]:
    """``explain`` is the sentence for an error; without it, what the provider said."""
    rows = conversation.messages.select_related(*WITH).prefetch_related("tool_calls")
    if whole:
        rows = rows.prefetch_related(*FOR_REVIEW)
    found = {
        "id": str(conversation.pk),
        "title": conversation.title,
        "created": conversation.created_at.isoformat(),
        "head": conversation.head_id,
        "messages": [entry(message, explain, whole=whole) for message in rows.order_by("pk")],
    }
    if whole:
        found |= {
            "active": conversation.active_at.isoformat(),
            "deleted": _moment(conversation.deleted_at),
            "came": "api" if conversation.api_key_id else "page",
            "titles": [
                _made(generation, None) | _run(generation)
                for generation in conversation.generations.filter(purpose=Purpose.TITLE)
            ],
        }
    return found


def entry(
    message: Message, explain: Explain | None = None, *, whole: bool = False
) -> dict[str, Any]:
    """One message; what is withheld is left out unless the ``whole`` is asked for."""
    hidden = message.withheld_at is not None and not whole
    found: dict[str, Any] = {
        "id": message.pk,
        "parent": message.parent_id,
        "role": message.role,
        "text": "" if hidden else message.text,
        "reasoning": "" if hidden else message.reasoning,
        "tool_calls": [] if hidden else [_call(call) for call in message.tool_calls.all()],
        "withheld": message.withheld_at is not None,
        "created": message.created_at.isoformat(),
    }
    generation = getattr(message, "generation", None)
    if generation is None:
        found |= NOT_MADE
    else:
        found |= _made(generation, explain)
        receipt = getattr(generation, "receipt", None)
        if hidden and receipt is not None:
            found["schema_errors"] = []
    if whole:
        found |= _reviewed(message)
        found |= {"run": None} if generation is None else _run(generation)
    return found


def _made(generation: Generation, explain: Explain | None) -> dict[str, Any]:
    receipt = getattr(generation, "receipt", None)
    kind = generation.error_kind
    said = explain(generation) if explain else generation.error_detail
    return {
        "state": generation.state,
        "finish_reason": generation.finish_reason or None,
        "stop_reason": generation.stop_reason or None,
        "error": {"kind": kind, "message": said} if kind else None,
        "model": generation.model,
        "usage": {
            "prompt_tokens": generation.prompt_tokens,
            "completion_tokens": generation.completion_tokens,
            "reasoning_tokens": generation.reasoning_tokens,
            "estimated": generation.tokens_estimated,
        },
        "ttft": {
            "provider_ms": generation.ttft_provider_ms,
            "served_ms": generation.ttft_served_ms,
            "perceived_ms": generation.ttft_perceived_ms,
        },
        "assistant": _assistant(generation),
        "verdict": receipt.verdict if receipt else None,
        "schema_verdict": (receipt.schema_verdict or None) if receipt else None,
        "schema_errors": receipt.schema_errors if receipt else [],
        "sha256": receipt.sha256 if receipt else None,
    }


def _run(generation: Generation) -> dict[str, Any]:
    """How it was made; ``request`` is what a program sent, as it was received."""
    return {
        "run": {
            **_fields(generation, "request_id", "parameters", "request", "calls", "transport"),
            **_fields(generation, "thinking_ms", "writing_ms", "inter_token_p95_ms"),
            "requested": _moment(generation.requested_at),
            "finished": _moment(generation.finished_at),
        }
    }


def _assistant(generation: Generation) -> dict[str, Any] | None:
    version = generation.assistant
    if version is None:
        return None
    return {
        "name": version.name,
        "version": version.number,
        "instructions": version.instructions,
    }


def _call(call: ToolCall) -> dict[str, Any]:
    return {
        "id": call.call_id,
        "name": call.name,
        "arguments": call.arguments,
        "parsed": call.parsed,
        "result": call.result,
        "state": call.state,
        "decision": call.decision or None,
        "duration_ms": call.duration_ms,
        "offset": call.offset,
    }


def _reviewed(message: Message) -> dict[str, Any]:
    """What moderation, readers and reviewers say of a message; people by their keys."""
    item = getattr(message, "review", None)
    return {
        "verdicts": [
            _fields(verdict, "backend", "model", "version", "state", "action", "policy")
            | {"categories": verdict.categories, "history": verdict.history}
            | {"decided": _moment(verdict.decided_at)}
            for verdict in message.verdicts.all()
        ],
        "review": None
        if item is None
        else _fields(item, "state", "outcome")
        | {
            "decisions": [
                _fields(decision, "kind", "note", "took_effect")
                | {"reviewer": decision.reviewer_id, "at": _moment(decision.created_at)}
                for decision in item.decisions.all()
            ]
        },
        "redactions": [
            _fields(redaction, "start", "characters", "sha256", "sha256_after")
            | {"at": _moment(redaction.created_at)}
            for redaction in message.redactions.all()
        ],
        "reports": [
            _fields(report, "complaint", "note") | {"at": _moment(report.created_at)}
            for report in message.reports.all()
        ],
        "feedback": [given.opinion for given in message.feedback.all()],
    }


def _fields(row: Model, *names: str) -> dict[str, Any]:
    return {name: getattr(row, name) for name in names}


def _moment(value: Any) -> str | None:
    return value.isoformat() if value else None
