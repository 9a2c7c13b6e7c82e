"""The composer: what the keys do, and that nothing that was typed gets lost."""

import asyncio

import pytest
from playwright.async_api import Request, Route, expect

from tests.fake_provider import Done, Finish, Gate, Script, Text, reply

from .browser import Watch
from .chat import CONVERSATION, Chat
from .conftest import Visit
from .server import Server

HELD = Script(Text("Half an ans"), Gate("rest"), Text("wer."), Finish(), Done())


async def test_enter_sends_and_shift_enter_breaks_the_line(chat: Chat) -> None:
    chat.answers.to("One\nTwo", reply("Three"))
    await chat.box.press_sequentially("One")
    await chat.box.press("Shift+Enter")
    await chat.box.press_sequentially("Two")
    await chat.box.press("Enter")
    await expect(chat.questions).to_have_count(1)
    await expect(chat.text).to_have_text("Three")
    assert chat.saved()[0] == "One\nTwo"
    await expect(chat.box).to_have_value("")


async def test_an_empty_message_is_not_sent(chat: Chat, watch: Watch) -> None:
    watch.allow("status of 422")
    await chat.box.press("Enter")
    await chat.box.fill("   ")
    await chat.box.press("Enter")
    await chat.send.click()
    await expect(chat.page.get_by_role("alert")).to_have_text("Write a message first.")
    await chat.ask("Now really", reply("Yes."))
    await chat.ended()
    assert len(chat.saved()) == 2


async def test_enter_that_ends_a_composition_does_not_send(chat: Chat) -> None:
    session = await chat.page.context.new_cdp_session(chat.page)
    await session.send(
        "Input.imeSetComposition", {"text": "にほん", "selectionStart": 3, "selectionEnd": 3}
    )
    await expect(chat.box).to_have_value("にほん")
    # 229 is what browsers report for a key that the input method has taken.
    key = {"windowsVirtualKeyCode": 229, "code": "Enter", "key": "Process"}
    await session.send("Input.dispatchKeyEvent", {"type": "rawKeyDown", **key})
    await chat.box.dispatch_event("keydown", {"key": "Enter", "isComposing": True})
    # Safari ends the composition first, and marks the key by its code alone.
    await chat.box.dispatch_event("keydown", {"key": "Enter", "keyCode": 229})
    await session.send("Input.insertText", {"text": "日本"})
    await expect(chat.box).to_have_value("日本")
    await expect(chat.questions).to_have_count(0)
    chat.answers.to("日本", reply("はい"))
    await chat.box.press("Enter")
    await expect(chat.text).to_have_text("はい")
    assert chat.saved() == ["日本", "はい"]


async def test_hammering_sends_one_message(chat: Chat) -> None:
    chat.answers.to("Once only", reply("Once."))
    await chat.box.fill("Once only")
    await chat.page.evaluate(
        """() => {
          const box = document.getElementById("message-box");
          const press = () => box.dispatchEvent(
            new KeyboardEvent("keydown", { key: "Enter", bubbles: true, cancelable: true }));
          for (let i = 0; i < 8; i++) press();
          for (let i = 0; i < 4; i++) document.querySelector("button.send").click();
        }"""
    )
    await chat.ended()
    await expect(chat.questions).to_have_count(1)
    assert chat.saved() == ["Once only", "Once."]
    assert len(chat.answers.requests("Once only")) == 1


async def test_a_double_click_sends_one_message(chat: Chat) -> None:
    chat.answers.to("Twice?", reply("Once."))
    await chat.box.fill("Twice?")
    await chat.send.dblclick()
    await chat.ended()
    assert chat.saved() == ["Twice?", "Once."]


async def test_a_draft_survives_a_reload(chat: Chat) -> None:
    await chat.ask("Hello", reply("Hi."))
    await chat.ended()
    await chat.box.fill("Not sent yet")
    await chat.reload()
    await expect(chat.box).to_have_value("Not sent yet")
    await chat.ask("Sent now", reply("Good."))
    await chat.reload()
    await expect(chat.box).to_have_value("")


