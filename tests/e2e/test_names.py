"""The names and roles that assistive technology, scripts and acceptance checks rely on."""

from playwright.async_api import expect

from tests.fake_provider import Gate, Script, Text, reply

from .chat import Chat


async def test_the_parts_of_the_page_have_their_names(chat: Chat) -> None:
    page = chat.page
    await expect(page.get_by_role("textbox", name="Message", exact=True)).to_have_count(1)
    await expect(page.get_by_role("button", name="Send", exact=True)).to_be_visible()
    await expect(page.get_by_role("button", name="Stop", exact=True)).to_have_count(0)
    await expect(page.get_by_role("navigation", name="Conversations")).to_have_count(1)
    await expect(chat.sidebar.get_by_role("link", name="New chat", exact=True)).to_be_visible()
    await expect(page.get_by_role("status")).to_have_count(1)
    await expect(page.get_by_role("main")).to_have_count(1)
    await expect(page.get_by_role("heading", level=1)).to_have_count(1)
    form = page.locator("form", has=chat.box)
    assert await chat.box.get_attribute("name") == "text"
    await expect(form.locator("[name=csrfmiddlewaretoken]")).to_have_count(1)
    assert len(await form.locator("[name=key]").input_value()) >= 8


async def test_a_conversation_is_a_log_of_named_articles(chat: Chat) -> None:
    await chat.ask("Who?", Script(Text("Me"), Gate("held"), Text("!")))
    await expect(chat.text).to_have_text("Me")
    page = chat.page
    log = page.get_by_role("log", name="Conversation", exact=True)
    await expect(log.get_by_role("article")).to_have_count(2)
    await expect(log.get_by_role("article", name="You", exact=True)).to_contain_text("Who?")
    await expect(log.get_by_role("article", name="Parley", exact=True)).to_contain_text("Me")
    await expect(log.locator("article[data-role=assistant]")).to_contain_text("Me")
    await expect(page.get_by_role("button", name="Stop", exact=True)).to_be_visible()
    await expect(page.get_by_role("button", name="Send", exact=True)).to_have_count(0)
    await expect(page.get_by_role("status")).to_have_text("Writing…")
    # Nobody wants every token read out.
    await expect(log).to_have_attribute("aria-busy", "true")
    await chat.stop.click()
    await chat.ended("stopped")
    await expect(log).to_have_attribute("aria-busy", "false")


async def test_a_conversation_has_a_link_and_a_menu_in_the_list(chat: Chat) -> None:
    chat.provider.title = "Listed"
    await chat.ask("List me", reply("Listed."))
    link = chat.sidebar.get_by_role("link", name="Listed", exact=True)
    await expect(link).to_have_attribute("aria-current", "page")
    await chat.sidebar.locator("summary", has_text="Options for Listed").click()
    await expect(chat.sidebar.get_by_role("button", name="Rename", exact=True)).to_be_visible()
    await expect(chat.sidebar.get_by_role("link", name="Export", exact=True)).to_be_visible()
    await expect(chat.sidebar.get_by_role("button", name="Delete", exact=True)).to_be_visible()


async def test_the_export_downloads_the_conversation(chat: Chat) -> None:
    chat.provider.title = "Taken along"
    await chat.ask("Export me", reply("Exported."))
    await expect(chat.sidebar.get_by_role("link", name="Taken along")).to_be_visible()
    await chat.sidebar.locator("summary", has_text="Options for Taken along").click()
    async with chat.page.expect_download() as download:
        await chat.sidebar.get_by_role("link", name="Export").click()
    path = await (await download.value).path()
    text = path.read_text()
    assert "Export me" in text
    assert "Exported." in text
    await expect(chat.text).to_have_text("Exported.")
