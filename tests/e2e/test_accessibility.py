"""axe-core finds nothing on any page, in both themes, wide and narrow."""

import json

import pytest
from playwright.async_api import Page, expect

from tests.fake_provider import Cut, Gate, Reasoning, Script, Status, Text, reply

from .axe import SCHEMES, WIDTHS, violations
from .browser import Watch
from .chat import Chat
from .conftest import Visit
from .server import Server
from .test_conversation import MARKDOWN
from .test_moderation import FLAGGED

# What takes a hundredth of a millisecond moves nothing, and may be there until the next frame.
MOVING = """document.getAnimations().filter((animation) =>
    animation.playState === "running" && animation.effect.getComputedTiming().endTime > 1).length"""
OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


async def is_clean(page: Page, widths: str = "wide narrow", *without: str) -> None:
    """At both widths and in both themes; and the page itself never scrolls sideways."""
    found = []
    for width in widths.split():
        await page.set_viewport_size(WIDTHS[width])
        for scheme in SCHEMES:
            await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            found += [{"at": f"{width}, {scheme}", **v} for v in await violations(page, without)]
        assert await page.evaluate(OVERFLOW) <= 0, f"scrolls sideways at {width}"
    assert not found, json.dumps(found, indent=1)


@pytest.mark.parametrize(
    "path",
    [
        "/accounts/login/",
        "/accounts/signup/",
        "/accounts/password/reset/",
        "/accounts/password/reset/done/",
    ],
)
async def test_the_entrance(server: Server, visit: Visit, path: str) -> None:
    await is_clean((await visit(server, path, who=None)).page)


async def test_refused_forms(server: Server, visit: Visit) -> None:
    page = (await visit(server, "/accounts/signup/", who=None)).page
    await page.get_by_label("Username").fill("someone")
    await page.get_by_label("Email").fill("someone@example.org")
    await page.get_by_label("Password", exact=True).fill("password")
    await page.get_by_label("Confirm password").fill("passwords")
    await page.get_by_role("button", name="Sign up").click()
    await expect(page.get_by_role("alert")).to_be_visible()
    await is_clean(page)


async def test_a_page_that_is_not_there(server: Server, visit: Visit, watch: Watch) -> None:
    watch.allow("status of 404")
    page = (await visit(server, "/accounts/login/", who=None)).page
    await page.goto("/nothing-here/")
    await expect(page.get_by_role("heading")).to_have_text("There is nothing here")
    await is_clean(page)


@pytest.mark.parametrize(
    "path", ["/accounts/password/change/", "/accounts/logout/", "/accounts/data/"]
)
async def test_pages_of_ones_account(chat: Chat, path: str) -> None:
    await chat.page.goto(path)
    await expect(chat.page.get_by_role("main").get_by_role("button").first).to_be_visible()
    await is_clean(chat.page)


async def test_a_new_chat(chat: Chat) -> None:
    await is_clean(chat.page)


async def test_a_conversation_with_everything_in_it(chat: Chat) -> None:
    await chat.ask("All of markdown?", reply(MARKDOWN))
    await chat.reconciled()
    await chat.ask("Fail?", Script(Status(401)))
    await chat.ended("failed")
    await chat.ask("Break off?", Script(Text("Half an ans"), Cut()))
    await chat.ended("interrupted")
    await chat.ask("Be rude?", reply(FLAGGED))
    await expect(chat.reply).to_contain_text("withheld")
    await chat.ask("Stop?", Script(Text("Half"), Gate("never"), Text("!")))
    await expect(chat.text).to_have_text("Half")
    await chat.stop.click()
    await chat.ended("stopped")
    await chat.reconciled()
    await is_clean(chat.page)
    # A page of 1280 pixels at four times its size.
    await chat.page.set_viewport_size({"width": 320, "height": 256})
    assert await chat.page.evaluate(OVERFLOW) <= 0


async def test_while_a_reply_is_written(chat: Chat) -> None:
    held = Script(Reasoning("Let me think."), Text("So far: `x`"), Gate("never"), Text("!"))
    await chat.ask("Think?", held)
    await expect(chat.text).to_contain_text("So far")
    await chat.reply.get_by_text("Thought for").click()
    await is_clean(chat.page)
    # Nothing moves for people who asked for that.
    assert await chat.page.evaluate(MOVING) == 0


async def test_dialogs_and_menus(chat: Chat) -> None:
    chat.provider.title = "In the list"
    await chat.ask("Dialogs?", reply("Yes."))
    await expect(chat.sidebar.get_by_role("link", name="In the list")).to_be_visible()
    await chat.page.get_by_role("button", name="Model and parameters").click()
    await expect(chat.dialog).to_be_visible()
    await is_clean(chat.page)
    await chat.page.keyboard.press("Escape")
    await chat.page.set_viewport_size(WIDTHS["wide"])
    for item in ("Rename", "Delete"):
        await chat.menu("In the list", item)
        await expect(chat.dialog).to_be_visible()
        await is_clean(chat.page)
        await chat.page.keyboard.press("Escape")
        await chat.page.set_viewport_size(WIDTHS["wide"])
    await chat.sidebar.locator("summary", has_text="Options for In the list").click()
    await is_clean(chat.page, "wide")
    await chat.page.keyboard.press("Escape")
    await chat.page.locator("summary", has_text="Your account").click()
    await is_clean(chat.page, "wide")


async def test_a_refused_dialog(chat: Chat, watch: Watch) -> None:
    watch.allow("status of 422")
    await chat.page.get_by_role("button", name="Model and parameters").click()
    await chat.dialog.get_by_label("Temperature").fill("7")
    await chat.dialog.get_by_role("button", name="Save").click()
    await expect(chat.dialog.get_by_role("alert")).to_be_visible()
    await is_clean(chat.page)


async def test_the_drawer_of_a_narrow_page(server: Server, visit: Visit) -> None:
    chat = await visit(server, viewport=WIDTHS["narrow"])
    await chat.ask("Narrow?", reply("Yes."))
    await chat.ended()
    await chat.page.get_by_role("button", name="Conversations").click()
    await expect(chat.new).to_be_visible()
    # What lies behind is out of reach, as behind a dialog.
    await is_clean(chat.page, "narrow", "landmark-one-main", "page-has-heading-one")


async def test_a_transcript_in_the_administration(server: Server, visit: Visit) -> None:
    chat = await visit(server, who=server.administrator)
    await chat.ask("On the record?", reply(MARKDOWN))
    await chat.reconciled()
    conversation = chat.path.split("/")[2]
    await chat.page.goto(f"/admin/chat/conversation/{conversation}/change/")
    await expect(chat.page.get_by_text("On the record?").first).to_be_visible()
    await is_clean(chat.page, "wide")
