"""What a person may decide for himself, and what the operator decides for him."""

import pytest
from django.conf import LazySettings
from django.test import Client

from chat.models import User

URL = "/accounts/preferences/"


def choose(client: Client, on: bool) -> str:
    data = {"finish_when_away": "on"} if on else {}
    return client.post(URL, data, follow=True).content.decode()


def test_answers_are_finished_when_away_for_who_wants_it(client: Client, ada: User) -> None:
    client.force_login(ada)
    assert "10 seconds" in client.get(URL).content.decode()
    assert "Your preferences are saved." in choose(client, True)
    ada.refresh_from_db()
    assert ada.finish_when_away
    choose(client, False)
    ada.refresh_from_db()
    assert not ada.finish_when_away


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("STREAM_FINISH_WHEN_AWAY", False, "does not allow"),
        ("STREAM_ABANDON_GRACE", None, "written to its end"),
    ],
)
def test_the_operator_may_leave_no_choice(
    client: Client, ada: User, settings: LazySettings, name: str, value: object, said: str
) -> None:
    setattr(settings, name, value)
    client.force_login(ada)
    assert said in client.get(URL).content.decode()
    choose(client, True)
    ada.refresh_from_db()
    assert not ada.finish_when_away


def test_a_stranger_is_asked_to_sign_in(client: Client, db: None) -> None:
    assert client.get(URL)["Location"].startswith("/accounts/login/")
