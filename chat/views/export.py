"""The owner's export: every message of every branch, in order, with what is known of it."""

import json
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from chat import access
from chat.delivery.page import notice
from chat.models import Conversation, Message, Role
from chat.views.people import signed_in


@require_safe
@login_required
def as_json(request: HttpRequest, conversation_id: UUID) -> HttpResponse:
    conversation = access.conversation_to_read(signed_in(request).pk, conversation_id)
    body = json.dumps(document(conversation), ensure_ascii=False, indent=2)
    return _download(body, "application/json", f"{conversation_id}.json")


@require_safe
@login_required
def as_markdown(request: HttpRequest, conversation_id: UUID) -> HttpResponse:
    conversation = access.conversation_to_read(signed_in(request).pk, conversation_id)
    parts = [f"# {conversation}\n"]
    for message in _messages(conversation):
        name = settings.ASSISTANT_NAME if message.role == Role.ASSISTANT else message.role
        parts.append(f"## {name}, {message.created_at:%Y-%m-%d %H:%M} UTC\n")
        parts.append(f"{_shown(message)}\n")
    return _download("\n".join(parts), "text/markdown; charset=utf-8", f"{conversation_id}.md")


def document(conversation: Conversation) -> dict[str, Any]:
    """The export as plain data; the fields are part of the contract in docs/."""
    return {
        "id": str(conversation.pk),
        "title": conversation.title,
        "created": conversation.created_at.isoformat(),
        "messages": [_entry(message) for message in _messages(conversation)],
    }


def _messages(conversation: Conversation) -> list[Message]:
    rows = conversation.messages.select_related("generation", "generation__receipt")
    return list(rows.order_by("pk"))


def _shown(message: Message) -> str:
    """The text, or nothing of it while it is withheld: an export shows no more than the page."""
    return "" if message.withheld_at else message.text


def _entry(message: Message) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "id": message.pk,
        "parent": message.parent_id,
        "role": message.role,
        "text": _shown(message),
        "reasoning": "" if message.withheld_at else message.reasoning,
        "tool_calls": [],
        "withheld": message.withheld_at is not None,
        "created": message.created_at.isoformat(),
    }
    if message.role != Role.ASSISTANT:
        return entry | {"state": "complete"}
    generation = message.generation
    receipt = getattr(generation, "receipt", None)
    kind = generation.error_kind
    return entry | {
        "state": generation.state,
        "finish_reason": generation.finish_reason or None,
        "stop_reason": generation.stop_reason or None,
        "error": {"kind": kind, "message": notice(generation)} if kind else None,
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
        },
        "verdict": receipt.verdict if receipt else None,
        "sha256": receipt.sha256 if receipt else None,
    }


def _download(body: str, content_type: str, name: str) -> HttpResponse:
    response = HttpResponse(body, content_type=content_type)
    response["Content-Disposition"] = f'attachment; filename="conversation-{name}"'
    return response
