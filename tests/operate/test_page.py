"""The page as its HTML says it."""

import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.test import Client

from chat import services
from chat.models import State, User
from chat.operate.tables import age, milliseconds
from tests.admin.pages import Elements, html_of

from .conftest import Answered

PAGE = "/operate/status/"
HTMX = {"HX-Request": "true"}


@pytest.fixture
def client(operator: User, sign_in: Callable[[User], Client]) -> Client:
    return sign_in(operator)


def texts(client: Client) -> str:
    """All that the page says, in one line."""
    return " ".join(Elements(html_of(client.get(PAGE))).texts)


@pytest.mark.parametrize(
    ("seconds", "says"),
    [
        (-3, "0 s"),
        (59.9, "59 s"),
        (60, "1 min"),
        (3_599, "59 min"),
        (12_000, "3 h 20 min"),
        (370_800, "4 d 7 h"),
    ],
)
def test_ages_in_words(seconds: float, says: str) -> None:
    assert age(seconds) == says


@pytest.mark.parametrize(
    ("value", "says"), [(None, "–"), (0.4, "0 ms"), (999.4, "999 ms"), (1_234.0, "1.23 s")]
)
def test_milliseconds_in_words(value: float | None, says: str) -> None:
    assert milliseconds(value) == says


def test_it_says_what_it_depends_on_and_what_it_is(client: Client) -> None:
    said = texts(client)
    for words in (
        "Ready.",
        "Database ok",
        "Model ready",
        f"Version of Parley {declared_version()}",
        "Open pages 0",
        "none: replies are written elsewhere",
    ):
        assert words in said
    assert re.search(r"Process id \d+ Uptime \d+ ", said)


def declared_version() -> str:
    text = Path(__file__).parents[2].joinpath("pyproject.toml").read_text()
    found = re.search(r'^version = "(.+)"$', text, re.MULTILINE)
    assert found is not None
    return found[1]


def test_a_process_that_drains_is_not_ready(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services, "is_draining", lambda: True)
    assert "Not ready: send no traffic here." in texts(client)


def test_redis_is_named_where_there_is_one(client: Client, settings: LazySettings) -> None:
    assert "Redis" not in texts(client)
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    assert "Redis" in texts(client)


def test_it_says_what_waits_and_how_replies_ended(client: Client, answered: Answered) -> None:
    answered(timedelta(hours=5), state=State.STOPPED, stop_reason="user")
    answered(timedelta(hours=5), state=State.FAILED, error_kind="rate_limited")
    answered(timedelta(minutes=7), state=State.QUEUED)
    answered(ttft_served_ms=1_500.0, claimed_by="a-host:7:abc")
    said = texts(client)
    for words in (
        "Replies queued 1 7 min",
        "Replies being written 0 –",
        "Unreconciled replies 0 –",
        "Complete 1 1",
        "Stopped 0 1",
        "All that have ended 1 3",
        "Stopped by its user 0 1",
        "Rate limited 0 1",
        "Served 1 hour 2 204 ms 1.50 s",
        "a-host:7:abc – 0 1",
    ):
        assert words in said, words


def test_htmx_gets_the_figures_alone(client: Client) -> None:
    part = html_of(client.get(PAGE, headers=HTMX))
    assert "<html" not in part
    assert html_of(client.get(PAGE)).count("<section") == part.count("<section") + 1


def test_no_table_is_without_its_headers_and_no_style_or_script_inline(
    client: Client, answered: Answered
) -> None:
    answered(state=State.STOPPED, stop_reason="user", error_kind="x", claimed_by="me")
    elements = Elements(html_of(client.get(PAGE)))
    assert len(elements.all("table")) == 10
    assert all("scope" in header for header in elements.all("th"))
    assert all("src" in script for script in elements.all("script"))
    assert not elements.all("style")
    for _tag, attributes in elements.tags:
        assert not {name for name in attributes if name.startswith(("on", "hx-on", "style"))}


def test_it_may_not_be_kept_by_anybody(client: Client) -> None:
    assert "no-store" in client.get(PAGE)["Cache-Control"]


def test_the_page_costs_a_handful_of_queries(
    client: Client, answered: Answered, django_assert_max_num_queries: Callable[..., object]
) -> None:
    for _ in range(3):
        answered(claimed_by="me")
    with django_assert_max_num_queries(40):  # type: ignore[attr-defined]
        client.get(PAGE)
