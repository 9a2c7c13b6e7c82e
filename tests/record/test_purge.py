"""What is purged is gone from every place, what must stay stays, and a tombstone says so."""

import sqlite3
import threading
import time
import uuid
from datetime import timedelta
from io import StringIO
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.utils import timezone

from chat import actions
from chat.models import (
    AccessEntry,
    AccessKind,
    Conversation,
    Generation,
    Message,
    Receipt,
    ReviewItem,
    ReviewState,
    State,
    Tombstone,
    User,
    Verdict,
    VerdictState,
)
from chat.record import access_log, holds, purge
from tests.admin.rows import make_conversation, reply, say

CANARY = "canary-7c41f0de"
LONG_AGO = timedelta(days=400)


def old(owner: User, text: str = "Old.") -> Conversation:
    """A conversation of a year ago, ended and judged, with a reply in two versions."""
    conversation = make_conversation(owner, f"About {text}")
    asked = say(conversation, f"Tell me: {text}")
    reply(asked, text, reasoning=f"Thinking of {text}")
    reply(asked, f"{text} Again.")
    then = timezone.now() - LONG_AGO
    Conversation.objects.filter(pk=conversation.pk).update(active_at=then)
    Generation.objects.filter(conversation=conversation).update(finished_at=then)
    return conversation


def there(conversation: Conversation) -> bool:
    return Conversation.objects.filter(pk=conversation.pk).exists()


def delete(owner: User, conversation: Conversation) -> None:
    actions.delete(owner, conversation.pk)


def test_without_a_policy_nothing_is_purged(ada: User) -> None:
    conversation = old(ada)
    delete(ada, conversation)
    assert purge.purge_due() == 0
    assert there(conversation)


def test_retention_purges_what_was_not_used_for_so_long(ada: User, settings: LazySettings) -> None:
    settings.RETENTION_DAYS = 365
    gone, stays = old(ada), make_conversation(ada)
    assert purge.purge_due() == 1
    assert (there(gone), there(stays)) == (False, True)


def test_a_deleted_conversation_is_purged_after_its_days(ada: User, settings: LazySettings) -> None:
    settings.DELETE_POLICY = "30"
    early, late = old(ada), old(ada)
    delete(ada, early)
    delete(ada, late)
    Conversation.objects.filter(pk=early.pk).update(deleted_at=timezone.now() - timedelta(days=31))
    assert purge.purge_due() == 1
    assert (there(early), there(late)) == (False, True)


def test_a_deleted_conversation_is_purged_at_once_where_that_is_the_policy(
    ada: User, settings: LazySettings
) -> None:
    settings.DELETE_POLICY = "purge"
    conversation, kept = old(ada), old(ada)
    delete(ada, conversation)
    assert purge.purge_due() == 1
    assert (there(conversation), there(kept)) == (False, True)


@pytest.mark.parametrize("by", ["conversation", "person"])
def test_a_legal_hold_stands_above_retention_and_deletion(
    ada: User, admin: User, settings: LazySettings, by: str
) -> None:
    settings.RETENTION_DAYS, settings.DELETE_POLICY = 1, "purge"
    conversation = old(ada)
    hold = holds.place(admin, "Case 12", on=conversation if by == "conversation" else ada)
    delete(ada, conversation)
    assert purge.purge_due() == 0
    assert purge.purge(conversation, purge.REQUESTED, admin) is None
    assert there(conversation)
    assert holds.release(admin, hold)
    assert not holds.release(admin, hold)
    assert purge.purge_due() == 1
    assert not there(conversation)
    kinds = AccessEntry.objects.order_by("number").values_list("kind", flat=True)
    assert list(kinds) == [AccessKind.HOLD, AccessKind.RELEASE, AccessKind.PURGE]


def test_what_is_not_finished_waits(ada: User, settings: LazySettings) -> None:
    settings.RETENTION_DAYS = 1
    writing, pending, just_ended, unproven = (old(ada) for _ in range(4))
    Generation.objects.filter(pk=writing.generations.first().pk).update(state=State.STREAMING)  # type: ignore[union-attr]
    Verdict.objects.filter(message__conversation=pending).update(state=VerdictState.PENDING)
    just_ended.generations.update(finished_at=timezone.now())
    unproven.generations.update(reconciled_at=None)
    assert purge.purge_due() == 0
    assert Conversation.objects.count() == 4


def test_deleting_does_not_take_a_reply_from_the_reviewers_who_have_not_seen_it(
    ada: User, settings: LazySettings
) -> None:
    settings.DELETE_POLICY = "purge"
    conversation = old(ada)
    message = conversation.messages.filter(role="assistant").first()
    assert message is not None
    item = ReviewItem.objects.create(message=message, is_flagged=True)
    delete(ada, conversation)
    assert purge.purge_due() == 0
    item.state = ReviewState.CLOSED
    item.save()
    assert purge.purge_due() == 1


def test_a_tombstone_says_what_was_there_without_a_word_of_it(
    ada: User, settings: LazySettings
) -> None:
    settings.RETENTION_DAYS = 365
    conversation = old(ada, CANARY)
    purge.purge_due()
    tombstone = Tombstone.objects.get()
    assert tombstone.conversation_id == conversation.pk
    assert (tombstone.owner, tombstone.messages, tombstone.replies) == (ada, 3, 2)
    assert (tombstone.reason, tombstone.purged_by) == (purge.RETENTION, None)
    assert len(tombstone.sha256) == 64
    entry = AccessEntry.objects.get()
    assert (entry.kind, entry.actor_name, entry.subject_name) == ("purge", "", "ada")


