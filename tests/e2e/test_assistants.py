"""Assistants in the browser: made, chosen, talked with; by keyboard and without scripts; axe."""

import json
from typing import Any

import pytest
from playwright.async_api import Page, expect

from tests.fake_provider import reply

from .axe import WIDTHS
from .browser import Watch
from .chat import Chat
from .conftest import Visit
from .server import Server
from .test_accessibility import is_clean

SCHEMA = json.dumps({"type": "object", "properties": {"verdict": {"type": "string"}}}, indent=2)


async def make(page: Page, name: str = "Proofreader", **fields: str) -> None:
    """By the form, as a person does."""
    await page.goto("/assistants/")
    await page.get_by_role("link", name="New assistant").click()
    await page.get_by_label("Name", exact=True).fill(name)
    for label, value in fields.items():
        await page.get_by_label(label.replace("_", " ").capitalize()).fill(value)
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text(name)


async def test_one_is_made_chosen_and_talked_with(chat: Chat) -> None:
    page = chat.page
    await page.get_by_role("link", name="Assistants", exact=True).click()
    await make(page, description="Finds mistakes.", instructions="Correct it.", temperature="0.3")
    await page.get_by_role("link", name="Start a chat").click()
    await chat.connected()
    await expect(page.get_by_role("heading", name="Proofreader")).to_be_visible()
    await expect(page.locator(".greeting")).to_contain_text("Finds mistakes.")
    link = page.get_by_role("link", name="Assistant: Proofreader")
    await expect(link).to_be_hidden()
    await chat.ask("Is this riht?", reply("No."))
    await chat.ended()
    assert (await chat.answers.request("Is this riht?")).body["temperature"] == 0.3
    # The head says so at once, and after a reload.
    await expect(page.locator("#picker")).to_be_hidden()
    await expect(link).to_be_visible()
    await chat.reload()
    await link.click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Proofreader")


async def test_the_picker_by_keyboard(chat: Chat) -> None:
    page = chat.page
    await make(page, "First")
    await make(page, "Second")
    await chat.open()
    await chat.box.fill("A draft")
    summary = page.locator("summary", has_text="Assistant: Parley")
    await summary.focus()
    await page.keyboard.press("Enter")
    second = page.get_by_role("link", name="Second")
    await expect(second).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(second).to_be_hidden()
    await expect(summary).to_be_focused()
    await page.keyboard.press("Enter")
    for _ in range(3):
        await page.keyboard.press("Tab")
    await expect(second).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="Second")).to_be_visible()
    await expect(page.locator("summary", has_text="Assistant: Second")).to_be_visible()
    # What had been typed goes along.
    await chat.connected()
    await expect(chat.box).to_have_value("A draft")
    await page.locator("summary", has_text="Assistant: Second").click()
    await expect(page.locator("#picker [aria-current]")).to_contain_text("Second")


async def test_an_archived_one_is_refused_and_what_was_typed_stays(
    chat: Chat, watch: Watch
) -> None:
    watch.allow("status of 409")
    await make(chat.page)
    await chat.page.get_by_role("link", name="Start a chat").click()
    await chat.connected()
    other = await chat.tab("/")
    await other.page.goto("/assistants/")
    await other.page.get_by_role("link", name="Archive Proofreader").click()
    await other.page.get_by_role("button", name="Archive").click()
    await expect(other.page.get_by_role("status")).to_contain_text("is archived")
    await chat.box.fill("Too late?")
    await chat.box.press("Enter")
    await expect(chat.error).to_contain_text("not available any more")
    await expect(chat.box).to_have_value("Too late?")


async def test_without_scripts(server: Server, visit: Visit) -> None:
    chat = await visit(server, java_script_enabled=False)
    page = chat.page
    await make(page, "Plain")
    await page.goto("/")
    await page.locator("summary", has_text="Assistant: Parley").click()
    await page.get_by_role("link", name="Plain").click()
    await expect(page.get_by_role("heading", name="Plain")).to_be_visible()
    chat.answers.to("Works?", reply("Yes."))
    await chat.box.fill("Works?")
    await chat.send.click()
    await expect(page.get_by_role("link", name="Assistant: Plain")).to_be_visible()


