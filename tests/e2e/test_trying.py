"""Policy and rules in the administration: the box to try them out, and what holds without them."""

import pytest
from playwright.async_api import Page, expect

from .conftest import Visit
from .server import Server
from .test_accessibility import is_clean

LISTS = ["/admin/chat/policyrule/", "/admin/chat/moderationrule/"]
FORMS = [f"{path}add/" for path in LISTS]
RUDE = "I will kill you."


async def try_out(page: Page, text: str) -> None:
    """With the keyboard alone, from the text to what moderation says of it."""
    box = page.get_by_role("group").get_by_label("Text")
    await box.fill(text)
    await box.press("Tab")
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("button", name="Try", exact=True)).to_be_focused()
    await page.keyboard.press("Enter")


@pytest.mark.parametrize("path", LISTS)
async def test_a_list_tries_what_holds_below_it(server: Server, visit: Visit, path: str) -> None:
    page = (await visit(server, path, who=server.administrator, connect=False)).page
    await is_clean(page)
    for width in (1280, 390):
        await page.set_viewport_size({"width": width, "height": 844})
        box, listed = page.locator(".try-box"), page.locator("#changelist")
        above, below = await listed.bounding_box(), await box.bounding_box()
        assert above is not None
        assert below is not None
        assert below["y"] >= above["y"] + above["height"]
        assert below["width"] > 300
    await try_out(page, RUDE)
    found = page.get_by_role("region", name="What moderation says")
    await expect(found).to_be_focused()
    await expect(found).to_be_in_viewport()
    await expect(found.get_by_role("status")).to_contain_text("Flag")
    await expect(found.locator("mark")).to_have_text(RUDE)
    await is_clean(page)


async def test_a_list_says_what_holds_without_a_rule(server: Server, visit: Visit) -> None:
    page = (await visit(server, LISTS[0], who=server.administrator, connect=False)).page
    default = page.get_by_role("region", name="What no rule above covers")
    await expect(default.get_by_role("listitem")).to_have_text(
        ["What people write: Flag", "What the model writes: Withhold"]
    )


@pytest.mark.parametrize("path", FORMS)
async def test_a_form_tries_what_stands_in_it(server: Server, visit: Visit, path: str) -> None:
    page = (await visit(server, path, who=server.administrator, connect=False)).page
    await is_clean(page)
    await try_out(page, RUDE)  # with nothing in the form, which could not be saved
    problem = page.get_by_text("Correct the form above first")
    await expect(problem).to_be_focused()
    await is_clean(page)
    if path == FORMS[0]:
        await page.get_by_label("Direction").select_option("input")
        await page.get_by_label("Action:", exact=True).select_option("stop")
    else:
        await page.get_by_label("Name").fill("Threats")
        await page.get_by_label("Kind").select_option("pattern")
        await page.get_by_label("What to look for").fill("(?i)kill")
        await page.get_by_label("Category").fill("threat")
    await try_out(page, RUDE)
    found = page.get_by_role("region", name="What moderation says")
    await expect(found).to_be_focused()
    await expect(found.locator("mark").first).to_be_in_viewport()
    said = "Stop" if path == FORMS[0] else "Flag"
    await expect(found.get_by_role("status")).to_contain_text(said)
    await is_clean(page)
