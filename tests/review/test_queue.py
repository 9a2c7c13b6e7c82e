"""The lists: what is in which, in what order, narrowed by filters and search, at a bounded cost."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from chat.forms_review import FilterForm
from chat.models import (
    AccessEntry,
    AccessKind,
    ApiKey,
    CallState,
    Conversation,
    Message,
    ReviewItem,
    ToolCall,
    User,
)
from chat.record import access_log
from chat.review import decisions, listing, queue
from tests.admin.rows import make_conversation, make_title, reply, say
from tests.review.conftest import Shown, Story
from tests.talk import ask


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


def test_the_order_of_all_messages(flagged: Message, story: Story, shown: Shown) -> None:
    """What is in no queue has neither a score nor a time at which it came there."""
    ids = sorted(Message.objects.values_list("pk", flat=True))
    assert shown(tab="all", order="newest") == shown(tab="all") == ids[::-1]
    assert shown(tab="all", order="oldest") == ids
    rest = [pk for pk in ids[::-1] if pk != flagged.pk]
    assert shown(tab="all", order="score") == [flagged.pk, *rest]


def test_what_was_decided_last_stands_first(
    flagged: Message, story: Story, reviewer: User, shown: Shown
) -> None:
    queue.put(story.second.pk, reported=True)
    for message in (story.second, flagged):
        decisions.decide(reviewer, message.pk, decisions.DecisionKind.DISMISS)
    ReviewItem.objects.filter(message=flagged).update(opened_at=timezone.now() - timedelta(days=1))
    assert shown(tab="decided", order="newest") == [flagged.pk, story.second.pk]
    assert shown(tab="decided", order="oldest") == [story.second.pk, flagged.pk]


def test_each_filter_that_is_on_can_be_taken_away(desk: Client, flagged: Message) -> None:
    query = {"tab": "all", "model": "<b>", "state": "failed", "score": "9", "page": "2"}
    page = desk.get("/review/", query).content.decode()
    assert 'href="/review/?tab=all&amp;state=failed&amp;score=9"' in page
    assert "Take away Reply: Failed" in page
    assert "Take away Model: &lt;b&gt;" in page
    assert "Take away Score" not in page  # which was not understood


def test_the_search_can_be_taken_away_like_a_filter(desk: Client, flagged: Message) -> None:
    page = desk.get("/review/", {"tab": "all", "q": "<rude>", "page": 1}).content.decode()
    assert 'href="?tab=all" aria-label="Take away the search: &lt;rude&gt;"' in page


def test_whose_turn_it_is_is_said(desk: Client, flagged: Message, second: User) -> None:
    ReviewItem.objects.update(assignee=second)
    assert "Assigned to sam" in desk.get("/review/").content.decode()


def test_what_a_person_wrote_is_a_message(desk: Client, ada: User) -> None:
    asked = say(make_conversation(ada), "Hm?")
    queue.put(asked.pk, flagged=True)
    assert f">Message #{asked.pk}<" in desk.get("/review/").content.decode()


def test_categories_are_offered(desk: Client, flagged: Message) -> None:
    flagged.verdicts.update(hits=["hate/<b>", "harassment"])
    page = desk.get("/review/").content.decode()
    offered = re.findall(r'<option value="([^"]*)"></option>', page)
    assert offered == ["harassment", "hate/&lt;b&gt;"]


def test_a_category_of_other_letters_is_found(flagged: Message, shown: Shown) -> None:
    flagged.verdicts.update(hits=["Kränkung"], categories={})
    assert shown(category="Kränkung") == [flagged.pk]


def test_every_filter_finds_it_and_nothing_else(labelled: Message, shown: Shown) -> None:
    day = (timezone.now() - timedelta(days=30)).date().isoformat()
    group, assistant = Group.objects.get(name="Tutors").pk, labelled.conversation.assistant_id
    filters: dict[str, Any] = {
        "direction": "assistant", "state": "interrupted", "verdict": "flagged",
        "category": "self-harm", "score": "0.6", "user": "bob", "group": group,
        "assistant": assistant, "model": "special", "tool": "calc", "error": "timed_out",
        "feedback": "bad", "schema": "invalid", "since": day, "until": day, "reason": "reported",
    }  # fmt: skip
    assert set(filters) == set(FilterForm().fields) - {"q", "order"}
    asked = labelled.parent_id
    for name, value in filters.items():
        found = shown(tab="all", **{name: value})
        assert labelled.pk in found, name
        assert len(found) < Message.objects.count() or name == "since", name
        if name in {
            "state",
            "reason",
            "score",
            "model",
            "tool",
            "error",
            "feedback",
            "schema",
            "until",
        }:
            assert found == [labelled.pk], name
        if name in {"user", "group", "assistant"}:
            assert found == [labelled.pk, asked], name
    assert shown(tab="all", **filters) == [labelled.pk]
    assert shown(tab="all", error="any", feedback="reported") == [labelled.pk]
    assert labelled.pk not in shown(tab="all", category="self-harm", score="0.7")
    assert labelled.pk not in shown(tab="all", score="0.7")
    assert shown(reason="flagged") == [labelled.pk]
    assert shown(reason="sampled") == shown(reason="unclear") == []
    assert shown(tab="all", since=(timezone.now() + timedelta(days=1)).date().isoformat()) == []


@pytest.mark.parametrize(
    "query",
    [
        {"score": "much"}, {"group": "-1"}, {"assistant": "x"}, {"since": "soon"}, {"page": "-3"},
        {"page": "9" * 30}, {"order": "up"}, {"category": "a__b"}, {"category": '"$.x\'\\'},
        {"category": "\0"}, {"user": "%"}, {"model": "\0"}, {"q": "\0"}, {"q": '"' * 10_000},
        {"until": "9999-12-31"}, {"since": "0001-01-01"}, {"category": "-1"}, {"category": "0"},
        {"category": "-1", "score": "0.1"}, {"q": "((("}, {"q": "*"}, {"tab": "\0"},
        {"page": "\u0663"}, {"q": "x" * 10_000},
    ],
    ids=range(24),
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


def test_a_search_shows_what_was_found_in_thoughts_and_calls(
    desk: Client, shown: Shown, flagged: Message
) -> None:
    ToolCall.objects.create(
        message=flagged, number=0, round=1, offset=0, name="weather", state=CallState.DONE,
        arguments='{"city": "Ulm"}', result="Rain <b>",
    )  # fmt: skip
    for words, expected in (
        ("wants", "Thoughts:</span> The user <mark>wants</mark> a rude word."),
        ("ulm", "Tool call:</span> {&quot;city&quot;: &quot;<mark>Ulm</mark>&quot;}"),
        ("rain", "Tool call:</span> <mark>Rain</mark> &lt;b&gt;"),
        ("weather", "Tool call:</span> <mark>weather</mark>"),
        ("parrot", 'row-excerpt">You are a rude word, said the <mark>parrot</mark>.'),
        ("gravel", 'row-excerpt">You are'),  # in the title
    ):
        page = desk.get("/review/", {"tab": "all", "q": words, "direction": "assistant"})
        assert expected in page.content.decode(), words


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


class TestTitles:
    """A title that is what somebody wrote is for who has said what for."""

    def listed(self, desk: Client, conversation: Conversation) -> str:
        queue.put(say(conversation, "Why   do tides lag the moon?").pk, flagged=True)
        page = desk.get("/review/").content.decode()
        day = conversation.created_at.date().isoformat()
        return "hidden" if f">Conversation of {day}</a>" in page else page

    def test_first_words_are_not_shown(self, desk: Client, ada: User) -> None:
        conversation = make_conversation(ada, "Why do tides lag the moon?")
        assert self.listed(desk, conversation) == "hidden"
        shown = desk.get(f"/review/{conversation.pk}/").content.decode()
        assert "tides" not in shown

    def test_what_was_really_sent_is_not_shown(self, desk: Client, ada: User) -> None:
        sent = ask(ada, "My salary is far too low, and here is why it is")
        queue.put(sent.pk, flagged=True)
        assert "My salary" in sent.conversation.title
        assert "salary" not in desk.get("/review/").content.decode()

    def test_nor_is_what_the_api_made_of_them(self, desk: Client, ada: User) -> None:
        key = ApiKey.objects.create(owner=ada, shown="parley-abc", sha256="0" * 64)
        conversation = make_conversation(
            ada, "Why do tides lag the moon?", api_key=key, titled_by_user=True
        )
        assert self.listed(desk, conversation) == "hidden"

    def test_what_the_owner_calls_it_is(self, desk: Client, ada: User) -> None:
        conversation = make_conversation(ada, "Moon things", titled_by_user=True)
        assert ">Moon things</a>" in self.listed(desk, conversation)

    def test_no_title_turns_itself_round(self, desk: Client, ada: User, opened: Any) -> None:
        conversation = make_conversation(ada, "Re\u202eversed\u2066", titled_by_user=True)
        assert ">Reversed</a>" in self.listed(desk, conversation)
        shown = opened(desk, conversation).get(f"/review/{conversation.pk}/").content.decode()
        assert "<title>Reversed – Review – Parley</title>" in shown
        assert "\u202e" not in shown

    def test_what_a_model_calls_it_is(self, desk: Client, ada: User) -> None:
        conversation = make_conversation(ada, "Tidal lag")
        make_title(conversation)
        assert ">Tidal lag</a>" in self.listed(desk, conversation)

    @pytest.mark.parametrize("state", ["streaming", "failed"])
    def test_a_model_that_called_it_nothing_named_nothing(
        self, state: str, desk: Client, ada: User
    ) -> None:
        conversation = make_conversation(ada, "Why do tides lag the moon?")
        make_title(conversation, state=state)
        assert self.listed(desk, conversation) == "hidden"

    @pytest.mark.parametrize("title", ["Why do tides lag the moon?", "Why do tides…"])
    def test_what_a_model_had_called_it_before_it_was_erased_does_not_count(
        self, title: str, desk: Client, ada: User
    ) -> None:
        conversation = make_conversation(ada, title)
        make_title(conversation)
        assert self.listed(desk, conversation) == "hidden"

    def test_a_word_in_common_does_not_hide_what_a_model_calls_it(
        self, desk: Client, ada: User
    ) -> None:
        conversation = make_conversation(ada, "Why do tides")
        make_title(conversation)
        assert ">Why do tides</a>" in self.listed(desk, conversation)


def fill(owner: User, number: int) -> None:
    for n in range(number):
        conversation = make_conversation(owner, f"Talk {n}")
        make_title(conversation)
        message = reply(say(conversation, "Tides?"), f"Tides, {n}.")
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
    assert max(few) <= 15


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
