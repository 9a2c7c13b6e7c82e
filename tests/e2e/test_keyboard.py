"""Everything by keyboard: reached in a sensible order, seen, used, and come back from."""

from typing import Any

from playwright.async_api import expect

from tests.fake_provider import reply

from .axe import WIDTHS
from .chat import Chat
from .conftest import Visit
from .server import Server
from .test_conversation import MARKDOWN

# What has the focus, and whether it can be seen that it has.
FOCUSED = """() => {
  const element = document.activeElement;
  const ring = (e) => {
    const style = getComputedStyle(e);
    return (style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 1)
      || style.boxShadow !== "none";
  };
  const box = element.getBoundingClientRect();
  return {
    name: (element.getAttribute("aria-label") ?? element.innerText ?? "").trim()
      || element.labels?.[0]?.innerText.trim() || element.id,
    ring: ring(element) || ring(element.parentElement),
    inView: box.width > 0 && box.bottom > 0 && box.top < innerHeight
      && box.right > 0 && box.left < innerWidth,
    opacity: Math.min(...[element, element.parentElement].map((e) => getComputedStyle(e).opacity)),
    body: element === document.body,
  };
}"""


async def tabbed(chat: Chat, key: str = "Tab") -> dict[str, Any]:
    await chat.page.keyboard.press(key)
    found: dict[str, Any] = await chat.page.evaluate(FOCUSED)
    return found


async def round_trip(chat: Chat) -> list[str]:
    """The names of everything that Tab comes by, once around the page."""
    names = []
    await chat.page.evaluate("document.activeElement.blur()")
    await chat.page.evaluate("getSelection().removeAllRanges()")
    for _ in range(60):
        focused = await tabbed(chat)
        if focused["body"] or (names and focused["name"] == names[0]):
            return names
        assert focused["ring"], f"no visible focus: {focused}"
        assert focused["inView"], f"focus out of sight: {focused}"
        assert focused["opacity"] > 0.9, f"focus on something invisible: {focused}"
        names.append(focused["name"])
    raise AssertionError(f"no end: {names}")


async def test_tab_reaches_everything_in_the_order_of_the_page(chat: Chat) -> None:
    chat.provider.title = "Listed"
    await chat.ask("All of markdown?", reply(MARKDOWN))
    await expect(chat.sidebar.get_by_role("link", name="Listed")).to_be_visible()
    await chat.reconciled()
    await chat.page.evaluate("document.querySelector('.skip-link').focus()")
    names = ["Skip to the message box", *await round_trip(chat)]
    wanted = [
        "Skip to the message box",
        "Parley",
        "New chat",
        "Listed",
        "Options for Listed",
        "Your account",
        "Model and parameters",
        "Copy",  # of the question
        "Edit",
        "https://example.org/tides",
        "Table",
        "Copy",  # of the code
        "linked",
        "Copy",  # of the reply
        "Regenerate",
        "Message",
        "Send",
    ]
    rest = iter(names)
    missing = [name for name in wanted if not any(name in passed for passed in rest)]
    assert not missing, (missing, names)


async def test_the_skip_link_leads_to_the_message_box(chat: Chat) -> None:
    await chat.page.get_by_role("link", name="Parley").focus()
    await chat.page.keyboard.press("Shift+Tab")
    await expect(chat.page.get_by_role("link", name="Skip to the message box")).to_be_focused()
    await chat.page.keyboard.press("Enter")
    await expect(chat.box).to_be_focused()


async def test_a_menu_opens_leads_and_closes_by_keyboard(chat: Chat) -> None:
    chat.provider.title = "By keyboard"
    await chat.ask("Menu?", reply("Yes."))
    await expect(chat.sidebar.get_by_role("link", name="By keyboard")).to_be_visible()
    options = chat.sidebar.locator("summary", has_text="Options for By keyboard")
    await options.focus()
    await chat.page.keyboard.press("Enter")
    rename = chat.sidebar.get_by_role("button", name="Rename")
    await expect(rename).to_be_visible()
    await chat.page.keyboard.press("Tab")
    await expect(rename).to_be_focused()
    await chat.page.keyboard.press("Escape")
    await expect(rename).to_be_hidden()
    await expect(options).to_be_focused()


async def test_a_dialog_keeps_the_focus_and_gives_it_back(chat: Chat) -> None:
    opener = chat.page.get_by_role("button", name="Model and parameters")
    await opener.focus()
    await chat.page.keyboard.press("Enter")
    await expect(chat.dialog).to_be_visible()
    for _ in range(12):
        await chat.page.keyboard.press("Tab")
        inside = "document.getElementById('dialog').contains(document.activeElement)"
        # A modal dialog leaves the browser's own bar reachable, and nothing else of the page.
        assert await chat.page.evaluate(f"{inside} || document.activeElement === document.body")
    await chat.page.keyboard.press("Escape")
    await expect(chat.dialog).to_be_hidden()
    await expect(opener).to_be_focused()


async def test_a_dialog_from_a_menu_gives_the_focus_back_to_the_menu(chat: Chat) -> None:
    chat.provider.title = "Dialogued"
    await chat.ask("Menu?", reply("Yes."))
    await expect(chat.sidebar.get_by_role("link", name="Dialogued")).to_be_visible()
    options = chat.sidebar.locator("summary", has_text="Options for Dialogued")
    for item, leave in (("Rename", "Escape"), ("Delete", "Enter"), ("Rename", "Save")):
        await options.focus()
        await chat.page.keyboard.press("Enter")
        await chat.sidebar.get_by_role("button", name=item).press("Enter")
        await expect(chat.dialog).to_be_visible()
        if leave == "Save":
            await chat.dialog.get_by_label("Title").press("Enter")
        else:
            await chat.page.keyboard.press(leave)  # Enter: Cancel has the focus
        await expect(chat.dialog).to_be_hidden()
        await expect(options).to_be_focused()


async def test_the_drawer_keeps_the_focus_and_gives_it_back(server: Server, visit: Visit) -> None:
    chat = await visit(server, viewport=WIDTHS["narrow"])
    opener = chat.page.get_by_role("button", name="Conversations")
    await opener.focus()
    await chat.page.keyboard.press("Enter")
    await expect(opener).to_have_attribute("aria-expanded", "true")
    closer = chat.page.get_by_role("button", name="Close")
    await expect(closer).to_be_focused()
    for _ in range(8):
        await chat.page.keyboard.press("Tab")
        inside = "document.getElementById('sidebar').contains(document.activeElement)"
        assert await chat.page.evaluate(f"{inside} || document.activeElement === document.body")
    await chat.new.focus()
    await chat.page.keyboard.press("Escape")
    await expect(chat.new).to_be_hidden()
    await expect(opener).to_be_focused()
    await expect(opener).to_have_attribute("aria-expanded", "false")


async def test_code_and_tables_scroll_by_keyboard(chat: Chat) -> None:
    wide = "```\n" + "x" * 400 + "\n```\n\n"
    await chat.ask("Wide?", reply(wide + MARKDOWN))
    await chat.ended()
    await chat.text.locator("pre").first.focus()
    await chat.page.keyboard.press("ArrowRight")
    await chat.until("document.querySelector('.body pre').scrollLeft > 0")


async def test_what_runs_is_told_and_the_composer_keeps_the_focus(chat: Chat) -> None:
    await chat.ask("Focus?", reply("Yes."))
    await chat.ended()
    await expect(chat.box).to_be_focused()
    await expect(chat.status).to_have_attribute("role", "status")
