"""The first administrator: one link, one account."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.core.signing import TimestampSigner
from django.test import Client

from chat.accounts import setup
from chat.models import User
from tests.accounts.conftest import SECRET, answers, errors, signed_in_as

pytestmark = pytest.mark.django_db


def link() -> str:
    path = setup.setup_path()
    assert path is not None
    return path


def test_the_link_makes_an_administrator_and_signs_in(client: Client) -> None:
    path = link()
    assert path.startswith("/setup/")
    assert client.get(path).status_code == 200
    response = client.post(path, answers("root"))
    assert (response.status_code, response["Location"]) == (302, "/")
    root = User.objects.get()
    assert root.is_staff
    assert root.is_superuser
    assert root.check_password(SECRET)
    assert signed_in_as(client) == "root"
    assert EmailAddress.objects.get(user=root).primary


def test_the_administrator_signs_in_by_either_name(client: Client) -> None:
    client.post(link(), answers("root"))
    for name in ("root", "root@example.org"):
        other = Client()
        other.post("/accounts/login/", {"login": name, "password": SECRET})
        assert signed_in_as(other) == "root"


def test_it_works_once(client: Client) -> None:
    path = link()
    client.post(path, answers("root"))
    assert setup.setup_path() is None
    other = Client()
    assert other.get(path).status_code == 404
    assert other.post(path, answers("mallory")).status_code == 404
    assert User.objects.count() == 1


def test_there_is_none_when_somebody_has_an_account(client: Client, ada: User) -> None:
    assert setup.setup_path() is None
    token = TimestampSigner(salt="chat.accounts.setup").sign("administrator")
    assert client.get(f"/setup/{token}/").status_code == 404


def test_a_bad_token_finds_nothing(client: Client, time_machine: Callable[[float], None]) -> None:
    path = link()
    other_salt = TimestampSigner(salt="another purpose").sign("administrator")
    other_word = TimestampSigner(salt="chat.accounts.setup").sign("reader")
    for bad in ("/setup/x/", path[:-2] + "/", f"/setup/{other_salt}/", f"/setup/{other_word}/"):
        assert client.get(bad).status_code == 404
        assert client.post(bad, answers("root")).status_code == 404
    time_machine(setup.LIFETIME.total_seconds() - 60)
    assert client.get(path).status_code == 200
    time_machine(120)
    assert client.get(path).status_code == 404
    assert not User.objects.exists()


def test_the_rules_for_passwords_hold_here_too(client: Client) -> None:
    path = link()
    found = errors(client.post(path, answers("root", password1="password", password2="password")))
    assert found == {"password1": ["This password is too common."]}
    assert errors(client.post(path, answers("root", email=""))) == {
        "email": ["This field is required."]
    }
    assert not User.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_of_several_at_once_one_becomes_administrator(
    at_once: Callable[..., list[Any]],
    meet: Callable[[Any, str, int], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = link()
    meet(setup, "create_first_administrator", 3)
    save = User.save

    def slow_save(user: User, **how: Any) -> None:
        time.sleep(0.2)  # between the check and the INSERT
        save(user, **how)

    monkeypatch.setattr(User, "save", slow_save)
    responses = at_once(
        *(lambda name=name: Client().post(path, answers(name)) for name in ("a1", "b2", "c3"))
    )
    assert sorted(response.status_code for response in responses) == [302, 404, 404]
    assert User.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_people_can_be_added_after_it(client: Client) -> None:
    client.post(link(), answers("root"))
    assert User.objects.create_user("ada").pk != User.objects.get(username="root").pk
