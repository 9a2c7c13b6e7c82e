"""Signing in and out."""

from typing import Any

import pytest
from django.contrib.auth import hashers
from django.test import Client

from chat.models import User
from tests.accounts.conftest import errors, signed_in_as
from tests.conftest import PASSWORD

pytestmark = pytest.mark.django_db
URL = "/accounts/login/"
NEUTRAL = ["That username or email address and password do not match an account."]


@pytest.mark.parametrize("name", ["ada", "ADA", "ada@example.org", "Ada@Example.org", " ａｄａ "])
def test_by_username_or_by_address(client: Client, ada: User, name: str) -> None:
    response = client.post(URL, {"login": name, "password": PASSWORD})
    assert (response.status_code, response["Location"]) == (302, "/")
    assert signed_in_as(client) == "ada"


def test_the_page_that_was_asked_for_comes_next(client: Client, ada: User) -> None:
    asked = client.get("/accounts/password/change/")
    response = client.post(asked["Location"], {"login": "ada", "password": PASSWORD})
    assert response["Location"] == "/accounts/password/change/"


def test_a_session_ends_with_the_browser_unless_it_shall_stay(client: Client, ada: User) -> None:
    client.post(URL, {"login": "ada", "password": PASSWORD})
    assert client.session.get_expire_at_browser_close()
    other = Client()
    other.post(URL, {"login": "ada", "password": PASSWORD, "remember": "on"})
    assert not other.session.get_expire_at_browser_close()


@pytest.mark.parametrize("name", ["ada", "ada@example.org", "nobody", "nobody@example.org"])
def test_a_refusal_does_not_say_whether_there_is_an_account(
    client: Client, ada: User, name: str
) -> None:
    response = client.post(URL, {"login": name, "password": "wrong"})
    assert errors(response) == {"__all__": NEUTRAL}
    assert f'value="{name}"' in response.content.decode()
    assert "wrong" not in response.content.decode()


def test_nor_does_the_time_that_it_takes(
    client: Client, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hashing is nearly all of it, so every refusal hashes as often as any other."""
    hashed = 0
    hasher = type(hashers.get_hasher())
    encode = hasher.encode

    def counting(*args: Any) -> str:
        nonlocal hashed
        hashed += 1
        return encode(*args)

    monkeypatch.setattr(hasher, "encode", counting)
    costs = {}
    for name in ("ada", "ada@example.org", "nobody", "nobody@example.org"):
        hashed = 0
        client.post(URL, {"login": name, "password": "wrong"})
        costs[name] = hashed
    assert len(set(costs.values())) == 1, costs


def test_an_inactive_account_shows_itself_to_its_owner_only(client: Client, ada: User) -> None:
    User.objects.update(is_active=False)
    response = client.post(URL, {"login": "ada", "password": "wrong"})
    assert errors(response) == {"__all__": NEUTRAL}
    response = client.post(URL, {"login": "ada", "password": PASSWORD})
    assert response["Location"] == "/accounts/inactive/"
    assert signed_in_as(client) is None


def test_guessing_is_slowed_down_by_account(client: Client, ada: User) -> None:
    for _ in range(5):
        client.post(URL, {"login": "ada", "password": "wrong"})
    response = client.post(URL, {"login": "ada", "password": PASSWORD})
    assert errors(response) == {"__all__": ["Too many failed attempts. Wait a few minutes."]}
    assert 'value="ada"' in response.content.decode()


def test_and_by_where_it_comes_from(client: Client, ada: User) -> None:
    for number in range(10):
        client.post(URL, {"login": f"name{number}", "password": "wrong"})
    data = {"login": "ada", "password": PASSWORD}
    client.post(URL, data)
    assert signed_in_as(client) is None
    Client(REMOTE_ADDR="192.0.2.7").post(URL, data)
    client.post(URL, data, REMOTE_ADDR="192.0.2.7")
    assert signed_in_as(client) == "ada"


def test_a_request_without_an_address_is_let_through(client: Client, ada: User) -> None:
    client.post(URL, {"login": "ada", "password": PASSWORD}, REMOTE_ADDR="")
    assert signed_in_as(client) == "ada"


def test_too_many_requests_get_a_page_that_says_so(client: Client, open_signup: None) -> None:
    for _ in range(20):
        client.post("/accounts/signup/", {})
    response = client.post("/accounts/signup/", {})
    assert response.status_code == 429
    assert "Too many attempts" in response.content.decode()


def test_signing_out_takes_a_post(client: Client, ada: User) -> None:
    client.force_login(ada)
    assert "Sign out?" in client.get("/accounts/logout/").content.decode()
    assert signed_in_as(client) == "ada"
    response = client.post("/accounts/logout/")
    assert response["Location"] == URL
    assert signed_in_as(client) is None
    assert "You have signed out." in client.get(URL).content.decode()


def test_signing_in_leaves_no_message_behind(client: Client, ada: User) -> None:
    client.post(URL, {"login": "ada", "password": PASSWORD})
    assert "alert-good" not in client.get("/accounts/password/change/").content.decode()
