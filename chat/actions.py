"""What a person does to a conversation: one function, one transaction, the doorbell on commit.

Errors are ``Rejected``: a sentence for the person, who keeps what he typed. What concerns the
branches of a conversation (edit, regenerate, continue, versions) is in ``chat.branches``.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction
from django.http import Http404
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from chat import access, assistants, doorbell, services, verdicts
from chat.models import (
    Assistant,
    CallState,
    Conversation,
    Decision,
    Generation,
    Message,
    Role,
    State,
    User,
)
from chat.models.conversation import TITLE_CHARS
from chat.models.generation import ACTIVE


class Rejected(Exception):
    """The action was declined for a reason that the person can read and act on."""


@dataclass(frozen=True, slots=True)
class Sent:
    """An accepted message. ``created`` is False when the same form had been accepted before."""

    message: Message
    created: bool


def send(
    user: User,
    conversation_id: UUID,
    text: str,
    key: str,
    *,
    may_create: bool,
    request_id: str = "",
    assistant_id: int | None = None,
) -> Sent:
    """Append a message and queue the reply to it.

    ``key`` is the form's idempotency key: sending the same one again changes nothing (I1).
    ``may_create`` lets the first message make the conversation, with the assistant of this id;
    of later messages, ``assistant_id`` is not looked at.

    Raises:
        Rejected: a reply is being written here, the user has too many of them, or he may not use
            the assistant.
        Http404: no such conversation for this user.
    """
    return accept_once(
        user,
        conversation_id,
        key,
        partial(_send, user, conversation_id, text, key, may_create, request_id, assistant_id),
    )


def accept_once(user: User, conversation_id: UUID, key: str, make: Callable[[], Message]) -> Sent:
    """Make a message in a transaction, unless its form has made one already.

    ``make`` creates the message with this ``key`` and queues the reply to it; the database's
    constraints say when either may not be.
    """
    try:
        with transaction.atomic():
            return Sent(make(), created=True)
    except IntegrityError:
        # Somebody else's transaction was first: the same form again, or another reply.
        earlier = Message.objects.filter(
            conversation=conversation_id, conversation__owner=user, send_key=key
        ).first()
        if earlier is not None:
            return Sent(earlier, created=False)
        access.conversation_if_any(user.pk, conversation_id)
        raise Rejected(still_writing()) from None
    except Conversation.DoesNotExist:
        raise Http404 from None  # purged a moment ago


def _send(
    user: User,
    conversation_id: UUID,
    text: str,
    key: str,
    may_create: bool,
    request_id: str,
    assistant_id: int | None,
) -> Message:
    now = timezone.now()
    conversation = access.conversation_if_any(user.pk, conversation_id)
    if conversation is None:
        if not may_create:
            raise Http404
        conversation = Conversation.objects.create(
            id=conversation_id, owner=user, title=_first_words(text), active_at=now, revision=1
        )
        revision = conversation.revision
    else:
        revision = conversation.bump()  # locks the row: from here on we are alone in it
    changed = ["active_at", "head", "title"]
    if conversation.head_id is None:
        conversation.assistant = _chosen(user, assistant_id)
        changed.append("assistant")
    message = say(conversation, conversation.head_id, text, key, revision)
    refuse_too_many(user)
    queue_reply(conversation, message, revision, request_id)
    conversation.active_at = now
    if not conversation.title:
        conversation.title = _first_words(text)
    conversation.save(update_fields=changed)
    transaction.on_commit(partial(doorbell.ring_user, user.pk))
    return message


def _chosen(user: User, assistant_id: int | None) -> Assistant | None:
    """The assistant of a first message. Nobody learns whether one exists that he does not see."""
    if assistant_id is None:
        return None
    try:
        return access.assistant_to_use(user.pk, assistant_id)
    except Http404:
        text = _("This assistant is not available any more. Choose another one.")
        raise Rejected(text) from None


def stop(user: User, conversation_id: UUID) -> bool:
    """Stop the reply that is being written; False if there is none."""
    with transaction.atomic():
        conversation = access.conversation_to_write(user.pk, conversation_id)
        return _stop_running(conversation, "user")


def decide(
    user: User, conversation_id: UUID, message_id: int, number: int, decision: Decision
) -> bool:
    """Allow or deny a tool call that waits for its user; False if it does not wait."""
    with transaction.atomic():
        conversation = access.conversation_to_write(user.pk, conversation_id)
        message = access.message_to_write(conversation, message_id)
        waiting = message.tool_calls.filter(
            number=number,
            state=CallState.WAITING,
            decision="",
            message__generation__state=State.STREAMING,
        )
        decided = waiting.update(decision=decision, decided_at=timezone.now())
        transaction.on_commit(services.look_around)
    return bool(decided)


def rename(user: User, conversation_id: UUID, title: str) -> None:
    with transaction.atomic():
        conversation = access.conversation_to_write(user.pk, conversation_id)
        conversation.title = title
        conversation.titled_by_user = True
        conversation.save(update_fields=["title", "titled_by_user"])
        transaction.on_commit(partial(doorbell.ring_user, user.pk))


def delete(user: User, conversation_id: UUID) -> None:
    """Take the conversation from its owner's sight and stop what runs in it.

    The rows stay: deleting does not evade moderation (I5).
    """
    with transaction.atomic():
        conversation = access.conversation_to_write(user.pk, conversation_id)
        _stop_running(conversation, "deleted")
        conversation.deleted_at = timezone.now()
        conversation.save(update_fields=["deleted_at"])
        conversation.bump()
        transaction.on_commit(partial(doorbell.ring_conversation, conversation.pk))
        transaction.on_commit(partial(doorbell.ring_user, user.pk))


def delete_all(user: User) -> int:
    """Delete every conversation of this person, as ``delete`` does each; returns how many."""
    mine = Conversation.objects.present().filter(owner=user)
    ids = list(mine.values_list("pk", flat=True))
    for conversation_id in ids:
        with suppress(Http404):  # deleted in another tab meanwhile
            delete(user, conversation_id)
    return len(ids)


def say(
    conversation: Conversation, parent_id: int | None, text: str, key: str, revision: int
) -> Message:
    """What the person said, and that it is to be judged, in the caller's transaction."""
    message = conversation.messages.create(
        parent_id=parent_id,
        role=Role.USER,
        text=text,
        send_key=key,
        created_revision=revision,
        revision=revision,
    )
    verdicts.expect([message])
    return message


