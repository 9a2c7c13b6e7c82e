"""What follows from the verdicts on a message: for its reader, its receipt and the reviewers.

Synchronous, within the caller's transaction.
"""

from collections.abc import Collection
from functools import partial
from typing import Any

from django.db import transaction
from django.utils import timezone

from chat import doorbell
from chat.models import (
    Direction,
    Generation,
    Message,
    Receipt,
    ReviewItem,
    ReviewState,
    State,
    VerdictState,
)
from chat.review import queue
from chat.verdicts.rows import BLOCKING, Weighed, direction_of, weigh

MODERATION = "moderation"  # the reason of a reply that is ended because of a verdict
TITLED_BY_CHARS = 1_000  # of a question, at most, a title is made of


def announce(message_id: int, weighed: Weighed, *, sampled: bool = False) -> None:
    """Let a message wait for a reviewer if there is a reason, within the caller's transaction."""
    if weighed.flagged or weighed.unclear or sampled:
        queue.put(
            message_id,
            flagged=weighed.flagged,
            unclear=weighed.unclear,
            sampled=sampled,
            score=weighed.score,
        )


def lifted(message: Message) -> dict[str, Any]:
    """What changes of a message that was withheld until it was judged, and has passed."""
    return _withheld(message, blocks=False, anew=False)


def is_blocked(message: Message) -> bool:
    """May no model read this? By the verdicts as they are."""
    if message.withheld_at is not None:
        return True
    flagged = message.verdicts.filter(state=VerdictState.FLAGGED, action__in=BLOCKING)
    return flagged.exists()


def follow(message: Message, backends: Collection[str], *, stop_replies: bool) -> None:
    """What the verdicts of a message come to, for its reader, its receipt and the reviewers.

    ``backends`` have just said something new. What they flag nobody has decided on yet, also where
    a reviewer has decided on the message before.
    """
    rows = list(message.verdicts.all())
    weighed, news = weigh(rows), weigh(row for row in rows if row.backend in backends)
    shown: dict[str, Any] = {}
    if direction_of(message) == Direction.OUTPUT:
        Receipt.objects.filter(generation__message=message).update(verdict=weighed.overall)
        shown = _withheld(message, blocks=weighed.blocks, anew=news.action in BLOCKING)
        visible = True
    else:
        shown = _withheld(message, blocks=weighed.withheld, anew=news.withheld)
        visible = bool(shown)
        if weighed.action in BLOCKING:
            _untitle(message)
            if stop_replies:
                _stop_reply(message)
    if weighed.flagged or weighed.unclear:
        announce(message.pk, news)
    else:
        queue.withdraw(message.pk)
    if visible:
        revision = message.conversation.bump()
        Message.objects.filter(pk=message.pk).update(revision=revision, **shown)
        transaction.on_commit(
            partial(doorbell.ring_conversation, message.conversation_id), robust=True
        )


def _withheld(message: Message, *, blocks: bool, anew: bool) -> dict[str, Any]:
    """What changes of a message's being withheld. What a person has decided on does not.

    Except when a verdict blocks it ``anew``, which that person could not know of.
    """
    if blocks == (message.withheld_at is not None):
        return {}
    if blocks:
        return {"withheld_at": timezone.now()} if anew or not _is_decided(message) else {}
    if is_reviewed(message):
        return {}
    question = _question(message)
    if question is not None and is_blocked(question):
        return {}  # it was ended because of what was asked
    return {"withheld_at": None}


def _question(message: Message) -> Message | None:
    current = message.parent
    while current is not None and hasattr(current, "generation"):
        current = current.parent
    return current


def _is_decided(message: Message) -> bool:
    """Has a reviewer decided on it, or proposed to? Who escalates has not: it waits for others."""
    waits = (ReviewState.OPEN, ReviewState.ESCALATED)
    items = ReviewItem.objects.filter(message=message)
    return items.exclude(state__in=waits, outcome="").exists()


def is_reviewed(message: Message) -> bool:
    """Has a reviewer done anything about it, if only escalated it? Then no policy restores it."""
    items = ReviewItem.objects.filter(message=message)
    return items.exclude(state=ReviewState.OPEN, outcome="").exists()


def _untitle(message: Message) -> None:
    """Take the title off a conversation that has it from this question; what a user gave stays.

    One of a program's is always its first words, and only looks as if a user had given it.
    """
    conversation = message.conversation
    words = " ".join(message.text[:TITLED_BY_CHARS].split())
    copied = words.startswith(conversation.title.removesuffix("…").rstrip())
    of_program = conversation.api_key_id is not None and copied
    of_ours = message.parent_id is None and not conversation.titled_by_user
    if conversation.title and (of_program or of_ours):
        type(conversation).objects.filter(pk=conversation.pk).update(title="")
        ring = partial(doorbell.ring_user, conversation.owner_id)
        transaction.on_commit(ring, robust=True)


def _stop_reply(message: Message) -> None:
    """End the reply that is being written behind a message that no model may read."""
    running = Generation.objects.filter(
        conversation=message.conversation_id, purpose="reply", state=State.STREAMING
    )
    for generation in running:
        if message.pk in _ancestors(message, generation.message_id):
            rows = Generation.objects.filter(pk=generation.pk, stop_requested="")
            rows.filter(state=State.STREAMING).update(stop_requested=MODERATION)
            transaction.on_commit(doorbell.ring_workers, robust=True)


def _ancestors(message: Message, of: int | None) -> set[int]:
    rows = Message.objects.filter(conversation=message.conversation_id)
    parents: dict[int, int | None] = dict(rows.values_list("pk", "parent_id"))
    found: set[int] = set()
    while (of := parents.get(of or 0)) is not None:
        found.add(of)
    return found
