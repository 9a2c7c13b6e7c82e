"""A forgotten password: the letter, the link, the new one."""

import re

import pytest
from django.conf import LazySettings
from django.core.mail import EmailMessage
from django.test import Client

from chat.models import User
from tests.accounts.conftest import SECRET, errors, signed_in_as

pytestmark = pytest.mark.django_db
URL = "/accounts/password/reset/"


@pytest.fixture(autouse=True)
def _sends_mail(settings: LazySettings) -> None:
    settings.EMAIL_URL = "smtp://mail.example.org"


def link_in(letter: EmailMessage) -> str:
    found = re.search(r"http://testserver(\S+)", str(letter.body))
    assert found is not None
    return found[1]


def test_the_whole_way(client: Client, ada: User, mailoutbox: list[EmailMessage]) -> None:
    laptop = Client()
    laptop.force_login(ada)
    asked = client.post(URL, {"email": "Ada@example.org"}, follow=True)
    assert "Check your email" in asked.content.decode()
    [letter] = mailoutbox
    assert letter.to == ["ada@example.org"]
    assert letter.subject == "[Parley] Reset your password"
    assert '"ada"' in str(letter.body)

    opened = client.get(link_in(letter), follow=True)
    form_url = opened.redirect_chain[-1][0]
    assert form_url.endswith("-set-password/")  # the key is out of the address by now
    response = client.post(form_url, {"password1": SECRET, "password2": SECRET})
    assert response["Location"] == "/accounts/login/"
    assert "Your password is changed." in client.get("/accounts/login/").content.decode()
    client.post("/accounts/login/", {"login": "ada", "password": SECRET})
    assert signed_in_as(client) == "ada"
    assert laptop.get("/accounts/password/change/").status_code == 302


def test_the_link_works_once(client: Client, ada: User, mailoutbox: list[EmailMessage]) -> None:
    client.post(URL, {"email": "ada@example.org"})
    link = link_in(mailoutbox[0])
    form_url = client.get(link)["Location"]
    client.post(form_url, {"password1": SECRET, "password2": SECRET})
    for address in (link, form_url):
        assert "This link does not work" in Client().get(address).content.decode()


def test_the_rules_hold_for_the_new_one(
    client: Client, ada: User, mailoutbox: list[EmailMessage]
) -> None:
    client.post(URL, {"email": "ada@example.org"})
    form_url = client.get(link_in(mailoutbox[0]))["Location"]
    found = errors(client.post(form_url, {"password1": "password", "password2": "password"}))
    assert found == {"password1": ["This password is too common."]}


@pytest.mark.parametrize("mode", ["open", "closed"])
def test_the_page_does_not_say_whether_there_is_an_account(
    client: Client,
    ada: User,
    mailoutbox: list[EmailMessage],
    settings: LazySettings,
    mode: str,
) -> None:
    settings.SIGNUP = mode
    known = client.post(URL, {"email": "ada@example.org"}, follow=True)
    unknown = Client().post(URL, {"email": "nobody@example.org"}, follow=True)
    assert known.redirect_chain == unknown.redirect_chain
    assert known.content == unknown.content
    assert ("/accounts/signup/" in str(mailoutbox[1].body)) == (mode == "open")


def test_a_server_without_mail_promises_none(
    client: Client, ada: User, mailoutbox: list[EmailMessage], settings: LazySettings
) -> None:
    settings.EMAIL_URL = ""
    assert "This server sends no email." in client.get(URL).content.decode()
    done = client.post(URL, {"email": "ada@example.org"}, follow=True).content.decode()
    assert "Ask your administrator" in done
    assert "Check your email" not in done
    assert link_in(mailoutbox[0])  # it is kept for the administrator
