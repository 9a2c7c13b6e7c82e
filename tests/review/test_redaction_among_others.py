"""A redaction beside what else goes on: whom it keeps waiting, and what it waits for."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.conf import LazySettings
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from chat.models import (
    Conversation,
    DecisionKind,
    Generation,
    LegalHold,
    Message,
    Redaction,
    ReviewItem,
    State,
    User,
)
from chat.models.generation import ACTIVE
from chat.record import holds
from chat.review import decisions
from chat.review.decisions import Refused
from tests.admin.rows import make_conversation, make_title, reply, say

SECRET = "Käthe Müller"


@pytest.fixture
def leak(ada: User) -> Message:
    return reply(say(make_conversation(ada), f"Who is {SECRET}?"), f"Ask {SECRET}.")


@pytest.fixture
def redact(leak: Message, reviewer: User) -> Callable[[], Any]:
    def decide() -> Any:
        return decisions.decide(reviewer, leak.pk, DecisionKind.REDACT, "Private.", words=[SECRET])

    return decide


def test_nothing_is_looked_through_while_all_replies_wait_to_be_sealed(
    leak: Message, redact: Callable[[], Any]
) -> None:
    """From the first seal to the end of the transaction no reply of anybody's can end."""
    with CaptureQueriesContext(connection) as captured:
        redact()
    statements = [query["sql"] for query in captured]
    sealed = next(i for i, sql in enumerate(statements) if 'INSERT INTO "chat_seal"' in sql)
    for table in ("chat_message", "chat_toolcall", "chat_reviewitem"):
        late = [sql for sql in statements[sealed:] if sql.startswith("SELECT") and table in sql]
        assert late == []
    assert ReviewItem.objects.filter(message=leak.parent_id, is_repeat=True).exists()


@pytest.mark.django_db(transaction=True)
def test_a_hold_that_is_placed_meanwhile_is_not_kept_waiting_and_holds(
    leak: Message, redact: Callable[[], Any], second: User
) -> None:
    """Nor does anybody wait who writes into the access log, as who opens a transcript does."""
    if connection.vendor != "postgresql":
        pytest.skip("SQLite's transactions take turns")

    def place() -> None:
        holds.place(second, "A case", on=leak.conversation.owner)
        connection.close()

    def while_it_is_taken_out(execute: Any, sql: str, *args: Any) -> Any:
        if sql.startswith('UPDATE "chat_message" SET "text"'):
            thread = threading.Thread(target=place)
            thread.start()
            thread.join(10)
        return execute(sql, *args)

    with connection.execute_wrapper(while_it_is_taken_out), pytest.raises(Refused, match="hold"):
        redact()
    assert LegalHold.objects.exists()
    assert SECRET in Message.objects.get(pk=leak.pk).text
    assert not Redaction.objects.exists()


@pytest.mark.parametrize("state", ACTIVE)
@pytest.mark.parametrize("what", ["a reply", "a title"])
def test_it_waits_for_what_is_being_made_of_the_text(
    what: str, state: State, leak: Message, redact: Callable[[], Any]
) -> None:
    """That was given the text before, and is saved after the search for what repeats it."""
    if what == "a title":
        make_title(leak.conversation, state=state, finished_at=None)
    else:
        reply(say(leak.conversation, "And?", leak), "", state=state)
    with pytest.raises(Refused, match=r"when it has ended"):
        redact()
    assert SECRET in Message.objects.get(pk=leak.pk).text
    Generation.objects.active().update(state=State.COMPLETE)
    redact()
    assert SECRET not in Message.objects.get(pk=leak.pk).text


def test_who_confirms_waits_too_and_keeps_his_note(
    leak: Message, redact: Callable[[], Any], second: User, settings: LazySettings,
    sign_in: Callable[[User], Client], opened: Callable[[Client, Conversation], Client],
) -> None:  # fmt: skip
    settings.REVIEW_TWO_PERSON = ["redact"]
    make_title(leak.conversation, state=State.STREAMING, finished_at=None)
    fields = {"answer": "confirm", "note": "I have looked, too.", "seen": redact().pk}
    desk = opened(sign_in(second), leak.conversation)
    path = f"/review/{leak.conversation_id}/messages/{leak.pk}/answer"
    page = desk.post(path, fields)
    assert page.status_code == 409
    assert "Redact when it has ended." in page.content.decode()
    assert "I have looked, too." in page.content.decode()
    assert not Redaction.objects.exists()
