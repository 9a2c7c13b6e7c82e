"""Every page of an account: its fields have names, its errors are found, its policy holds."""

from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import pytest
from django.conf import LazySettings
from django.test import Client

from chat.accounts import setup
from chat.models import User

pytestmark = pytest.mark.django_db

ANONYMOUS = [
    "/accounts/login/",
    "/accounts/signup/",
    "/accounts/inactive/",
    "/accounts/password/reset/",
    "/accounts/password/reset/done/",
    "/accounts/password/reset/key/1-wrong/",
]
SIGNED_IN = [
    "/accounts/logout/",
    "/accounts/password/change/",
    "/accounts/password/reset/",
    "/accounts/reauthenticate/",
]


class Page(HTMLParser):
    """The elements of a page, in order, with their attributes."""

    def __init__(self, response: Any) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = response.content.decode()
        self.feed(self.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def all(self, *tags: str) -> list[dict[str, str | None]]:
        return [attrs for tag, attrs in self.found if tag in tags]

    def ids(self) -> list[str | None]:
        return [attrs["id"] for _, attrs in self.found if "id" in attrs]

    def visible_inputs(self) -> list[dict[str, str | None]]:
        return [attrs for attrs in self.all("input") if attrs["type"] != "hidden"]


def check(page: Page) -> None:
    for tag, attrs in page.found:
        assert not [name for name in attrs if name == "style" or name.startswith(("on", "hx-on"))]
        assert tag != "style"
        if tag == "script":
            assert str(attrs["src"]).startswith("/static/")
        for name in ("src", "href", "action"):
            assert not str(attrs.get(name, "")).startswith(("http:", "https:", "//", "javascript:"))
    assert page.text.count("<script") == page.text.count("></script>")
    assert len(page.all("h1")) == len(page.all("main")) == 1
    ids = page.ids()
    assert len(ids) == len(set(ids))
    labels = [attrs["for"] for attrs in page.all("label")]
    for field in page.visible_inputs():
        assert labels.count(field["id"]) == 1
        assert not field.get("placeholder")
        for described in str(field.get("aria-describedby") or "").split():
            assert described in ids
    assert set(labels) <= set(ids)
    for form in page.all("form"):
        assert form["method"] == "post"
    assert page.text.count("csrfmiddlewaretoken") == len(page.all("form"))


@pytest.mark.parametrize("mode", ["open", "invite", "closed"])
@pytest.mark.parametrize("url", ANONYMOUS)
def test_pages_before_signing_in(
    client: Client, settings: LazySettings, url: str, mode: str
) -> None:
    settings.SIGNUP = mode
    response = client.get(url)
    assert response.status_code == 200
    check(Page(response))


@pytest.mark.parametrize("url", SIGNED_IN)
def test_pages_of_somebody_signed_in(
    ada: User, sign_in: Callable[[User], Client], url: str
) -> None:
    response = sign_in(ada).get(url)
    assert response.status_code == 200
    check(Page(response))


def test_the_page_of_the_first_administrator(client: Client) -> None:
    path = setup.setup_path()
    assert path is not None
    check(Page(client.get(path)))


@pytest.mark.parametrize("url", ["/accounts/signup/", "/accounts/password/change/"])
def test_an_error_is_found_by_those_who_do_not_see_it(
    ada: User, sign_in: Callable[[User], Client], open_signup: None, url: str
) -> None:
    client = Client() if "signup" in url else sign_in(ada)
    page = Page(client.post(url, {"password1": "short", "password2": "short"}))
    check(page)
    assert "<title>Error: " in page.text
    [summary] = [attrs for _, attrs in page.found if attrs.get("role") == "alert"]
    assert summary["id"] == "form-errors"
    wrong = [field for field in page.visible_inputs() if field.get("aria-invalid") == "true"]
    assert len(wrong) >= 2
    for field in wrong:
        assert f"{field['id']}_error" in str(field["aria-describedby"])
        assert f"#{field['id']}" in [attrs.get("href") for attrs in page.all("a")]
    focused = [field for field in page.visible_inputs() if "autofocus" in field]
    assert focused == wrong[:1]


def test_a_refused_sign_in_is_read_out_where_the_password_goes(client: Client) -> None:
    page = Page(client.post("/accounts/login/", {"login": "ada", "password": "wrong"}))
    check(page)
    [focused] = [field for field in page.visible_inputs() if "autofocus" in field]
    assert focused["name"] == "password"
    assert focused["aria-describedby"] == "form-errors"


def test_browsers_are_told_what_the_fields_are(client: Client, open_signup: None) -> None:
    def purposes(url: str) -> dict[str | None, str | None]:
        fields = Page(client.get(url)).visible_inputs()
        return {field["name"]: field.get("autocomplete") for field in fields}

    assert purposes("/accounts/login/") == {
        "login": "username",
        "password": "current-password",
        "remember": None,
    }
    assert purposes("/accounts/signup/") == {
        "username": "username",
        "email": "email",
        "password1": "new-password",
        "password2": "new-password",
    }


@pytest.mark.parametrize(
    ("mode", "words"),
    [
        ("open", 'href="/accounts/signup/"'),
        ("invite", "You need an invitation link"),
        ("closed", "Ask your administrator for an account."),
    ],
)
def test_the_sign_in_page_says_how_to_get_an_account(
    client: Client, settings: LazySettings, ada: User, mode: str, words: str
) -> None:
    settings.SIGNUP = mode
    text = client.get("/accounts/login/").content.decode()
    assert words in text
    assert ("/accounts/signup/" in text) == (mode == "open")
    assert "Nobody has an account" not in text


def test_on_a_new_server_it_says_where_the_first_account_comes_from(
    client: Client, settings: LazySettings
) -> None:
    settings.SIGNUP = "closed"
    assert "Nobody has an account here yet." in client.get("/accounts/login/").content.decode()


def test_somebody_signed_in_finds_the_way_back(
    ada: User, sign_in: Callable[[User], Client]
) -> None:
    text = sign_in(ada).get("/accounts/password/change/").content.decode()
    assert "Back to chat" in text
