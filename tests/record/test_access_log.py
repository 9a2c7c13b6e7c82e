"""Who looked is on record, and nobody can change, remove or insert an entry unseen."""

import threading
from collections.abc import Callable
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.db.models import Manager, QuerySet

from chat.models import AccessEntry, AccessKind, AppendOnly, User
from chat.record import access_log, chain
from tests.admin.rows import make_conversation


def by_hand() -> QuerySet[AccessEntry]:
    """The rows without what keeps our own code from changing them."""
    return QuerySet(AccessEntry)


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
    found = access_log.verify()
    assert (found.entries, found.broken) == (5, None)
    assert found.head == AccessEntry.objects.first().hash  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "change",
    [
        {"actor_name": "nobody"},
        {"actor_id": -1},
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
    by_hand().filter(number=2).update(**change)
    broken = access_log.verify().broken
    assert broken is not None
    assert broken.number == 2 or (broken.number == 3 and "hash" in change)


def test_a_changed_time_is_found(ada: User) -> None:
    look(ada, 2)
    entry = AccessEntry.objects.get(number=1)
    by_hand().filter(number=1).update(at=entry.at - timedelta(days=1))
    assert access_log.verify().broken == chain.Broken(1, "it is not what was written")


def test_a_removed_entry_is_found(ada: User) -> None:
    look(ada, 3)
    by_hand().filter(number=2).delete()
    assert access_log.verify().broken == chain.Broken(2, "an entry is missing")


def test_an_entry_hashed_anew_breaks_the_chain_behind_it(ada: User) -> None:
    look(ada, 3)
    entry = AccessEntry.objects.get(number=2)
    entry.purpose = "Another one"
    by_hand().filter(number=2).update(purpose=entry.purpose, hash=chain.hash_of(entry))
    broken = access_log.verify().broken
    assert broken == chain.Broken(3, "it does not follow from the entry before it")


def test_an_end_that_was_cut_off_is_found_by_a_hash_kept_elsewhere(ada: User) -> None:
    look(ada, 3)
    head = access_log.verify().head
    call_command("verify", head=[head], stdout=StringIO())
    by_hand().filter(number=3).delete()
    assert access_log.verify().broken is None
    with pytest.raises(CommandError):
        call_command("verify", head=[head], stdout=StringIO(), stderr=StringIO())


@pytest.mark.parametrize("head", ["", "abc", "F" * 64])
def test_a_hash_that_is_none_is_no_proof(db: None, head: str) -> None:
    """Such as a variable that was not set, in a job that runs every night."""
    with pytest.raises(CommandError, match="64 hexadecimal digits"):
        call_command("verify", head=[head], stdout=StringIO())


def test_the_command_names_the_break(ada: User) -> None:
    look(ada, 3)
    by_hand().filter(number=2).update(purpose="")
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


@pytest.mark.parametrize(
    "write",
    [
        lambda rows: rows.update(purpose=""),
        lambda rows: rows.filter(number=1).update(purpose=""),
        lambda rows: rows.delete(),
        lambda rows: rows.all().delete(),
        lambda rows: rows.bulk_update(list(rows.all()), ["purpose"]),
        lambda rows: rows.bulk_create([AccessEntry()]),
        lambda rows: rows.update_or_create(number=1, defaults={"purpose": ""}),
    ],
)
def test_nor_many_at_once(ada: User, write: Callable[[Manager[AccessEntry]], object]) -> None:
    look(ada)
    with pytest.raises(AppendOnly):
        write(AccessEntry.objects)
    assert access_log.verify().broken is None


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
    found = access_log.verify()
    assert (found.entries, found.broken) == (20, None)


def swap(first: int, second: int) -> None:
    one, other = (by_hand().filter(number=n).values().get() for n in (first, second))
    for number, row in ((first, other), (second, one)):
        by_hand().filter(number=number).update(**{**row, "number": number})


def test_entries_that_were_swapped_are_found(ada: User) -> None:
    look(ada, 4)
    swap(2, 3)
    broken = access_log.verify().broken
    assert broken == chain.Broken(2, "it does not follow from the entry before it")


def test_an_entry_that_was_put_between_is_found(ada: User) -> None:
    """With the numbers behind it moved on, and a hash of its own that is right."""
    look(ada, 3)
    by_hand().filter(number=3).update(number=4)
    entry = by_hand().get(number=2)
    entry.number, entry.previous, entry.purpose = 3, entry.hash, "Inserted"
    entry.hash = chain.hash_of(entry)
    QuerySet(AccessEntry).bulk_create([entry])
    broken = access_log.verify().broken
    assert broken == chain.Broken(4, "it does not follow from the entry before it")
