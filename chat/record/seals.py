"""Seals: what the record held of each reply when it ended, so that a later change by hand is found.

A receipt proves a reply's text to whoever has the receipt; a seal proves the rest, and that nothing
is missing: how the reply ended, what was asked, its place in the conversation, reasoning, tool
calls, usage and error. ``contents`` has hashes and facts, no words. The seals are one chain for all
conversations (``chat.record.chain``), and stay when a conversation is purged; the hashes are keyed
by its salt, which goes with it. What may change later is not in them: titles, verdicts, what is
withheld, times that browsers measure.
"""

import hashlib
import hmac
from collections import defaultdict
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any
from uuid import UUID

import structlog
from django.apps import apps
from django.db import transaction
from django.utils import timezone

from chat.models import Message, Purpose, Seal, SealReason
from chat.models.conversation import new_salt
from chat.record import chain

logger = structlog.get_logger()

# A change of what a seal holds is a new format. What was sealed in an older one, by migration 0004
# among others, is then to be held against the lists of that time.
FORMAT = 1
FACTS = (
    "state",
    "stop_reason",
    "finish_reason",
    "model",
    "assistant",
    "request_id",
    "calls",
    "prompt_tokens",
    "completion_tokens",
    "reasoning_tokens",
    "tokens_estimated",
    "error_kind",
)
RECEIPT = (
    "receipt__state",
    "receipt__finish_reason",
    "receipt__characters",
    "receipt__schema_verdict",
    "receipt__prompt_tokens",
    "receipt__completion_tokens",
)
HASHED = ("error_detail", "parameters", "request", "receipt__sha256")
SALT = "conversation__seal_salt"
CALL = (
    "number",
    "round",
    "offset",
    "call_id",
    "name",
    "arguments",
    "parsed",
    "state",
    "decision",
    "result",
)

# Messages that a seal lists one by one, the newest; a program sends a long history with each
# request, and its seals would grow with the square of it. Those before are one hash.
LISTED = 8

Contents = dict[int, dict[str, Any]]  # by generation


def seal(conversation_id: UUID, generation_id: int) -> None:
    """Seal a reply that has ended: the last thing in the transaction that ends it."""
    found = contents(conversation_id, [generation_id])
    _append(conversation_id, generation_id, found[generation_id], SealReason.ENDED)


def renew(conversation_id: UUID, before: Contents) -> None:
    """Seal anew, within a redaction's transaction, what it has changed since ``before``.

    What was not as it was sealed before that stays so, and is found.
    """
    sealed = latest(conversation_id)
    for generation_id, now in contents(conversation_id, list(sealed)).items():
        if sealed[generation_id] == before.get(generation_id) != now:
            _append(conversation_id, generation_id, now, SealReason.REDACTION)


def latest(conversation_id: UUID) -> Contents:
    """What the seals say of a conversation's replies."""
    rows = Seal.objects.filter(conversation_id=conversation_id).order_by("number")
    return dict(rows.values_list("generation_id", "contents"))


def contents(
    conversation_id: UUID, only: Iterable[int] | None = None, models: Any = apps
) -> Contents:
    """What a seal has to say of each reply, from the rows as they are in the database.

    ``models``: a migration has its own, with the columns of its time.
    """
    get = partial(models.get_model, "chat")
    made = get("Generation").objects.filter(conversation=conversation_id, purpose=Purpose.REPLY)
    if only is not None:
        made = made.filter(pk__in=list(only))
    columns = ("pk", "message", SALT, "conversation__owner", *FACTS, *HASHED, *RECEIPT)
    generations = list(made.values(*columns))
    hashed = partial(_hashed, generations[0][SALT] if generations else "")
    rows = get("Message").objects.filter(conversation=conversation_id)
    shape = _shape(rows)
    runs = {row["pk"]: _run(row["message"], shape) for row in generations}
    messages = _messages(get, {pk for run in runs.values() for pk in run}, hashed)
    return {
        row["pk"]: {
            "format": FORMAT,
            "owner": row["conversation__owner"],
            **{name: row[name] for name in (*FACTS, *RECEIPT)},
            **{name: hashed(chain.canonical(row[name])) for name in HASHED},
            **_listed([messages[pk] for pk in runs[row["pk"]] if pk in messages]),
        }
        for row in generations
    }


