"""Who looked is on record, and nobody can change, remove or insert an entry unseen."""

import threading
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction

from chat.models import AccessEntry, AccessKind, AppendOnly, User
from chat.record import access_log
from tests.admin.rows import make_conversation


def look(actor: User, times: int = 1) -> None:
    conversation = make_conversation(actor)
    for number in range(times):
        access_log.note(
            actor,
            AccessKind.TRANSCRIPT,
            conversation=conversation,
            purpose=f"look {number}",
            detail={"where": "ü", "count": number},
        )


def test_an_entry_says_who_whose_when_and_why(ada: User, bob: User) -> None:
    conversation = make_conversation(ada)
    access_log.note(bob, AccessKind.TRANSCRIPT, conversation=conversation, purpose="A complaint")
    entry = AccessEntry.objects.get()
    assert (entry.actor_id, entry.actor_name) == (bob.pk, "bob")
    assert (entry.subject_id, entry.subject_name) == (ada.pk, "ada")
    assert (entry.conversation_id, entry.purpose) == (conversation.pk, "A complaint")
    assert entry.at is not None


def test_an_untouched_chain_holds(ada: User) -> None:
    look(ada, 5)
    chain = access_log.verify()
    assert (chain.entries, chain.broken) == (5, None)
    assert chain.head == AccessEntry.objects.first().hash  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "change",
    [
        {"actor_name": "nobody"},
        {"actor_id": 99},
        {"subject_name": "somebody else"},
        {"purpose": "None of your business"},
        {"kind": AccessKind.EXPORT},
        {"detail": {}},
        {"conversation_id": None},
        {"hash": "f" * 64},
        {"previous": "f" * 64},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_changed_entry_is_found(ada: User, change: dict[str, object]) -> None:
    look(ada, 3)
    AccessEntry.objects.filter(number=2).update(**change)
    broken = access_log.verify().broken
    assert broken is not None
    assert broken.number == 2 or (broken.number == 3 and "hash" in change)


def test_a_changed_time_is_found(ada: User) -> None:
    look(ada, 2)
    entry = AccessEntry.objects.get(number=1)
    AccessEntry.objects.filter(number=1).update(at=entry.at - timedelta(days=1))
    assert access_log.verify().broken == access_log.Broken(1, "it is not what was written")


def test_a_removed_entry_is_found(ada: User) -> None:
    look(ada, 3)
    AccessEntry.objects.filter(number=2).delete()
    assert access_log.verify().broken == access_log.Broken(2, "an entry is missing")


def test_an_entry_hashed_anew_breaks_the_chain_behind_it(ada: User) -> None:
    look(ada, 3)
    entry = AccessEntry.objects.get(number=2)
    entry.purpose = "Another one"
    AccessEntry.objects.filter(number=2).update(
        purpose=entry.purpose, hash=access_log.hash_of(entry)
    )
    broken = access_log.verify().broken
    assert broken == access_log.Broken(3, "it does not follow from the entry before it")


def test_an_end_that_was_cut_off_is_found_by_a_hash_kept_elsewhere(ada: User) -> None:
    look(ada, 3)
    head = access_log.verify().head
    call_command("verify", head=head, stdout=StringIO())
    AccessEntry.objects.filter(number=3).delete()
    assert access_log.verify().broken is None
    with pytest.raises(CommandError):
        call_command("verify", head=head, stdout=StringIO(), stderr=StringIO())


@pytest.mark.parametrize("head", ["", "abc", "F" * 64])
def test_a_hash_that_is_none_is_no_proof(db: None, head: str) -> None:
    """Such as a variable that was not set, in a job that runs every night."""
    with pytest.raises(CommandError, match="64 hexadecimal digits"):
        call_command("verify", head=head, stdout=StringIO())


def test_the_command_names_the_break(ada: User) -> None:
    look(ada, 3)
    AccessEntry.objects.filter(number=2).update(purpose="")
    err = StringIO()
    with pytest.raises(CommandError):
        call_command("verify", stdout=StringIO(), stderr=err)
    assert "broken at entry 2: it is not what was written" in err.getvalue()


def test_entries_are_not_changed_or_deleted_by_our_own_code(ada: User) -> None:
    look(ada)
    entry = AccessEntry.objects.get()
    with pytest.raises(AppendOnly):
        entry.save()
    with pytest.raises(AppendOnly):
        entry.delete()


def test_what_is_undone_leaves_no_entry(ada: User) -> None:
    class Undone(Exception):
        pass

    def look_and_undo() -> None:
        with transaction.atomic():
            look(ada)
            raise Undone

    with pytest.raises(Undone):
        look_and_undo()
    look(ada)
    assert AccessEntry.objects.get().number == 1


@pytest.mark.django_db(transaction=True)
def test_many_who_look_at_once_make_one_chain(ada: User) -> None:
    def looker() -> None:
        try:
            look(ada, 5)
        finally:
            connection.close()

    threads = [threading.Thread(target=looker) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    chain = access_log.verify()
    assert (chain.entries, chain.broken) == (20, None)