async def test_a_refused_form_keeps_what_was_typed_and_says_what_is_wrong(
    chat: Chat, watch: Watch
) -> None:
    watch.allow("status of 422")
    page = chat.page
    await page.goto("/assistants/new/")
    await page.get_by_label("Name", exact=True).fill("Kept")
    await page.get_by_label("Instructions").fill("One.\nTwo.")
    await page.get_by_label("Response schema").fill('{"type":\n  object}')
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_role("alert")).to_contain_text("Response schema")
    schema = page.get_by_label("Response schema")
    await expect(schema).to_be_focused()
    await expect(schema).to_have_attribute("aria-invalid", "true")
    described = (await schema.get_attribute("aria-describedby") or "").split()
    said = [await page.locator(f"#{name}").inner_text() for name in described]
    assert any("line 2, column 3" in text for text in said), said
    await expect(schema).to_have_value('{"type":\n  object}')
    await expect(page.get_by_label("Name", exact=True)).to_have_value("Kept")
    await expect(page.get_by_label("Instructions")).to_have_value("One.\nTwo.")
    await is_clean(page)


async def test_axe_finds_nothing(server: Server, visit: Visit) -> None:
    chat = await visit(server, who=server.administrator)
    page = chat.page
    await page.goto("/assistants/new/")
    await is_clean(page)
    values: dict[str, Any] = {
        "description": "Finds mistakes, " + "and says where they are " * 8,
        "instructions": "Correct it.\n" + "a-word-without-end" * 20,
        "temperature": "0.3",
        "response_schema": SCHEMA,
    }
    name = "Assistant-with-a-name-that-does-not-break " * 1
    await make(page, name.strip(), **values)
    await is_clean(page)
    await page.get_by_role("link", name="Edit").click()
    await is_clean(page)
    await page.get_by_label("Instructions").fill("Correct it.\nBe kind.")
    await page.get_by_label("Temperature").fill("0.5")
    await page.get_by_label("Everyone").check()
    await page.get_by_role("button", name="Save").click()
    await page.get_by_role("link", name="Version 2").click()
    await expect(page.get_by_role("heading", name="Changed since version 1")).to_be_visible()
    await is_clean(page)
    await page.goto("/assistants/")
    await is_clean(page)
    await page.get_by_role("link", name="Start a chat").click()
    await chat.connected()
    await is_clean(page)
    for width in WIDTHS:
        await page.set_viewport_size(WIDTHS[width])  # type: ignore[arg-type]
        await page.locator("#picker summary").click()
        await is_clean(page, width)
        await page.keyboard.press("Escape")
    await chat.ask("Clean?", reply("Yes."))
    await chat.ended()
    await is_clean(page)
    await page.goto("/assistants/")
    await page.get_by_role("link", name="Archive").click()
    await is_clean(page)
    # Nobody else's tests should find it.
    await page.get_by_role("button", name="Archive").click()
    await expect(page.get_by_role("status")).to_be_visible()


@pytest.mark.parametrize("path", ["/assistants/", "/assistants/new/"])
async def test_every_stop_of_the_keyboard_can_be_seen(chat: Chat, path: str) -> None:
    page = chat.page
    await page.goto(path)
    focused = """() => { const at = document.activeElement, style = getComputedStyle(at);
      const box = at.getBoundingClientRect();
      return [at.tagName, at.textContent.trim(), style.outlineStyle !== "none",
        box.bottom > 0 && box.top < innerHeight]; }"""
    names = []
    for _ in range(40):
        await page.keyboard.press("Tab")
        tag, name, ring, in_view = await page.evaluate(focused)
        if tag == "BODY":
            break
        assert ring, name
        assert in_view, name
        names.append(name)
    assert ("Save" if "new" in path else "New assistant") in names
