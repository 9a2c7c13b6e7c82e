"""The pages of exports and legal holds: who gets in, what they refuse, what they do."""

import io
import uuid
import zipfile
from collections.abc import Callable

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import Permission
from django.http import HttpResponse
from django.test import Client

from chat.models import AccessEntry, AccessKind, Conversation, LegalHold, User
from chat.review import who
from tests.admin.rows import make_conversation, make_user, reply, say

EXPORT, HOLDS = "/review/export/", "/review/holds/"


def reviewer_with(*codenames: str) -> User:
    user = make_user(f"rita-{len(codenames)}")
    chosen = Permission.objects.filter(codename__in=[who.REVIEW, *codenames])
    user.user_permissions.set(chosen)
    return user


@pytest.fixture
def rita(db: None) -> User:
    """A reviewer who may export and hold."""
    return reviewer_with(who.EXPORT, who.HOLD)


@pytest.fixture
def conversation(ada: User) -> Conversation:
    found = make_conversation(ada)
    reply(say(found, "What makes the tides?"), "The moon.")
    return found


def archive(response: HttpResponse) -> zipfile.ZipFile:
    async def whole() -> bytes:
        return b"".join([piece async for piece in response.streaming_content])

    return zipfile.ZipFile(io.BytesIO(async_to_sync(whole)()))


@pytest.mark.parametrize("path", [EXPORT, HOLDS])
@pytest.mark.parametrize(
    ("who_asks", "status"),
    [("anonymous", 302), ("ada", 404), ("superuser", 404), ("reviewer", 404), ("rita", 200)],
)
def test_who_gets_in(
    path: str, who_asks: str, status: int, ada: User, admin: User, rita: User
) -> None:
    client = Client()
    people = {"ada": ada, "superuser": admin, "rita": rita}
    if who_asks == "reviewer":
        client.force_login(reviewer_with())
    elif who_asks in people:
        client.force_login(people[who_asks])
    assert client.get(path).status_code == status
    sent = {"purpose": "x", "reason": "x", "person": "ada"}
    allowed = {200, 302} if status == 200 else {status}
    assert client.post(path, sent).status_code in allowed
    assert LegalHold.objects.exists() == (status == 200 and path == HOLDS)


@pytest.mark.django_db(transaction=True)
def test_an_export_is_sent_and_on_record(
    conversation: Conversation, sign_in: Callable[[User], Client]
) -> None:
    rita = reviewer_with(who.EXPORT)
    response = sign_in(rita).post(EXPORT, {"purpose": "Audit 7", "owner": "ADA"})
    assert set(archive(response).namelist()) == {
        "conversations.jsonl",
        "messages.csv",
        "manifest.json",
        "manifest.sig",
    }
    entry = AccessEntry.objects.get()
    assert (entry.kind, entry.purpose, entry.subject_name) == ("export", "Audit 7", "ada")


@pytest.mark.django_db(transaction=True)
def test_an_export_hides_who_wrote_where_reviewing_is_anonymous(
    conversation: Conversation,
    sign_in: Callable[[User], Client],
    settings: pytest.FixtureRequest,
) -> None:
    settings.REVIEW_ANONYMOUS = True
    client = sign_in(reviewer_with(who.EXPORT))
    refused = client.post(EXPORT, {"purpose": "Audit 7", "owner": "ada"})
    assert "such as Person 3F9A-21C7" in refused.content.decode()
    assert refused.status_code == 422  # else names could be tried
    found = archive(client.post(EXPORT, {"purpose": "Audit 7"}))
    for name in ("conversations.jsonl", "messages.csv"):
        assert b"ada" not in found.read(name)
        assert b"Person " in found.read(name)


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ({}, "Say what the export is for."),
        ({"purpose": "x", "owner": "nobody"}, "Nobody here is called that."),
        ({"purpose": "x", "owner": "a\0da"}, "Null characters are not allowed."),
        ({"purpose": "x", "active_from": "soon"}, "Enter a valid date."),
        (
            {"purpose": "x", "active_from": "2026-02-02", "active_until": "2026-02-01"},
            "This is before the first day.",
        ),
    ],
)
def test_a_bad_export_is_refused_and_nothing_is_on_record(
    rita: User, sign_in: Callable[[User], Client], sent: dict[str, str], said: str
) -> None:
    response = sign_in(rita).post(EXPORT, sent)
    assert response.status_code == 422
    assert said in response.content.decode()
    assert not AccessEntry.objects.exists()


@pytest.mark.parametrize("on", ["person", "conversation"])
def test_a_hold_is_placed_and_released(
    rita: User, ada: User, conversation: Conversation, sign_in: Callable[[User], Client], on: str
) -> None:
    client = sign_in(rita)
    sent = {"person": "Ada"} if on == "person" else {"conversation": str(conversation.pk)}
    page = client.post(HOLDS, {**sent, "reason": "Case 12"}, follow=True).content.decode()
    assert "The hold is placed." in page
    assert "Case 12" in page
    hold = LegalHold.objects.get()
    release = f"{HOLDS}{hold.pk}/release"
    assert client.get(release).status_code == 405
    assert "The hold is released." in client.post(release, follow=True).content.decode()
    assert "released it already" in client.post(release, follow=True).content.decode()
    assert client.post(f"{HOLDS}999/release").status_code == 404
    kinds = AccessEntry.objects.order_by("number").values_list("kind", flat=True)
    assert list(kinds) == [AccessKind.HOLD, AccessKind.RELEASE]


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ({"reason": "x"}, "Name a person or a conversation, and not both."),
        ({"person": "ada"}, "Say why it must be kept."),
        ({"person": "ada", "conversation": "y", "reason": "x"}, "and not both."),
        ({"person": "nobody", "reason": "x"}, "Nobody here is called that."),
        ({"conversation": "tides", "reason": "x"}, "There is no such conversation."),
        ({"conversation": str(uuid.uuid4()), "reason": "x"}, "There is no such conversation."),
    ],
)
def test_a_bad_hold_is_refused(
    rita: User, ada: User, sign_in: Callable[[User], Client], sent: dict[str, str], said: str
) -> None:
    response = sign_in(rita).post(HOLDS, sent)
    assert response.status_code == 422
    assert said in response.content.decode()
    assert not LegalHold.objects.exists()
