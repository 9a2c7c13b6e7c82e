"""Two workers at one queue. Also run on PostgreSQL, by test_postgres.py."""

import asyncio
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connections

from chat import actions
from chat.database import in_database
from chat.models import Conversation, Generation, Message, State, User
from chat.worker.claim import claim
from tests.conftest import make_user

REPLIES = 20


def _queue(count: int) -> None:
    for number in range(count):
        user = make_user(f"user{number}")
        actions.send(user, uuid.uuid4(), "Hello?", "k" * 12, may_create=True)


def _claim_all(name: str) -> list[int]:
    """As a worker does: until there is nothing left, or nothing to win."""
    claimed = []
    try:
        while (job := claim(name)) is not None:
            claimed.append(job.generation_id)
    finally:
        connections.close_all()
    return claimed


@pytest.mark.django_db(transaction=True)
def test_each_reply_is_claimed_once() -> None:
    _queue(REPLIES)
    with ThreadPoolExecutor(4) as threads:
        claimed = list(threads.map(_claim_all, [f"worker{n}" for n in range(4)]))
    all_claimed = sorted(pk for pks in claimed for pk in pks)
    assert all_claimed == sorted(Generation.objects.values_list("pk", flat=True))
    assert len(all_claimed) == REPLIES
    assert set(Generation.objects.values_list("state", "attempt")) == {(State.STREAMING, 1)}


async def test_one_form_sent_twenty_times_is_one_message(transactional_db: None) -> None:
    ada = await in_database(make_user, "ada")
    conversation = uuid.uuid4()

    def send() -> bool:
        return actions.send(ada, conversation, "Hello?", "k" * 12, may_create=True).created

    created = await asyncio.gather(*(in_database(send) for _ in range(20)))
    assert sorted(created) == [False] * 19 + [True]
    assert await in_database(Message.objects.filter(role="user").count) == 1
    assert await in_database(Generation.objects.count) == 1


async def test_two_different_messages_at_once_are_one_and_a_reason(transactional_db: None) -> None:
    ada = await in_database(make_user, "ada")
    conversation = uuid.uuid4()

    def send(number: int) -> str:
        key = f"key-{number:08}"
        try:
            actions.send(ada, conversation, f"Question {number}?", key, may_create=True)
        except actions.Rejected as rejected:
            return str(rejected)
        return ""

    answers = await asyncio.gather(*(in_database(send, number) for number in range(8)))
    assert answers.count("") == 1
    assert {answer for answer in answers if answer} == {
        "A reply is still being written here. Wait for it or stop it, then try again."
    }
    assert await in_database(Message.objects.filter(role="user").count) == 1


async def test_the_limit_of_replies_holds_for_sends_at_once(transactional_db: None) -> None:
    """Twenty conversations at once, three replies allowed."""
    ada: User = await in_database(make_user, "ada")

    def send() -> bool:
        try:
            actions.send(ada, uuid.uuid4(), "Hello?", "k" * 12, may_create=True)
        except actions.Rejected:
            return False
        return True

    accepted = await asyncio.gather(*(in_database(send) for _ in range(20)))
    assert sum(accepted) == 3
    assert await in_database(Conversation.objects.count) == 3
