"""Searching and filtering find what they should, in a number of queries that does not grow."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from chat.models import ApiKey, Conversation, Generation, Receipt, User, Verdict
from tests.admin.conftest import RECORDS, Story
from tests.admin.pages import Elements, html_of, list_url, listed
from tests.admin.rows import make_conversation, reply, say
from tests.conftest import make_user

TODAY = timezone.now().date()
TOMORROW = str(TODAY + timedelta(days=1))


@pytest.mark.parametrize(
    "words",
    [
        "tides",  # the title
        "RESONATE",  # a reply, whatever the case
        '"neap tides"',  # a phrase
        "friction neap",  # words in two of its messages
        "sea bed",  # reasoning
        "ada",  # the owner
        "ada@example.org",
        "big-2",  # the model
    ],
)
def test_a_conversation_is_found_by(
    root: Client, story: Story, others: Conversation, words: str
) -> None:
    assert listed(root, "conversation", q=words) == {story.conversation.pk}


def test_a_conversation_is_found_by_exact_ids(
    root: Client, story: Story, others: Conversation
) -> None:
    pk, message, generation = story.conversation.pk, story.first, story.first.generation
    Generation.objects.filter(pk=generation.pk).update(request_id="8f2c11d09ab34e77")
    found = [str(pk), pk.hex, f"#{message.pk}", str(generation.pk), "8f2c11d09ab34e77"]
    for words in found:
        assert pk in listed(root, "conversation", q=words), words
    assert listed(root, "conversation", q=str(pk)) == {pk}
    assert listed(root, "conversation", q="9" * 40) == set()
    assert listed(root, "conversation", q="tides bread") == set()


def test_a_conversation_is_listed_once_however_often_it_matches(root: Client, story: Story) -> None:
    response = root.get(list_url("conversation"), {"q": "tides", "state": "complete"})
    assert response.context["cl"].result_count == 1


@pytest.mark.parametrize(
    ("query", "mine"),
    [
        ({"state": "failed"}, True),
        ({"state": "stopped"}, False),
        ({"verdict": "flagged"}, True),
        ({"withheld": "yes"}, True),
        ({"withheld": "no"}, False),
        ({"deleted": "no"}, True),
        ({"deleted": "yes"}, False),
        ({"user": "ADA"}, True),
        ({"user": "bob@example.org"}, False),
        ({"model": "big-2"}, True),
        ({"model": "BIG"}, True),
        ({"error": "any"}, True),
        ({"error": "rate_limited"}, True),
        ({"user": "ada", "verdict": "flagged", "q": "tides"}, True),
    ],
)
def test_conversations_are_filtered_by(
    root: Client, story: Story, others: Conversation, query: dict[str, str], mine: bool
) -> None:
    expected = story.conversation if mine else others
    assert listed(root, "conversation", **query) == {expected.pk}


def test_messages_are_filtered(root: Client, story: Story, others: Conversation) -> None:
    assert listed(root, "message", role="user", user="ada") == {
        story.question.pk,
        story.follow_up.pk,
    }
    assert listed(root, "message", state="failed") == {story.failed.pk}
    assert listed(root, "message", verdict="flagged") == {story.flagged.pk}
    assert listed(root, "message", withheld="yes") == {story.flagged.pk}
    assert listed(root, "message", error="any") == {story.failed.pk}
    assert listed(root, "message", model="big-2") == {story.second.pk}
    assert len(listed(root, "message", deleted="yes")) == 2
    assert listed(root, "message", q="resonate") == {story.second.pk}
    assert listed(root, "message", q=f"#{story.first.pk}") >= {story.first.pk}
    assert len(listed(root, "message", q=str(story.conversation.pk))) == 6


def test_generations_are_filtered(root: Client, story: Story, others: Conversation) -> None:
    def of(*messages: object) -> set[int]:
        return {message.generation.pk for message in messages}  # type: ignore[attr-defined]

    assert listed(root, "generation", purpose="title") == {story.title.pk}
    assert listed(root, "generation", state="failed") == of(story.failed)
    assert listed(root, "generation", error="rate_limited") == of(story.failed)
    assert listed(root, "generation", verdict="flagged") == of(story.flagged)
    assert listed(root, "generation", model="big-2") == of(story.second)
    assert listed(root, "generation", reconciled="no") == {story.title.pk}
    assert len(listed(root, "generation", user="bob", deleted="yes", reconciled="yes")) == 1
    assert listed(root, "generation", q="resonate") == of(story.second)


def test_verdicts_and_receipts_are_filtered(
    root: Client, story: Story, others: Conversation
) -> None:
    flagged = set(Verdict.objects.filter(state="flagged").values_list("pk", flat=True))
    assert listed(root, "verdict", verdict="flagged") == flagged
    assert len(listed(root, "verdict", backend="openai")) == 1
    assert len(listed(root, "verdict", q="harassment")) == 1
    assert listed(root, "verdict", withheld="yes") == flagged
    assert len(listed(root, "verdict", user="bob")) == 1
    receipt = story.flagged.generation.receipt
    assert listed(root, "receipt", verdict="flagged") == {receipt.pk}
    assert listed(root, "receipt", q=receipt.sha256[:10].upper()) == {receipt.pk}
    assert listed(root, "receipt", state="failed") == {story.failed.generation.receipt.pk}
    assert len(listed(root, "receipt", user="ada")) == 4


def test_a_date_range_includes_both_its_days(root: Client, ada: User) -> None:
    noon = timezone.now().replace(hour=12) - timedelta(days=10)
    days = [
        make_conversation(ada, f"Day {n}", active_at=noon + timedelta(days=n)) for n in range(4)
    ]
    since, until = str(noon.date() + timedelta(days=1)), str(noon.date() + timedelta(days=2))
    found = listed(root, "conversation", since=since, until=until)
    assert found == {days[1].pk, days[2].pk}
    assert len(listed(root, "conversation", since=since)) == 3
    assert len(listed(root, "conversation", until=until)) == 3


def test_what_is_no_date_shows_everything(root: Client, story: Story) -> None:
    for nonsense in ("yesterday", "9999-12-31"):
        response = root.get(list_url("conversation"), {"until": nonsense}, follow=True)
        assert story.conversation in response.context["cl"].result_list


@pytest.mark.parametrize("model", RECORDS)
def test_every_record_can_be_filtered_by_date(root: Client, story: Story, model: str) -> None:
    assert listed(root, model, since=str(TODAY - timedelta(days=1)), until=TOMORROW)
    assert not listed(root, model, since=TOMORROW)


def test_a_name_that_is_part_of_another_ones_finds_its_own_user(root: Client) -> None:
    ann, joanna = make_user("ann"), make_user("joanna")
    hers, other = make_conversation(ann, "Hers"), make_conversation(joanna, "Other")
    assert listed(root, "conversation", user="ann") == {hers.pk}
    assert listed(root, "conversation", user="nn") == {hers.pk, other.pk}


def test_a_model_whose_name_begins_another_ones_finds_its_own_replies(
    root: Client, ada: User
) -> None:
    asked = say(make_conversation(ada), "Well?")
    small, large = reply(asked, "Yes.", model="gpt"), reply(asked, "No.", model="gpt-large")
    assert listed(root, "message", model="gpt") == {small.pk}
    assert listed(root, "message", model="gp") == {small.pk, large.pk}


def test_the_filters_of_users_and_models_stay_short(root: Client, ada: User) -> None:
    for number in range(40):
        owner = make_user(f"user{number}")
        asked = say(make_conversation(owner), "Well?")
        reply(asked, "Yes.", model=f"model-{number}")
    page = Elements(html_of(root.get(list_url("conversation"))))
    assert 0 < len(page.all("option")) <= 40  # at most 20 suggestions each
    assert page.all("select") == []


def test_a_filters_form_keeps_what_else_was_asked(root: Client, story: Story) -> None:
    query = {"q": "tides", "state": "complete", "user": "ada"}
    page = Elements(html_of(root.get(list_url("conversation"), query)))
    hidden = [(field.get("name"), field.get("value")) for field in page.all("input")]
    assert hidden.count(("state", "complete")) == 4  # for search, user, model and date
    assert "?q=tides&state=complete" in [link.get("href") for link in page.all("a")]


@pytest.mark.parametrize("model", RECORDS)
def test_a_list_takes_the_same_number_of_queries_however_long_it_is(
    root: Client, story: Story, others: Conversation, model: str
) -> None:
    def queries() -> int:
        with CaptureQueriesContext(
            connection,
        ) as captured:
            html_of(root.get(list_url(model), {"user": "a"}))
        return len(captured)

    short = queries()
    for number in range(6):
        owner = make_user(f"someone-{number}-a")
        conversation = make_conversation(owner, f"Chat {number}")
        reply(say(conversation, "Well?"), "Yes.", verdict="flagged", scores={"hate": 0.9})
    assert queries() == short
    assert short <= 14  # four of them for the entry in the access log


def test_a_list_of_long_texts_reads_only_their_beginnings(root: Client, ada: User) -> None:
    reply(say(make_conversation(ada), "Tell me everything."), "x" * 100_000)
    with CaptureQueriesContext(connection) as captured:
        html = html_of(root.get(list_url("message")))
    assert len(html) < 60_000
    rows = [q["sql"] for q in captured if "beginning" in q["sql"]]
    assert rows
    assert all(sql.count('"chat_message"."text"') == 1 for sql in rows)
    assert not any('"reasoning"' in sql for sql in rows)


def test_a_deleted_or_withheld_conversation_is_marked(
    root: Client, story: Story, others: Conversation
) -> None:
    html = html_of(root.get(list_url("conversation")))
    start = html.index('<table id="result_list"')
    texts = Elements(html[start : html.index("</table>", start)]).texts
    for mark in ("Deleted", "Withheld", "Flagged", "Failed"):
        assert texts.count(mark) == 1, mark
    assert Receipt.objects.filter(verdict="flagged").count() == 1


def test_answers_in_a_form_and_the_api_are_filtered(root: Client, story: Story) -> None:
    receipt = Receipt.objects.filter(generation__message__isnull=False).first()
    assert receipt is not None
    Receipt.objects.filter(pk=receipt.pk).update(schema_verdict="invalid")
    generation = receipt.generation
    assert listed(root, "generation", schema="invalid") == {generation.pk}
    assert listed(root, "message", schema="invalid") == {generation.message_id}
    assert listed(root, "conversation", schema="invalid") == {generation.conversation_id}
    assert listed(root, "generation", schema="valid") == set()
    everything = listed(root, "conversation")
    key = ApiKey.objects.create(owner=generation.conversation.owner, sha256="0" * 64)
    Conversation.objects.filter(pk=generation.conversation_id).update(api_key=key)
    assert listed(root, "conversation", came="api") == {generation.conversation_id}
    assert listed(root, "conversation", came="page") == everything - {generation.conversation_id}
    assert generation.pk in listed(root, "generation", came="api")
    assert generation.message_id not in listed(root, "message", came="page")
