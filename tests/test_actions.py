"""What a person does: accepted once, declined with a reason, never half done."""

import threading
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.conf import LazySettings
from django.db import connection
from django.http import Http404

from chat import actions
from chat.actions import Rejected
from chat.models import Conversation, Generation, Message, State, User


def send(user: User, conversation: uuid.UUID, text: str = "Hello", key: str = "") -> actions.Sent:
    key = key or uuid.uuid4().hex
    return actions.send(user, conversation, text, key, may_create=True)


def test_a_message_and_the_reply_to_it_are_queued_together(ada: User) -> None:
    conversation = uuid.uuid4()
    send(ada, conversation, "What is a monad?")
    asked, reply = Message.objects.filter(conversation=conversation).order_by("pk")
    assert (asked.role, asked.text) == ("user", "What is a monad?")
    assert (reply.role, reply.text, reply.parent) == ("assistant", "", asked)
    assert reply.generation.state == State.QUEUED
    assert Conversation.objects.get(pk=conversation).head == reply


def test_the_same_form_again_changes_nothing(ada: User) -> None:
    conversation = uuid.uuid4()
    assert send(ada, conversation, key="the-same-key").created
    assert not send(ada, conversation, key="the-same-key").created
    assert Message.objects.filter(role="user").count() == 1
    assert Generation.objects.count() == 1


def test_a_second_message_waits_for_the_reply_to_the_first(ada: User) -> None:
    conversation = uuid.uuid4()
    send(ada, conversation)
    with pytest.raises(Rejected, match="still being written"):
        send(ada, conversation, "Another")
    assert Message.objects.filter(role="user").count() == 1


def test_a_user_may_not_have_more_replies_at_once_than_the_limit(
    ada: User, bob: User, settings: LazySettings
) -> None:
    settings.CONCURRENT_REPLIES_PER_USER = 2
    send(ada, uuid.uuid4())
    send(ada, uuid.uuid4())
    with pytest.raises(Rejected, match="2 replies"):
        send(ada, uuid.uuid4())
    assert send(bob, uuid.uuid4()).created


def test_nobody_writes_into_another_s_conversation(ada: User, bob: User) -> None:
    conversation = uuid.uuid4()
    send(ada, conversation)
    with pytest.raises(Http404):
        send(bob, conversation)
    with pytest.raises(Http404):
        actions.stop(bob, conversation)
    with pytest.raises(Http404):
        actions.rename(bob, conversation, "Mine")
    with pytest.raises(Http404):
        actions.delete(bob, conversation)


def test_without_a_ticket_no_conversation_is_made(ada: User) -> None:
    with pytest.raises(Http404):
        actions.send(ada, uuid.uuid4(), "Hello", "a-key-of-mine", may_create=False)
    assert not Conversation.objects.exists()


def test_stopping_a_queued_reply_ends_it_before_any_call(ada: User) -> None:
    conversation = uuid.uuid4()
    send(ada, conversation)
    assert actions.stop(ada, conversation)
    generation = Generation.objects.get()
    assert (generation.state, generation.stop_reason, generation.calls) == ("stopped", "user", 0)
    assert not actions.stop(ada, conversation)


def test_a_deleted_conversation_is_out_of_sight_and_on_record(ada: User) -> None:
    conversation = uuid.uuid4()
    send(ada, conversation, "Between us")
    actions.delete(ada, conversation)
    assert not Conversation.objects.present().exists()
    assert Message.objects.filter(text="Between us").exists()
    assert Generation.objects.get().state == State.STOPPED
    with pytest.raises(Http404):
        send(ada, conversation)


def test_a_title_begins_as_the_first_words_and_ends_with_a_whole_one(ada: User) -> None:
    conversation = uuid.uuid4()
    send(ada, conversation, "word " * 40)
    title = Conversation.objects.get().title
    assert title.endswith("word…")
    assert len(title) <= 61


def _together(count: int, call: object) -> list[object]:
    """The results of calling from so many threads at the same moment."""
    barrier = threading.Barrier(count)

    def one(number: int) -> object:
        barrier.wait()
        try:
            return call(number)  # type: ignore[operator]
        except Rejected as rejected:
            return rejected
        finally:
            connection.close()

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


@pytest.mark.django_db(transaction=True)
def test_twenty_parallel_submits_of_one_form_make_one_message(ada: User) -> None:
    conversation = uuid.uuid4()
    results = _together(20, lambda n: send(ada, conversation, key="twenty-times"))
    assert [type(r) for r in results] == [actions.Sent] * 20
    assert sum(r.created for r in results) == 1  # type: ignore[attr-defined]
    assert Message.objects.filter(role="user").count() == 1
    assert Generation.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_of_two_different_sends_at_once_one_is_accepted(ada: User) -> None:
    conversation = uuid.uuid4()
    results = _together(2, lambda n: send(ada, conversation, f"Message {n}"))
    assert sorted(type(r).__name__ for r in results) == ["Rejected", "Sent"]
    assert Message.objects.filter(role="user").count() == 1
