"""Rows of the record as the engine and ``reconcile`` leave them, made by plain functions."""

import hashlib
from datetime import timedelta
from typing import Any

from django.utils import timezone

from chat.models import (
    Conversation,
    Generation,
    Message,
    Purpose,
    Receipt,
    Role,
    State,
    User,
    Verdict,
    VerdictState,
)
from chat.record import seals

SHA256_OF_NOTHING = hashlib.sha256(b"").hexdigest()


def make_user(name: str, **fields: Any) -> User:
    fields.setdefault("email", f"{name}@example.org")
    return User.objects.create_user(name, password=f"password of {name}", **fields)


def make_conversation(owner: User, title: str = "Tides", **fields: Any) -> Conversation:
    fields.setdefault("active_at", timezone.now())
    return Conversation.objects.create(owner=owner, title=title, **fields)


def say(
    conversation: Conversation,
    text: str,
    parent: Message | None = None,
    role: str = Role.USER,
    **fields: Any,
) -> Message:
    """A message, and the conversation's new head."""
    message = Message.objects.create(
        conversation=conversation,
        parent=parent,
        role=role,
        text=text,
        created_revision=1,
        revision=1,
        **fields,
    )
    conversation.head = message
    conversation.save(update_fields=["head"])
    return message


def reply(
    parent: Message,
    text: str,
    *,
    state: str = State.COMPLETE,
    verdict: str = VerdictState.PASSED,
    scores: dict[str, float] | None = None,
    reasoning: str = "",
    withheld: bool = False,
    receipt: bool = True,
    **fields: Any,
) -> Message:
    """An assistant's message with its generation, a verdict and a receipt."""
    now = timezone.now()
    conversation = parent.conversation
    message = say(
        conversation,
        text,
        parent,
        Role.ASSISTANT,
        reasoning=reasoning,
        withheld_at=now if withheld else None,
    )
    active = state in (State.QUEUED, State.STREAMING)
    ended = {} if active else {"finished_at": now + timedelta(seconds=4), "writing_ms": 2_500.0}
    generation = Generation.objects.create(
        conversation=conversation,
        message=message,
        state=state,
        **{
            "model": "small-1",
            "parameters": {"temperature": 0.7, "max_tokens": 512},
            "requested_at": now - timedelta(seconds=3),
            "ttft_provider_ms": 181.4,
            "ttft_served_ms": 203.9,
            "thinking_ms": 1_200.0 if reasoning else None,
            "prompt_tokens": 40,
            "completion_tokens": max(1, len(text) // 4),
            "calls": 1,
            "reconciled_at": now if receipt and not active else None,
            **ended,
            **fields,
        },
    )
    if receipt and not active:
        if text:
            judge(message, verdict, scores)
        Receipt.objects.create(
            generation=generation,
            state=state,
            finish_reason=generation.finish_reason,
            sha256=hashlib.sha256(text.encode()).hexdigest(),
            characters=len(text),
            verdict=verdict,
            prompt_tokens=generation.prompt_tokens,
            completion_tokens=generation.completion_tokens,
        )
        seals.seal(conversation.pk, generation.pk)
    return message


def judge(
    message: Message,
    state: str = VerdictState.PASSED,
    scores: dict[str, float] | None = None,
    backend: str = "local",
) -> Verdict:
    return Verdict.objects.create(
        message=message,
        backend=backend,
        model="rules",
        version="1",
        state=state,
        categories=scores or {},
        decided_at=None if state == VerdictState.PENDING else timezone.now(),
    )


def make_title(conversation: Conversation, **fields: Any) -> Generation:
    now = timezone.now()
    return Generation.objects.create(
        conversation=conversation,
        purpose=Purpose.TITLE,
        **{"state": State.COMPLETE, "model": "title-model", "finished_at": now, **fields},
    )
