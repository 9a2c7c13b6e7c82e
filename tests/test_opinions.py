"""What readers say of replies, and what they are told of a review."""

import uuid
from collections.abc import Callable

import pytest
from django.test import Client

from chat import reconcile
from chat.delivery.changes import load
from chat.models import (
    Conversation,
    DecisionKind,
    Feedback,
    Generation,
    Message,
    Report,
    ReviewItem,
    Role,
    User,
)
from chat.review import decisions
from tests.conftest import make_user
from tests.talk import ask, talk


@pytest.fixture
def reply(ada: User) -> Message:
    _conversation, _asked, message = talk(ada, "Hi there.")
    generation = message.generation
    reconcile._write_later(generation.pk, reconcile.whole("Hi there.", None, []), {})
    return Message.objects.get(pk=message.pk)


@pytest.fixture
def client(ada: User, sign_in: Callable[[User], Client]) -> Client:
    return sign_in(ada)


@pytest.fixture
def reviewer(db: None) -> User:
    return make_user("rita")


def path(message: Message, command: str) -> str:
    return f"/c/{message.conversation_id}/messages/{message.pk}/{command}"


def page(client: Client, message: Message) -> str:
    return client.get(f"/c/{message.conversation_id}/").content.decode()


def test_good_bad_and_taken_back(client: Client, reply: Message) -> None:
    before = reply.revision
    for opinion, held in (("good", ["good"]), ("bad", ["bad"]), ("bad", [])):
        assert client.post(path(reply, f"feedback/{opinion}")).status_code == 302
        assert list(Feedback.objects.values_list("opinion", flat=True)) == held
    assert Message.objects.get(pk=reply.pk).revision > before


def test_the_buttons_say_what_holds(client: Client, reply: Message) -> None:
    assert page(client, reply).count('aria-pressed="false"') == 2
    client.post(path(reply, "feedback/good"))
    shown = page(client, reply)
    good = shown[shown.index(f'id="good-{reply.pk}"') :]
    assert good[: good.index(">")].endswith('aria-pressed="true"')
    assert shown.count('aria-pressed="false"') == 1


def test_a_report_goes_to_the_reviewers_once(client: Client, reply: Message) -> None:
    form = client.get(path(reply, "report")).content.decode()
    assert "The reply goes to the reviewers" in form
    given = {"complaint": "false", "note": "It is not so."}
    assert client.post(path(reply, "report"), given)["Location"] == f"/c/{reply.conversation_id}/"
    assert client.post(path(reply, "report"), {"complaint": "other"}).status_code == 200
    report = Report.objects.get()
    assert (report.complaint, report.note) == ("false", "It is not so.")
    assert ReviewItem.objects.get(message=reply).is_reported
    assert ">Reported</button>" in page(client, reply)
    again = client.get(path(reply, "report")).content.decode()
    assert "It is not so." in again
    assert "A reviewer will look at it." in again


def test_a_report_needs_a_reason(client: Client, reply: Message) -> None:
    answer = client.post(path(reply, "report"), {"note": "Hm."})
    assert answer.status_code == 422
    assert "Choose what is wrong with it." in answer.content.decode()
    assert not Report.objects.exists()


def test_by_htmx_the_answers_are_short(client: Client, reply: Message) -> None:
    by_htmx = {"HTTP_HX_REQUEST": "true"}
    assert client.post(path(reply, "feedback/good"), **by_htmx).status_code == 204
    answer = client.post(path(reply, "report"), {"complaint": "other"}, **by_htmx)
    assert (answer.status_code, answer.content) == (200, b"")


def test_only_an_ended_reply_of_ones_own_is_judged(
    client: Client, reply: Message, ada: User, bob: User, sign_in: Callable[[User], Client]
) -> None:
    asked = ask(ada, conversation=uuid.uuid4())
    running = Message.objects.get(conversation=asked.conversation_id, role=Role.ASSISTANT)
    for message in (asked, running):
        assert client.post(path(message, "feedback/good")).status_code == 404
        assert client.get(path(message, "report")).status_code == 404
    stranger = sign_in(bob)
    assert stranger.post(path(reply, "feedback/good")).status_code == 404
    assert stranger.post(path(reply, "report"), {"complaint": "other"}).status_code == 404
    Conversation.objects.update(deleted_at=reply.created_at)
    assert client.post(path(reply, "feedback/good")).status_code == 404
    assert not Feedback.objects.exists()


def test_what_came_of_it_is_shown(client: Client, reply: Message, reviewer: User) -> None:
    client.post(path(reply, "report"), {"complaint": "false"})
    decision = decisions.decide(reviewer, reply.pk, DecisionKind.UPHOLD, "It is false.")
    shown = page(client, reply)
    assert "This reply was removed after review. Your report was reviewed." in shown
    assert "Hi there." not in shown
    decisions.decide(reviewer, reply.pk, DecisionKind.DISMISS, seen=decision.pk)
    shown = page(client, reply)
    assert "Restored after review. Your report was reviewed." in shown
    assert "Hi there." in shown


def test_a_redaction_is_shown(client: Client, reply: Message, reviewer: User) -> None:
    decisions.decide(reviewer, reply.pk, DecisionKind.REDACT, "Greeting.", passages=[(0, 2)])
    shown = page(client, reply)
    assert "A passage was redacted after review." in shown
    assert "██ there." in shown


def test_a_dismissed_report_of_a_reply_that_was_never_withheld(
    client: Client, reply: Message, reviewer: User
) -> None:
    client.post(path(reply, "report"), {"complaint": "false"})
    decisions.decide(reviewer, reply.pk, DecisionKind.DISMISS)
    shown = page(client, reply)
    assert "Your report was reviewed." in shown
    assert "Restored" not in shown


def test_a_users_own_message_is_removed(client: Client, reply: Message, reviewer: User) -> None:
    question = reply.parent
    assert question is not None
    decisions.decide(reviewer, question.pk, DecisionKind.UPHOLD, "Private.")
    shown = page(client, reply)
    assert "Your message was removed after review." in shown
    assert "Hello?" not in shown  # nor is it the title any more
    assert client.get(path(question, "edit")).status_code == 404


@pytest.mark.parametrize("kind", ["dismiss", "uphold", "redact"])
def test_an_open_page_that_had_it_live_gets_the_whole_message(
    kind: str, reply: Message, reviewer: User, ada: User
) -> None:
    cursor = Conversation.objects.get(pk=reply.conversation_id).revision
    decisions.decide(
        reviewer, reply.pk, DecisionKind(kind), "So.", passages=[(0, 2)] if kind == "redact" else []
    )
    changes = load(ada.pk, reply.conversation_id, cursor, {reply.pk})
    targets = {fragment.target: fragment.content for fragment in changes.fragments}
    assert f"#message-{reply.pk}" in targets
    assert ("there." in targets[f"#message-{reply.pk}"]) is (kind != "uphold")


def test_the_buttons_cost_one_query_a_page(
    client: Client, reply: Message, django_assert_max_num_queries: Callable[..., object]
) -> None:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            page(client, reply)
        return len(captured)

    few = queries()
    for _number in range(3):
        question = ask(reply.conversation.owner, "More?", reply.conversation_id)
        Generation.objects.filter(state="queued").update(
            state="complete", finished_at=question.created_at, reconciled_at=question.created_at
        )
    assert queries() == few
