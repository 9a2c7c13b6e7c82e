"""Passwords, as ASVS 5 section 6.2 has them: length, common ones, and nothing else."""

import pytest
from django.test import Client

from chat.models import User
from tests.accounts.conftest import answers, errors, signed_in_as

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("open_signup")]


def sign_up(client: Client, password: str) -> dict[str, list[str]]:
    data = answers(password1=password, password2=password)
    response = client.post("/accounts/signup/", data)
    return {} if response.status_code == 302 else errors(response)


@pytest.mark.parametrize(
    "password",
    [
        "otterbox",  # 8 characters, one kind
        "x" * 63 + "y",
        "w" * 127 + "z",
        "  two spaces on either side  ",
        "Пароль из слов 密码 🦦",
        "tab\there and a 'quote' <b>&amp;",
    ],
)
def test_what_is_long_enough_and_not_common_is_taken_as_it_is(
    client: Client, password: str
) -> None:
    assert sign_up(client, password) == {}
    for wrong in (password.strip() + "!", password.swapcase() + ".", password[:-1]):
        other = Client()
        other.post("/accounts/login/", {"login": "grace", "password": wrong})
        assert signed_in_as(other) is None
    other = Client()
    other.post("/accounts/login/", {"login": "grace", "password": password})
    assert signed_in_as(other) == "grace"


@pytest.mark.parametrize(
    ("password", "why"),
    [
        ("short 7", "too short"),
        ("password", "too common"),
        ("PassWord1", "too common"),
        ("qwertyuiop", "too common"),
        ("grace@example", "too similar"),
        ("x" * 129, "too long"),
    ],
)
def test_what_is_refused(client: Client, password: str, why: str) -> None:
    [text] = sign_up(client, password)["password1"]
    assert why in text
    assert not User.objects.exists()


@pytest.mark.parametrize("url", ["/accounts/signup/", "/accounts/login/"])
def test_no_field_cuts_what_is_pasted_or_forbids_it(client: Client, url: str) -> None:
    form = client.get(url).context["form"]
    secrets = [field for field in form if field.widget_type == "password"]
    assert secrets
    for field in secrets:
        html = str(field)
        assert "maxlength" not in html
        assert "onpaste" not in html
        assert 'autocomplete="off"' not in html