def answered(conversation_id: UUID) -> set[int]:
    """The messages of a conversation that its seals are about, once all replies are sealed."""
    rows = Message.objects.filter(conversation=conversation_id)
    shape = _shape(rows)
    replies = rows.filter(generation__isnull=False).values_list("pk", flat=True)
    return {pk for reply in replies for pk in _run(reply, shape)}


def proof(conversation_id: UUID) -> str:
    """The SHA-256 of the hashes of a conversation's seals, one in each line: for its tombstone."""
    rows = Seal.objects.filter(conversation_id=conversation_id).order_by("number")
    return hashlib.sha256("\n".join(rows.values_list("hash", flat=True)).encode()).hexdigest()


def begin(models: Any) -> None:
    """Seal every reply that has a receipt, with the ``models`` of a migration."""
    entries = models.get_model("chat", "Seal")
    previous, number = chain.FIRST, 0
    conversations = models.get_model("chat", "Conversation").objects.order_by("created_at", "pk")
    for conversation_id in conversations.values_list("pk", flat=True):
        conversations.filter(pk=conversation_id).update(seal_salt=new_salt())
        for generation_id, found in sorted(contents(conversation_id, models=models).items()):
            if found["receipt__state"] is None:
                continue
            number += 1
            entry = Seal(
                number=number,
                at=timezone.now(),
                generation_id=generation_id,
                conversation_id=conversation_id,
                reason=SealReason.UPGRADE,
                contents=found,
                previous=previous,
            )
            previous = chain.hash_of(entry)
            columns = {name: getattr(entry, name) for name in ("at", *Seal.SEALED)}
            entries.objects.create(**columns, hash=previous)


def _listed(messages: list[list[Any]]) -> dict[str, Any]:
    earlier, newest = messages[:-LISTED], messages[-LISTED:]
    history = {"history": hashlib.sha256(chain.canonical(earlier)).hexdigest()} if earlier else {}
    return {"messages": newest, **history}


def _shape(rows: Any) -> dict[int, list[int | None]]:
    """Of each message its parent and the generation that wrote it."""
    return {pk: rest for pk, *rest in rows.values_list("pk", "parent", "generation")}


def _run(message_id: int | None, shape: dict[int, list[int | None]]) -> list[int]:
    """A reply's message, and those before it that no other reply answers for: what was asked."""
    run: list[int] = []
    while message_id in shape:
        assert message_id is not None
        parent, generation = shape[message_id]
        if run and generation is not None:
            break
        run.append(message_id)
        message_id = parent
    return run[::-1]


def _messages(get: Any, ids: set[int], hashed: Callable[[bytes], str]) -> dict[int, list[Any]]:
    """Of each message its key, its parent's, its role, and hashes of what it says and calls."""
    called: dict[int, list[Any]] = defaultdict(list)
    calls = get("ToolCall").objects.order_by("message", "number")
    found: dict[int, list[Any]] = {}
    wanted = sorted(ids)
    for at in range(0, len(wanted), chain.BATCH):
        some = wanted[at : at + chain.BATCH]
        for message_id, *call in calls.filter(message__in=some).values_list("message", *CALL):
            called[message_id].append(call)
        columns = ("pk", "parent", "role", "text", "reasoning")
        rows = get("Message").objects.filter(pk__in=some).values_list(*columns)
        for pk, parent, role, text, reasoning in rows.iterator():
            said = (text.encode(), reasoning.encode(), chain.canonical(called.pop(pk, [])))
            found[pk] = [pk, parent, role, *map(hashed, said)]
    return found


def _append(
    conversation_id: UUID, generation_id: int, found: dict[str, Any], reason: SealReason
) -> None:
    entry = Seal(
        generation_id=generation_id,
        conversation_id=conversation_id,
        reason=reason,
        contents=found,
    )
    chain.append(entry)
    transaction.on_commit(
        lambda: logger.info(
            "sealed", number=entry.number, generation=generation_id, hash=entry.hash
        ),
        robust=True,
    )


def _hashed(salt: str, content: bytes) -> str:
    return hmac.digest(salt.encode(), content, "sha256").hex()
