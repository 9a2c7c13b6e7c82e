"""The pages hold to the Content-Security-Policy: nothing inline, nothing from elsewhere."""

import pytest
from django.test import Client
from django.urls import reverse

from chat.models import User
from tests.admin.conftest import RECORDS, Story
from tests.admin.pages import Elements, html_of, list_url, page_url


def assert_holds_to_the_policy(html: str) -> None:
    page = Elements(html)
    assert page.all("style") == []
    for tag, attributes in page.tags:
        assert "style" not in attributes, (tag, attributes)
        assert not [name for name in attributes if name.startswith("on")], (tag, attributes)
        source = attributes.get("src") or ""
        assert source.startswith("/") or not source, (tag, source)
    assert all(script.get("src") for script in page.all("script"))
    sheets = [link["href"] or "" for link in page.all("link")]
    assert all(sheet.startswith("/") for sheet in sheets)


@pytest.mark.parametrize("model", [*RECORDS, "user", "invitation"])
def test_lists_hold_to_the_policy(root: Client, story: Story, model: str) -> None:
    response = root.get(list_url(model))
    assert "script-src 'self'" in response.headers["Content-Security-Policy"]
    assert "unsafe" not in response.headers["Content-Security-Policy"]
    assert_holds_to_the_policy(html_of(response))


def test_pages_hold_to_the_policy(root: Client, story: Story, admin: User) -> None:
    generation = story.flagged.generation
    records = [story.conversation, story.flagged, generation, generation.receipt, admin]
    for obj in [*records, story.flagged.verdicts.first()]:
        assert_holds_to_the_policy(html_of(root.get(page_url(obj))))
    for name in ("index", "chat_user_add", "chat_invitation_add", "password_change"):
        assert_holds_to_the_policy(html_of(root.get(reverse(f"admin:{name}"))))
