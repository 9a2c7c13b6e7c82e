"""What a request changes, and what became of it. Synchronous: see chat.database."""

import textwrap
from dataclasses import dataclass, field
from itertools import pairwise
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from chat import actions, passed_on, services, verdicts
from chat.api import errors
from chat.api.requests import Asked
from chat.api.transcripts import Called
from chat.models import (
    ApiKey,
    CallState,
    Conversation,
    Generation,
    Message,
    Role,
    State,
    ToolCall,
)
from chat.models.tools import NAME_CHARS

TITLE_CHARS = 60
# Rows in one statement; SQLite takes 32,766 values in one.
BATCH = 500


def accept(key: ApiKey, asked: Asked, conversation_id: UUID, request_id: str) -> int:
    """Save the transcript and queue the reply to it; returns the generation's id.

    Raises:
        ApiError: the server drains, or the owner has too many replies being written.
    """
    if not services.takes_replies():
        raise errors.draining()
    with transaction.atomic():
        try:
            actions.refuse_too_many(key.owner)
        except actions.Rejected:
            raise errors.too_many(settings.CONCURRENT_REPLIES_PER_USER) from None
        conversation = Conversation.objects.create(
            id=conversation_id,
            owner=key.owner,
            api_key=key,
            title=_title(asked),
            titled_by_user=True,  # who asks for completions has not asked for a title
            active_at=timezone.now(),
            revision=1,
        )
        conversation.head = _write(conversation, asked)
        conversation.save(update_fields=["head"])
        generation = conversation.generations.create(
            message=conversation.head,
            model=asked.model,
            request=asked.given,
            request_id=request_id,
            transport=asked.transport,
        )
        transaction.on_commit(services.wake_worker)
    return generation.pk


def _write(conversation: Conversation, asked: Asked) -> Message:
    """The transcript's messages in a row, and the empty reply behind them."""
    said = [(one.role, one.text) for one in asked.said]
    rows = [
        Message(conversation=conversation, role=role, text=text, created_revision=1, revision=1)
        for role, text in [*said, (Role.ASSISTANT, "")]
    ]
    Message.objects.bulk_create(rows, batch_size=BATCH)
    for before, after in pairwise(rows):
        after.parent = before
    Message.objects.bulk_update(rows[1:], ["parent"], batch_size=BATCH)
    calls = [
        _call(row, number, call)
        for row, one in zip(rows, asked.said, strict=False)
        for number, call in enumerate(one.calls)
    ]
    ToolCall.objects.bulk_create(calls, batch_size=BATCH)
    said_to_model = enumerate(zip(rows, asked.said, strict=False))
    verdicts.expect(
        [
            row
            for number, (row, one) in said_to_model
            if one.text or one.calls or any(passed_on.unshown(asked.given, number))
        ]
    )
    return rows[-1]


def _call(message: Message, number: int, call: Called) -> ToolCall:
    return ToolCall(
        message=message,
        number=number,
        round=1,
        offset=len(message.text),
        call_id=call.id[:NAME_CHARS],
        name=call.name[:NAME_CHARS],
        arguments=call.arguments,
        state=CallState.PASSED_ON,
    )


def _title(asked: Asked) -> str:
    """The first words of the user; of anybody, when no user speaks."""
    texts = [one.text for one in asked.said if one.role is Role.USER and one.text.strip()]
    text = next(iter(texts or [one.text for one in asked.said]))
    line = " ".join(text[:1000].split())
    found = textwrap.shorten(line, TITLE_CHARS, placeholder="…")
    return found if found != "…" else line[: TITLE_CHARS - 1] + "…"


@dataclass(frozen=True, slots=True)
class Ending:
    """A reply in its terminal state, as the record has it."""

    state: State
    finish_reason: str
    error_kind: str
    stop_reason: str
    withheld: bool
    prompt_tokens: int | None
    completion_tokens: int | None
    reasoning_tokens: int | None
    text: str = field(default="", repr=False)

    @property
    def complete(self) -> bool:
        return self.state is State.COMPLETE


def ending(generation_id: int) -> Ending | None:
    """How the reply ended; None while it has not."""
    row = Generation.objects.select_related("message").get(pk=generation_id)
    if row.is_active:
        return None
    assert row.message is not None
    return Ending(
        state=State(row.state),
        finish_reason=row.finish_reason,
        error_kind=row.error_kind,
        stop_reason=row.stop_reason,
        withheld=row.message.withheld_at is not None,
        prompt_tokens=row.prompt_tokens,
        completion_tokens=row.completion_tokens,
        reasoning_tokens=row.reasoning_tokens,
        text=row.message.text,
    )
