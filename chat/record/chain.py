"""Append-only chains: each entry seals the one before it.

``hash`` is the SHA-256 of the entry as canonical JSON with the hash before it. Whoever changes,
removes or inserts an entry breaks the chain there. Whoever cuts its end off, or writes all of it
anew, is found by comparing with a hash kept elsewhere: the operator's log has each of them too.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.db import connection
from django.utils import timezone

from chat.models import AccessEntry, Chained, Seal

FIRST = "0" * 64  # what the first entry is chained to
LOCKS: dict[type[Chained], int] = {  # of PostgreSQL's advisory locks, ours
    AccessEntry: 0x50_41_52_4C,
    Seal: 0x50_41_52_4D,
}
BATCH = 1_000


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


def append(entry: Chained) -> None:
    """Number, seal and save an entry, in a transaction; until it ends other writers wait.

    Whoever appends to two chains in one transaction begins with the access log.
    """
    chain = type(entry)
    lock(chain)
    last = chain.objects.order_by("-number").values_list("number", "hash").first()
    number, entry.previous = last or (0, FIRST)
    entry.number = number + 1
    entry.at = timezone.now()
    entry.hash = hash_of(entry)
    entry.save()


def lock(chain: type[Chained]) -> None:
    """Until the transaction ends nobody else writes to the chain; what others wrote is in it."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCKS[chain]])
    # SQLite's transactions begin with the write lock.


def canonical(value: Any) -> bytes:
    """The one spelling of a JSON value."""
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, default=_spelled
    ).encode()


def hash_of(entry: Chained) -> str:
    """What the entry's ``hash`` has to be."""
    sealed = {name: getattr(entry, name) for name in ("at", *entry.SEALED)}
    return hashlib.sha256(canonical(sealed)).hexdigest()


def verify(chain: type[Chained]) -> Chain:
    """Go along the whole chain. Synchronous; as long as there are entries."""
    previous, number = FIRST, 0
    for entry in _entries(chain):
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


def _entries(chain: type[Chained]) -> Iterator[Chained]:
    return chain.objects.order_by("number").iterator(chunk_size=BATCH)


def _spelled(value: object) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds")
    if isinstance(value, UUID):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no place in a chain")
