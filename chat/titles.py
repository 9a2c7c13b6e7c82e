"""A conversation's title, asked of the model in the background after its first complete reply.

A generation of its own kind: it never counts as the user's turn and nobody waits for it. Whatever
goes wrong, the first words of the question stay as the title.
"""

import re
from collections.abc import Awaitable
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from chat import doorbell, ledger, verdicts
from chat.asking import ask_metered
from chat.database import in_database
from chat.engine.errors import ProviderError
from chat.engine.provider import Provider
from chat.engine.tally import Tally, tallied
from chat.models import Action, Conversation, Direction, Generation, Message, Purpose, State
from chat.moderation.base import ModerationUnavailable, Unclear
from chat.policy import Current

MAX_TOKENS = 24
EXCERPT_CHARS = 600
TITLE_MAX_CHARS = 60
INSTRUCTIONS = (
    "You write titles. Answer with a title of two to six words for the conversation that you are "
    "given. No quotation marks, no full stop, nothing else."
)


class Unfit(ProviderError):
    """The model's title must not be shown."""

    kind = "moderated"


def wanted(conversation: Conversation, parent: Message) -> bool:
    """Should the reply to ``parent`` be followed by a title? Only the first one is."""
    return settings.TITLES and parent.parent_id is None and not conversation.titled_by_user


def request(conversation_id: UUID, model: str) -> None:
    """Queue a title, within the caller's transaction, unless one has been asked for."""
    title = Generation(
        conversation_id=conversation_id,
        purpose=Purpose.TITLE,
        model=model,
        parameters={"max_tokens": MAX_TOKENS, "temperature": 0.2},
    )
    Generation.objects.bulk_create([title], ignore_conflicts=True)


def prompt(question: Message | None) -> list[dict[str, Any]]:
    """What the model is shown: the beginning of the first question."""
    excerpt = question.text[:EXCERPT_CHARS] if question is not None else ""
    return [
        {"role": "system", "content": INSTRUCTIONS},
        {"role": "user", "content": f"The conversation begins:\n\n{excerpt}\n\nTitle:"},
    ]


async def run(job: Any, provider: Provider, check: Awaitable[None]) -> None:
    """Ask for the title of a claimed job and keep it if it is usable.

    ``check`` raises a ProviderError when no model may read the question.
    """
    error: ProviderError | None = None
    with tallied() as spent:
        try:
            await check
            answer, _ = await provider.completion(job.request)
            title = tidy(answer)
            await _refuse_unfit(title, job, provider)
        except ProviderError as failure:
            title, error = "", failure
    await in_database(_save, job, title, spent, error)
    if title:
        doorbell.ring_user(job.owner_id)


async def _refuse_unfit(title: str, job: Any, provider: Provider) -> None:
    """A title is what a model says, and no reviewer reads it: whatever is objected to is left.

    The remote backends are asked where nothing may pass unchecked: nobody waits for a title.
    """
    current: Current = job.current
    closed = settings.MODERATION_FAIL == "closed"
    for name in (current.backends if closed else current.at_once) if title else ():
        try:
            asked = Direction.OUTPUT, current, provider, job.owner_id
            found = await ask_metered(name, title, *asked)
        except ModerationUnavailable:
            raise Unfit from None
        if isinstance(found, Unclear):
            raise Unfit
        action = current.policy.action(Direction.OUTPUT, found.categories, found.hits)
        if action != Action.ALLOW:
            raise Unfit


def tidy(answer: str) -> str:
    """One short line out of whatever the model answered; empty when there is none in it."""
    lines = [line.strip() for line in answer.splitlines() if line.strip()]
    if not lines:
        return ""
    line = re.sub(r"^(title|titel|titre)\s*:\s*", "", lines[0], flags=re.IGNORECASE)
    line = re.sub(r"[*_`#\"“”„«»<>]", "", line).strip(" .:-–'")
    line = " ".join(line.split())
    if len(line) > TITLE_MAX_CHARS:
        line = line[:TITLE_MAX_CHARS].rsplit(" ", 1)[0] + "…"
    return line


def _save(job: Any, title: str, spent: Tally, error: ProviderError | None) -> None:
    now = timezone.now()
    with transaction.atomic():
        question = Message.objects.filter(pk=job.question_id).first()
        if title and question is not None and verdicts.is_blocked(question):
            title, error = "", Unfit()  # since it was asked for
        rows = Generation.objects.filter(pk=job.generation_id, attempt=job.attempt)
        won = rows.move(
            State.COMPLETE if title else State.FAILED,
            expect=State.STREAMING,
            finished_at=now,
            reconciled_at=now,
            calls=spent.calls,
            prompt_tokens=spent.prompt_tokens or None,
            completion_tokens=spent.completion_tokens or None,
            error_kind=error.kind if error else "" if title else "empty",
            error_detail=error.detail if error else "",
        )
        if won:
            ledger.enter(rows.select_related("conversation").get())
        if title:
            untouched = Conversation.objects.filter(pk=job.conversation_id, titled_by_user=False)
            untouched.update(title=title)
