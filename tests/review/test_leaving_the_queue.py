"""An item leaves the queue by itself while somebody has to do with it."""

import threading
from collections.abc import Callable

import pytest
from django.db import connection, transaction

from chat.models import Message, ReviewItem, User
from chat.review import assignment, queue

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite's take turns"),
]


def begin(act: Callable[[], object]) -> threading.Thread:
    """Do it in a transaction beside the one that is open here; returns when it waits for that."""

    def run() -> None:
        with transaction.atomic():
            act()
        connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    waiting = 0
    while not waiting and thread.is_alive():
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
            (waiting,) = cursor.fetchone()
    return thread


def test_what_is_being_taken_stays(flagged: Message, reviewer: User) -> None:
    with transaction.atomic():
        assert assignment.take(ReviewItem.objects.get(), reviewer)
        leaving = begin(lambda: queue.withdraw(flagged.pk))
    leaving.join()
    assert ReviewItem.objects.get().assignee == reviewer


def test_what_is_leaving_is_not_taken(flagged: Message, reviewer: User) -> None:
    told: list[Exception] = []

    def take(item: ReviewItem) -> None:
        try:
            assignment.take(item, reviewer)
        except assignment.Gone as gone:
            told.append(gone)

    item = ReviewItem.objects.get()
    with transaction.atomic():
        queue.withdraw(flagged.pk)
        taking = begin(lambda: take(item))
    taking.join()
    assert len(told) == 1
    assert not ReviewItem.objects.exists()
