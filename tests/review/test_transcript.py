"""A transcript is opened for a purpose, is complete, and says what it says."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.conf import LazySettings
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from chat.models import (
    AccessEntry,
    AccessKind,
    ApiKey,
    CallState,
    Conversation,
    DecisionKind,
    Feedback,
    Message,
    Report,
    ReviewDecision,
    Timeline,
    ToolCall,
    User,
    Verdict,
)
from chat.record import access_log, holds
from chat.review import decisions, opening, queue, transcript, who
from chat.review.passages import Mark, marks, source
from chat.review.pseudonyms import pseudonym
from tests.admin.rows import judge, make_conversation, reply, say
from tests.review.conftest import PURPOSE, Story, grant

Open = Callable[[Client, Conversation], Client]


def url(conversation: Conversation) -> str:
    return f"/review/{conversation.pk}/"


def page(client: Client, conversation: Conversation, **query: Any) -> str:
    answer = client.get(url(conversation), query)
    assert answer.status_code == 200
    return answer.content.decode()


class TestPurpose:
    def test_without_one_nothing_is_shown(self, desk: Client, flagged: Message) -> None:
        shown = page(desk, flagged.conversation, at=flagged.pk)
        for text in ("parrot", "Gravel", "rude word", "Say something"):
            assert text not in shown
        assert "What do you open this transcript for?" in shown
        assert not AccessEntry.objects.exists()

    @pytest.mark.parametrize("given", [{}, {"reason": "", "note": "  "}, {"reason": "fun"}])
    def test_none_is_none(self, given: dict[str, str], desk: Client, flagged: Message) -> None:
        answer = desk.post(f"{url(flagged.conversation)}purpose", given)
        assert answer.status_code == 422
        assert "parrot" not in page(desk, flagged.conversation)

    def test_each_look_is_written_down(
        self, desk: Client, flagged: Message, reviewer: User, ada: User
    ) -> None:
        given = {"reason": "legal", "note": "case 12", "at": flagged.pk}
        answer = desk.post(f"{url(flagged.conversation)}purpose", given)
        assert (
            answer["Location"]
            == f"{url(flagged.conversation)}?at={flagged.pk}#message-{flagged.pk}"
        )
        first = AccessEntry.objects.get()
        assert first.detail == {"at": flagged.pk}
        assert "parrot" in page(desk, flagged.conversation)
        page(desk, flagged.conversation)
        first, second, third = AccessEntry.objects.order_by("number")
        assert {first.purpose, second.purpose, third.purpose} == {
            "A legal or compliance request: case 12"
        }
        assert (first.kind, first.actor_id, first.subject_id, first.conversation_id) == (
            AccessKind.TRANSCRIPT, reviewer.pk, ada.pk, flagged.conversation_id
        )  # fmt: skip
        assert access_log.verify().broken is None

    def test_an_address_writes_nothing_but_numbers_into_the_log(
        self, desk: Client, opened: Open, flagged: Message
    ) -> None:
        opened(desk, flagged.conversation)
        for odd in ("a word of the transcript", "9" * 40, "\u0663", "-1", " 2", "1\n"):
            page(desk, flagged.conversation, at=odd, page=odd)
            assert AccessEntry.objects.first().detail == {}  # type: ignore[union-attr]
        page(desk, flagged.conversation, at=flagged.pk, page=2)
        last = AccessEntry.objects.first()
        assert last is not None
        assert last.detail == {"at": flagged.pk, "page": 2}
        assert access_log.verify().broken is None

    def test_it_is_said_that_purposes_are_kept(self, desk: Client, flagged: Message) -> None:
        assert "Kept for good, so quote nothing" in page(desk, flagged.conversation)

    def test_it_holds_for_this_conversation_only(
        self, desk: Client, opened: Open, flagged: Message, story: Story
    ) -> None:
        opened(desk, flagged.conversation)
        assert "basins" not in page(desk, story.conversation)

    def test_it_holds_for_half_an_hour(
        self, desk: Client, opened: Open, flagged: Message, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        opened(desk, flagged.conversation)
        later = opening.time.time() + opening.REMEMBERED_S + 1
        monkeypatch.setattr(opening.time, "time", lambda: later)
        assert "parrot" not in page(desk, flagged.conversation)

    def test_without_one_nothing_is_decided_or_replayed(
        self, desk: Client, flagged: Message
    ) -> None:
        Timeline.objects.create(generation=flagged.generation, points=[[1, 2, 0]])
        at = f"{url(flagged.conversation)}messages/{flagged.pk}/"
        desk.post(f"{at}decide", {"kind": "dismiss", "seen": 0})
        assert not ReviewDecision.objects.exists()
        assert desk.get(f"{at}timeline.json").status_code == 302

    @pytest.mark.parametrize("at", ["9" * 30, "x", "-1", "\u0663", "0"])
    def test_who_comes_by_a_strange_address_gets_in(
        self, at: str, desk: Client, flagged: Message
    ) -> None:
        asked = page(desk, flagged.conversation, at=at)
        hidden = re.search(r'name="at"(?: value="(\d*)")?', asked)
        assert hidden
        given = {**PURPOSE, "at": hidden[1] or ""}
        answer = desk.post(f"{url(flagged.conversation)}purpose", given, follow=True)
        assert "parrot" in answer.content.decode()


class TestWhatIsShown:
    def test_what_waits_and_what_people_wrote_is_worth_a_look(
        self, desk: Client, opened: Open, ada: User
    ) -> None:
        question = say(make_conversation(ada), "A rude question")
        judge(question, "flagged", {"harassment": 0.9})
        sampled = reply(question, "Fine.")
        queue.put(sampled.pk, sampled=True)
        shown = page(opened(desk, question.conversation), question.conversation)
        links = shown[shown.index("Worth a look") : shown.index('id="turns"')]
        assert [int(pk) for pk in re.findall(r"#(\d+)</a>", links)] == [question.pk, sampled.pk]
        assert "Flagged" in links
        assert "To decide" in links
        turns = shown[shown.index('id="turns"') :]
        assert 'badge-bad">Flagged' in turns[: turns.index(f"message-{sampled.pk}")]
        assert "Sample" in turns[turns.index(f"deciding-{sampled.pk}") :]  # why it waits

    def test_every_branch_and_its_record(self, desk: Client, opened: Open, story: Story) -> None:
        shown = page(opened(desk, story.conversation), story.conversation)
        for text in (
            "Because of friction.", "<em>basins</em>", "And neap tides?", "A rude answer.",
            "429 slow down", "Think of the sea bed.", "Not on the current branch",
            "SHA-256 matches", "harassment", "0.910", "Worth a look",
        ):  # fmt: skip
            assert text in shown, text

    def test_calls_reports_feedback_and_decisions(
        self, desk: Client, opened: Open, flagged: Message, ada: User, reviewer: User
    ) -> None:
        ToolCall.objects.create(
            message=flagged, number=0, round=1, offset=0, name="weather", state=CallState.DONE,
            arguments='{"city": "Ulm"', result="Rain <b>",
        )  # fmt: skip
        Report.objects.create(message=flagged, user=ada, complaint="hateful", note="Hurts <i>")
        Feedback.objects.create(message=flagged, user=ada, opinion="bad")
        decisions.decide(reviewer, flagged.pk, DecisionKind.ESCALATE, "See <u>this</u>")
        shown = page(opened(desk, flagged.conversation), flagged.conversation)
        for text in (
            "{&quot;city&quot;: &quot;Ulm&quot;", "Rain &lt;b&gt;", "Hateful or harassing",
            "Hurts &lt;i&gt;", "<b>Bad</b>", "See &lt;u&gt;this&lt;/u&gt;", "Escalated",
        ):  # fmt: skip
            assert text in shown, text

    def test_marked_passages(self, desk: Client, opened: Open, flagged: Message) -> None:
        shown = page(opened(desk, flagged.conversation), flagged.conversation)
        assert 'You are a <mark title="harassment">rude word</mark>, said' in shown
        assert "1 marked passage" in shown

    def test_a_passage_is_counted_once_and_shown_with_all_that_is_objected_to(
        self, desk: Client, opened: Open, flagged: Message
    ) -> None:
        flagged.verdicts.update(spans=[[10, 19, "harassment"], [10, 19, "hate"]])
        shown = page(opened(desk, flagged.conversation), flagged.conversation)
        assert "1 marked passage<" in shown
        assert '<q dir="auto">rude word</q> harassment, hate' in shown

    def test_of_a_question_that_was_refused_it_is_said_and_nothing_passed(
        self, desk: Client, opened: Open, ada: User
    ) -> None:
        conversation = make_conversation(ada)
        reply(say(conversation, "Rude?"), "", state="failed", error_kind="moderated")
        shown = page(opened(desk, conversation), conversation)
        assert "Not answered: moderation objected to what was asked." in shown
        for nonsense in ("Moderation: Passed", "Error:", "No text."):
            assert nonsense not in shown

    def test_what_went_wrong_is_said_in_words(
        self, desk: Client, opened: Open, labelled: Message
    ) -> None:
        shown = page(opened(desk, labelled.conversation), labelled.conversation)
        assert '<strong title="timed_out">Timed out</strong>' in shown

    def test_who_may_hold_it_gets_there_from_here(
        self, desk: Client, opened: Open, flagged: Message, reviewer: User
    ) -> None:
        opened(desk, flagged.conversation)
        path = f"/review/holds/?conversation={flagged.conversation_id}"
        assert path not in page(desk, flagged.conversation)
        grant(reviewer, who.HOLD)
        assert path in page(desk, flagged.conversation)
        assert f'value="{flagged.conversation_id}"' in desk.get(path).content.decode()

    def test_what_was_removed_is_not_called_withheld(
        self, desk: Client, opened: Open, flagged: Message, reviewer: User
    ) -> None:
        decisions.decide(reviewer, flagged.pk, DecisionKind.UPHOLD, "Rude.")
        shown = page(opened(desk, flagged.conversation), flagged.conversation)
        assert '<li class="badge badge-bad">Removed</li>' in shown
        assert '<li class="badge badge-bad">Withheld</li>' not in shown
        assert "<b>Removed</b>" in shown

    def test_it_says_when_not_all_is_marked(
        self, desk: Client, opened: Open, flagged: Message
    ) -> None:
        opened(desk, flagged.conversation)
        words = "No more than these are marked"
        assert words not in page(desk, flagged.conversation)
        Message.objects.filter(pk=flagged.pk).update(text="rude " * 200)
        spans = [[at, at + 1, "harassment"] for at in range(600)]
        flagged.verdicts.update(spans=spans)
        shown = page(desk, flagged.conversation)
        assert words in shown
        assert shown.count("<mark") == 500

    def test_redactions_leave_a_tombstone(
        self, desk: Client, opened: Open, flagged: Message, reviewer: User
    ) -> None:
        decisions.decide(reviewer, flagged.pk, DecisionKind.REDACT, "Rude.", passages=[(10, 19)])
        shown = page(opened(desk, flagged.conversation), flagged.conversation)
        assert "[redacted: 9 characters]</span>, said the parrot." in shown
        assert "Redacted; the rest matches" in shown
        assert "rude word, said" not in shown

    def test_deleted_and_api_conversations(
        self, desk: Client, opened: Open, flagged: Message, ada: User
    ) -> None:
        key = ApiKey.objects.create(owner=ada, shown="parley-abc", sha256="0" * 64)
        Conversation.objects.update(deleted_at=timezone.now(), api_key=key)
        shown = page(opened(desk, flagged.conversation), flagged.conversation)
        assert "It is kept for review." in shown
        assert "came through the API" in shown

    def test_what_a_program_sent_beside_the_text(
        self, desk: Client, opened: Open, flagged: Message, ada: User, admin: User,
        sign_in: Callable[[User], Client],
    ) -> None:  # fmt: skip
        """It was judged like the text, so who decides has to see it."""
        key = ApiKey.objects.create(owner=ada, shown="parley-abc", sha256="0" * 64)
        Conversation.objects.update(api_key=key)
        picture = {"type": "image_url", "image_url": {"url": "https://example.org/<b>.png"}}
        said = {"role": "user", "name": "rude-name", "content": [picture]}
        flagged.generation.request = {"messages": [said], "user": "a-rude-user"}
        flagged.generation.save(update_fields=["request"])
        shown = page(opened(desk, flagged.conversation), flagged.conversation)
        begins, ends = shown.index('<article class="turn turn-user'), shown.index("</article>")
        for text in ("rude-name", "https://example.org/&lt;b&gt;.png", "a-rude-user"):
            assert text in shown[begins:ends], text
        assert shown.count("not part of the text, and judged with it") == 1
        record = sign_in(admin).get(f"/admin/chat/conversation/{flagged.conversation_id}/change/")
        assert "rude-name" in record.content.decode()

    def test_earlier_verdicts(self, desk: Client, opened: Open, flagged: Message) -> None:
        Verdict.objects.update(history=[{"state": "passed", "policy": "61c0", "version": "v-old"}])
        shown = page(opened(desk, flagged.conversation), flagged.conversation)
        assert "1 earlier verdict" in shown
        assert "61c0" in shown

    def test_long_conversations_have_pages_and_a_message_is_found_on_its_own(
        self, desk: Client, opened: Open, ada: User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(transcript, "PER_PAGE", 4)
        conversation = make_conversation(ada)
        last = say(conversation, "Turn 0")
        for number in range(1, 10):
            last = say(conversation, f"Turn {number}", last)
        shown = page(opened(desk, conversation), conversation, at=last.pk)
        assert "Turn 9" in shown
        assert "Turn 0" not in shown
        assert "Page 3 of 3" in shown
        for odd in ({"page": "x"}, {"at": "x"}, {"at": "9" * 40}, {"page": "-1"}):
            page(desk, conversation, **odd)

    def test_the_number_of_queries_does_not_grow(
        self, desk: Client, opened: Open, story: Story
    ) -> None:
        opened(desk, story.conversation)

        def queries() -> int:
            with CaptureQueriesContext(connection) as captured:
                page(desk, story.conversation)
            return len(captured)

        few = queries()
        message = story.flagged
        for number in range(10):
            message = reply(say(story.conversation, "More?", message), f"More {number}.")
            judge(message, backend="openai")
        assert queries() == few


class TestDeciding:
    def test_what_was_decided_is_said(self, desk: Client, opened: Open, flagged: Message) -> None:
        opened(desk, flagged.conversation)
        at = f"{url(flagged.conversation)}messages/{flagged.pk}/decide"
        answer = desk.post(at, {"kind": "uphold", "note": "Rude.", "seen": 0}, follow=True)
        assert f"Message #{flagged.pk}: Removed." in answer.content.decode()

    def test_who_comes_second_reads_who_was_first_and_keeps_the_note(
        self, desk: Client, opened: Open, flagged: Message, second: User
    ) -> None:
        opened(desk, flagged.conversation)
        decisions.decide(second, flagged.pk, DecisionKind.DISMISS)
        at = f"{url(flagged.conversation)}messages/{flagged.pk}/decide"
        answer = desk.post(at, {"kind": "uphold", "note": "My own words", "seen": 0})
        assert answer.status_code == 409
        shown = answer.content.decode()
        assert "sam was first. Restored" in shown
        assert "My own words" in shown

    @pytest.mark.parametrize(
        "given", [{"passages": "a-b"}, {"passages": "5"}, {"kind": "burn"}, {"seen": "x"}]
    )
    def test_what_makes_no_sense_decides_nothing(
        self, given: dict[str, str], desk: Client, opened: Open, flagged: Message
    ) -> None:
        opened(desk, flagged.conversation)
        fields = {"kind": "redact", "note": "Rude.", "seen": 0, "passages": "1-2", **given}
        at = f"{url(flagged.conversation)}messages/{flagged.pk}/decide"
        assert desk.post(at, fields).status_code == 409
        assert not ReviewDecision.objects.exists()

    def test_a_message_of_another_conversation_is_not_there(
        self, desk: Client, opened: Open, flagged: Message, story: Story
    ) -> None:
        opened(desk, story.conversation)
        for name in ("decide", "answer", "assign"):
            at = f"{url(story.conversation)}messages/{flagged.pk}/{name}"
            assert desk.post(at, {"kind": "dismiss", "seen": 0}).status_code == 404

    def test_ones_own_conversation_is_not_decided(
        self, opened: Open, flagged: Message, ada: User, sign_in: Callable[[User], Client]
    ) -> None:
        own = opened(sign_in(grant(ada, who.REVIEW)), flagged.conversation)
        assert f'id="row-{flagged.pk}"' in own.get("/review/").content.decode()
        assert f'id="assign-{flagged.pk}"' not in own.get("/review/").content.decode()
        shown = page(own, flagged.conversation)
        assert "This is your own conversation." in shown
        assert 'name="kind"' not in shown
        at = f"{url(flagged.conversation)}messages/{flagged.pk}/decide"
        answer = own.post(at, {"kind": "dismiss", "seen": 0})
        assert answer.status_code == 409
        assert "This is your own conversation." in answer.content.decode()
        assert not ReviewDecision.objects.exists()

    def test_it_is_said_at_the_message(
        self, desk: Client, opened: Open, flagged: Message, story: Story
    ) -> None:
        """A long transcript is entered far from its head."""
        queue.put(story.second.pk, reported=True)
        opened(desk, flagged.conversation)
        at = f"{url(flagged.conversation)}messages/{flagged.pk}/decide"
        shown = desk.post(at, {"kind": "dismiss", "seen": 0}, follow=True).content.decode()
        said = f"Message #{flagged.pk}: Restored."
        assert shown.count(said) == 1
        assert shown.index(f'id="message-{flagged.pk}"') < shown.index(said)
        assert f'href="/review/next?after={flagged.pk}"' in shown[shown.index(said) :]

    @pytest.mark.parametrize("command", ["decide", "answer", "assign"])
    def test_who_comes_back_to_a_command_is_led_to_the_message(
        self, command: str, desk: Client, flagged: Message
    ) -> None:
        """After a sign-in, or by the address of a page that said why it was refused."""
        path = url(flagged.conversation)
        answer = desk.get(f"{path}messages/{flagged.pk}/{command}")
        assert answer["Location"] == f"{path}?at={flagged.pk}#message-{flagged.pk}"
        assert desk.get(f"{path}purpose")["Location"] == path

    def test_the_links_of_a_page_that_was_refused_lead_to_the_transcript(
        self, desk: Client, opened: Open, story: Story
    ) -> None:
        opened(desk, story.conversation)
        at = f"{url(story.conversation)}messages/{story.second.pk}/decide"
        refused = desk.post(at, {"kind": "uphold", "seen": 0})
        assert refused.status_code == 409
        assert 'href="?' not in refused.content.decode()
        for link in re.findall(r'href="(/review/[^"#]*)', refused.content.decode()):
            assert desk.get(link.replace("&amp;", "&")).status_code in (200, 302), link

    def test_enter_in_a_field_redacts_and_does_nothing_else(
        self, desk: Client, opened: Open, flagged: Message
    ) -> None:
        """It presses the first button of the form."""
        shown = page(opened(desk, flagged.conversation), flagged.conversation)
        form = shown[shown.index('/decide">') :]
        assert re.findall(r'name="kind" value="(\w+)"', form)[0] == "redact"

    def test_the_next_one_is_not_ones_own(
        self, desk: Client, opened: Open, flagged: Message, story: Story, ada: User,
        sign_in: Callable[[User], Client],
    ) -> None:  # fmt: skip
        own = opened(sign_in(grant(ada, who.REVIEW)), story.conversation)
        assert "Next to decide" in page(opened(desk, story.conversation), story.conversation)
        assert "Next to decide" not in page(own, story.conversation)

    def test_words_are_taken_out(self, desk: Client, opened: Open, flagged: Message) -> None:
        opened(desk, flagged.conversation)
        at = f"{url(flagged.conversation)}messages/{flagged.pk}/decide"
        fields = {"kind": "redact", "note": "Rude.", "seen": 0, "words": "polite word"}
        missing = desk.post(at, fields)
        assert missing.status_code == 409
        assert "Not found in the record of this message: “polite word”." in missing.content.decode()
        assert "polite word</textarea>" in missing.content.decode()
        desk.post(at, {**fields, "words": "RUDE word\r\n\r\nuser wants"})
        shown = page(desk, flagged.conversation)
        assert "rude word" not in shown
        assert "user wants" not in shown

    def test_what_is_held_is_not_offered_for_redaction(
        self, desk: Client, opened: Open, flagged: Message, second: User
    ) -> None:
        opened(desk, flagged.conversation)
        assert 'value="redact"' in page(desk, flagged.conversation)
        holds.place(second, "A case", on=flagged.conversation)
        shown = page(desk, flagged.conversation)
        assert 'value="redact"' not in shown
        assert "This conversation is under a legal hold." in shown

    def test_a_proposal_says_what_it_takes_out(
        self, desk: Client, opened: Open, flagged: Message, second: User, settings: LazySettings
    ) -> None:
        settings.REVIEW_TWO_PERSON = ["redact"]
        decisions.decide(
            second, flagged.pk, DecisionKind.REDACT, "Rude.", passages=[(0, 3)], words=["parrot"]
        )
        shown = page(opened(desk, flagged.conversation), flagged.conversation)
        assert "<li>You (0-3)</li><li>parrot</li>" in shown

    def test_a_key_takes_it_and_gives_it_back(
        self, desk: Client, opened: Open, flagged: Message
    ) -> None:
        shown = page(opened(desk, flagged.conversation), flagged.conversation)
        assert 'value="me" data-assigns' in shown
        path = f"{url(flagged.conversation)}messages/{flagged.pk}/assign"
        taken = desk.post(path, {"to": "me"}, follow=True).content.decode()
        assert 'value="nobody" data-assigns' in taken

    def test_two_reviewers_agree(
        self, desk: Client, opened: Open, flagged: Message, second: User,
        sign_in: Callable[[User], Client], settings: LazySettings,
    ) -> None:  # fmt: skip
        settings.REVIEW_TWO_PERSON = ["dismiss"]
        other = opened(sign_in(second), flagged.conversation)
        opened(desk, flagged.conversation)
        at = f"{url(flagged.conversation)}messages/{flagged.pk}/"
        proposed = desk.post(f"{at}decide", {"kind": "dismiss", "seen": 0}, follow=True)
        assert "You proposed this." in proposed.content.decode()
        assert "rita proposes: <strong>Dismiss and restore</strong>" in page(
            other, flagged.conversation
        )
        seen = ReviewDecision.objects.get().pk
        assert desk.post(f"{at}answer", {"answer": "confirm", "seen": seen}).status_code == 409
        other.post(f"{at}answer", {"answer": "confirm", "seen": seen})
        flagged.refresh_from_db()
        assert flagged.withheld_at is None


class TestAnonymous:
    @pytest.fixture(autouse=True)
    def _anonymous(self, settings: LazySettings) -> None:
        settings.REVIEW_ANONYMOUS = True

    def test_the_owner_has_no_name(
        self, desk: Client, opened: Open, flagged: Message, ada: User
    ) -> None:
        Report.objects.create(message=flagged, user=ada, complaint="other")
        asked = page(desk, flagged.conversation)
        shown = page(opened(desk, flagged.conversation), flagged.conversation)
        for text in (asked, shown):
            assert pseudonym(ada.pk) in text
            assert ">ada<" not in text
            assert "ada@example.org" not in text
        assert "Show who this is" not in shown

    def test_who_may_know_asks_and_it_is_written_down(
        self, desk: Client, opened: Open, flagged: Message, story: Story, reviewer: User
    ) -> None:
        grant(reviewer, who.IDENTITIES)
        opened(opened(desk, flagged.conversation), story.conversation)
        assert "Show who this is" in page(desk, flagged.conversation)
        desk.post(f"{url(flagged.conversation)}identity")
        entry = AccessEntry.objects.get(kind=AccessKind.IDENTITY)
        assert (entry.actor_id, entry.conversation_id) == (reviewer.pk, flagged.conversation_id)
        assert "ada@example.org" in page(desk, flagged.conversation)
        assert "ada@example.org" not in page(desk, story.conversation)
        reviewer.user_permissions.clear()
        assert "ada@example.org" not in page(desk, flagged.conversation)


class TestReplay:
    def test_it_is_offered_where_there_is_a_timeline(
        self, desk: Client, opened: Open, flagged: Message
    ) -> None:
        opened(desk, flagged.conversation)
        assert "data-replay" not in page(desk, flagged.conversation)
        Timeline.objects.create(generation=flagged.generation, points=[[5, 3, 0], [9, 38, 4]])
        assert "data-replay" in page(desk, flagged.conversation)
        at = f"{url(flagged.conversation)}messages/{flagged.pk}/timeline.json"
        answer = desk.get(at).json()
        assert answer["points"] == [[5, 3, 0], [9, 38, 4]]
        assert answer["text"] == flagged.text

    def test_it_is_a_look_like_any_other(
        self, desk: Client, opened: Open, flagged: Message, reviewer: User
    ) -> None:
        Timeline.objects.create(generation=flagged.generation, points=[[5, 3, 0]])
        opened(desk, flagged.conversation)
        assert desk.get(f"{url(flagged.conversation)}messages/{flagged.pk}/timeline.json").json()
        entry = AccessEntry.objects.order_by("-number")[0]
        assert (entry.kind, entry.actor_id, entry.conversation_id, entry.purpose) == (
            AccessKind.TRANSCRIPT, reviewer.pk, flagged.conversation_id,
            "It is in the review queue",
        )  # fmt: skip
        assert entry.detail == {"replay": flagged.pk}


class TestNews:
    def test_an_open_page_learns_that_something_changed(
        self, desk: Client, flagged: Message, reviewer: User
    ) -> None:
        at = f"{url(flagged.conversation)}news"
        revision = flagged.conversation.revision
        assert desk.get(at, {"revision": revision}).json() == {"changed": False}
        decisions.decide(reviewer, flagged.pk, DecisionKind.DISMISS)
        assert desk.get(at, {"revision": revision}).json() == {"changed": True}


class TestPassages:
    def test_overlapping_marks_are_cut_at_their_ends(self) -> None:
        html = source("abcdef", [Mark(0, 4, "x"), Mark(2, 6, "y")], [])
        assert html == (
            '<mark title="x">ab</mark><mark title="x, y">cd</mark><mark title="y">ef</mark>'
        )

    def test_a_hostile_text_and_a_hostile_category_are_escaped(self) -> None:
        html = source("<b>&\"'", [Mark(0, 3, '"><script>')], [])
        assert html == ('<mark title="&quot;&gt;&lt;script&gt;">&lt;b&gt;</mark>&amp;&quot;&#x27;')

    def test_marks_that_are_none_are_left_out(self) -> None:
        odd = [
            None,
            "x",
            [1],
            [3, 2, "x"],
            [0, 99, "x"],
            ["a", "b", "c"],
            {"start": 1},
            [0, 2, "ok"],
        ]
        assert marks([Verdict(spans=odd), Verdict(spans="no")], 5) == [Mark(0, 2, "ok")]


def test_the_purposes_are_not_kept_without_end(desk: Client, ada: User) -> None:
    for _number in range(opening.KEPT_MAX + 5):
        desk.post(f"{url(make_conversation(ada))}purpose", PURPOSE)
    assert len(desk.session[opening.PURPOSES]) == opening.KEPT_MAX
