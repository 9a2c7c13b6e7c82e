"""From a queued row to a job: claimed by a conditional UPDATE, with the request it stands for."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection
from django.utils import timezone

from chat import titles
from chat.engine.provider import Request
from chat.models import Generation, Message, Purpose, Role


@dataclass(frozen=True, slots=True)
class Job:
    """A claimed generation. ``attempt`` fences its writes."""

    generation_id: int
    attempt: int
    purpose: Purpose
    conversation_id: UUID
    owner_id: int
    message_id: int | None
    accepted_at: datetime
    request_id: str
    wants_title: bool
    finish_when_away: bool
    text_before: str = field(repr=False)  # of the reply that this one continues
    request: Request = field(repr=False)


CONTINUE = (
    "Your last message was cut off. Continue it exactly where it stopped, in the middle of the "
    "word if need be. Repeat nothing of it, begin no new answer, and say nothing about this."
)

# "reply" sorts before "title": a person waits for the one, nobody for the other. The state is
# looked at again by the UPDATE itself: of two workers that choose the same row one gets none.
CLAIM = """
UPDATE chat_generation
SET state = 'streaming', attempt = attempt + 1,
    claimed_by = %s, heartbeat_at = %s, requested_at = %s
WHERE state = 'queued' AND id = (
    SELECT id FROM chat_generation WHERE state = 'queued' AND purpose IN ('reply', %s)
    ORDER BY purpose, created_at LIMIT 1
)
RETURNING id
"""


def claim(worker: str, *, with_titles: bool = True) -> Job | None:
    """Claim the oldest queued generation, replies before titles; None if there is none to win.

    ``with_titles`` is False when as many titles run as may: then only a reply is claimed.
    """
    now = connection.ops.adapt_datetimefield_value(timezone.now())
    with connection.cursor() as cursor:
        cursor.execute(CLAIM, [worker, now, now, Purpose.TITLE if with_titles else Purpose.REPLY])
        row = cursor.fetchone()
    if row is None:
        return None
    return _job(Generation.objects.select_related("conversation__owner").get(pk=row[0]))


def _job(row: Generation) -> Job:
    messages = {m.pk: m for m in row.conversation.messages.all()}
    question, text_before = None, ""
    if row.message_id is None:
        asked = titles.prompt(messages.values())
    else:
        parent = messages.get(messages[row.message_id].parent_id or 0)
        asked = _history(messages, parent)
        if parent is not None and parent.role == Role.ASSISTANT:
            text_before = messages[row.message_id].text_before()
        question = parent
        while question is not None and question.role == Role.ASSISTANT:
            question = messages.get(question.parent_id or 0)
    request = Request(model=row.model, messages=tuple(asked), **row.parameters)
    return Job(
        generation_id=row.pk,
        attempt=row.attempt,
        purpose=Purpose(row.purpose),
        conversation_id=row.conversation_id,
        owner_id=row.conversation.owner_id,
        message_id=row.message_id,
        accepted_at=row.created_at,
        request_id=row.request_id,
        finish_when_away=row.conversation.owner.finish_when_away,
        wants_title=question is not None and titles.wanted(row.conversation, question),
        text_before=text_before,
        request=request,
    )


def _history(messages: dict[int, Message], last: Message | None) -> list[dict[str, Any]]:
    """What the provider is asked: instructions, then the branch that ends with ``last``.

    Left out: replies without text, and withheld ones, which nobody has let through. When the whole
    is longer than ``CONTEXT_MAX_CHARS`` the oldest go first; the newest message always stays.

    A reply and its continuations are one turn, because many models want the roles to alternate.
    When ``last`` is a cut reply, the model is asked in words to go on: only some endpoints take a
    partial answer as the beginning of theirs, and others answer anew without a sign of it.
    """
    turns: list[dict[str, Any]] = []
    budget = settings.CONTEXT_MAX_CHARS
    current = last
    while current is not None:
        if current.text and not (current.role == Role.ASSISTANT and current.withheld_at):
            budget -= len(current.text)
            if budget < 0 and turns:
                break
            if turns and turns[-1]["role"] == current.role == Role.ASSISTANT:
                turns[-1]["content"] = current.text + turns[-1]["content"]
            else:
                turns.append({"role": current.role, "content": current.text})
        current = messages.get(current.parent_id or 0)
    if turns and last is not None and last.role == turns[0]["role"] == Role.ASSISTANT:
        turns.insert(0, {"role": "user", "content": CONTINUE})
    if settings.SYSTEM_PROMPT:
        turns.append({"role": "system", "content": settings.SYSTEM_PROMPT})
    return turns[::-1]
