"""Legal holds: what is held is not purged, whatever retention or its owner's deletion say."""

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from chat.models import AccessKind, Conversation, LegalHold, User
from chat.record import access_log


def in_force() -> QuerySet[LegalHold]:
    return LegalHold.objects.filter(released_at=None)


def free(conversations: QuerySet[Conversation]) -> QuerySet[Conversation]:
    """Those of the conversations that nothing holds."""
    held = Q(conversation=OuterRef("pk")) | Q(user=OuterRef("owner"))
    return conversations.exclude(Exists(in_force().filter(held)))


def is_held(conversation: Conversation) -> bool:
    return in_force().filter(Q(conversation=conversation) | Q(user=conversation.owner_id)).exists()


def is_held_for_good(conversation: Conversation) -> bool:
    """The same until the transaction ends: a hold that is being placed is there, or comes later."""
    access_log.lock()
    return is_held(conversation)


def place(by: User, reason: str, *, on: User | Conversation) -> LegalHold:
    """Hold all of a person, now and later, or one conversation.

    Raises:
        Conversation.DoesNotExist: it has just been purged.
    """
    with transaction.atomic():
        if isinstance(on, Conversation):
            # Before the access log, as a purge does; else each could wait for the other.
            Conversation.objects.select_for_update().get(pk=on.pk)
        access_log.lock()  # what is being purged is gone before this, or held
        if isinstance(on, Conversation):
            hold = LegalHold.objects.create(placed_by=by, reason=reason, conversation=on)
        else:
            hold = LegalHold.objects.create(placed_by=by, reason=reason, user=on)
        _note(by, AccessKind.HOLD, hold)
    return hold


def release(by: User, hold: LegalHold) -> bool:
    """Let go; False when somebody else has already."""
    with transaction.atomic():
        held = in_force().filter(pk=hold.pk)
        released = held.update(released_by=by, released_at=timezone.now())
        if released:
            _note(by, AccessKind.RELEASE, hold)
    return bool(released)


def _note(by: User, kind: AccessKind, hold: LegalHold) -> None:
    access_log.note(
        by,
        kind,
        conversation=hold.conversation,
        subject=hold.user,
        purpose=hold.reason,
        detail={"hold": hold.pk},
    )
