"""Do the receipts still prove the record? Every reply's text is held against its receipt."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta

from django.utils import timezone

from chat.models import Generation, Message, Purpose, Receipt
from chat.models.generation import TERMINAL

BATCH = 500
# A reply that has just ended is reconciled at once; one that a crash left, by the next sweep.
GRACE = timedelta(minutes=2)


@dataclass(frozen=True, slots=True)
class Finding:
    """One reply whose record is not what its receipt says."""

    generation_id: int
    message_id: int | None
    conversation_id: str
    what: str


@dataclass(slots=True)
class Verified:
    """How many receipts were looked at, how many replies have none, and what was wrong."""

    receipts: int = 0
    redacted: int = 0
    missing: int = 0
    findings: list[Finding] = field(default_factory=list)


def verify() -> Verified:
    """Look at every receipt. Synchronous, and as long as there is text to read."""
    result = Verified()
    ended_before = timezone.now() - GRACE
    replies = Generation.objects.filter(purpose=Purpose.REPLY)
    result.missing = replies.filter(
        state__in=TERMINAL, receipt=None, finished_at__lt=ended_before
    ).count()
    rows = Receipt.objects.select_related("generation__message").order_by("pk")
    rows = rows.prefetch_related("generation__message__redactions")
    for receipt in rows.iterator(chunk_size=BATCH):
        result.receipts += 1
        message = receipt.generation.message
        result.redacted += message is not None and bool(message.redactions.all())
        result.findings += _findings(receipt)
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
    for what in wrong:
        yield Finding(generation.pk, generation.message_id, str(generation.conversation_id), what)
