"""Changing a password while signed in."""

from typing import Any

import pytest
from django.test import Client

from chat.models import User
from tests.accounts.conftest import SECRET, errors, signed_in_as
from tests.conftest import PASSWORD

pytestmark = pytest.mark.django_db
URL = "/accounts/password/change/"


def change(client: Client, old: str = PASSWORD, new: str = SECRET, again: str = "") -> Any:
    return client.post(URL, {"oldpassword": old, "password1": new, "password2": again or new})


def test_it_ends_the_sessions_of_other_devices(client: Client, ada: User) -> None:
    phone = Client()
    for device in (client, phone):
        device.force_login(ada)
        assert device.get(URL).status_code == 200
    change(client)
    page = client.get(URL)
    assert page.status_code == 200
    assert "Your password is changed." in page.content.decode()
    assert phone.get(URL)["Location"].startswith("/accounts/login/")
    ada.refresh_from_db()
    assert ada.check_password(SECRET)


def test_it_takes_the_current_password(client: Client, ada: User) -> None:
    client.force_login(ada)
    response = change(client, old="a wrong one")
    assert errors(response) == {"oldpassword": ["This is not your current password."]}
    ada.refresh_from_db()
    assert ada.check_password(PASSWORD)


def test_the_rules_hold_for_the_new_one(client: Client, ada: User) -> None:
    client.force_login(ada)
    assert "too common" in errors(change(client, new="password"))["password1"][0]
    assert "too long" in errors(change(client, new="x" * 129))["password1"][0]
    assert "password2" in errors(change(client, again="something else"))


def test_a_stranger_is_asked_to_sign_in(client: Client, db: None) -> None:
    assert change(client)["Location"].startswith("/accounts/login/")
    assert signed_in_as(client) is None