def test_others_are_left_as_they_were(ada: User, bob: User) -> None:
    gone, stays = old(ada), old(bob)
    before = list(Message.objects.filter(conversation=stays).values("pk", "text", "parent_id"))
    purge.purge(gone, purge.REQUESTED)
    assert list(Message.objects.filter(conversation=stays).values("pk", "text", "parent_id")) == (
        before
    )
    assert Receipt.objects.filter(generation__conversation=stays).count() == 2
    assert not Generation.objects.filter(conversation=gone.pk).exists()


def test_what_has_changed_since_it_was_due_is_looked_at_again(
    ada: User, admin: User, settings: LazySettings
) -> None:
    settings.RETENTION_DAYS = 365
    used, held = old(ada), old(ada)
    batch = purge.due(timezone.now())
    assert len(batch) == 2
    Conversation.objects.filter(pk=used.pk).update(active_at=timezone.now())
    holds.place(admin, "Case 12", on=held)
    assert [purge.purge(conversation, reason) for conversation, reason in batch] == [None, None]


def test_what_another_has_purged_is_gone(ada: User) -> None:
    conversation = old(ada)
    assert purge.purge(conversation, purge.REQUESTED) is not None
    assert purge.purge(conversation, purge.REQUESTED) is None


@pytest.mark.django_db(transaction=True)
def test_of_many_who_purge_it_at_once_one_does(ada: User) -> None:
    conversation, found = old(ada), []

    def one() -> None:
        try:
            found.append(purge.purge(conversation, purge.REQUESTED))
        finally:
            connection.close()

    threads = [threading.Thread(target=one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(tombstone is None for tombstone in found) == [False, True, True, True]


def test_a_hold_on_what_has_just_been_purged_is_none(ada: User, admin: User) -> None:
    conversation = old(ada)
    assert purge.purge(conversation, purge.REQUESTED) is not None
    with pytest.raises(Conversation.DoesNotExist):
        holds.place(admin, "Case 12", on=conversation)
    assert not AccessEntry.objects.filter(kind=AccessKind.HOLD).exists()


@pytest.mark.django_db(transaction=True)
def test_a_hold_and_a_purge_of_the_same_do_not_wait_for_each_other(ada: User, admin: User) -> None:
    if connection.vendor != "postgresql":
        pytest.skip("SQLite's transactions take turns")
    conversation, placed = old(ada), []

    def hold() -> None:
        try:
            placed.append(holds.place(admin, "Case 12", on=conversation))
        finally:
            connection.close()

    thread = threading.Thread(target=hold)
    with transaction.atomic(), connection.cursor() as cursor:
        # As a purge does it, with the hold coming between its two locks.
        Conversation.objects.select_for_update().get(pk=conversation.pk)
        thread.start()
        waiting = (0,)
        while not waiting[0] and thread.is_alive():
            cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
            waiting = cursor.fetchone()
        access_log.lock()
    thread.join()
    assert len(placed) == 1


@pytest.mark.django_db(transaction=True)
def test_a_clean_up_waits_for_nobody_who_reads(ada: User) -> None:
    if connection.vendor != "sqlite":
        pytest.skip("SQLite's write-ahead log")
    reader = sqlite3.connect(connection.settings_dict["NAME"])
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM chat_message").fetchone()
    try:
        purge.purge(old(ada), purge.REQUESTED)
        began = time.monotonic()
        assert not purge.scrub()
        assert time.monotonic() - began < 10  # SQLite would wait for 20 s, and all writers with it
    finally:
        reader.close()
    assert purge.scrub()


@pytest.mark.django_db(transaction=True)
def test_the_command_purges_one_that_is_named(ada: User, admin: User) -> None:
    conversation = old(ada)
    hold = holds.place(admin, "Case 12", on=conversation)
    with pytest.raises(CommandError, match="legal hold"):
        call_command("purge", str(conversation.pk))
    holds.release(admin, hold)
    out = StringIO()
    call_command("purge", str(conversation.pk), stdout=out)
    assert out.getvalue() == "1 purged\n"
    with pytest.raises(CommandError, match="no such conversation"):
        call_command("purge", str(uuid.uuid4()))


@pytest.mark.django_db(transaction=True)
def test_a_purged_canary_is_nowhere_on_the_disk(ada: User) -> None:
    """Of many rows, so that pages are split, merged and freed while they come and go."""
    if connection.vendor != "sqlite":
        pytest.skip("SQLite's files; what PostgreSQL dumps is looked at in tests/deployment")
    conversation = old(ada, CANARY)
    for number in range(40):
        message = say(conversation, f"{CANARY} {number} " * (1 + 40 * (number % 5)))
        # As the write-behind does, a little more each time.
        for length in (1, 50, 500):
            Message.objects.filter(pk=message.pk).update(text=f"{CANARY} {number} " * length)
    path = Path(connection.settings_dict["NAME"])
    found = [
        file for file in path.parent.glob(f"{path.name}*") if CANARY.encode() in bytes_of(file)
    ]
    assert found, "the canary was there"
    purge.purge(conversation, purge.REQUESTED)
    assert purge.scrub()
    left = [file for file in path.parent.glob(f"{path.name}*") if CANARY.encode() in bytes_of(file)]
    assert left == []


def bytes_of(path: Path) -> bytes:
    return path.read_bytes()
