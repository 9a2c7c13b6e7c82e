"""Reviewers, and conversations for them to read."""

from collections.abc import Callable

import pytest
from django.contrib.auth.models import Group, Permission
from django.test import Client

from chat.models import Conversation, Message, User
from chat.review import queue, who
from tests.admin.conftest import Story, others, story
from tests.admin.rows import make_conversation, reply, say
from tests.conftest import make_user

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
