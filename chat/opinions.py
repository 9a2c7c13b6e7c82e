"""What a reader says of a reply: good or bad, or that a reviewer should look at it."""

from functools import partial
from uuid import UUID

from django.db import transaction
from django.http import Http404

from chat import access, doorbell
from chat.models import Complaint, Feedback, Message, Opinion, Report, Role, User
from chat.review import queue


def judge(user: User, conversation_id: UUID, message_id: int, opinion: Opinion) -> str:
    """Say so; saying the same again takes it back. Returns what holds now.

    Raises:
        Http404: no such reply to this user, or it is still being written.
    """
    with transaction.atomic():
        message = _ended_reply(user, conversation_id, message_id)
        mine = Feedback.objects.filter(message=message, user=user)
        if mine.filter(opinion=opinion).delete()[0]:
            held = ""
        else:
            Feedback.objects.update_or_create(
                message=message, user=user, defaults={"opinion": opinion}
            )
            held = str(opinion)
        _changed(message)
    return held


def report_of(user: User, conversation_id: UUID, message_id: int) -> tuple[Message, Report | None]:
    """The reply, and this user's report of it if there is one."""
    message = _ended_reply(user, conversation_id, message_id)
    return message, message.reports.filter(user=user).first()


def report(
    user: User, conversation_id: UUID, message_id: int, complaint: Complaint, note: str = ""
) -> Report:
    """Put the reply into the reviewers' queue. A second report of the same user changes nothing.

    Raises:
        Http404: as for ``judge``.
    """
    with transaction.atomic():
        message = _ended_reply(user, conversation_id, message_id)
        found, is_new = Report.objects.get_or_create(
            message=message, user=user, defaults={"complaint": complaint, "note": note.strip()}
        )
        if is_new:
            queue.put(message.pk, reported=True)
            _changed(message)
    return found


def _ended_reply(user: User, conversation_id: UUID, message_id: int) -> Message:
    conversation = access.conversation_to_write(user.pk, conversation_id)
    message = access.message_to_read(conversation, message_id)
    generation = getattr(message, "generation", None)
    if message.role != Role.ASSISTANT or generation is None or generation.is_active:
        raise Http404
    return message


def _changed(message: Message) -> None:
    """Every page of the conversation shows it."""
    revision = message.conversation.bump()
    Message.objects.filter(pk=message.pk).update(revision=revision)
    ring = partial(doorbell.ring_conversation, message.conversation_id)
    transaction.on_commit(ring, robust=True)
