"""Do the proofs still hold? Each reply against its receipt and its seal, and the chains of both.

A receipt is held against the text; a seal (``chat.record.seals``) against all else that does not
change any more, and against what is missing: replies, messages and whole conversations.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db.models import Exists, OuterRef, Q
from django.db.models.fields.json import KT
from django.utils import timezone

from chat.models import (
    AccessEntry,
    AccessKind,
    Conversation,
    Generation,
    Message,
    Purpose,
    Receipt,
    Seal,
    Tombstone,
    VerdictState,
)
from chat.models.generation import TERMINAL
from chat.record import seals
from chat.verdicts.rows import weigh

BATCH = 500
# A reply that has just ended is reconciled at once; one that a crash left, by the next sweep.
GRACE = timedelta(minutes=2)
HEAVY = (  # what a program sent may be a megabyte, and a seal looks at it
    "generation__request",
    "generation__parameters",
    "generation__error_detail",
    "generation__message__reasoning",
)
PLACES = ("key", "parent", "role", "text", "reasoning", "tool calls")  # of a message in a seal


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not what its proof says; what it is about is None where that is gone."""

    generation_id: int | None
    message_id: int | None
    conversation_id: str
    what: str

    def __str__(self) -> str:
        about = [f"conversation {self.conversation_id}"]
        if self.message_id is not None:
            about.append(f"message {self.message_id}")
        elif self.generation_id is not None:
            about.append(f"generation {self.generation_id}")
        return f"{', '.join(about)}: {self.what}"


@dataclass(slots=True)
class Verified:
    """How many receipts were looked at, how many replies have none, and what was wrong."""

    receipts: int = 0
    redacted: int = 0
    missing: int = 0
    findings: list[Finding] = field(default_factory=list)


def verify() -> Verified:
    """Look at every receipt and every seal. Synchronous, and as long as there is text to read."""
    result = Verified()
    ended_before = timezone.now() - GRACE
    replies = Generation.objects.filter(purpose=Purpose.REPLY)
    result.missing = replies.filter(
        state__in=TERMINAL, receipt=None, finished_at__lt=ended_before
    ).count()
    rows = Receipt.objects.select_related("generation__message").defer(*HEAVY).order_by("pk")
    rows = rows.prefetch_related("generation__message__redactions", "generation__message__verdicts")
    # Replies end and reviewers decide meanwhile, between one query and the next: what is wrong is
    # wrong when it is looked at again, too.
    for receipt in rows.iterator(chunk_size=BATCH):
        result.receipts += 1
        message = receipt.generation.message
        result.redacted += message is not None and bool(message.redactions.all())
        if any(_findings(receipt)) and (again := rows.filter(pk=receipt.pk).first()):
            result.findings += _findings(again)
    for conversation_id in Conversation.objects.values_list("pk", flat=True).iterator():
        if any(_unsealed(conversation_id)):
            result.findings += _unsealed(conversation_id)
    result.findings += _gone()
    return result


def expected(receipt: Receipt, message: Message | None) -> str:
    """The SHA-256 that the text has to have: the receipt's, or what the last redaction left."""
    redactions = list(message.redactions.all()) if message is not None else []
    return redactions[-1].sha256_after if redactions else receipt.sha256


def _findings(receipt: Receipt) -> Iterator[Finding]:
    generation = receipt.generation
    message = generation.message
    text = message.text if message is not None else ""
    redacted = message is not None and bool(message.redactions.all())
    wrong = []
    if hashlib.sha256(text.encode()).hexdigest() != expected(receipt, message):
        wrong.append("the text is not the one that the receipt was written for")
    elif not redacted and len(text) != receipt.characters:
        wrong.append("the receipt counts other characters")
    if generation.state != receipt.state:
        wrong.append(f"the receipt says {receipt.state}, the reply {generation.state}")
    overall = weigh(message.verdicts.all() if message is not None else ()).overall
    # A person may have decided while a service had not: then the receipt is ahead of its verdict.
    if overall not in (receipt.verdict, VerdictState.PENDING):
        wrong.append(f"the receipt says {receipt.verdict}, the verdicts {overall}")
    for what in wrong:
        yield Finding(generation.pk, generation.message_id, str(generation.conversation_id), what)


def _unsealed(conversation_id: UUID) -> Iterator[Finding]:
    """What in a conversation is not as it was sealed, is gone, or was never sealed."""
    sealed, now = seals.latest(conversation_id), seals.contents(conversation_id)
    if not Conversation.objects.filter(pk=conversation_id).exists():
        return  # purged a moment ago, or to be found by ``_gone``
    where = str(conversation_id)
    for generation_id in sealed.keys() - now.keys():
        yield Finding(generation_id, None, where, "a reply that was sealed is gone")
    for generation_id, contents in now.items():
        message_id = contents["messages"][-1][0] if contents["messages"] else None
        if generation_id in sealed:
            for what in _differences(sealed[generation_id], contents):
                yield Finding(generation_id, message_id, where, what)
        elif contents["receipt__state"] is not None:  # without one it is counted as missing
            yield Finding(generation_id, message_id, where, "it has a receipt and was never sealed")
    rows = Message.objects.filter(conversation=conversation_id)
    for pk in sorted({*rows.values_list("pk", flat=True)} - seals.answered(conversation_id)):
        yield Finding(None, pk, where, "no reply answers it: it was inserted, or the reply is gone")


def _differences(sealed: dict[str, Any], now: dict[str, Any]) -> Iterator[str]:
    for name in (sealed.keys() | now.keys()) - {"messages"}:
        if sealed.get(name) != now.get(name):
            yield f"not as it was sealed: {name.replace('__', ' ')}"
    before = {row[0]: row for row in sealed["messages"]}
    after = {row[0]: row for row in now["messages"]}
    for pk in before.keys() | after.keys():
        if pk not in after:
            yield f"message {pk} was there when it was sealed"
        elif pk not in before:
            yield f"message {pk} was not there when it was sealed"
        else:
            pairs = zip(PLACES, before[pk], after[pk], strict=True)
            for place in (place for place, one, other in pairs if one != other):
                yield f"not as it was sealed: {place} of message {pk}"


def _gone() -> Iterator[Finding]:
    """Conversations that nobody purged and are not there; tombstones that no purge left."""
    here = Conversation.objects.filter(pk=OuterRef("conversation_id"))
    buried = Tombstone.objects.filter(pk=OuterRef("conversation_id"))
    lost = Seal.objects.exclude(Q(Exists(here)) | Q(Exists(buried)))
    for pk in lost.order_by().values_list("conversation_id", flat=True).distinct():
        yield Finding(None, None, str(pk), "it was sealed and is gone, and no purge says so")
    entries = AccessEntry.objects.annotate(proof=KT("detail__sha256")).filter(
        kind=AccessKind.PURGE, conversation_id=OuterRef("pk"), proof=OuterRef("sha256")
    )
    for pk in Tombstone.objects.exclude(Exists(entries)).values_list("pk", flat=True):
        yield Finding(None, None, str(pk), "a tombstone of which the access log has no purge")
    sealed = Tombstone.objects.filter(Exists(Seal.objects.filter(conversation_id=OuterRef("pk"))))
    for pk, sha256 in sealed.values_list("pk", "sha256").iterator():
        if seals.proof(pk) != sha256:
            yield Finding(None, None, str(pk), "its seals are not those that its purge has left")
