"""The copy buttons."""

import json

import pytest_asyncio
from playwright.async_api import expect

from tests.fake_provider import reply

from .chat import Chat
from .conftest import Visit
from .server import Server

CODE = "def tide(hour):\n\n    return '<b>' & hour\n"
TEXT = f"Before, see [the docs](https://example.org/a).\n\n```python\n{CODE}```\n\n- after\n"
CLIPBOARD = ["clipboard-read", "clipboard-write"]


@pytest_asyncio.fixture(loop_scope="session")
async def copying(server: Server, visit: Visit) -> Chat:
    chat = await visit(server, permissions=CLIPBOARD)
    await chat.ask("Code, please.\nTwo lines.", reply(TEXT))
    await chat.ended()
    return chat


async def clipboard(chat: Chat) -> str:
    return str(await chat.page.evaluate("navigator.clipboard.readText()"))


async def test_code_is_copied_as_it_is(copying: Chat) -> None:
    button = copying.text.get_by_role("button", name="Copy")
    await button.click()
    await expect(copying.text.get_by_role("button", name="Copied")).to_be_visible()
    assert await clipboard(copying) == CODE.rstrip()
    await expect(button).to_be_visible()  # it says "Copied" for a moment


async def test_a_reply_is_copied_without_the_buttons_in_it(copying: Chat) -> None:
    await copying.reply.locator(".message-foot").get_by_role("button", name="Copy").click()
    await expect(copying.reply.get_by_role("button", name="Copied")).to_be_visible()
    copied = await clipboard(copying)
    assert CODE.rstrip() in copied
    assert "Copy" not in copied
    assert copied.startswith("Before, see the docs.")
    assert copied.endswith("after")


async def test_a_question_is_copied_as_it_was_typed(copying: Chat) -> None:
    await copying.questions.last.hover()
    await copying.questions.last.get_by_role("button", name="Copy").click()
    await expect(copying.questions.get_by_role("button", name="Copied")).to_be_visible()
    assert await clipboard(copying) == "Code, please.\nTwo lines."


async def test_copying_works_on_a_page_without_a_clipboard_api(copying: Chat) -> None:
    await copying.page.evaluate(
        "Object.defineProperty(navigator, 'clipboard', { value: undefined })"
    )
    button = copying.text.get_by_role("button")
    await button.focus()
    await button.press("Enter")
    await expect(button).to_have_text("Copied")
    await expect(button).to_be_focused()
    await copying.box.focus()
    await copying.page.keyboard.press("Control+V")
    await expect(copying.box).to_have_value(CODE.rstrip())


async def test_a_refused_clipboard_is_said(server: Server, visit: Visit) -> None:
    chat = await visit(server)
    await chat.ask("Words", reply("Some words."))
    await chat.ended()
    await chat.page.evaluate(
        """() => { navigator.clipboard.writeText = () =>
             Promise.reject(new DOMException("no", "NotAllowedError")); }"""
    )
    button = chat.reply.get_by_role("button", name="Copy")
    await button.click()
    # Then the older way does it.
    await expect(chat.reply.get_by_role("button", name="Copied")).to_be_visible()


async def test_of_an_answer_in_a_form_its_json_is_copied(server: Server, visit: Visit) -> None:
    chat = await visit(server, permissions=CLIPBOARD)
    await chat.page.goto("/assistants/new/")
    await chat.page.get_by_label("Response schema").fill('{"type": "object"}')
    await chat.page.get_by_label("Name", exact=True).fill("Form")
    await chat.page.get_by_role("button", name="Save").click()
    await chat.page.get_by_role("link", name="Start a chat").click()
    await chat.connected()
    await chat.ask("Fill it in.", reply('{"a": ["<b>", 1]}'))
    await expect(chat.reply).to_contain_text("The answer is valid.")
    await chat.reply.locator(".message-foot").get_by_role("button", name="Copy").click()
    await expect(chat.reply.get_by_role("button", name="Copied")).to_be_visible()
    assert json.loads(await clipboard(chat)) == {"a": ["<b>", 1]}