async def test_a_draft_of_a_new_conversation_survives_a_reload(chat: Chat) -> None:
    await chat.box.fill("My first words")
    await chat.reload()
    await expect(chat.box).to_have_value("My first words")
    await chat.ask("My first words", reply("Welcome."))
    await chat.page.wait_for_url(CONVERSATION)
    await chat.new.click()
    await chat.connected()
    await expect(chat.box).to_have_value("")


async def test_what_is_typed_while_sending_stays(chat: Chat) -> None:
    async def hold(route: Route) -> None:
        await chat.box.fill("And then?")
        await route.continue_()

    await chat.page.route("**/messages", hold)
    await chat.ask("First this", reply("Done."))
    await chat.ended()
    await expect(chat.box).to_have_value("And then?")


async def test_a_second_send_while_a_reply_is_written_is_declined_and_kept(
    chat: Chat, watch: Watch
) -> None:
    watch.allow("status of 409")
    await chat.ask("First", HELD)
    await expect(chat.text).to_have_text("Half an ans")
    await chat.box.fill("Impatient")
    await chat.box.press("Enter")
    await expect(chat.page.get_by_role("alert")).to_contain_text("A reply is still being written")
    await expect(chat.box).to_have_value("Impatient")
    chat.provider.open("rest")
    await chat.ended()
    chat.answers.to("Impatient", reply("Patience."))
    await chat.box.press("Enter")
    await expect(chat.text).to_have_text("Patience.")
    await expect(chat.error).to_be_empty()
    await expect(chat.box).to_have_value("")


async def test_a_message_that_is_too_long_is_declined_and_kept(chat: Chat, watch: Watch) -> None:
    watch.allow("status of 422")
    long = "word " * 8_000
    await chat.box.fill(long)
    await chat.box.press("Enter")
    await expect(chat.page.get_by_role("alert")).to_contain_text("32,000")
    await expect(chat.box).to_have_value(long)


@pytest.mark.parametrize("status", [500, 502, 503])
async def test_a_send_that_the_server_fails_keeps_the_text_and_says_so(
    chat: Chat, watch: Watch, status: int
) -> None:
    watch.allow(f"status of {status}")
    page = "<html><head><title>Bad</title></head><body><h1>Bad gateway</h1></body></html>"
    failing = True

    async def fail(route: Route) -> None:
        if failing:
            await route.fulfill(status=status, body=page, content_type="text/html")
        else:
            await route.continue_()

    await chat.page.route("**/messages", fail)
    await chat.box.fill("Precious words")
    await chat.box.press("Enter")
    await expect(chat.page.get_by_role("alert")).to_contain_text("could not be sent")
    await expect(chat.box).to_have_value("Precious words")
    await expect(chat.page).to_have_title("Parley")
    failing = False
    await chat.ask("Precious words", reply("Received."))
    await expect(chat.text).to_have_text("Received.")
    await expect(chat.error).to_be_empty()


async def test_a_send_without_a_network_keeps_the_text_and_says_so(
    chat: Chat, watch: Watch
) -> None:
    watch.allow("Failed to fetch", "ERR_INTERNET_DISCONNECTED", "ERR_FAILED")
    await chat.page.route("**/messages", lambda route: route.abort("internetdisconnected"))
    await chat.box.fill("Precious words")
    await chat.box.press("Enter")
    await expect(chat.page.get_by_role("alert")).to_contain_text("could not be sent")
    await expect(chat.box).to_have_value("Precious words")
    await chat.page.unroute("**/messages")
    await chat.ask("Precious words", reply("Received."))
    await expect(chat.text).to_have_text("Received.")


