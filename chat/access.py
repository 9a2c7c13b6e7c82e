"""The one door from (user, id) to object. A stranger gets 404, whatever the path."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from django.contrib.auth import get_user
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.db import connection
from django.db.models import F, QuerySet
from django.http import Http404, HttpRequest
from django.utils import timezone

from chat.models import Assistant, AssistantVersion, Conversation, Generation, Message, User
from chat.models.conversation import WITH


def conversation_to_read(user_id: int | None, conversation_id: UUID) -> Conversation:
    """A conversation that this user may read.

    Raises:
        Http404: there is none, it is another's, its owner deleted it, or the user is not active.
    """
    conversation = conversation_if_any(user_id, conversation_id)
    if conversation is None:
        raise Http404
    return conversation


def conversation_if_any(user_id: int | None, conversation_id: UUID) -> Conversation | None:
    """As ``conversation_to_read``, but None when there is no conversation of this id at all."""
    rows = Conversation.objects.filter(pk=conversation_id)
    found = rows.annotate(owner_is_active=F("owner__is_active")).first()
    if found is None:
        return None
    active = found.owner_is_active  # type: ignore[attr-defined]  # annotated
    if found.owner_id != user_id or found.deleted_at is not None or not active:
        raise Http404
    return found


def conversation_to_write(user_id: int | None, conversation_id: UUID) -> Conversation:
    """A conversation that this user may change: for now, one that he may read.

    Inside a transaction the row is locked, so that what is decided on it still holds at commit.
    """
    return locked(conversation_to_read(user_id, conversation_id))


def locked(conversation: Conversation) -> Conversation:
    """The conversation with its row locked until commit; SQLite's transactions lock it anyway."""
    if connection.features.has_select_for_update and connection.in_atomic_block:
        Conversation.objects.select_for_update().get(pk=conversation.pk)
    return conversation


def lock_user(user_id: int) -> None:
    """Lock the user's row until commit, where transactions do not take turns anyway.

    Not its key, which rows that refer to the user hold while they are made.
    """
    if connection.features.has_select_for_update:
        User.objects.select_for_update(no_key=True).only("pk").get(pk=user_id)


def generation_to_stop(conversation: Conversation) -> Generation | None:
    """The running reply of a conversation that the caller may write."""
    return conversation.generations.active().filter(purpose="reply").first()


def generation_to_time(user_id: int, conversation_id: UUID, message_id: int) -> Generation:
    """The generation of a reply in a conversation of this user's, to say how long it took.

    Raises:
        Http404: there is none, or it is not his.
    """
    # By its key: a number that no column can hold is found nowhere, and is no error.
    message = Message.objects.filter(pk=message_id, conversation=conversation_id)
    found = Generation.objects.filter(
        message__in=message,
        conversation__owner=user_id,
        conversation__owner__is_active=True,
        conversation__deleted_at=None,
    )
    generation = found.only("created_at", "state", "ttft_served_ms").first()
    if generation is None:
        raise Http404
    return generation


def message_to_read(conversation: Conversation, message_id: int) -> Message:
    """A message of a conversation that the caller may read."""
    try:
        return conversation.messages.select_related(*WITH).get(pk=message_id)
    except Message.DoesNotExist:
        raise Http404 from None


def message_to_write(conversation: Conversation, message_id: int) -> Message:
    """A message of a conversation that the caller may write."""
    try:
        return conversation.messages.select_related("generation").get(pk=message_id)
    except Message.DoesNotExist:
        raise Http404 from None


def is_removed(message: Message) -> bool:
    """Did a reviewer remove it? Then its own author reads it no more."""
    item = getattr(message, "review", None)
    return message.withheld_at is not None and item is not None and item.outcome == "uphold"


def assistants_to_use(user_id: int) -> QuerySet[Assistant]:
    """Those that this user may start a conversation with, by name, each with its newest version."""
    rows = Assistant.objects.visible_to(user_id).filter(newest__isnull=False)
    return rows.select_related("newest", "owner").order_by("newest__name", "pk")


def assistant_to_use(user_id: int, assistant_id: int) -> Assistant:
    """An assistant that this user may start a conversation with.

    Raises:
        Http404: there is none, it is archived, or it is not visible to the user.
    """
    try:
        return assistants_to_use(user_id).get(pk=assistant_id)
    except Assistant.DoesNotExist:
        raise Http404 from None


def assistant_to_read(user_id: int, assistant_id: int) -> Assistant:
    """An assistant that this user may use, or an archived one of his own."""
    mine = Assistant.objects.filter(pk=assistant_id, owner=user_id, newest__isnull=False)
    found = mine.select_related("newest", "owner").first()
    return found or assistant_to_use(user_id, assistant_id)


def may_read_assistant(user_id: int, assistant_id: int) -> bool:
    try:
        assistant_to_read(user_id, assistant_id)
    except Http404:
        return False
    return True


def assistant_to_write(user_id: int, assistant_id: int) -> Assistant:
    """An assistant of the user's own that is not archived; locked until commit in a transaction."""
    mine = Assistant.objects.present().filter(pk=assistant_id, owner=user_id)
    if connection.features.has_select_for_update and connection.in_atomic_block:
        mine = mine.select_for_update()
    found = mine.first()
    if found is None:
        raise Http404
    return found


def version_to_read(user_id: int, assistant_id: int, number: int) -> AssistantVersion:
    """A version of an assistant that the user may read, or one that has answered him.

    What a reply of his was told stays open to him, also after he has left the group or the
    assistant is archived; the assistant's other versions do not.
    """
    # By its key: a number that no column can hold is found nowhere, and is no error.
    assistant = Assistant.objects.filter(pk=assistant_id)
    versions = AssistantVersion.objects.filter(assistant__in=assistant, number=number)
    found = versions.select_related("assistant__owner", "made_by").first()
    if found is None:
        raise Http404
    replies = Generation.objects.filter(
        assistant=found, conversation__owner=user_id, conversation__deleted_at=None
    )
    if not may_read_assistant(user_id, assistant_id) and not replies.exists():
        raise Http404
    return found


def user_of_session(session_key: str | None) -> int | None:
    """The active user whose session this still is; None after sign-out or a new password."""
    if not session_key:
        return None
    request = HttpRequest()
    request.session = SessionStore(session_key)
    user = get_user(request)
    return user.pk if user.is_authenticated and user.is_active else None


@dataclass(frozen=True, slots=True)
class Standing:
    """What a session's right to be served hangs on; when it changes, look closer."""

    session: bool
    active: bool
    password: str = field(repr=False)

    @property
    def is_good(self) -> bool:
        return self.session and self.active


def standings(wanted: Sequence[tuple[str, int]]) -> list[Standing]:
    """The standing of each (session key, user id)."""
    sessions = Session.objects.filter(
        session_key__in={key for key, _ in wanted}, expire_date__gt=timezone.now()
    )
    keys = set(sessions.values_list("session_key", flat=True))
    users = User.objects.filter(pk__in={pk for _, pk in wanted}, is_active=True)
    passwords = dict(users.values_list("pk", "password"))
    return [Standing(key in keys, pk in passwords, passwords.get(pk, "")) for key, pk in wanted]
