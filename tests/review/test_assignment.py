"""Who has taken what; it tells the others and locks nobody out."""

from collections.abc import Callable
from typing import Any

import pytest
from django.conf import LazySettings
from django.db import connection
from django.test import Client

from chat.models import (
    Message,
    ReviewItem,
    User,
)
from chat.review import decisions, queue, who
from tests.review.conftest import grant


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

    def test_nobody_gets_what_is_his_own(
        self, desk: Client, flagged: Message, ada: User, sign_in: Callable[[User], Client]
    ) -> None:
        grant(ada, who.REVIEW)
        path = f"/review/{flagged.conversation_id}/messages/{flagged.pk}/assign"
        for client, to in ((desk, ada.pk), (sign_in(ada), "me")):
            page = client.post(path, {"to": to, "next": "/review/"}, follow=True).content.decode()
            assert "Nobody reviews a conversation of his own." in page
            assert ReviewItem.objects.get().assignee is None

    def test_where_names_are_hidden_a_refusal_does_not_tell_whose_it_is(
        self, desk: Client, flagged: Message, ada: User, settings: LazySettings
    ) -> None:
        settings.REVIEW_ANONYMOUS = True
        grant(ada, who.REVIEW)
        path = f"/review/{flagged.conversation_id}/messages/{flagged.pk}/assign"
        page = desk.post(path, {"to": ada.pk, "next": "/review/"}, follow=True).content.decode()
        assert "of his own" not in page
        with pytest.raises(decisions.Refused, match="your own"):
            decisions.decide(ada, flagged.pk, decisions.DecisionKind.DISMISS)

    def test_the_way_back_stays_here(self, desk: Client, flagged: Message) -> None:
        path = f"/review/{flagged.conversation_id}/messages/{flagged.pk}/assign"
        for far in ("https://evil.example/", "//evil.example/", "evil", "admin:index", "\0"):
            back = desk.post(path, {"to": "me", "next": far})["Location"]
            assert back.startswith(f"/review/{flagged.conversation_id}/"), far

    @pytest.mark.parametrize("to", ["me", "nobody"])
    def test_what_has_just_left_the_queue_is_said_to_have(
        self, to: str, desk: Client, flagged: Message
    ) -> None:
        def leaving(execute: Any, sql: str, *args: Any) -> Any:
            if sql.startswith('UPDATE "chat_reviewitem"'):
                queue.withdraw(flagged.pk)
            return execute(sql, *args)

        path = f"/review/{flagged.conversation_id}/messages/{flagged.pk}/assign"
        with connection.execute_wrapper(leaving):
            answer = desk.post(path, {"to": to, "next": "/review/"})
        assert not ReviewItem.objects.exists()
        assert "This has left the queue" in desk.get(answer["Location"]).content.decode()