async def test_a_page_that_is_out_of_date_says_so_and_keeps_the_text(
    chat: Chat, watch: Watch
) -> None:
    watch.allow("status of 403")
    await chat.page.context.clear_cookies(name="csrftoken")
    await chat.box.fill("Precious words")
    await chat.box.press("Enter")
    await expect(chat.page.get_by_role("alert")).to_contain_text("Reload it and try again")
    await expect(chat.box).to_have_value("Precious words")
    await expect(chat.page.get_by_role("heading", level=1)).to_have_count(1)
    await chat.reload()
    await expect(chat.box).to_have_value("Precious words")
    chat.answers.to("Precious words", reply("Received."))
    await chat.box.press("Enter")
    await expect(chat.text).to_have_text("Received.")


async def test_without_scripts_the_form_still_sends(server: Server, visit: Visit) -> None:
    chat = await visit(server, java_script_enabled=False)
    chat.answers.to("Plainly?", reply("Plainly."))
    await chat.box.fill("Plainly?")
    await chat.send.click()
    await chat.page.wait_for_url(CONVERSATION)
    await expect(chat.questions).to_contain_text("Plainly?")
    request = await chat.answers.request("Plainly?")
    await asyncio.to_thread(request.wait_finished)
    await chat.page.reload()
    await expect(chat.text).to_have_text("Plainly.")


async def test_an_answer_that_got_lost_does_not_send_twice_or_swallow_an_edit(
    chat: Chat, watch: Watch
) -> None:
    watch.allow("Failed to fetch", "ERR_FAILED")
    seen: list[Request] = []

    async def lose_the_first_answer(route: Route) -> None:
        seen.append(route.request)
        if len(seen) == 1:
            await route.fetch()
            await route.abort()
        else:
            await route.continue_()

    await chat.page.route("**/messages", lose_the_first_answer)
    chat.answers.to("As it was", reply("Fine."))
    await chat.box.fill("As it was")
    await chat.box.press("Enter")
    await expect(chat.error).to_contain_text("could not be sent")
    await expect(chat.text).to_have_text("Fine.")  # it had arrived
    await chat.box.press("Enter")
    await expect(chat.box).to_have_value("")
    await expect(chat.questions).to_have_count(1)
    assert len(seen) == 2
    await chat.ask("Something new", reply("Good."))
    await chat.ended()
    assert chat.saved() == ["As it was", "Fine.", "Something new", "Good."]


async def test_an_edit_after_a_lost_answer_is_a_message_of_its_own(
    chat: Chat, watch: Watch
) -> None:
    watch.allow("Failed to fetch", "ERR_FAILED")
    lost: list[Request] = []

    async def lose_the_first_answer(route: Route) -> None:
        if lost:
            await route.continue_()
        else:
            lost.append(route.request)
            await route.fetch()
            await route.abort()

    await chat.page.route("**/messages", lose_the_first_answer)
    chat.answers.to("As it was", reply("Fine."))
    await chat.box.fill("As it was")
    await chat.box.press("Enter")
    await expect(chat.text).to_have_text("Fine.")
    await chat.ended()
    await chat.ask("As it should be", reply("Better."))
    await expect(chat.text).to_have_text("Better.")
    assert chat.saved() == ["As it was", "Fine.", "As it should be", "Better."]


async def test_the_composer_grows_with_its_text_up_to_a_limit(chat: Chat) -> None:
    async def height() -> float:
        box = await chat.box.bounding_box()
        assert box is not None
        return box["height"]

    one = await height()
    await chat.box.fill("\n".join("line" for _ in range(4)))
    assert await height() > one * 2
    await chat.box.fill("\n".join("line" for _ in range(200)))
    viewport = chat.page.viewport_size
    assert viewport is not None
    assert await height() <= viewport["height"] / 2
    await expect(chat.send).to_be_in_viewport()


async def test_control_shift_o_starts_a_new_chat(chat: Chat) -> None:
    await chat.ask("Old", reply("Old."))
    await chat.ended()
    await chat.page.keyboard.press("Control+Shift+O")
    await chat.page.wait_for_url(chat.server.url + "/")
    await chat.connected()
    await expect(chat.log.get_by_role("article")).to_have_count(0)
    await expect(chat.box).to_be_focused()
