"""Who looks at the admin, and a story for them to read."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.utils import timezone

from chat.models import Conversation, Generation, Message, User
from tests.admin.rows import judge, make_conversation, make_title, reply, say
from tests.conftest import make_user

RECORDS = ("conversation", "message", "generation", "verdict", "receipt")


@pytest.fixture
def root(admin: User, sign_in: Callable[[User], Client]) -> Client:
    """A browser in which a superuser is signed in."""
    return sign_in(admin)


@pytest.fixture
def staff_with(db: None, sign_in: Callable[[User], Client]) -> Callable[..., Client]:
    """A browser of a member of staff who has the permissions named, and no others."""

    def client_of(*codenames: str) -> Client:
        user = make_user("staff", is_staff=True)
        user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
        return sign_in(user)

    return client_of


@dataclass
class Story:
    """Ada asks; the first answer is replaced by a second, whose follow-up goes wrong twice."""

    conversation: Conversation
    question: Message
    first: Message
    second: Message
    follow_up: Message
    failed: Message
    flagged: Message
    title: Generation


@pytest.fixture
def story(ada: User) -> Story:
    conversation = make_conversation(ada, "Why tides lag")
    question = say(conversation, "Why do tides lag the moon?")
    first = reply(question, "Because of friction.", reasoning="Think of the sea bed.")
    text = "Because *basins* resonate.\n\n```python\nlag = 1\n```\n"
    second = reply(question, text, model="big-2")
    follow_up = say(conversation, "And neap tides?", second)
    failed = reply(
        follow_up, "", state="failed", error_kind="rate_limited", error_detail="429 slow down"
    )
    flagged = reply(
        follow_up,
        "A rude answer.",
        verdict="flagged",
        scores={"harassment": 0.91, "violence": 0.2},
        withheld=True,
    )
    judge(flagged, "flagged", {"hate": 0.75}, backend="openai")
    title = make_title(conversation)
    return Story(conversation, question, first, second, follow_up, failed, flagged, title)


@pytest.fixture
def others(bob: User) -> Conversation:
    """Bob's conversation, which he has deleted."""
    conversation = make_conversation(bob, "Bread", deleted_at=timezone.now())
    reply(say(conversation, "How long does dough rest?"), "An hour.", state="stopped")
    return conversation
