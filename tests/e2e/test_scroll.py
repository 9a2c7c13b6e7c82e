"""Following the newest text, letting go of it, and the way back."""

from playwright.async_api import expect

from tests.fake_provider import Done, Finish, Gate, Script, Text, reply

from .chat import Chat

LINES = "".join(f"Line {number}.\n\n" for number in range(80))
AT_END = """(() => { const t = document.getElementById("transcript");
  return t.scrollHeight - t.scrollTop - t.clientHeight <= 2; })()"""
SCROLLED = "document.getElementById('transcript').scrollTop"


def long(gate: str) -> Script:
    more = LINES.replace("Line", "More")
    return Script(Text(LINES), Gate(gate), Text(more), Finish(), Done())


async def scroll_up(chat: Chat) -> float:
    before = await chat.page.evaluate(SCROLLED)
    await chat.log.hover()
    await chat.page.mouse.wheel(0, -600)
    await chat.until(f"{SCROLLED} < {before} - 500")
    await expect(chat.jump).to_be_visible()
    return float(await chat.page.evaluate(SCROLLED))


async def test_the_page_follows_the_newest_text(chat: Chat) -> None:
    await chat.ask("Long?", long("more"))
    await expect(chat.text).to_contain_text("Line 79.")
    await chat.until(AT_END)
    await expect(chat.jump).to_be_hidden()
    chat.provider.open("more")
    await chat.ended()
    await chat.until(AT_END)
    await expect(chat.reply.get_by_text("More 79.")).to_be_in_viewport()


async def test_scrolling_up_lets_go_and_jumping_comes_back(chat: Chat) -> None:
    await chat.ask("Long?", long("more"))
    await expect(chat.text).to_contain_text("Line 79.")
    await chat.until(AT_END)
    there = await scroll_up(chat)
    chat.provider.open("more")
    await chat.ended()
    assert await chat.page.evaluate(SCROLLED) == there
    await chat.jump.click()
    await chat.until(AT_END)
    await expect(chat.jump).to_be_hidden()
    await expect(chat.reply.get_by_text("More 79.")).to_be_in_viewport()


async def test_scrolling_down_to_the_end_follows_again(chat: Chat) -> None:
    await chat.ask("Long?", long("more"))
    await expect(chat.text).to_contain_text("Line 79.")
    await chat.until(AT_END)
    await scroll_up(chat)
    await chat.page.mouse.wheel(0, 5_000)
    await chat.until(AT_END)
    await expect(chat.jump).to_be_hidden()
    chat.provider.open("more")
    await chat.ended()
    await chat.until(AT_END)


async def test_the_keyboard_scrolls_too(chat: Chat) -> None:
    await chat.ask("Long?", reply(LINES))
    await chat.ended()
    await chat.until(AT_END)
    await chat.page.evaluate("document.getElementById('transcript').focus()")
    await chat.page.keyboard.press("PageUp")
    await expect(chat.jump).to_be_visible()
    await chat.page.keyboard.press("End")
    await chat.until(AT_END)
    await expect(chat.jump).to_be_hidden()


async def test_sending_goes_to_the_end(chat: Chat) -> None:
    await chat.ask("Long?", reply(LINES))
    await chat.ended()
    await chat.until(AT_END)
    await scroll_up(chat)
    await chat.ask("Short?", reply("Short."))
    await expect(chat.text).to_have_text("Short.")
    await chat.until(AT_END)
    await expect(chat.jump).to_be_hidden()


async def test_a_reload_opens_at_the_end(chat: Chat) -> None:
    await chat.ask("Long?", reply(LINES))
    await chat.ended()
    await chat.reload()
    await chat.until(AT_END)
