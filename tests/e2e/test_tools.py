"""Tool calls on the page: cards that form, run, ask and stay the same over a reload."""

import pytest
from playwright.async_api import Page, expect

from tests.fake_provider import Chunk, Done, Finish, Gate, Script, Text, reply, tool_call

from .chat import Chat
from .test_accessibility import is_clean

SUM = tool_call("calculator", '{"expression": "6 * 7"}')
HOSTILE = '<img src=x onerror="document.title=1"><script>document.title=2</script>'


async def assistant(page: Page, *tools: str, asks: bool = False) -> None:
    """Make one with these tools and open a chat with it."""
    await page.goto("/assistants/new/")
    for tool in tools:
        await page.locator(f"input[name=tools][value={tool}]").check()
        if asks:
            await page.locator(f"input[name=approvals][value={tool}]").check()
    await page.get_by_label("Name", exact=True).fill("Helper")
    await page.get_by_role("button", name="Save").click()
    await page.get_by_role("link", name="Start a chat").click()


async def words(chat: Chat) -> str:
    """All that a reader can read of the newest reply, folded results too."""
    await chat.page.evaluate(
        "document.querySelectorAll('.call details').forEach((d) => { d.open = true; })"
    )
    return " ".join((await chat.text.inner_text()).split())


async def test_a_card_forms_is_run_and_is_the_same_after_a_reload(chat: Chat) -> None:
    await assistant(chat.page, "calculator", "current_time")
    await chat.connected()
    first, *rest = SUM
    chat.answers.to("42", reply("**That** is it."))
    await chat.ask(
        "6 * 7?",
        Script(
            Text("Let me *see*."), first, Gate("name"), *rest[:5], Gate("arguments"), *rest[5:],
            Finish("tool_calls"), Done(),
        ),
    )  # fmt: skip
    card = chat.reply.get_by_role("group", name="Tool call: calculator")
    await expect(card).to_contain_text("Preparing…")
    chat.provider.open("name")
    await expect(card.locator("dt")).to_have_text("expression")
    chat.provider.open("arguments")
    await expect(card).to_contain_text("Done")
    await expect(card.locator("dd")).to_have_text("6 * 7")
    await expect(chat.text).to_contain_text("That is it.")
    await chat.ended()
    shown = await words(chat)
    assert "Let me see. calculator" in shown
    await chat.reload()
    assert await words(chat) == shown
    await is_clean(chat.page)


async def test_many_calls_at_once_and_hostile_ones(chat: Chat) -> None:
    await assistant(chat.page, "calculator", "current_time")
    await chat.connected()
    chat.answers.to("There is no tool", reply("Sorry."))
    hostile = tool_call(HOSTILE, f'{{"{HOSTILE[5:9]}": "<b>{"x" * 300}"}}', call_id="c2", index=1)
    chat.provider.choose = None
    chat.provider.enqueue(
        Script(*SUM, *hostile, *tool_call("current_time", "{}", call_id="c3", index=2),
               Text("After."), Finish("tool_calls"), Done()),
        Script(Text("One."), *tool_call("calculator", "[1]"), Finish("tool_calls"), Done()),
        reply("Two."),
    )  # fmt: skip
    await chat.box.fill("All?")
    await chat.box.press("Enter")
    await expect(chat.text).to_contain_text("Two.")
    await chat.ended()
    assert await chat.page.title() not in {"1", "2"}
    assert await chat.text.locator("img, script").count() == 0
    cards = chat.reply.locator(".call")
    await expect(cards).to_have_count(4)
    assert [await cards.nth(n).get_attribute("data-step") for n in range(4)] == [
        "done", "invalid", "done", "invalid",
    ]  # fmt: skip
    shown = await words(chat)
    await chat.reload()
    assert await words(chat) == shown
    await is_clean(chat.page)


@pytest.mark.parametrize("button", ["Approve", "Deny"])
async def test_who_is_asked_decides_in_any_tab(chat: Chat, button: str) -> None:
    await assistant(chat.page, "calculator", asks=True)
    await chat.connected()
    chat.answers.to("42", reply("It is 42."))
    chat.answers.to("The user did not allow this call.", reply("As you wish."))
    await chat.ask("6 * 7?", Script(*SUM, Finish("tool_calls"), Done()))
    await expect(chat.reply.get_by_role("button", name=button)).to_be_visible()
    await expect(chat.status).to_contain_text("A tool call waits for your approval.")
    await expect(chat.stop).to_be_visible()
    await is_clean(chat.page)
    other = await chat.tab()
    await other.reply.get_by_role("button", name=button).click()
    for tab in (chat, other):
        await expect(tab.text).to_contain_text("It is 42." if button == "Approve" else "As you")
        await expect(tab.reply.get_by_role("button", name=button)).to_be_hidden()
        await tab.ended()


async def test_stop_while_a_call_waits(chat: Chat) -> None:
    await assistant(chat.page, "calculator", asks=True)
    await chat.connected()
    await chat.ask("6 * 7?", Script(*SUM, Finish("tool_calls"), Done()))
    await expect(chat.reply.get_by_role("button", name="Approve")).to_be_visible()
    await chat.stop.click()
    await chat.ended("stopped")
    await expect(chat.reply.get_by_role("button", name="Approve")).to_be_hidden()
    await expect(chat.reply.locator(".call")).to_contain_text("Stopped")


FORM = '{"title": "Soup", "steps": ["Boil", "Stir"], "easy": true}'


async def test_an_answer_in_a_form_grows_and_says_what_is_wrong(chat: Chat) -> None:
    page = chat.page
    await page.goto("/assistants/new/")
    await page.get_by_label("Response schema").fill(
        '{"type": "object", "properties": {"title": {"type": "string", "title": "Name of it"},'
        ' "steps": {"type": "array", "maxItems": 1}}}'
    )
    await page.get_by_label("Name", exact=True).fill("Cook")
    await page.get_by_role("button", name="Save").click()
    await page.get_by_role("link", name="Start a chat").click()
    await chat.connected()
    pieces = [Chunk({"content": FORM[:14]}), Gate("more"), Chunk({"content": FORM[14:34]})]
    await chat.ask("How?", Script(*pieces, Gate("rest"), Text(FORM[34:]), Finish(), Done()))
    card = chat.reply.locator(".body > .answer")
    await expect(card).to_contain_text("Name of it")
    await expect(card).to_contain_text("So")
    chat.provider.open("more")
    await expect(card).to_contain_text("Soup")
    chat.provider.open("rest")
    await expect(card.locator("li")).to_have_count(2)
    await expect(card).to_contain_text("Yes")
    await expect(chat.reply.get_by_role("alert")).to_contain_text("steps")
    await expect(chat.reply.get_by_role("button", name="Try again")).to_be_visible()
    shown = await chat.text.inner_text()
    assert not set(shown) & set('{}[]"')
    await is_clean(page)
    await chat.reload()
    assert await chat.text.inner_text() == shown
