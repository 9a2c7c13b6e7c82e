"""What reviewers decide takes effect once, everywhere, and is on record."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.conf import LazySettings
from django.db import connection

from chat.models import (
    AccessEntry,
    AccessKind,
    Conversation,
    DecisionKind,
    Message,
    ReviewDecision,
    ReviewItem,
    ReviewState,
    User,
    Verdict,
    VerdictState,
)
from chat.record import access_log
from chat.review import decisions, queue, who
from chat.review.decisions import Refused
from tests.admin.rows import make_conversation, reply, say
from tests.review.conftest import grant


def item(message: Message) -> ReviewItem:
    return ReviewItem.objects.get(message=message)


def fresh(message: Message) -> Message:
    return Message.objects.select_related("generation__receipt", "conversation").get(pk=message.pk)


def test_dismissing_overrides_and_restores(flagged: Message, reviewer: User) -> None:
    before = flagged.conversation.revision
    decisions.decide(reviewer, flagged.pk, DecisionKind.DISMISS)
    now = fresh(flagged)
    assert now.withheld_at is None
    assert now.generation.receipt.verdict == VerdictState.OVERRIDDEN
    assert Verdict.objects.get(message=flagged).state == VerdictState.OVERRIDDEN
    assert now.revision == now.conversation.revision == before + 1
    found = item(flagged)
    assert (found.state, found.outcome, found.was_withheld) == ("closed", "dismiss", True)
    assert found.closed_at is not None


def test_a_reply_that_passed_and_was_reported_keeps_its_verdict(ada: User, reviewer: User) -> None:
    message = reply(say(make_conversation(ada), "Hm?"), "Fine.")
    queue.put(message.pk, reported=True)
    decisions.decide(reviewer, message.pk, DecisionKind.DISMISS)
    assert fresh(message).generation.receipt.verdict == VerdictState.PASSED


def test_upholding_keeps_it_away_for_good(flagged: Message, reviewer: User) -> None:
    decisions.decide(reviewer, flagged.pk, DecisionKind.UPHOLD, "Rude.")
    assert fresh(flagged).withheld_at == flagged.withheld_at
    assert item(flagged).outcome == "uphold"


def test_upholding_takes_away_what_was_only_flagged(ada: User, reviewer: User) -> None:
    message = reply(say(make_conversation(ada), "Hm?"), "Rude.", verdict="flagged")
    decisions.decide(reviewer, message.pk, DecisionKind.UPHOLD, "Rude.")
    assert fresh(message).withheld_at is not None


def test_escalating_leaves_the_message_and_lets_it_wait(flagged: Message, reviewer: User) -> None:
    decisions.decide(reviewer, flagged.pk, DecisionKind.ESCALATE, "Legal should see this.")
    assert item(flagged).state == ReviewState.ESCALATED
    assert fresh(flagged).withheld_at == flagged.withheld_at
    last = ReviewDecision.objects.get()
    decisions.decide(reviewer, flagged.pk, DecisionKind.DISMISS, seen=last.pk)
    assert item(flagged).state == ReviewState.CLOSED


@pytest.mark.parametrize("kind", ["uphold", "redact", "escalate"])
def test_all_but_dismissing_needs_a_note(kind: str, flagged: Message, reviewer: User) -> None:
    with pytest.raises(Refused, match="needs a note"):
        decisions.decide(reviewer, flagged.pk, DecisionKind(kind), " \n", passages=[(0, 3)])
    assert not ReviewDecision.objects.exists()


def test_each_decision_is_in_the_access_log(flagged: Message, reviewer: User) -> None:
    decisions.decide(reviewer, flagged.pk, DecisionKind.UPHOLD, "Rude.")
    entry = AccessEntry.objects.get()
    assert (entry.kind, entry.actor_id) == ("decision", reviewer.pk)
    assert entry.detail["note"] == access_log.fingerprint("Rude.")
    assert entry.conversation_id == flagged.conversation_id
    assert entry.detail["decision"] == "uphold"
    assert access_log.verify().broken is None


def test_what_is_being_written_cannot_be_decided(ada: User, reviewer: User) -> None:
    message = reply(say(make_conversation(ada), "Hm?"), "So far", state="streaming")
    before = message.conversation.revision
    with pytest.raises(Refused, match="still being written"):
        decisions.decide(reviewer, message.pk, DecisionKind.UPHOLD, "No.")
    assert Conversation.objects.get(pk=message.conversation_id).revision == before
    assert not AccessEntry.objects.exists()


def test_a_deleted_conversation_is_decided_like_any_other(flagged: Message, reviewer: User) -> None:
    Conversation.objects.update(deleted_at=flagged.withheld_at)
    decisions.decide(reviewer, flagged.pk, DecisionKind.UPHOLD, "Rude.")
    assert item(flagged).state == ReviewState.CLOSED


def test_who_decides_twice_is_told_so(flagged: Message, reviewer: User) -> None:
    decisions.decide(reviewer, flagged.pk, DecisionKind.UPHOLD, "Rude.")
    with pytest.raises(Refused, match="You have decided on this already: Removed"):
        decisions.decide(reviewer, flagged.pk, DecisionKind.UPHOLD, "Rude.")
    assert ReviewDecision.objects.count() == 1


@pytest.mark.parametrize(
    ("kind", "words"),
    [("dismiss", "Restored"), ("uphold", "Removed"), ("escalate", "Escalated")],
)
def test_what_took_effect_is_said_as_what_came_of_it(
    kind: str, words: str, flagged: Message, reviewer: User
) -> None:
    decision = decisions.decide(reviewer, flagged.pk, DecisionKind(kind), "Why.")
    assert decisions.in_words(decision) == words


def test_nothing_is_restored_that_was_not_withheld(ada: User, reviewer: User) -> None:
    message = reply(say(make_conversation(ada), "Hello"), "Hi.")
    decision = decisions.decide(reviewer, message.pk, DecisionKind.DISMISS)
    assert decisions.in_words(decision) == "Dismissed"


def test_who_comes_second_is_told_who_was_first(
    flagged: Message, reviewer: User, second: User
) -> None:
    decisions.decide(reviewer, flagged.pk, DecisionKind.UPHOLD, "Rude.")
    with pytest.raises(Refused, match=r"rita was first\. Removed"):
        decisions.decide(second, flagged.pk, DecisionKind.DISMISS, "Fine.")
    assert fresh(flagged).withheld_at is not None
    assert ReviewDecision.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_of_two_at_once_one_wins(flagged: Message, reviewer: User, second: User) -> None:
    barrier = threading.Barrier(2)
    told: list[str] = []

    def decide(who: User, kind: DecisionKind) -> None:
        barrier.wait()
        try:
            decisions.decide(who, flagged.pk, kind, "Because.")
        except Refused as refused:
            told.append(str(refused))
        finally:
            connection.close()

    pairs = [(reviewer, DecisionKind.UPHOLD), (second, DecisionKind.DISMISS)]
    threads = [threading.Thread(target=decide, args=pair) for pair in pairs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (decision,) = ReviewDecision.objects.all()
    assert len(told) == 1
    assert decision.reviewer.get_username() in told[0]
    is_shown = fresh(flagged).withheld_at is None
    assert is_shown is (decision.kind == DecisionKind.DISMISS)


class TestTwoReviewers:
    @pytest.fixture(autouse=True)
    def _two(self, settings: LazySettings) -> None:
        settings.REVIEW_TWO_PERSON = ["dismiss", "uphold", "redact"]

    def test_the_first_only_proposes(self, flagged: Message, reviewer: User) -> None:
        decision = decisions.decide(reviewer, flagged.pk, DecisionKind.DISMISS)
        assert not decision.took_effect
        assert item(flagged).state == ReviewState.PROPOSED
        assert fresh(flagged).withheld_at is not None

    def test_another_confirms(self, flagged: Message, reviewer: User, second: User) -> None:
        first = decisions.decide(reviewer, flagged.pk, DecisionKind.DISMISS)
        decisions.confirm(second, flagged.pk, seen=first.pk)
        assert item(flagged).state == ReviewState.CLOSED
        assert fresh(flagged).withheld_at is None
        assert all(ReviewDecision.objects.values_list("took_effect", flat=True))

    def test_never_the_same(self, flagged: Message, reviewer: User) -> None:
        first = decisions.decide(reviewer, flagged.pk, DecisionKind.DISMISS)
        for answer in (decisions.confirm, decisions.decline):
            with pytest.raises(Refused, match="proposed this yourself"):
                answer(reviewer, flagged.pk, "Yes.", seen=first.pk)
        assert item(flagged).state == ReviewState.PROPOSED

    def test_another_declines(self, flagged: Message, reviewer: User, second: User) -> None:
        first = decisions.decide(reviewer, flagged.pk, DecisionKind.DISMISS)
        with pytest.raises(Refused, match="needs a note"):
            decisions.decline(second, flagged.pk, seen=first.pk)
        last = decisions.decline(second, flagged.pk, "It is rude.", seen=first.pk)
        assert item(flagged).state == ReviewState.OPEN
        assert fresh(flagged).withheld_at is not None
        assert decisions.in_words(last) == "Dismiss and restore, declined"

    def test_nothing_else_is_decided_meanwhile(
        self, flagged: Message, reviewer: User, second: User
    ) -> None:
        first = decisions.decide(reviewer, flagged.pk, DecisionKind.DISMISS)
        with pytest.raises(Refused, match="waits for a second reviewer"):
            decisions.decide(second, flagged.pk, DecisionKind.UPHOLD, "Rude.", seen=first.pk)

    def test_a_redaction_waits_too(self, flagged: Message, reviewer: User, second: User) -> None:
        first = decisions.decide(
            reviewer, flagged.pk, DecisionKind.REDACT, "The rude word", passages=[(10, 19)]
        )
        assert "rude word" in fresh(flagged).text
        assert "rude word" not in first.note
        decisions.confirm(second, flagged.pk, "No rude word here.", seen=first.pk)
        assert "rude word" not in fresh(flagged).text
        assert not ReviewDecision.objects.filter(note__contains="rude word").exists()

    def test_what_two_have_agreed_to_is_not_undone_by_one(
        self, flagged: Message, reviewer: User, second: User, settings: LazySettings
    ) -> None:
        settings.REVIEW_TWO_PERSON = ["uphold"]
        first = decisions.decide(reviewer, flagged.pk, DecisionKind.UPHOLD, "Rude.")
        last = decisions.confirm(second, flagged.pk, seen=first.pk)
        last = decisions.decide(reviewer, flagged.pk, DecisionKind.ESCALATE, "Hm.", seen=last.pk)
        undone = decisions.decide(reviewer, flagged.pk, DecisionKind.DISMISS, seen=last.pk)
        assert not undone.took_effect
        assert item(flagged).state == ReviewState.PROPOSED
        assert fresh(flagged).withheld_at is not None
        last = decisions.confirm(second, flagged.pk, seen=undone.pk)
        assert fresh(flagged).withheld_at is None
        # It is dismissed now, and that takes one.
        decisions.decide(reviewer, flagged.pk, DecisionKind.DISMISS, seen=last.pk)
        assert item(flagged).state == ReviewState.CLOSED

    def test_nobody_is_the_second_person_on_his_own(
        self, flagged: Message, reviewer: User, ada: User
    ) -> None:
        grant(ada, who.REVIEW)
        first = decisions.decide(reviewer, flagged.pk, DecisionKind.DISMISS)
        for answer in (decisions.confirm, decisions.decline):
            with pytest.raises(Refused, match="your own conversation"):
                answer(ada, flagged.pk, "Yes.", seen=first.pk)
        assert item(flagged).state == ReviewState.PROPOSED


def test_nobody_decides_on_his_own(flagged: Message, ada: User) -> None:
    grant(ada, who.REVIEW)
    for kind in DecisionKind:
        with pytest.raises(Refused, match="your own conversation"):
            decisions.decide(ada, flagged.pk, kind, "Fine.", passages=[(0, 3)])
    assert not ReviewDecision.objects.exists()


def test_who_escalates_does_not_close_it_alone(
    flagged: Message, reviewer: User, second: User, ada: User
) -> None:
    last = decisions.decide(reviewer, flagged.pk, DecisionKind.ESCALATE, "Look.")
    with pytest.raises(Refused, match="You escalated this yourself"):
        decisions.decide(reviewer, flagged.pk, DecisionKind.DISMISS, seen=last.pk)
    assert item(flagged).state == ReviewState.ESCALATED
    decisions.decide(second, flagged.pk, DecisionKind.DISMISS, seen=last.pk)
    assert item(flagged).state == ReviewState.CLOSED


def test_the_author_is_no_other_reviewer(flagged: Message, reviewer: User, ada: User) -> None:
    grant(ada, who.REVIEW)
    last = decisions.decide(reviewer, flagged.pk, DecisionKind.ESCALATE, "Look.")
    decisions.decide(reviewer, flagged.pk, DecisionKind.DISMISS, seen=last.pk)
    assert item(flagged).state == ReviewState.CLOSED


def test_who_escalates_may_propose_where_two_agree(
    flagged: Message, reviewer: User, second: User, settings: LazySettings
) -> None:
    settings.REVIEW_TWO_PERSON = ["dismiss"]
    last = decisions.decide(reviewer, flagged.pk, DecisionKind.ESCALATE, "Look.")
    last = decisions.decide(reviewer, flagged.pk, DecisionKind.DISMISS, seen=last.pk)
    decisions.confirm(second, flagged.pk, seen=last.pk)
    assert item(flagged).state == ReviewState.CLOSED


def test_escalating_needs_one_person_only(
    flagged: Message, reviewer: User, settings: LazySettings
) -> None:
    settings.REVIEW_TWO_PERSON = ["dismiss", "uphold", "redact"]
    decisions.decide(reviewer, flagged.pk, DecisionKind.ESCALATE, "Look.")
    assert item(flagged).state == ReviewState.ESCALATED


@pytest.mark.parametrize("answer", [decisions.confirm, decisions.decline])
def test_where_nothing_is_proposed_there_is_nothing_to_answer(
    answer: Callable[..., Any], flagged: Message, reviewer: User
) -> None:
    with pytest.raises(Refused, match="No decision waits"):
        answer(reviewer, flagged.pk, "Yes.")


def test_a_decision_opens_again_when_it_is_reported_anew(flagged: Message, reviewer: User) -> None:
    decisions.decide(reviewer, flagged.pk, DecisionKind.DISMISS)
    queue.put(flagged.pk, reported=True)
    assert item(flagged).state == ReviewState.OPEN
    assert AccessEntry.objects.filter(kind=AccessKind.DECISION).count() == 1
