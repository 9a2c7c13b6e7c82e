"""A conversation's title, asked of the model in the background after its first complete reply.

A generation of its own kind: it never counts as the user's turn and nobody waits for it. Whatever
goes wrong, the first words of the question stay as the title.
"""

import re
from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from chat import doorbell, ledger
from chat.database import in_database
from chat.engine.errors import ProviderError
from chat.engine.events import UsageDelta
from chat.engine.provider import Provider
from chat.models import Conversation, Generation, Message, Purpose, Role, State

MAX_TOKENS = 24
EXCERPT_CHARS = 600
TITLE_MAX_CHARS = 60
INSTRUCTIONS = (
    "You write titles. Answer with a title of two to six words for the conversation that you are "
    "given. No quotation marks, no full stop, nothing else."
)


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


def prompt(messages: Iterable[Message]) -> list[dict[str, Any]]:
    """What the model is shown: the beginning of the first question."""
    questions = [m for m in messages if m.role == Role.USER]
    first = min(questions, key=lambda m: m.pk).text if questions else ""
    excerpt = first[:EXCERPT_CHARS]
    return [
        {"role": "system", "content": INSTRUCTIONS},
        {"role": "user", "content": f"The conversation begins:\n\n{excerpt}\n\nTitle:"},
    ]


async def run(job: Any, provider: Provider) -> None:
    """Ask for the title of a claimed job and keep it if it is usable."""
    usage: UsageDelta | None = None
    try:
        answer, usage = await provider.completion(job.request)
        title, error = tidy(answer), None
    except ProviderError as failure:
        title, error = "", failure
    await in_database(_save, job, title, usage, error)
    if title:
        doorbell.ring_user(job.owner_id)


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


def _save(job: Any, title: str, usage: UsageDelta | None, error: ProviderError | None) -> None:
    now = timezone.now()
    with transaction.atomic():
        rows = Generation.objects.filter(pk=job.generation_id, attempt=job.attempt)
        won = rows.move(
            State.COMPLETE if title else State.FAILED,
            expect=State.STREAMING,
            finished_at=now,
            reconciled_at=now,
            calls=1,
            prompt_tokens=usage.prompt_tokens if usage else None,
            completion_tokens=usage.completion_tokens if usage else None,
            error_kind=error.kind if error else "" if title else "empty",
            error_detail=error.detail if error else "",
        )
        if won:
            ledger.enter(rows.select_related("conversation").get())
        if title:
            untouched = Conversation.objects.filter(pk=job.conversation_id, titled_by_user=False)
            untouched.update(title=title)
