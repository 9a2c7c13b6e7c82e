"""What a person does to the branches of a conversation: edit, regenerate, continue, choose.

Nothing is ever overwritten. An edited message and a regenerated reply stand *beside* the old one
(same parent), and the conversation's head moves to the new branch.

A continued reply is a message of its own *behind* the cut one, with its own generation. So what
each attempt produced, its hash, its verdict and its receipt stay what they were, a continuation
that fails or is stopped takes nothing from the text before it, and it has versions like any other
reply. The alternative, one message that grows, would leave the first receipt with a text that it
does not prove. How the model is asked is in ``chat.worker.claim``.

While a reply is being written nothing here is allowed: it would go on out of sight.
"""

from functools import partial
from uuid import UUID

from django.db import transaction
from django.http import Http404
from django.utils import timezone
from django.utils.translation import gettext as _

from chat import access, doorbell
from chat.actions import (
    Rejected,
    Sent,
    accept_once,
    queue_reply,
    refuse_too_many,
    say,
    still_writing,
)
from chat.models import Conversation, Message, Role, State, User


def edit(
    user: User, conversation_id: UUID, message_id: int, text: str, key: str, request_id: str = ""
) -> Sent:
    """A new version of what the user said, and a reply to it. ``key`` is as for ``actions.send``.

    Raises:
        Rejected: a reply is being written here, or the user has too many of them.
        Http404: no such message of this user.
    """
    make = partial(_edit, user, conversation_id, message_id, text, key, request_id)
    return accept_once(user, conversation_id, key, make)


def _edit(
    user: User, conversation_id: UUID, message_id: int, text: str, key: str, request_id: str
) -> Message:
    conversation, old, revision = _locked(user, conversation_id, message_id, Role.USER)
    # Before anything is refused: the same form again is no second message, and no error either.
    message = say(conversation, old.parent_id, text, key, revision)
    _reply(user, conversation, message, revision, request_id, jump=True)
    return message


def regenerate(user: User, conversation_id: UUID, message_id: int, request_id: str = "") -> None:
    """Another reply beside this one, whatever became of it; or another continuation.

    Raises:
        Rejected: a reply is being written here, or the user has too many of them.
        Http404: no such reply to this user.
    """
    with transaction.atomic():
        conversation, old, revision = _locked(user, conversation_id, message_id, Role.ASSISTANT)
        if old.parent is None:
            raise Http404
        _reply(user, conversation, old.parent, revision, request_id, jump=True)


def continue_reply(
    user: User, conversation_id: UUID, message_id: int, request_id: str = ""
) -> None:
    """Go on where the last reply was cut. It is behind what pages show, so they need not jump.

    Raises:
        Rejected: it is not the last one or was not cut; or as for ``regenerate``.
        Http404: no such reply to this user.
    """
    with transaction.atomic():
        conversation, cut, revision = _locked(user, conversation_id, message_id, Role.ASSISTANT)
        _refuse_while_writing(conversation)
        if cut.pk != conversation.head_id:
            raise Rejected(_("Only the last reply of a conversation can be continued."))
        if not can_continue(cut):
            raise Rejected(_("There is nothing to continue: this reply was not cut short."))
        _reply(user, conversation, cut, revision, request_id, jump=False)


def show(user: User, conversation_id: UUID, message_id: int) -> None:
    """Bring a version on screen, with the newest of what follows it.

    Raises:
        Rejected: a reply is being written here.
        Http404: no such message of this user.
    """
    with transaction.atomic():
        conversation, message, revision = _locked(user, conversation_id, message_id)
        _refuse_while_writing(conversation)
        tree = conversation.tree()
        if message.pk in tree:
            return  # a second click, or another tab was first
        conversation.head_id = tree.newest(message.pk)
        conversation.branch_revision = revision
        conversation.save(update_fields=["head", "branch_revision"])
        transaction.on_commit(partial(doorbell.ring_conversation, conversation.pk))


def can_continue(reply: Message) -> bool:
    """Did this reply end before its time, with text that may be read? Needs its generation."""
    generation = reply.generation
    cut = generation.state in (State.STOPPED, State.INTERRUPTED) or (
        generation.state == State.COMPLETE and generation.finish_reason == "length"
    )
    return cut and bool(reply.text) and reply.withheld_at is None


def _locked(
    user: User, conversation_id: UUID, message_id: int, role: Role | None = None
) -> tuple[Conversation, Message, int]:
    """The conversation with its newest head, locked until commit; its message; a revision."""
    conversation = access.conversation_to_write(user.pk, conversation_id)
    revision = conversation.bump()
    message = access.message_to_write(conversation, message_id)
    if role is not None and message.role != role:
        raise Http404
    return conversation, message, revision


def _reply(
    user: User,
    conversation: Conversation,
    parent: Message,
    revision: int,
    request_id: str,
    *,
    jump: bool,
) -> None:
    """Queue a reply and move the head to it; pages ``jump`` when it is on another branch."""
    _refuse_while_writing(conversation)
    refuse_too_many(user)
    queue_reply(conversation, parent, revision, request_id)
    if jump:
        conversation.branch_revision = revision
    conversation.active_at = timezone.now()
    conversation.save(update_fields=["active_at", "head", "branch_revision"])
    transaction.on_commit(partial(doorbell.ring_user, user.pk))


def _refuse_while_writing(conversation: Conversation) -> None:
    if access.generation_to_stop(conversation) is not None:
        raise Rejected(still_writing())
