"""A model finds what its user may see, and nothing else."""

import json
import uuid
from typing import Any

import pytest
from django.conf import LazySettings
from django.utils import timezone

from chat.models import Conversation, Message, Role, User, Verdict
from chat.tools.base import Context, InvalidArguments, ToolFailed
from chat.tools.conversations import EXCERPT_CHARS, search_conversations
from chat.tools.mcp_sessions import Sessions


def talk(owner: User, *texts: str, title: str = "A talk", **fields: Any) -> Conversation:
    conversation = Conversation.objects.create(
        owner=owner, title=title, active_at=timezone.now(), **fields
    )
    for number, text in enumerate(texts):
        role = Role.ASSISTANT if number % 2 else Role.USER
        conversation.messages.create(role=role, text=text, created_revision=1, revision=1)
    return conversation


def search(user: User, query: str, here: Conversation | None = None, **more: Any) -> list[Any]:
    """As the tool does it, in this thread, which has the test's transaction."""
    context = Context(user.pk, here.pk if here else uuid.uuid4(), Sessions())
    arguments = search_conversations.model.model_validate({"query": query, **more})
    found: list[Any] = json.loads(search_conversations.function(arguments, context))
    return found


def test_all_words_in_one_message_in_any_case(ada: User) -> None:
    talk(ada, "The Quick brown fox", "jumps", title="Animals")
    (found,) = search(ada, "fox QUICK")
    assert found == {
        "title": "Animals",
        "date": timezone.now().date().isoformat(),
        "said_by": "user",
        "excerpt": "The Quick brown fox",
    }
    assert search(ada, "fox jumps") == []


def test_the_case_of_other_letters_too(ada: User) -> None:
    talk(ada, "Ärger im Büro")
    assert search(ada, "ärger BÜRO")


def test_only_ones_own(ada: User, bob: User) -> None:
    talk(ada, "the secret plan")
    assert search(ada, "secret")
    assert search(bob, "secret") == []


def test_nothing_that_was_deleted_or_withheld_or_is_being_read(ada: User) -> None:
    talk(ada, "the deleted plan", deleted_at=timezone.now())
    talk(ada, "the withheld plan")
    Message.objects.filter(text="the withheld plan").update(withheld_at=timezone.now())
    here = talk(ada, "the current plan")
    talk(ada, "the public plan")
    found = search(ada, "plan", here)
    assert [one["excerpt"] for one in found] == ["the public plan"]


def test_nothing_for_somebody_who_is_no_longer_active(ada: User) -> None:
    talk(ada, "the plan")
    User.objects.update(is_active=False)
    assert search(ada, "plan") == []


def test_it_is_bounded_and_newest_first(ada: User) -> None:
    for number in range(12):
        talk(ada, f"needle {number}", "needle again", title=f"T{number}")
    assert [one["title"] for one in search(ada, "needle", limit=3)] == ["T11", "T10", "T9"]
    talk(ada, "hay " * 5000 + "needle\n\n" + "hay " * 5000)
    excerpt = search(ada, "needle", limit=1)[0]["excerpt"]
    assert "hay needle hay" in excerpt
    assert len(excerpt) <= EXCERPT_CHARS + 4
    with pytest.raises(InvalidArguments):
        search_conversations.check({"query": "needle", "limit": 11})


def test_wildcards_are_letters(ada: User) -> None:
    talk(ada, "nothing of that sort")
    assert search(ada, "100%") == []
    assert search(ada, "__") == []
    with pytest.raises(ToolFailed):
        search(ada, "   ")
    with pytest.raises(ToolFailed):
        search(ada, "a b c d e f g h i")
    assert search(ada, "nothing \0") == []
    with pytest.raises(InvalidArguments):
        search_conversations.check({"query": "half \ud800"})


@pytest.mark.django_db(transaction=True)
async def test_it_runs_on_the_loop(context: Context) -> None:
    assert await search_conversations.run({"query": "anything"}, context) == "[]"


def test_what_is_not_yet_judged_is_not_told_where_nothing_may_pass_unchecked(
    ada: User, settings: LazySettings
) -> None:
    talk(ada, "the open plan")
    talk(ada, "the unclear plan")
    Verdict.objects.create(message=Message.objects.get(text="the unclear plan"), backend="judge")
    assert len(search(ada, "plan")) == 2
    settings.MODERATION_FAIL = "closed"
    assert [one["excerpt"] for one in search(ada, "plan")] == ["the open plan"]
