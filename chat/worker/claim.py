"""From a queued row to a job: claimed by a conditional UPDATE, with the request it stands for."""

import time
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import DatabaseError, connection
from django.utils import timezone

from chat import policy, titles
from chat.engine.request import Request
from chat.instructions import told
from chat.models import Generation, Message, Purpose, Role, State, ToolCall, ToolChoice
from chat.policy import NOTHING_SET, Current
from chat.tools.base import Tool
from chat.tools.registry import available
from chat.worker import questions
from chat.worker.history import history
from chat.worker.questions import Questions


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
    tools: tuple[Tool, ...] = ()
    approvals: frozenset[str] = frozenset()  # names of tools that the user is asked about
    schema: dict[str, Any] | None = field(default=None, repr=False)  # of the answer
    current: Current = field(default=NOTHING_SET, repr=False)  # when the reply began
    questions: Questions = field(default=Questions(), repr=False)
    question_id: int | None = None
    told: tuple[str, ...] = field(default=(), repr=False)  # by the assistant, besides the messages


# At once: the first of them waits until the last has been claimed.
SOME = 8
SOME_S = 0.05

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


def claim_some(worker: str, *, titles: int) -> list[Job]:
    """Claim what is queued, a few at a time, with at most so many ``titles``; empty if none is.

    Of a hundred replies that are asked for at once, each would else wait on its own for one of the
    database's threads, behind all the pages that they are asked for on.

    Raises:
        DatabaseError: nothing was claimed. What was, before it went away, is returned.
    """
    jobs: list[Job] = []
    until = time.monotonic() + SOME_S
    try:
        while not jobs or (len(jobs) < SOME and time.monotonic() < until):
            job = claim(worker, with_titles=titles > 0)
            if job is None:
                break
            titles -= job.purpose == Purpose.TITLE
            jobs.append(job)
    except DatabaseError:
        if not jobs:
            raise
    return jobs


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
    rows = Generation.objects.select_related("conversation__owner", "assistant")
    return _job(rows.get(pk=row[0]))


def _job(row: Generation) -> Job:
    messages = {m.pk: m for m in row.conversation.messages.all()}
    question, text_before = None, ""
    tools: tuple[Tool, ...] = ()
    parent = None
    if row.message_id is not None:
        parent = messages.get(messages[row.message_id].parent_id or 0)
        question = parent
        while question is not None and question.role == Role.ASSISTANT:
            question = messages.get(question.parent_id or 0)
    else:
        question = _first_question(row, messages)
    said = questions.load(row, messages, question)
    for pk in said.blocked & messages.keys():
        messages[pk].text = ""  # no model reads it again
    if row.message_id is None:
        request = Request(row.model, tuple(titles.prompt(question)), **row.parameters)
    else:
        if row.request is None:
            tools = _tools(row)
            request = _request(row, messages, parent, tools)
        else:
            request = _passed_on(row)
        if parent is not None and parent.role == Role.ASSISTANT:
            text_before = messages[row.message_id].text_before()
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
        wants_title=row.message_id is not None
        and question is not None
        and titles.wanted(row.conversation, question),
        text_before=text_before,
        request=request,
        tools=tools,
        approvals=frozenset(row.assistant.approvals if row.assistant else ()),
        schema=row.schema,
        current=policy.current(),
        questions=said,
        question_id=question.pk if question is not None else None,
        told=told(row.assistant.instructions, row.assistant.response_schema)
        if row.assistant is not None
        else (),
    )


def _first_question(title: Generation, messages: dict[int, Message]) -> Message | None:
    """What the branch began with whose reply is complete: a title is of what has been answered."""
    replies = title.conversation.generations.filter(purpose=Purpose.REPLY, state=State.COMPLETE)
    last = replies.order_by("-finished_at", "-pk").values_list("message", flat=True).first()
    found = messages.get(last or 0)
    while found is not None and found.parent_id is not None:
        found = messages.get(found.parent_id)
    return found


def _request(
    row: Generation, messages: dict[int, Message], last: Message | None, tools: tuple[Tool, ...]
) -> Request:
    assistant = row.assistant
    calls: defaultdict[int, list[ToolCall]] = defaultdict(list)
    if assistant is not None:  # without one nothing is called
        for call in ToolCall.objects.filter(message__conversation=row.conversation_id):
            calls[call.message_id].append(call)
    instructions = assistant.instructions if assistant else settings.SYSTEM_PROMPT
    specs = tuple(tool.spec for tool in tools)
    must = specs and assistant is not None and assistant.tool_choice == ToolChoice.REQUIRED
    return Request(
        model=row.model,
        messages=tuple(history(messages, calls, last, instructions)),
        tools=specs,
        tool_choice="required" if must else None,
        schema=assistant.response_schema if assistant else None,
        **row.parameters,
    )


def _tools(row: Generation) -> tuple[Tool, ...]:
    """Those of the assistant's tools that are there; one that has gone is no longer offered."""
    if row.assistant is None or not row.assistant.tools:
        return ()
    found = available()
    return tuple(found[name] for name in row.assistant.tools if name in found)


def _passed_on(row: Generation) -> Request:
    """What came through the API, as it came."""
    given: dict[str, Any] = dict(row.request or {})
    return Request(
        model=row.model,
        messages=tuple(given.pop("messages")),
        tools=tuple(given.pop("tools", None) or ()),
        tool_choice=given.pop("tool_choice", None),
        more=given,
        exact=True,
    )
