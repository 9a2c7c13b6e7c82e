"""Purging: a conversation leaves every place where it is, and a tombstone stays.

Above all stands a legal hold. What is still being written, or was until a moment ago, waits: the
log of a reply outlives it by a minute. So does what moderation has not finished with, for deleting
must not evade it; a deletion by the owner waits for the reviewers too, retention does not.
"""

import time
from datetime import datetime, timedelta

import structlog
from django.conf import settings
from django.db import OperationalError, connection, transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from chat.models import (
    AccessKind,
    Conversation,
    Generation,
    LegalHold,
    Message,
    Purpose,
    ReviewItem,
    ReviewState,
    Tombstone,
    User,
    Verdict,
    VerdictState,
)
from chat.models.generation import ACTIVE
from chat.record import access_log, holds, seals
from chat.search import index

logger = structlog.get_logger()

BATCH = 50
# Events stay in Redis for a minute after a reply's end, see chat.engine.redis_streams.
LOG_KEPT = timedelta(minutes=2)

DELETED = "deleted"  # the reasons on a tombstone
RETENTION = "retention"
REQUESTED = "requested"

SCRUB_EVERY_S = 600.0  # it holds up those who write, so not after each of many purges
BUSY_MS = 50  # and does not wait for those who read

_unclean = False  # something was purged since the last clean-up
_scrub_at = 0.0  # not before; time.monotonic()


def due(now: datetime) -> list[tuple[Conversation, str]]:
    """Which conversations are to be purged, each with the reason; at most a batch of them."""
    chosen: dict[object, tuple[Conversation, str]] = {}
    for reason in (DELETED, RETENTION):
        for conversation in _due(reason, now).order_by("active_at")[:BATCH]:
            chosen.setdefault(conversation.pk, (conversation, reason))
    return list(chosen.values())[:BATCH]


def _due(reason: str, now: datetime) -> QuerySet[Conversation]:
    """What may be purged for this reason."""
    rows = Conversation.objects.all()
    if reason == DELETED:
        if (days := deletion_days()) is None:
            return rows.none()
        waiting = ReviewItem.objects.filter(message__conversation=OuterRef("pk"))
        rows = rows.filter(deleted_at__lte=now - timedelta(days=days))
        rows = rows.exclude(Exists(waiting.exclude(state=ReviewState.CLOSED)))
    elif reason == RETENTION:
        if settings.RETENTION_DAYS is None:
            return rows.none()
        rows = rows.filter(active_at__lte=now - timedelta(days=settings.RETENTION_DAYS))
    return holds.free(settled(rows, now))


def deletion_days() -> int | None:
    """Days from an owner's deletion to the purge; None: never."""
    if settings.DELETE_POLICY == "retain":
        return None
    return 0 if settings.DELETE_POLICY == "purge" else int(settings.DELETE_POLICY)


def settled(rows: QuerySet[Conversation], now: datetime) -> QuerySet[Conversation]:
    """Those of the conversations in which nothing is written, judged or followed any more."""
    mine = Generation.objects.filter(conversation=OuterRef("pk"))
    busy = mine.filter(
        Q(state__in=ACTIVE) | Q(reconciled_at=None) | Q(finished_at__gt=now - LOG_KEPT)
    )
    pending = Verdict.objects.filter(
        message__conversation=OuterRef("pk"), state=VerdictState.PENDING
    )
    return rows.exclude(Exists(busy)).exclude(Exists(pending))


def purge_due() -> int:
    """Purge what is due, and clean up behind it; returns how many conversations that were."""
    global _unclean, _scrub_at
    purged = 0
    for conversation, reason in due(timezone.now()):
        purged += purge(conversation, reason) is not None
    _unclean |= purged > 0
    if _unclean and time.monotonic() >= _scrub_at:
        _scrub_at = time.monotonic() + SCRUB_EVERY_S
        _unclean = not scrub()
    return purged


def scrub_soon() -> None:
    """Something was taken out of a row: the next ``purge_due`` has the database forget it, too."""
    global _unclean
    _unclean = True


def purge(conversation: Conversation, reason: str, by: User | None = None) -> Tombstone | None:
    """Take a conversation out of the database; None when it is held, busy, or gone already.

    The caller ends with ``scrub``.
    """
    with transaction.atomic():
        # Whoever writes in it comes before or finds it gone; so does whoever purges it, too.
        rows = Conversation.objects.filter(pk=conversation.pk)
        if connection.features.has_select_for_update_skip_locked:
            rows = rows.select_for_update(skip_locked=True)
        if rows.first() is None:
            return None
        access_log.lock()  # and a hold that is being placed is there, or comes too late
        found = _due(reason, timezone.now()).filter(pk=conversation.pk).first()
        if found is None:
            return None
        tombstone = _tombstone(found, reason, by)
        access_log.note(
            by,
            AccessKind.PURGE,
            conversation=found,
            purpose=reason,
            detail={"messages": tombstone.messages, "sha256": tombstone.sha256},
        )
        # Messages protect those that they answer; together they may go.
        Conversation.objects.filter(pk=found.pk).update(head=None)
        Message.objects.filter(conversation=found).update(parent=None)
        LegalHold.objects.filter(conversation=found).delete()  # released; the access log has them
        found.delete()
    logger.info("purged", conversation=str(conversation.pk), reason=reason)
    return tombstone


def _tombstone(conversation: Conversation, reason: str, by: User | None) -> Tombstone:
    replies = conversation.generations.filter(purpose=Purpose.REPLY)
    return Tombstone.objects.create(
        conversation_id=conversation.pk,
        owner_id=conversation.owner_id,
        messages=conversation.messages.count(),
        replies=replies.count(),
        sha256=seals.proof(conversation.pk),
        created_at=conversation.created_at,
        active_at=conversation.active_at,
        deleted_at=conversation.deleted_at,
        reason=reason,
        purged_by=by,
    )


def scrub() -> bool:
    """Let the database itself forget: what is deleted may still stand in its files.

    SQLite overwrites what is deleted (``secure_delete`` in the settings); its search index and its
    write-ahead log need a word of their own. PostgreSQL's dead rows go with VACUUM. False when
    others were in the way, or a transaction is open: then the next call does it.
    """
    if connection.in_atomic_block:
        return False
    try:
        index.forget()
        with connection.cursor() as cursor:
            if connection.vendor == "postgresql":
                tables = connection.introspection.table_names(cursor)
                ours = [connection.ops.quote_name(t) for t in tables if t.startswith("chat_")]
                cursor.execute(f"VACUUM {', '.join(ours)}")
                return True
            # It keeps writers out while it waits for readers.
            cursor.execute("PRAGMA busy_timeout")
            (patience_ms,) = cursor.fetchone()
            cursor.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            (is_busy, *_) = cursor.fetchone()
            cursor.execute(f"PRAGMA busy_timeout = {patience_ms}")
    except OperationalError as error:
        logger.warning("scrub_failed", error=type(error).__name__)
        return False
    return not is_busy
