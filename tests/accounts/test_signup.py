"""Signing up: who may, and what an account is made of."""

from collections.abc import Callable
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.conf import LazySettings
from django.test import Client

from chat.accounts.adapter import Adapter
from chat.models import User
from tests.accounts.conftest import SECRET, answers, errors, signed_in_as

pytestmark = pytest.mark.django_db
URL = "/accounts/signup/"


def test_open_signup_makes_an_account_and_signs_in(client: Client, open_signup: None) -> None:
    response = client.post(URL, answers())
    assert (response.status_code, response["Location"]) == (302, "/")
    grace = User.objects.get(username="grace")
    assert grace.check_password(SECRET)
    assert not grace.is_staff
    assert signed_in_as(client) == "grace"
    assert EmailAddress.objects.get(user=grace).email == "grace@example.org"


def test_signup_goes_on_to_where_somebody_came_from(client: Client, open_signup: None) -> None:
    response = client.post(URL, answers(next="/accounts/password/change/"))
    assert response["Location"] == "/accounts/password/change/"


def test_signup_never_leads_to_another_site(client: Client, open_signup: None) -> None:
    assert client.post(URL, answers(next="https://evil.example/"))["Location"] == "/"


@pytest.mark.parametrize("mode", ["closed", "invite"])
def test_without_an_invitation_a_server_that_is_not_open_takes_nobody(
    client: Client, settings: LazySettings, mode: str
) -> None:
    settings.SIGNUP = mode
    assert "<form" not in client.get(URL).content.decode()
    client.post(URL, answers())
    assert not User.objects.exists()


def test_an_invitation_does_not_open_a_closed_server(
    client: Client, settings: LazySettings, invitation: Any
) -> None:
    from chat.accounts import invitations

    settings.SIGNUP = "closed"
    client.post(URL, answers(invite=invitations.token(invitation)))
    assert not User.objects.filter(username="grace").exists()


def test_names_that_look_alike_are_one_name(client: Client, open_signup: None, ada: User) -> None:
    assert "username" in errors(client.post(URL, answers("Ada", email="x@example.org")))
    assert "username" in errors(client.post(URL, answers("ａｄａ", email="x@example.org")))
    client.post(URL, answers("ｇｒａｃｅ", email="g@example.org"))
    assert User.objects.filter(username="grace").exists()


def test_an_address_belongs_to_one_account(client: Client, open_signup: None, ada: User) -> None:
    found = errors(client.post(URL, answers(email="ADA@example.org")))
    assert found == {"email": ["An account with this email address exists already."]}


def test_what_was_typed_survives_an_error(client: Client, open_signup: None) -> None:
    page = client.post(URL, answers(password2="different")).content.decode()
    assert 'value="grace"' in page
    assert 'value="grace@example.org"' in page
    assert SECRET not in page


@pytest.mark.django_db(transaction=True)
def test_of_two_who_take_a_name_at_once_one_is_told_so(
    open_signup: None,
    at_once: Callable[..., list[Any]],
    meet: Callable[[Any, str, int], None],
) -> None:
    meet(Adapter, "save_user", 2)
    responses = at_once(
        lambda: Client().post(URL, answers(email="one@example.org")),
        lambda: Client().post(URL, answers(email="two@example.org")),
    )
    assert sorted(response.status_code for response in responses) == [200, 302]
    loser = next(response for response in responses if response.status_code == 200)
    assert errors(loser) == {"username": ["This username is taken."]}
    assert User.objects.count() == 1
