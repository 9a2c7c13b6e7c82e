"""Who is a reviewer, and what others see of there being any. Every page and role: tests/roles."""

from collections.abc import Callable

import pytest
from django.test import Client

from chat.models import Message, User
from chat.review import who
from tests.conftest import make_user
from tests.review.conftest import Story, grant


@pytest.fixture
def cast(
    story: Story, ada: User, reviewer: User, sign_in: Callable[[User], Client]
) -> dict[str, Client]:
    inactive = grant(make_user("idle"), who.REVIEW)
    people = {
        "member": make_user("bob"),
        "owner": ada,
        "group member": reviewer,
        "reviewer": grant(make_user("sam"), who.REVIEW),
        "staff": make_user("staff", is_staff=True),
        "superuser": make_user("root", is_staff=True, is_superuser=True),
        "inactive": inactive,
    }
    clients = {role: sign_in(user) for role, user in people.items()}
    User.objects.filter(pk=inactive.pk).update(is_active=False)
    return {"anonymous": Client(), **clients}


@pytest.fixture
def waiting(story: Story) -> Message:
    from chat.review import queue

    queue.put(story.flagged.pk, flagged=True, score=0.91)
    return story.flagged


def test_who_is_no_reviewer_learns_nothing_from_the_answer(cast: dict[str, Client]) -> None:
    client = cast["superuser"]
    assert client.get("/review/").content == client.get("/nothing-here/").content


def test_the_way_there_is_shown_to_reviewers_only(
    cast: dict[str, Client], waiting: Message
) -> None:
    link = 'href="/review/"'
    for role in ("group member", "reviewer"):
        page = cast[role].get("/").content.decode()
        assert link in page
        assert '<span class="count">1<' in page
    for role in ("member", "owner", "staff", "superuser"):
        assert link not in cast[role].get("/").content.decode()


def test_a_lost_permission_closes_an_open_page_with_the_next_poll(
    reviewer: User, desk: Client, waiting: Message
) -> None:
    poll = {"HTTP_HX_REQUEST": "true"}
    assert b"row-" in desk.get("/review/", **poll).content
    reviewer.groups.clear()
    for path in ("/review/", f"/review/{waiting.conversation_id}/news"):
        answer = desk.get(path, **poll)
        assert answer.status_code == 404
        assert b"row-" not in answer.content


def test_the_group_is_made_once_and_stays_what_an_operator_made_of_it(db: None) -> None:
    from django.contrib.auth.models import Group

    group = Group.objects.get(name=who.GROUP)
    assert set(group.permissions.values_list("codename", flat=True)) == set(who.GROUP_MAY)
    group.permissions.clear()
    who.make_group()
    assert not group.permissions.exists()


def test_a_superuser_is_a_reviewer_only_when_made_one(admin: User) -> None:
    assert admin.has_perm("chat.review_transcripts")
    assert not who.may_review(admin)
    assert who.may_review(grant(admin, who.REVIEW))
