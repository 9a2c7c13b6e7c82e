"""Stop: before the first token and after it, by button and by key, from any tab."""

import time

from playwright.async_api import expect

from tests.fake_provider import Gate, Request, Script, Text, reply

from .chat import Chat

SILENT = Script(Gate("never"), Text("too late"))
HALF = Script(Text("Half an ans"), Gate("never"), Text("wer"))


def closed_within_a_second(request: Request, asked_at: float) -> None:
    assert request.wait_closed() - asked_at <= 1


async def test_stop_before_the_first_token(chat: Chat) -> None:
    await chat.ask("Slow?", SILENT)
    await expect(chat.status).to_have_text("Waiting for the first token…")
    request = await chat.answers.request("Slow?")
    await chat.stop.click()
    asked_at = time.monotonic()
    await chat.ended("stopped")
    closed_within_a_second(request, asked_at)
    await expect(chat.reply).to_contain_text("You stopped this reply.")
    await expect(chat.status).to_have_text("Stopped.")
    await expect(chat.send).to_be_visible()
    answer = chat.export()["messages"][1]
    assert (answer["state"], answer["stop_reason"], answer["text"]) == ("stopped", "user", "")


async def test_stop_keeps_the_text_on_screen(chat: Chat) -> None:
    await chat.ask("Long?", HALF)
    await expect(chat.text).to_have_text("Half an ans")
    request = await chat.answers.request("Long?")
    await chat.stop.click()
    asked_at = time.monotonic()
    await chat.ended("stopped")
    closed_within_a_second(request, asked_at)
    await chat.reconciled()
    assert chat.saved()[1] == await chat.text.inner_text() == "Half an ans"
    await chat.reload()
    await expect(chat.text).to_have_text("Half an ans")
    await expect(chat.reply).to_contain_text("You stopped this reply.")


async def test_escape_stops(chat: Chat) -> None:
    await chat.ask("Escape?", HALF)
    await expect(chat.text).to_have_text("Half an ans")
    await chat.page.keyboard.press("Escape")
    await chat.ended("stopped")
    (await chat.answers.request("Escape?")).wait_closed()


async def test_escape_closes_what_is_open_before_it_stops(chat: Chat) -> None:
    await chat.ask("Escape first?", HALF)
    await expect(chat.text).to_have_text("Half an ans")
    await chat.page.get_by_role("button", name="Model and parameters").click()
    await expect(chat.dialog).to_be_visible()
    await chat.page.keyboard.press("Escape")
    await expect(chat.dialog).to_be_hidden()
    await chat.page.locator("summary", has_text="Your account").click()
    await chat.page.keyboard.press("Escape")
    await expect(chat.page.get_by_role("button", name="Sign out")).to_be_hidden()
    await expect(chat.status).to_have_text("Writing…")
    await chat.page.keyboard.press("Escape")
    await chat.ended("stopped")


async def test_a_reopened_page_can_stop(chat: Chat) -> None:
    await chat.ask("Still there?", HALF)
    await expect(chat.text).to_have_text("Half an ans")
    await chat.reload()
    await expect(chat.text).to_have_text("Half an ans")
    await expect(chat.status).to_have_text("Writing…")
    await chat.stop.click()
    await chat.ended("stopped")
    assert chat.saved()[1] == "Half an ans"


async def test_a_stopped_reply_can_be_regenerated(chat: Chat) -> None:
    await chat.ask("Once more?", HALF, reply("A whole answer."))
    await expect(chat.text).to_have_text("Half an ans")
    await chat.stop.click()
    await chat.ended("stopped")
    await chat.reply.get_by_role("button", name="Regenerate").click()
    await expect(chat.text).to_have_text("A whole answer.")
    await chat.ended()
    await expect(chat.replies).to_have_count(1)
    assert [m["state"] for m in chat.export()["messages"]] == ["complete", "stopped", "complete"]


async def test_stopping_a_fast_reply_shows_what_is_saved(chat: Chat) -> None:
    words = " ".join(f"word{number}" for number in range(20_000))
    await chat.ask("Fast?", Script(Text(words, rate=2_000)))
    await expect(chat.text).to_contain_text("word50")
    await chat.stop.click()
    await chat.ended("stopped")
    shown = (await chat.text.inner_text()).strip()
    assert shown
    assert chat.saved()[1].strip() == shown
