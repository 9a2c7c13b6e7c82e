"""Exports: a reviewer's of many people's conversations, with a signed manifest; a person's own.

Both are ZIP archives made while they are sent. ``conversations.jsonl`` has one conversation a line
(``chat.record.document``); ``messages.csv``, the reviewers', one message a row.
"""

import json
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.utils import timezone

from chat import safe_csv
from chat.database import in_database
from chat.models import AccessEntry, AccessKind, Conversation, User
from chat.record import access_log, signing
from chat.record.archive import Archive
from chat.record.document import Explain, document

BATCH = 20  # conversations, each with all of its text, in memory at a time
FORMAT = 1
GRAVITY = ("flagged", "error", "pending", "overridden", "passed")

COLUMNS = (
    "conversation",
    "owner",
    "title",
    "came",
    "deleted",
    "message",
    "parent",
    "role",
    "created",
    "state",
    "finish_reason",
    "error",
    "model",
    "verdict",
    "withheld",
    "outcome",
    "sha256",
    "text",
    "reasoning",
    "tool_calls",
)


@dataclass(frozen=True, slots=True)
class Selection:
    """Which conversations: by when they were last active, by whom, by a verdict in them."""

    active_from: date | None = None
    active_until: date | None = None
    owner: User | None = field(default=None, repr=False)
    verdict: str = ""

    def rows(self) -> QuerySet[Conversation]:
        rows = Conversation.objects.order_by("pk")
        if self.active_from is not None:
            rows = rows.filter(active_at__gte=_start(self.active_from))
        if self.active_until is not None:
            rows = rows.filter(active_at__lt=_start(self.active_until) + timedelta(days=1))
        if self.owner is not None:
            rows = rows.filter(owner=self.owner)
        if self.verdict:
            judged = Conversation.objects.filter(messages__verdicts__state=self.verdict)
            rows = rows.filter(pk__in=judged.values("pk"))
        return rows

    def described(self) -> dict[str, Any]:
        return {
            "active_from": self.active_from.isoformat() if self.active_from else None,
            "active_until": self.active_until.isoformat() if self.active_until else None,
            "owner": self.owner.pk if self.owner else None,
            "verdict": self.verdict or None,
        }


@dataclass(frozen=True, slots=True)
class Ordered:
    """An export that is on record as asked for, and may now be made."""

    entry: AccessEntry
    ids: list[UUID]
    actor: User
    owner: User | None = None


def order(actor: User, selection: Selection, purpose: str, *, anonymous: bool) -> Ordered:
    """Write down who takes what, and why, before a word of it is sent."""
    ids = list(selection.rows().values_list("pk", flat=True))
    detail = {**selection.described(), "conversations": len(ids), "anonymous": anonymous}
    entry = access_log.note(
        actor, AccessKind.EXPORT, subject=selection.owner, purpose=purpose, detail=detail
    )
    return Ordered(entry, ids, actor, selection.owner)


class Withdrawn(Exception):
    """Whoever ordered the export may not have it any more; it breaks off."""


