"""Model and parameters: checked in the dialog, carried by the next request."""

import asyncio
from collections.abc import Callable

import pytest
from playwright.async_api import Locator, expect

from tests.fake_provider import reply

from .browser import Watch
from .chat import Chat
from .conftest import Visit
from .server import Server

# field, refused values, a value at the bound that is taken
BOUNDS = [
    ("Temperature", ["-0.1", "2.1", "nan", "1e400"], "2"),
    ("Top p", ["-0.1", "1.05"], "1"),
    ("Max tokens", ["0", "-5", "32769", "1.5"], "32768"),
]


async def open_dialog(chat: Chat) -> Locator:
    await chat.page.get_by_role("button", name="Model and parameters").click()
    await expect(chat.dialog.get_by_role("heading")).to_have_text("Model and parameters")
    return chat.dialog


async def set_value(field: Locator, value: str) -> None:
    """Whatever it is: a number field takes no letters from the keyboard."""
    await field.evaluate("(field, value) => { field.type = 'text'; field.value = value; }", value)


@pytest.mark.parametrize(("label", "refused", "taken"), BOUNDS)
async def test_what_is_out_of_bounds_is_refused(
    chat: Chat, watch: Watch, label: str, refused: list[str], taken: str
) -> None:
    watch.allow("status of 422")
    await chat.ask("Before", reply("Yes."))
    await chat.ended()
    dialog = await open_dialog(chat)
    for value in refused:
        await set_value(dialog.get_by_label(label), value)
        async with chat.page.expect_response("**/settings"):
            await dialog.get_by_role("button", name="Save").click()
        field = dialog.get_by_label(label)
        await expect(field).to_have_attribute("type", "number")  # the form that came back
        await expect(field).to_have_attribute("aria-invalid", "true")
        await expect(dialog.get_by_role("alert")).not_to_be_empty()
        assert await field.get_attribute("aria-describedby")
    await dialog.get_by_label(label).fill(taken)
    await dialog.get_by_role("button", name="Save").click()
    await expect(dialog).to_be_hidden()
    dialog = await open_dialog(chat)
    assert float(await dialog.get_by_label(label).input_value()) == float(taken)


async def test_the_next_request_carries_them(
    own_server: Callable[..., Server], visit: Visit
) -> None:
    server = await asyncio.to_thread(own_server, CHAT_MODELS="first,org/second:latest")
    chat = await visit(server)
    await chat.ask("Default?", reply("Yes."))
    await chat.ended()
    body = (await chat.answers.request("Default?")).body
    assert body["model"] == "first"
    assert not {"temperature", "top_p"} & body.keys()
    dialog = await open_dialog(chat)
    await dialog.get_by_label("Model").select_option("org/second:latest")
    await dialog.get_by_label("Temperature").fill("0.3")
    await dialog.get_by_label("Top p").fill("0.85")
    await dialog.get_by_label("Max tokens").fill("77")
    await dialog.get_by_role("button", name="Save").click()
    await expect(dialog).to_be_hidden()
    await chat.ask("Now?", reply("Yes."))
    await chat.reconciled()
    body = (await chat.answers.request("Now?")).body
    assert body["model"] == "org/second:latest"
    assert (body["temperature"], body["top_p"], body["max_tokens"]) == (0.3, 0.85, 77)
    await expect(chat.reply).to_contain_text("org/second:latest")


async def test_they_can_be_set_before_the_first_message(chat: Chat) -> None:
    dialog = await open_dialog(chat)
    await dialog.get_by_label("Temperature").fill("0.1")
    await dialog.get_by_role("button", name="Save").click()
    await expect(dialog).to_be_hidden()
    await expect(chat.sidebar.get_by_role("listitem")).to_have_count(1)  # "will be listed here"
    await chat.ask("Cold?", reply("Yes."))
    await expect(chat.text).to_have_text("Yes.")
    assert (await chat.answers.request("Cold?")).body["temperature"] == 0.1


async def test_cancelling_changes_nothing(chat: Chat) -> None:
    await chat.ask("Before", reply("Yes."))
    await chat.ended()
    dialog = await open_dialog(chat)
    await dialog.get_by_label("Temperature").fill("1.5")
    await dialog.get_by_role("button", name="Cancel").click()
    await expect(dialog).to_be_hidden()
    dialog = await open_dialog(chat)
    await expect(dialog.get_by_label("Temperature")).to_have_value("")
