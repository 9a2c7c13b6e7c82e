"""The local model in the browser: an answer in a form, a forced tool call, approval, and axe."""

import json
import re
from collections.abc import Iterator

import pytest
from playwright.async_api import Page, expect

from tests.parts.programs import need_model

from .chat import Chat
from .conftest import Visit
from .server import Prepared, Server
from .test_accessibility import is_clean

SLOW_MS = 120_000  # the model answers on a core that it shares with everything else
SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "title": "Full name", "maxLength": 30},
        "field": {"type": "string", "maxLength": 40},
        "known_for": {
            "type": "array",
            "items": {"type": "string", "maxLength": 40},
            "minItems": 2,
            "maxItems": 2,
        },
    },
    "required": ["name", "field", "known_for"],
    "additionalProperties": False,
}


@pytest.fixture(scope="module")
def local_server(prepared: Prepared, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    need_model()
    server = Server(prepared, tmp_path_factory.mktemp("local"), "", OPENAI_API_KEY="")
    server.start()
    yield server
    server.stop()
    server.check_log()


async def make(page: Page, name: str) -> None:
    """Fill the rest of the form first."""
    await page.get_by_label("Name", exact=True).fill(name)
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text(name)
    await page.get_by_role("link", name="Start a chat").click()


async def test_an_answer_in_a_form(local_server: Server, visit: Visit) -> None:
    chat: Chat = await visit(local_server)
    page = chat.page
    await page.goto("/assistants/new/")
    await page.get_by_label("Response schema").fill(json.dumps(SCHEMA))
    await make(page, "Biographer")
    await chat.connected()
    await chat.ask("Who was Ada Lovelace?")
    card = chat.reply.locator(".answer").first
    await expect(card).to_be_visible(timeout=SLOW_MS)
    await expect(card).to_contain_text("Full name", timeout=SLOW_MS)
    await expect(card.locator("li")).to_have_count(2, timeout=SLOW_MS)
    await expect(chat.reply).to_contain_text("The answer is valid.", timeout=SLOW_MS)
    assert not re.search(r"[{}\[\]]", await card.inner_text())
    shown = await card.inner_text()
    async with page.expect_download() as download:
        await chat.reply.get_by_role("link", name="Download JSON").click()
    answer = json.loads((await (await download.value).path()).read_text())
    assert set(answer) == {"name", "field", "known_for"}
    for text in (answer["name"], *answer["known_for"]):
        assert " ".join(text.split()) in " ".join(shown.split())
    await chat.reload()
    assert (await chat.reply.locator(".answer").first.inner_text()) == shown
    await is_clean(page)


async def test_a_forced_tool_call_that_asks_first(local_server: Server, visit: Visit) -> None:
    chat: Chat = await visit(local_server)
    page = chat.page
    await page.goto("/assistants/new/")
    await page.locator("input[name=tools][value=current_time]").check()
    await page.locator("input[name=approvals][value=current_time]").check()
    await page.get_by_label("Always").check()
    await make(page, "Clock")
    await chat.connected()
    await chat.ask("What time is it?")
    card = chat.reply.get_by_role("group", name="Tool call: current_time").first
    await expect(card).to_be_visible(timeout=SLOW_MS)
    approve = chat.reply.get_by_role("button", name="Approve").first
    await expect(approve).to_be_visible(timeout=SLOW_MS)
    await expect(chat.status).to_contain_text("waits for your approval")
    await is_clean(page)
    await chat.reload()
    await expect(approve).to_be_visible(timeout=SLOW_MS)
    await approve.focus()
    await page.keyboard.press("Enter")
    await expect(card).to_contain_text("Done", timeout=SLOW_MS)
    await chat.ended()
    await card.get_by_text("Result").click()
    await expect(card.locator("pre")).to_be_visible()
    await is_clean(page)
    call = chat.export()["messages"][-1]["tool_calls"][0]
    assert (call["name"], call["state"], call["decision"]) == ("current_time", "done", "approved")