async def for_review(
    ordered: Ordered, name_of: Callable[[User], str], may_go_on: Callable[[User], bool]
) -> AsyncIterator[bytes]:
    """The reviewers' archive. ``name_of`` says what a person is called in it.

    Raises:
        Withdrawn: ``may_go_on`` says no of who ordered it; it is asked with every batch.
    """
    archive = Archive()
    told = written = 0

    def batch(ids: list[UUID]) -> list[dict[str, Any]]:
        if not may_go_on(ordered.actor):
            raise Withdrawn
        return _whole(ids, name_of)

    async def conversations() -> AsyncIterator[str]:
        nonlocal told
        async for one in _documents(ordered.ids, batch):
            told += 1
            yield _line(one)

    async def messages() -> AsyncIterator[str]:
        nonlocal written
        yield safe_csv.lines([COLUMNS])
        async for one in _documents(ordered.ids, batch):
            rows = list(_rows(one))
            written += len(rows)
            yield safe_csv.lines(rows)

    async for piece in archive.file("conversations.jsonl", conversations()):
        yield piece
    async for piece in archive.file("messages.csv", messages()):
        yield piece
    manifest = {
        "format": FORMAT,
        "made": timezone.now().isoformat(),
        "by": ordered.entry.actor_name,
        "purpose": ordered.entry.purpose,
        # Not the person's key, which tells a reviewer from whom names are hidden who it is.
        "selection": ordered.entry.detail
        | {"owner": name_of(ordered.owner) if ordered.owner else None},
        "conversations": told,
        "messages": written,
        "files": [asdict(one) for one in archive.written],
        "access_entry": {"number": ordered.entry.number, "hash": ordered.entry.hash},
        "public_key": signing.public_key(),
    }
    content = json.dumps(manifest, indent=2, ensure_ascii=False).encode()
    signature = signing.sign(content).encode()
    yield archive.end([("manifest.json", content), ("manifest.sig", signature)])


async def own(user_id: int, explain: Explain) -> AsyncIterator[bytes]:
    """All that a person sees of his own conversations, also those that came through the API."""
    archive = Archive()
    ids = await in_database(_ids_of, user_id)

    async def conversations() -> AsyncIterator[str]:
        for some in _batches(ids):
            for one in await in_database(_own, some, user_id, explain):
                yield _line(one)

    async for piece in archive.file("conversations.jsonl", conversations()):
        yield piece
    yield archive.end()


def _ids_of(user_id: int) -> list[UUID]:
    mine = Conversation.objects.present().filter(owner=user_id)
    return list(mine.order_by("created_at").values_list("pk", flat=True))


def _own(ids: list[UUID], user_id: int, explain: Explain) -> list[dict[str, Any]]:
    rows = Conversation.objects.present().filter(owner=user_id, owner__is_active=True)
    found = rows.in_bulk(ids)  # less what was deleted in the meantime
    return [document(found[pk], explain) for pk in ids if pk in found]


async def _documents(
    ids: list[UUID], load: Callable[[list[UUID]], list[dict[str, Any]]]
) -> AsyncIterator[dict[str, Any]]:
    for some in _batches(ids):
        for one in await in_database(load, some):
            yield one


def _whole(ids: list[UUID], name_of: Callable[[User], str]) -> list[dict[str, Any]]:
    found = Conversation.objects.select_related("owner").in_bulk(ids)
    return [
        {"owner": name_of(found[pk].owner), **document(found[pk], whole=True)}
        for pk in ids
        if pk in found
    ]


def _rows(one: dict[str, Any]) -> Iterator[list[object]]:
    for message in one["messages"]:
        item = message["review"] or {}
        yield [
            one["id"],
            one["owner"],
            one["title"],
            one["came"],
            one["deleted"],
            message["id"],
            message["parent"],
            message["role"],
            message["created"],
            message["state"],
            message["finish_reason"],
            (message["error"] or {}).get("kind"),
            message["model"],
            message["verdict"] or _gravest(message["verdicts"]),
            "yes" if message["withheld"] else "no",
            item.get("outcome"),
            message["sha256"],
            message["text"],
            message["reasoning"],
            json.dumps(message["tool_calls"], ensure_ascii=False) if message["tool_calls"] else "",
        ]


def _gravest(verdicts: list[dict[str, Any]]) -> str | None:
    """What the verdicts on a question come to, which has no receipt to say it."""
    return next((state for state in GRAVITY if state in {v["state"] for v in verdicts}), None)


def _batches(ids: list[UUID]) -> Iterator[list[UUID]]:
    for at in range(0, len(ids), BATCH):
        yield ids[at : at + BATCH]


def _line(one: dict[str, Any]) -> str:
    return json.dumps(one, ensure_ascii=False) + "\n"


def _start(day: date) -> datetime:
    return datetime.combine(day, time.min, timezone.get_current_timezone())
