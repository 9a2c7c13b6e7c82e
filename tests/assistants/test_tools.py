"""The tools that an assistant's model may call, and those that ask first."""

import re
from types import SimpleNamespace
from typing import Any

import pytest
from django.test import Client

from chat import forms_assistants
from chat.models import AssistantVersion, User
from tests.assistants.conftest import FORM, NEW, make


@pytest.fixture
def tools(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    found = {
        "clock": SimpleNamespace(
            name="clock", title="Clock", description="Says what time it is.", asks_first=False
        ),
        "fetch": SimpleNamespace(
            name="fetch", title="Fetch a page", description="Reads the web.", asks_first=True
        ),
    }
    monkeypatch.setattr(forms_assistants, "tools_to_choose", lambda: found)
    return found


def ticked(page: bytes) -> list[tuple[str, str]]:
    return re.findall(
        r'<input type="checkbox" name="(tools|approvals)" value="(\w+)"[^>]* checked>',
        page.decode(),
    )


def test_the_tools_of_this_installation_can_be_chosen(client: Client) -> None:
    assert b"Calculator" in client.get(NEW).content
    client.post(NEW, {**FORM, "tools": ["calculator"]})
    assert AssistantVersion.objects.get().tools == ["calculator"]


def test_tools_are_ticked_and_may_ask_first(client: Client, tools: dict[str, Any]) -> None:
    page = client.get(NEW).content
    assert b"Says what time it is." in page
    assert re.search(rb'value="auto"[^>]* checked', page)
    assert ticked(page) == [("approvals", "fetch")]  # as the tool has it
    values = {
        **FORM,
        "tools": ["fetch", "clock"],
        "approvals": ["clock"],
        "tool_choice": "required",
    }
    client.post(NEW, values)
    version = AssistantVersion.objects.get()
    assert (version.tools, version.approvals) == (["clock", "fetch"], ["clock"])
    assert version.tool_choice == "required"
    edit = f"/assistants/{version.assistant_id}/edit/"
    assert ticked(client.get(edit).content) == [
        ("tools", "clock"),
        ("approvals", "clock"),
        ("tools", "fetch"),
    ]
    refused_page = client.post(edit, {**values, "name": ""}).content
    assert ticked(refused_page) == ticked(client.get(edit).content)
    client.post(edit, {**values, "tools": ["clock", "fetch"]})
    assert AssistantVersion.objects.count() == 1
    assert b"Clock, Fetch a page" in client.get(f"/assistants/{version.assistant_id}/").content


def test_without_tools_there_is_nothing_to_ask_or_to_insist_on(
    client: Client, tools: dict[str, Any]
) -> None:
    client.post(NEW, {**FORM, "approvals": ["clock"], "tool_choice": "required"})
    version = AssistantVersion.objects.get()
    assert (version.tools, version.approvals, version.tool_choice) == ([], [], "auto")


def test_a_tool_that_is_away_is_kept_until_it_is_unticked(
    client: Client, ada: User, tools: dict[str, Any]
) -> None:
    assistant = make(ada, tools=["gone"], approvals=["gone"])
    edit = f"/assistants/{assistant.pk}/edit/"
    assert ("tools", "gone") in ticked(client.get(edit).content)
    client.post(edit, {**FORM, "tools": ["gone"], "approvals": ["gone"]})
    assert AssistantVersion.objects.count() == 1
    client.post(edit, FORM)
    assert AssistantVersion.objects.get(number=2).tools == []
    assert client.post(edit, {**FORM, "tools": ["gone"]}).status_code == 422
