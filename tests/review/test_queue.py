"""The lists: what is in which, in what order, narrowed by filters and search, at a bounded cost."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.conf import LazySettings
from django.contrib.auth.models import Group
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from chat.forms_review import FilterForm
from chat.models import (
    AccessEntry,
    AccessKind,
    CallState,
    Conversation,
    Feedback,
    Message,
    Receipt,
    ReviewItem,
    ToolCall,
    User,
)
from chat.record import access_log
from chat.review import decisions, listing, queue
from chat.review.pseudonyms import pseudonym
from tests.admin.rows import make_conversation, reply, say
from tests.presets import make_assistant
from tests.review.conftest import Story

Shown = Callable[..., list[int]]


@pytest.fixture
def shown(desk: Client) -> Shown:
    """The messages that a list shows, in order."""

    def ids(**query: Any) -> list[int]:
        page = desk.get("/review/", query)
        assert page.status_code == 200
        return [int(pk) for pk in re.findall(r'id="row-(\d+)"', page.content.decode())]

    return ids


def test_each_state_has_its_list(
    flagged: Message, story: Story, reviewer: User, shown: Shown, desk: Client
) -> None:
    assert shown() == [flagged.pk]
    queue.put(story.second.pk, reported=True)
    decisions.decide(reviewer, story.second.pk, decisions.DecisionKind.ESCALATE, "Look.")
    queue.put(story.first.pk, reported=True)
    decisions.decide(reviewer, story.first.pk, decisions.DecisionKind.DISMISS)
    ReviewItem.objects.filter(message=flagged).update(assignee=reviewer)
    assert shown(tab="open") == [flagged.pk]
    assert shown(tab="mine") == [flagged.pk]
    assert shown(tab="escalated") == [story.second.pk]
    assert shown(tab="decided") == [story.first.pk]
    assert shown(tab="proposed") == []
    assert len(shown(tab="all")) == Message.objects.count()
    assert shown(tab="nonsense") == [flagged.pk]
    assert listing.counts(reviewer) == {
        "open": 1, "mine": 1, "escalated": 1, "proposed": 0, "decided": 1
    }  # fmt: skip


def test_the_order(flagged: Message, story: Story, shown: Shown) -> None:
    queue.put(story.second.pk, flagged=True, score=0.5)
    ReviewItem.objects.filter(message=story.second).update(
        opened_at=timezone.now() + timedelta(minutes=1)
    )
    assert shown() == [story.second.pk, flagged.pk]
    assert shown(order="oldest") == [flagged.pk, story.second.pk]
    assert shown(order="score") == [flagged.pk, story.second.pk]


@pytest.fixture
def labelled(story: Story, ada: User, bob: User) -> Message:
    """A reply that every filter has a value for."""
    tutors = Group.objects.create(name="Tutors")
    bob.groups.add(tutors)
    assistant = make_assistant(bob, "Tutor")
    conversation = make_conversation(bob, "Algebra", assistant=assistant)
    message = reply(
        say(conversation, "Solve it"),
        "x = 2",
        model="special-3",
        state="interrupted",
        verdict="flagged",
        scores={"self-harm": 0.62},
        error_kind="timed_out",
    )
    Receipt.objects.filter(generation__message=message).update(schema_verdict="invalid")
    Feedback.objects.create(message=message, user=bob, opinion="bad")
    ToolCall.objects.create(
        message=message, number=0, round=1, offset=0, name="calculator", state=CallState.DONE
    )
    Message.objects.filter(pk=message.pk).update(created_at=timezone.now() - timedelta(days=30))
    queue.put(message.pk, flagged=True, reported=True, score=0.62)
    return message


def test_every_filter_finds_it_and_nothing_else(labelled: Message, shown: Shown) -> None:
    day = (timezone.now() - timedelta(days=30)).date().isoformat()
    group, assistant = Group.objects.get(name="Tutors").pk, labelled.conversation.assistant_id
    filters: dict[str, Any] = {
        "direction": "assistant", "state": "interrupted", "verdict": "flagged",
        "category": "self-harm", "score": "0.6", "user": "bob", "group": group,
        "assistant": assistant, "model": "special", "tool": "calc", "error": "timed_out",
        "feedback": "bad", "schema": "invalid", "since": day, "until": day,
    }  # fmt: skip
    assert set(filters) == set(FilterForm().fields) - {"q", "order"}
    asked = labelled.parent_id
    for name, value in filters.items():
        found = shown(tab="all", **{name: value})
        assert labelled.pk in found, name
        assert len(found) < Message.objects.count() or name == "since", name
        if name in {"state", "score", "model", "tool", "error", "feedback", "schema", "until"}:
            assert found == [labelled.pk], name
        if name in {"user", "group", "assistant"}:
            assert found == [labelled.pk, asked], name
    assert shown(tab="all", **filters) == [labelled.pk]
    assert shown(tab="all", error="any", feedback="reported") == [labelled.pk]
    assert labelled.pk not in shown(tab="all", category="self-harm", score="0.7")
    assert labelled.pk not in shown(tab="all", score="0.7")
    assert shown(tab="all", since=(timezone.now() + timedelta(days=1)).date().isoformat()) == []


@pytest.mark.parametrize(
    "query",
    [
        {"score": "much"}, {"group": "-1"}, {"assistant": "x"}, {"since": "soon"}, {"page": "-3"},
        {"page": "9" * 30}, {"order": "up"}, {"category": "a__b"}, {"category": '"$.x\'\\'},
        {"category": "\0"}, {"user": "%"}, {"model": "\0"}, {"q": "\0"}, {"q": '"' * 10_000},
        {"q": "((("}, {"q": "*"}, {"tab": "\0"}, {"page": "\u0663"}, {"q": "x" * 10_000},
    ],
    ids=range(19),
)  # fmt: skip
def test_what_makes_no_sense_is_no_error(
    query: dict[str, str], desk: Client, flagged: Message
) -> None:
    assert desk.get("/review/", {"tab": "all", **query}).status_code == 200


def test_a_search_shows_the_passage_and_is_written_down(
    desk: Client, shown: Shown, flagged: Message, story: Story, reviewer: User
) -> None:
    page = desk.get("/review/", {"tab": "all", "q": "parrot rude"}).content.decode()
    assert "You are a <mark>rude</mark> word, said the <mark>parrot</mark>." in page
    entry = AccessEntry.objects.get()
    assert (entry.kind, entry.actor_id) == (AccessKind.SEARCH, reviewer.pk)
    looked_for = access_log.fingerprint("parrot rude")
    assert entry.detail == {"messages": [flagged.pk], "query": looked_for}
    assert shown(tab="all", q='"rude word" parr*') == [flagged.pk]
    assert shown(tab="open", q="basins") == []
    assert shown(tab="all", q="basins") == [story.second.pk]


def test_without_a_search_no_text_is_shown_and_nothing_written_down(
    desk: Client, flagged: Message
) -> None:
    page = desk.get("/review/?tab=all").content.decode()
    assert "parrot" not in page
    assert not AccessEntry.objects.exists()


def test_titles_and_names_are_hostile(desk: Client, ada: User) -> None:
    title = "<img src=x onerror=alert(1)>"
    message = reply(say(make_conversation(ada, title), "Hm?"), "<b>bold</b>")
    queue.put(message.pk, reported=True)
    page = desk.get("/review/", {"q": "bold"}).content.decode()
    assert title not in page
    assert "&lt;<mark>bold</mark>" not in page.replace("&lt;b&gt;<mark>bold</mark>", "")


def fill(owner: User, number: int) -> None:
    for n in range(number):
        message = reply(say(make_conversation(owner, f"Talk {n}"), "Tides?"), f"Tides, {n}.")
        queue.put(message.pk, sampled=True)


def test_the_number_of_queries_does_not_grow(desk: Client, ada: User, reviewer: User) -> None:
    def queries(path: str) -> int:
        with CaptureQueriesContext(connection) as captured:
            assert desk.get(path).status_code == 200
        return len(captured)

    fill(ada, 2)
    ReviewItem.objects.update(assignee=reviewer)
    paths = ["/review/", "/review/?tab=all", "/review/?tab=all&user=ada&category=hate"]
    few = [queries(path) for path in paths]
    fill(ada, 20)
    ReviewItem.objects.update(assignee=reviewer)
    assert [queries(path) for path in paths] == few
    assert max(few) <= 14


def test_pages(shown: Shown, ada: User, desk: Client) -> None:
    fill(ada, listing.PER_PAGE + 3)
    first, second = shown(), shown(page=2)
    assert (len(first), len(second)) == (listing.PER_PAGE, 3)
    assert not set(first) & set(second)
    assert "page=2" in desk.get("/review/").content.decode()
    assert shown(page=3) == []


def test_a_deleted_conversation_is_listed(shown: Shown, flagged: Message) -> None:
    Conversation.objects.update(deleted_at=timezone.now())
    assert shown() == [flagged.pk]


def test_htmx_gets_what_changes_only(desk: Client, flagged: Message) -> None:
    answer = desk.get("/review/", HTTP_HX_REQUEST="true").content.decode()
    assert f'id="row-{flagged.pk}"' in answer
    assert "<html" not in answer


class TestAssignment:
    def test_take_and_release(self, desk: Client, flagged: Message, reviewer: User) -> None:
        path = f"/review/{flagged.conversation_id}/messages/{flagged.pk}/assign"
        assert desk.post(path, {"to": "me", "next": "/review/?tab=mine"})["Location"] == (
            "/review/?tab=mine"
        )
        assert ReviewItem.objects.get().assignee == reviewer
        desk.post(path, {"to": "nobody"})
        assert ReviewItem.objects.get().assignee is None

    def test_what_another_has_taken_is_not_taken_away(
        self, desk: Client, flagged: Message, second: User
    ) -> None:
        ReviewItem.objects.update(assignee=second)
        path = f"/review/{flagged.conversation_id}/messages/{flagged.pk}/assign"
        page = desk.post(path, {"to": "me", "next": "/review/"}, follow=True)
        assert "sam has taken this already." in page.content.decode()
        assert ReviewItem.objects.get().assignee == second

    def test_to_another_reviewer_and_to_nobody_else(
        self, desk: Client, flagged: Message, second: User, bob: User
    ) -> None:
        path = f"/review/{flagged.conversation_id}/messages/{flagged.pk}/assign"
        desk.post(path, {"to": second.pk})
        assert ReviewItem.objects.get().assignee == second
        for stranger in (bob.pk, 10**30, "x", -1, ""):
            assert desk.post(path, {"to": stranger}).status_code == 404
        assert ReviewItem.objects.get().assignee == second

    def test_the_way_back_stays_here(self, desk: Client, flagged: Message) -> None:
        path = f"/review/{flagged.conversation_id}/messages/{flagged.pk}/assign"
        for far in ("https://evil.example/", "//evil.example/"):
            assert "evil" not in desk.post(path, {"to": "me", "next": far})["Location"]


class TestAnonymous:
    @pytest.fixture(autouse=True)
    def _anonymous(self, settings: LazySettings) -> None:
        settings.REVIEW_ANONYMOUS = True

    def test_nobody_has_a_name(self, desk: Client, labelled: Message, bob: User) -> None:
        for path in ("/review/", "/review/?tab=all&q=algebra"):
            page = desk.get(path).content.decode()
            assert "bob" not in page
            assert pseudonym(bob.pk) in page

    def test_people_are_found_by_their_pseudonym_only(
        self, shown: Shown, labelled: Message, bob: User
    ) -> None:
        assert shown(tab="all", user="bob") == []
        assert shown(user=pseudonym(bob.pk)) == [labelled.pk]
        assert shown(user=pseudonym(bob.pk).removeprefix("Person ").lower()) == [labelled.pk]
