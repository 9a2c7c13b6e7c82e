"""Every page and every role: what each of them is answered, in one table."""

import uuid
from collections.abc import Callable

import pytest
from django.test import Client

from chat.models import Message, User
from chat.review import who
from tests.conftest import make_user
from tests.review.conftest import Story, grant

ROLES = (
    "anonymous", "member", "owner", "group member", "reviewer", "staff", "superuser", "inactive",
)  # fmt: skip
R, N, L = 200, 404, 302  # read, nothing here, to the sign-in page (or, of a command, done)

# Of each page, the answer to each role in the order of ROLES.
PAGES: dict[str, tuple[int, ...]] = {
    "/review/": (L, N, N, R, R, N, N, L),
    "/review/?tab=all&q=tides": (L, N, N, R, R, N, N, L),
    "/review/next": (L, N, N, L, L, N, N, L),
    "/review/{c}/": (L, N, N, R, R, N, N, L),
    "/review/{c}/?at={m}": (L, N, N, R, R, N, N, L),
    "/review/{c}/news": (L, N, N, R, R, N, N, L),
    "/review/{c}/messages/{m}/timeline.json": (L, N, N, L, L, N, N, L),  # to the purpose
    "/review/export/": (L, N, N, R, N, N, N, L),  # the group's members may
    "/review/holds/": (L, N, N, N, N, N, N, L),
    "/review/holds/<int:hold_id>/release": (N, N, N, N, N, N, N, N),
    "/review/{nothing}/": (L, N, N, N, N, N, N, L),
    "POST /review/{c}/purpose": (L, N, N, L, L, N, N, L),
    "POST /review/{c}/identity": (L, N, N, N, N, N, N, L),
    "POST /review/{c}/messages/{m}/assign": (L, N, N, L, L, N, N, L),
    "POST /review/{c}/messages/{m}/decide": (L, N, N, L, L, N, N, L),  # to the purpose
    "POST /review/{c}/messages/{m}/answer": (L, N, N, L, L, N, N, L),
    "/": (L, R, R, R, R, R, R, L),
    "/c/{c}/": (L, N, R, N, N, N, N, L),
    "/c/{c}/export.json": (L, N, R, N, N, N, N, L),
    "/c/{c}/messages/{m}/report": (L, N, R, N, N, N, N, L),
    "POST /c/{c}/messages/{m}/report": (L, N, L, N, N, N, N, L),
    "POST /c/{c}/messages/{m}/feedback/good": (L, N, L, N, N, N, N, L),
    "POST /c/{c}/messages/{m}/feedback/awful": (L, N, N, N, N, N, N, L),
    "/assistants/": (L, R, R, R, R, R, R, L),
    "/operate/status/": (L, N, N, N, N, N, R, L),
    "/operate/metrics/": (L, N, N, N, N, N, R, L),
    "/accounts/api-keys/": (L, R, R, R, R, R, R, L),
    "/accounts/data/": (L, R, R, R, R, R, R, L),
    "/accounts/preferences/": (L, R, R, R, R, R, R, L),
    "/admin/chat/message/": (L, L, L, L, L, 403, R, L),
    "/admin/chat/accessentry/": (L, L, L, L, L, 403, R, L),
    "/healthz": (R, R, R, R, R, R, R, R),
}


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


@pytest.mark.parametrize("page", PAGES)
def test_what_each_role_is_answered(
    page: str, cast: dict[str, Client], story: Story, waiting: Message
) -> None:
    method, _, path = page.rpartition(" ")
    url = path.format(c=story.conversation.pk, m=waiting.pk, nothing=uuid.uuid4())
    fields = {"reason": "queue", "kind": "dismiss", "seen": 0, "to": "nobody", "complaint": "other"}
    answered = {}
    for role in ROLES:
        client = cast[role]
        answer = client.post(url, fields) if method else client.get(url)
        answered[role] = answer.status_code
        if answer.status_code == L and role in ("anonymous", "inactive"):
            assert "/login/?next=" in answer["Location"], role
        elif answer.status_code == L:
            assert not answer["Location"].startswith("/accounts/"), role
    assert answered == dict(zip(ROLES, PAGES[page], strict=True))


@pytest.fixture
def waiting(story: Story) -> Message:
    from chat.review import queue

    queue.put(story.flagged.pk, flagged=True, score=0.91)
    return story.flagged


def test_every_url_of_review_is_in_the_table() -> None:
    from chat.urls import urlpatterns

    routes = [str(p.pattern) for p in urlpatterns if str(p.pattern).startswith("review/")]
    tabled = {page.rpartition(" ")[2].partition("?")[0].lstrip("/") for page in PAGES}
    for route in routes:
        named = route.replace("<uuid:conversation_id>", "{c}").replace("<int:message_id>", "{m}")
        assert named in tabled, route


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
