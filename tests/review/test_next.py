"""What a reviewer is led to after a decision, and the way back to the list."""

from collections.abc import Callable
from typing import Any

import pytest
from django.conf import LazySettings
from django.test import Client

from chat import policy, verdicts
from chat.delivery.page import outcome
from chat.models import (
    AccessEntry,
    AccessKind,
    Message,
    Receipt,
    ReviewItem,
    User,
)
from chat.moderation.base import Result
from chat.review import decisions, queue
from chat.verdicts import Place
from tests.admin.rows import judge, make_conversation, reply, say
from tests.review.conftest import Shown


class TestNext:
    """What is led to after a message, in the list that one works through."""

    @pytest.fixture
    def four(self, ada: User) -> list[Message]:
        """Of growing scores; the newest has the lowest."""
        found = []
        for score in (0.9, 0.8, 0.7, 0.6):
            message = reply(say(make_conversation(ada), "Hm?"), "No.", model=f"m{score}")
            queue.put(message.pk, flagged=True, score=score)
            found.append(message)
        return found

    @pytest.fixture
    def after(self, desk: Client) -> Callable[..., int]:
        def led_to(message: Message, **query: Any) -> int:
            answer = desk.get("/review/next", {"after": message.pk, **query})
            return int(answer["Location"].rpartition("-")[2])

        return led_to

    def test_the_order_of_the_list(
        self, four: list[Message], after: Callable[..., int], shown: Shown
    ) -> None:
        for order in ("newest", "oldest", "score"):
            ids = shown(order=order)
            rounds = {m.pk: after(m, order=order) for m in four}
            assert rounds == dict(zip(ids, [*ids[1:], ids[0]], strict=True)), order

    def test_a_decided_one_keeps_its_place(
        self, four: list[Message], after: Callable[..., int], reviewer: User
    ) -> None:
        decisions.decide(reviewer, four[2].pk, decisions.DecisionKind.DISMISS)
        assert after(four[2]) == four[1].pk
        assert after(four[3]) == four[1].pk

    def test_the_filters_of_the_list(
        self, four: list[Message], after: Callable[..., int], reviewer: User
    ) -> None:
        assert after(four[3], model="m0.8") == four[1].pk
        ReviewItem.objects.filter(message=four[0]).update(assignee=reviewer)
        assert after(four[3], tab="mine") == four[0].pk
        assert after(four[3], tab="decided") == four[2].pk

    def test_what_another_reviewer_has_taken_is_passed_over(
        self, four: list[Message], after: Callable[..., int], second: User, reviewer: User
    ) -> None:
        ReviewItem.objects.filter(message=four[2]).update(assignee=second)
        ReviewItem.objects.filter(message=four[1]).update(assignee=reviewer)
        assert after(four[3]) == four[1].pk

    def test_a_search_on_the_way_is_written_down(
        self, four: list[Message], after: Callable[..., int]
    ) -> None:
        assert after(four[3], q="no") == four[2].pk
        assert AccessEntry.objects.get(kind=AccessKind.SEARCH).detail["messages"] == [four[2].pk]

    @pytest.mark.parametrize("given", ["", "-1", "\0", "9" * 30, "x"])
    def test_after_nothing_comes_the_first(
        self, given: str, four: list[Message], desk: Client
    ) -> None:
        answer = desk.get("/review/next", {"after": given})
        assert answer["Location"].endswith(f"#message-{four[3].pk}")

    def test_at_the_end_it_leads_back(self, flagged: Message, desk: Client) -> None:
        answer = desk.get("/review/next", {"after": flagged.pk}, follow=True)
        assert answer.redirect_chain == [("/review/", 302)]
        assert "Nothing else waits in that list." in answer.content.decode()


class TestComingBack:
    """What is flagged after a decision is not lost."""

    @pytest.fixture
    def pending(self, flagged: Message) -> Message:
        """A service that was down when the reviewer decided."""
        judge(flagged, "pending", backend="openai")
        return flagged

    def answers(self, message: Message, *, flags: bool) -> None:
        result = Result("openai", "m", "1", flags, {"hate": 0.9}, ("hate",) if flags else ())
        at = Place(0, len(message.text))
        verdicts.decide(message.pk, {"openai": result}, policy.current(), at)

    @pytest.mark.parametrize("kind", ["dismiss", "uphold"])
    def test_a_verdict_that_was_pending_opens_it_again_and_withholds(
        self, kind: str, pending: Message, reviewer: User
    ) -> None:
        decisions.decide(reviewer, pending.pk, decisions.DecisionKind(kind), "So.")
        self.answers(pending, flags=True)
        item = ReviewItem.objects.get()
        assert (item.state, item.closed_at) == ("open", None)
        pending.refresh_from_db()
        assert pending.withheld_at is not None
        assert Receipt.objects.get().verdict == "flagged"

    @pytest.mark.parametrize("kind", ["dismiss", "uphold"])
    def test_one_that_passes_changes_nothing(
        self, kind: str, pending: Message, reviewer: User
    ) -> None:
        decisions.decide(reviewer, pending.pk, decisions.DecisionKind(kind), "So.")
        pending.refresh_from_db()
        before = pending.withheld_at
        self.answers(pending, flags=False)
        assert ReviewItem.objects.get().state == "closed"
        pending.refresh_from_db()
        assert pending.withheld_at == before

    @pytest.mark.parametrize("state", ["escalated", "proposed"])
    def test_what_waits_is_withheld_and_goes_on_waiting(
        self, state: str, pending: Message, reviewer: User, settings: LazySettings
    ) -> None:
        Message.objects.filter(pk=pending.pk).update(withheld_at=None)
        settings.REVIEW_TWO_PERSON = ["dismiss"] if state == "proposed" else []
        kind = "dismiss" if state == "proposed" else "escalate"
        decisions.decide(reviewer, pending.pk, decisions.DecisionKind(kind), "So.")
        self.answers(pending, flags=True)
        pending.refresh_from_db()
        assert pending.withheld_at is not None
        assert ReviewItem.objects.get().state == state

    def test_its_reader_is_not_told_that_it_was_restored(
        self, pending: Message, reviewer: User
    ) -> None:
        decisions.decide(reviewer, pending.pk, decisions.DecisionKind.DISMISS)
        restored = Message.objects.get(pk=pending.pk)
        assert outcome(restored) == {"kind": "dismiss", "said": "Restored after review."}
        self.answers(pending, flags=True)
        assert outcome(Message.objects.get(pk=pending.pk)) is None

    def test_what_stood_before_the_decision_is_not_weighed_again(
        self, flagged: Message, reviewer: User
    ) -> None:
        decisions.decide(reviewer, flagged.pk, decisions.DecisionKind.UPHOLD, "Rude.")
        verdict = flagged.verdicts.get()
        passed = {"state": "passed", "action": "allow"}
        verdicts.revise(flagged.pk, {verdict.pk: passed})
        verdict.refresh_from_db()
        assert verdict.state == "flagged"
        assert ReviewItem.objects.get().state == "closed"