def queue_reply(
    conversation: Conversation, parent: Message, revision: int, request_id: str
) -> None:
    """An empty reply behind ``parent`` and its generation; the caller saves the new head."""
    reply = conversation.messages.create(
        parent=parent,
        role=Role.ASSISTANT,
        created_revision=revision,
        revision=revision,
    )
    assistant = assistants.version_for(conversation)
    preset = assistant or Conversation()
    conversation.generations.create(
        message=reply,
        model=conversation.model or preset.model or services.default_model(),
        parameters=preset.given() | conversation.given(),
        assistant=assistant,
        request_id=request_id,
    )
    conversation.head = reply
    # The engine first: what it waits for takes longer than what the page waits for.
    transaction.on_commit(services.wake_worker)
    transaction.on_commit(partial(doorbell.ring_conversation, conversation.pk))


def _stop_running(conversation: Conversation, reason: str) -> bool:
    generation = access.generation_to_stop(conversation)
    if generation is None:
        return False
    rows = Generation.objects.filter(pk=generation.pk)
    stopped = rows.move(
        State.STOPPED, expect=State.QUEUED, stop_reason=reason, finished_at=timezone.now()
    )
    if stopped:
        revision = conversation.bump()
        Message.objects.filter(generation=generation).update(revision=revision)
        transaction.on_commit(partial(doorbell.ring_conversation, conversation.pk))
    else:
        rows.filter(state=State.STREAMING, stop_requested="").update(stop_requested=reason)
        transaction.on_commit(partial(services.stop_generation, generation.pk, reason))
    return True


def refuse_too_many(user: User) -> None:
    limit = settings.CONCURRENT_REPLIES_PER_USER
    # Sends in several conversations at once take turns from here on: each counts those before it.
    access.lock_user(user.pk)
    running = Generation.objects.filter(
        conversation__owner=user, state__in=ACTIVE, purpose="reply"
    ).count()
    if running >= limit:
        raise Rejected(
            ngettext(
                "You already have %(limit)d reply being written. Wait for it or stop it.",
                "You already have %(limit)d replies being written. Wait for one or stop one.",
                limit,
            )
            % {"limit": limit}
        )


def still_writing() -> str:
    return _("A reply is still being written here. Wait for it or stop it, then try again.")


def _first_words(text: str) -> str:
    """A title until the model has made one."""
    line = " ".join(text.split())
    if len(line) <= 60:
        return line
    return (line[:60].rsplit(" ", 1)[0] or line[:60])[: TITLE_CHARS - 1] + "…"
