"""The page of a user's keys, the command, the administration."""

import re
from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from chat.api import keys
from chat.models import ApiKey, Conversation, User

PAGE = "/accounts/api-keys/"
FORM = {"name": "Nightly report", "expires": "30", "scopes": ["chat"]}


@pytest.fixture
def client(ada: User, sign_in: Callable[[User], Client]) -> Client:
    return sign_in(ada)


def test_a_key_is_shown_once(client: Client) -> None:
    answer = client.post(PAGE, FORM)
    shown = re.search(r'value="(parley-[\w-]+)"', answer.content.decode())
    assert shown is not None
    row = ApiKey.objects.get()
    assert (row.name, row.scopes) == ("Nightly report", ["chat"])
    assert row.expires_at is not None
    assert 29 <= (row.expires_at - timezone.now()).days <= 30
    assert "no-store" in answer["Cache-Control"]
    again = client.get(PAGE).content.decode()
    assert shown[1] not in again
    assert row.shown in again
    found = Client().get("/v1/models", headers={"Authorization": f"Bearer {shown[1]}"})
    assert found.status_code == 403


@pytest.mark.parametrize("wrong", [{"name": ""}, {"scopes": []}, {"expires": "7"}])
def test_a_mistake_makes_no_key(client: Client, wrong: dict[str, Any]) -> None:
    answer = client.post(PAGE, FORM | wrong)
    assert answer.status_code == 422
    assert 'class="errors"' in answer.content.decode()
    assert not ApiKey.objects.exists()


def test_a_key_can_last_for_ever(client: Client) -> None:
    client.post(PAGE, FORM | {"expires": ""})
    assert ApiKey.objects.get().expires_at is None


def test_revoking_asks_first(client: Client, ada: User) -> None:
    key = keys.make(ada, "Old one")
    path = f"{PAGE}{ApiKey.objects.get().pk}/revoke/"
    assert path in client.get(PAGE).content.decode()
    assert "Old one" in client.get(path).content.decode()
    assert ApiKey.objects.get().revoked_at is None
    assert "Revoked" in client.post(path, follow=True).content.decode()
    first = ApiKey.objects.get().revoked_at
    client.post(path)
    assert ApiKey.objects.get().revoked_at == first is not None
    headers = {"Authorization": f"Bearer {key}"}
    assert Client().get("/v1/models", headers=headers).status_code == 401


def test_a_stranger_neither_sees_nor_revokes_a_key(
    ada: User, bob: User, sign_in: Callable[[User], Client]
) -> None:
    keys.make(ada, "Ada's own")
    stranger = sign_in(bob)
    assert "Ada&#x27;s own" not in stranger.get(PAGE).content.decode()
    path = f"{PAGE}{ApiKey.objects.get().pk}/revoke/"
    assert stranger.get(path).status_code == stranger.post(path).status_code == 404
    assert ApiKey.objects.get().revoked_at is None
    assert Client().get(PAGE).status_code == 302


def test_what_was_asked_through_the_api_is_linked(client: Client, ada: User) -> None:
    keys.make(ada, "Script")
    now = timezone.now()
    asked = Conversation.objects.create(
        owner=ada, title="By a script", active_at=now, api_key=ApiKey.objects.get()
    )
    Conversation.objects.create(owner=ada, title="On a page", active_at=now)
    page = client.get(PAGE).content.decode()
    assert f'href="/c/{asked.pk}/"' in page
    assert "By a script" in page
    assert "On a page" not in page


def test_the_preferences_lead_there(client: Client) -> None:
    assert f'href="{PAGE}"' in client.get("/accounts/preferences/").content.decode()


def test_the_command_prints_the_key_and_nothing_else(ada: User) -> None:
    out = StringIO()
    call_command("api_key", "ada", "--name", "CI", "--days", "3", "--scopes", "models", stdout=out)
    (key,) = out.getvalue().splitlines()
    assert Client().get("/v1/models", headers={"Authorization": f"Bearer {key}"}).status_code == 200
    row = ApiKey.objects.get()
    assert (row.name, row.scopes) == ("CI", ["models"])
    assert row.expires_at is not None


@pytest.mark.parametrize(
    "arguments",
    [
        ["nobody"],
        ["ada", "--days", "0"],
        ["ada", "--days", "99999999999"],
        ["ada", "--scopes", "everything"],
        ["ada", "--scopes", ""],
        ["ada", "--name", "x" * 81],
    ],
)
def test_the_command_refuses_what_makes_no_sense(ada: User, arguments: list[str]) -> None:
    out = StringIO()
    with pytest.raises(CommandError):
        call_command("api_key", *arguments, stdout=out)
    assert (out.getvalue(), ApiKey.objects.count()) == ("", 0)


def test_an_inactive_user_gets_no_key(ada: User) -> None:
    User.objects.update(is_active=False)
    with pytest.raises(CommandError):
        call_command("api_key", "ada")


def test_an_administrator_revokes_and_makes_none(
    ada: User, admin: User, sign_in: Callable[[User], Client]
) -> None:
    keys.make(ada)
    client, path = sign_in(admin), "/admin/chat/apikey/"
    row = ApiKey.objects.get()
    assert row.shown in client.get(path).content.decode()
    assert client.get(f"{path}add/").status_code == 403
    assert client.get(f"{path}{row.pk}/delete/").status_code == 403
    assert row.sha256 not in client.get(f"{path}{row.pk}/change/").content.decode()
    client.post(path, {"action": "revoke", "_selected_action": [row.pk]})
    assert ApiKey.objects.get().revoked_at is not None
