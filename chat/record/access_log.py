"""The access log: who looked at whose transcript, when and why. It is a ``chat.record.chain``."""

from functools import partial
from typing import Any

import structlog
from django.db import transaction
from django.utils.crypto import salted_hmac

from chat.models import AccessEntry, AccessKind, Conversation, User
from chat.record import chain

logger = structlog.get_logger()

lock = partial(chain.lock, AccessEntry)
verify = partial(chain.verify, AccessEntry)


def note(
    actor: User | None,
    kind: AccessKind,
    *,
    conversation: Conversation | None = None,
    subject: User | None = None,
    purpose: str = "",
    detail: dict[str, Any] | None = None,
) -> AccessEntry:
    """Append an entry. ``subject`` is the conversation's owner unless given; no actor: the system.

    In a transaction of the caller's, so that nothing is shown, or done, without its entry; other
    writers of the log wait until it ends.
    """
    with transaction.atomic():
        whose = subject or (conversation.owner if conversation is not None else None)
        entry = AccessEntry(
            actor_id=actor.pk if actor else None,
            actor_name=actor.get_username() if actor else "",
            subject_id=whose.pk if whose else None,
            subject_name=whose.get_username() if whose else "",
            conversation_id=conversation.pk if conversation is not None else None,
            kind=kind,
            purpose=purpose[:300],
            detail=detail or {},
        )
        chain.append(entry)
        transaction.on_commit(
            lambda: logger.info(
                "access",
                number=entry.number,
                actor=entry.actor_id,
                kind=str(kind),
                conversation=str(entry.conversation_id) if entry.conversation_id else None,
                hash=entry.hash,
            ),
            robust=True,
        )
    return entry


def fingerprint(text: str) -> str:
    """Of words that the log must not hold: keyed, and the same for the same words."""
    return salted_hmac("chat.record.fingerprint", text, algorithm="sha256").hexdigest()[:32]
