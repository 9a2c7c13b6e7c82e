"""The access log: who looked at whose transcript, when and why; each entry seals the one before it.

``hash`` is the SHA-256 of the entry as canonical JSON with the hash before it. Whoever changes,
removes or inserts an entry breaks the chain there. Whoever cuts its end off, or writes all of it
anew, is found by comparing with a hash kept elsewhere: the operator's log has each of them too.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC
from typing import Any

import structlog
from django.db import connection, transaction
from django.utils import timezone
from django.utils.crypto import salted_hmac

from chat.models import AccessEntry, AccessKind, Conversation, User

logger = structlog.get_logger()

FIRST = "0" * 64  # what the first entry is chained to
LOCK = 0x50_41_52_4C  # of PostgreSQL's advisory locks, ours
BATCH = 1_000
SEALED = (
    "number",
    "actor_id",
    "actor_name",
    "subject_id",
    "subject_name",
    "kind",
    "purpose",
    "detail",
    "previous",
)


@dataclass(frozen=True, slots=True)
class Broken:
    """Where the chain does not hold, and why."""

    number: int
    what: str


@dataclass(frozen=True, slots=True)
class Chain:
    """What ``verify`` found: how many entries, the last one's hash, and the first break if any."""

    entries: int
    head: str
    broken: Broken | None = None


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
        lock()
        last = AccessEntry.objects.order_by("-number").first()
        whose = subject or (conversation.owner if conversation is not None else None)
        entry = AccessEntry(
            number=last.number + 1 if last else 1,
            at=timezone.now(),
            actor_id=actor.pk if actor else None,
            actor_name=actor.get_username() if actor else "",
            subject_id=whose.pk if whose else None,
            subject_name=whose.get_username() if whose else "",
            conversation_id=conversation.pk if conversation is not None else None,
            kind=kind,
            purpose=purpose[:300],
            detail=detail or {},
            previous=last.hash if last else FIRST,
        )
        entry.hash = hash_of(entry)
        entry.save()
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


def lock() -> None:
    """Keep others from writing to the log until the transaction ends; theirs are in it by then."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
    # SQLite's transactions begin with the write lock.


def fingerprint(text: str) -> str:
    """Of words that the log must not hold: keyed, and the same for the same words."""
    return salted_hmac("chat.record.fingerprint", text, algorithm="sha256").hexdigest()[:32]


def hash_of(entry: AccessEntry) -> str:
    """What the entry's ``hash`` has to be."""
    sealed = {name: getattr(entry, name) for name in SEALED}
    sealed["at"] = entry.at.astimezone(UTC).isoformat(timespec="microseconds")
    sealed["conversation_id"] = str(entry.conversation_id) if entry.conversation_id else None
    canonical = json.dumps(sealed, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()


def verify() -> Chain:
    """Go along the whole chain. Synchronous; as long as there are entries."""
    previous, number = FIRST, 0
    for entry in _entries():
        broken = None
        if entry.number != number + 1:
            broken = Broken(number + 1, "an entry is missing")
        elif entry.previous != previous:
            broken = Broken(entry.number, "it does not follow from the entry before it")
        elif hash_of(entry) != entry.hash:
            broken = Broken(entry.number, "it is not what was written")
        if broken is not None:
            return Chain(number, previous, broken)
        previous, number = entry.hash, entry.number
    return Chain(number, previous)


def _entries() -> Iterator[AccessEntry]:
    return AccessEntry.objects.order_by("number").iterator(chunk_size=BATCH)
