"""Reviewers, and conversations for them to read."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission
from django.test import Client
from django.utils import timezone

from chat.models import CallState, Conversation, Feedback, Message, Receipt, ToolCall, User
from chat.review import queue, who
from tests.admin.conftest import Story, others, story
from tests.admin.rows import make_conversation, reply, say
from tests.conftest import make_user
from tests.presets import make_assistant

__all__ = ["Story", "others", "story"]

PURPOSE = {"reason": "queue", "note": ""}


def grant(user: User, *codenames: str) -> User:
    user.user_permissions.add(*Permission.objects.filter(codename__in=codenames))
    return user


@pytest.fixture
def reviewer(db: None) -> User:
    """A reviewer by membership of the group that every installation has."""
    user = make_user("rita")
    user.groups.add(Group.objects.get(name=who.GROUP))
    return user


@pytest.fixture
def second(db: None) -> User:
    """Another one, by a permission of his own."""
    return grant(make_user("sam"), who.REVIEW)


@pytest.fixture
def desk(reviewer: User, sign_in: Callable[[User], Client]) -> Client:
    """The browser of a reviewer."""
    return sign_in(reviewer)


@pytest.fixture
def opened() -> Callable[[Client, Conversation], Client]:
    """Give a purpose, so that the transcript is shown."""

    def open_transcript(client: Client, conversation: Conversation) -> Client:
        answer = client.post(f"/review/{conversation.pk}/purpose", PURPOSE)
        assert answer.status_code == 302
        return client

    return open_transcript


@pytest.fixture
def flagged(ada: User) -> Message:
    """A reply that is withheld and waits for a reviewer."""
    question = say(make_conversation(ada, "Gravel"), "Say something rude")
    message = reply(
        question,
        "You are a rude word, said the parrot.",
        verdict="flagged",
        scores={"harassment": 0.91, "hate": 0.2},
        withheld=True,
        reasoning="The user wants a rude word.",
    )
    message.verdicts.update(spans=[[10, 19, "harassment"]], hits=["harassment"], action="withhold")
    queue.put(message.pk, flagged=True, score=0.91)
    return Message.objects.select_related("conversation").get(pk=message.pk)


Shown = Callable[..., list[int]]


@pytest.fixture
def shown(desk: Client) -> Shown:
    """The messages that a list shows, in order."""

    def ids(**query: Any) -> list[int]:
        page = desk.get("/review/", query)
        assert page.status_code == 200
        return [int(pk) for pk in re.findall(r'id="row-(\d+)"', page.content.decode())]

    return ids


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
