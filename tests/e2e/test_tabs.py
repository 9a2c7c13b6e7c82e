"""Several tabs of one person show the same."""

import re

from playwright.async_api import expect

from tests.fake_provider import Done, Finish, Gate, Script, Text, Usage, reply

from .chat import Chat
from .conftest import Visit
from .server import Server

TWO_PARTS = Script(
    Text("The first "), Gate("rest"), Text("and the last."), Finish(), Usage(), Done()
)


async def same_text(one: Chat, other: Chat) -> str:
    """The same but for the time to the first token.

    It may be written down when a short reply's line has been shown, and is in it after a reload.
    """
    text, others = [
        re.sub(r"first token [\d.]+ m?s", "first token", await tab.log.inner_text())
        for tab in (one, other)
    ]
    assert others == text
    return text


async def test_a_second_tab_joins_a_running_reply(chat: Chat) -> None:
    await chat.ask("Both?", TWO_PARTS)
    await expect(chat.text).to_have_text("The first")
    other = await chat.tab()
    await expect(other.text).to_have_text("The first")
    await expect(other.status).to_have_text("Writing…")
    chat.provider.open("rest")
    await expect(other.text).to_have_text("The first and the last.")
    for tab in (chat, other):
        await tab.reconciled()
        await expect(tab.status).to_have_text("Done.")
    await same_text(chat, other)
    assert len(chat.answers.requests("Both?")) == 1


async def test_a_reload_in_the_middle_goes_on(chat: Chat) -> None:
    await chat.ask("Reload?", TWO_PARTS)
    await expect(chat.text).to_have_text("The first")
    await chat.reload()
    await expect(chat.text).to_have_text("The first")
    chat.provider.open("rest")
    await expect(chat.text).to_have_text("The first and the last.")
    await chat.ended()
    await expect(chat.log.get_by_role("article")).to_have_count(2)


async def test_what_one_tab_sends_shows_in_the_other(chat: Chat) -> None:
    await chat.ask("One", reply("First."))
    await chat.ended()
    other = await chat.tab()
    await other.ask("Two", reply("Second."))
    await expect(chat.questions.last).to_contain_text("Two")
    await expect(chat.text).to_have_text("Second.")
    for tab in (chat, other):
        await tab.reconciled()
    await same_text(chat, other)
    await chat.ask("Three", reply("Third."))
    await expect(other.text).to_have_text("Third.")


async def test_a_stop_in_one_tab_shows_in_the_other(chat: Chat) -> None:
    await chat.ask("Stop?", TWO_PARTS)
    await expect(chat.text).to_have_text("The first")
    other = await chat.tab()
    await other.stop.click()
    for tab in (chat, other):
        await tab.ended("stopped")
        await tab.reconciled()
        await expect(tab.status).to_have_text("Stopped.")
    await same_text(chat, other)


async def test_regenerating_replaces_the_reply_in_every_tab(chat: Chat) -> None:
    await chat.ask("Again?", TWO_PARTS, reply("Better."))
    await expect(chat.text).to_have_text("The first")
    other = await chat.tab()
    await chat.stop.click()
    await chat.ended("stopped")
    await other.ended("stopped")
    await chat.reply.get_by_role("button", name="Regenerate").click()
    for tab in (chat, other):
        await expect(tab.text).to_have_text("Better.")
        await expect(tab.replies).to_have_count(1)


async def test_a_rename_shows_in_every_tab(chat: Chat) -> None:
    chat.provider.title = "Made by the model"
    await chat.ask("Name?", reply("Named."))
    await expect(chat.sidebar.get_by_role("link", name="Made by the model")).to_be_visible()
    other = await chat.tab("/")
    same = await chat.tab()
    await chat.menu("Made by the model", "Rename")
    field = chat.dialog.get_by_label("Title")
    await expect(field).to_be_focused()
    await expect(field).to_have_value("Made by the model")
    await field.fill("Chosen <b>by</b> me")
    await field.press("Enter")
    await expect(chat.dialog).to_be_hidden()
    for tab in (chat, other, same):
        await expect(tab.sidebar.get_by_role("link", name="Chosen <b>by</b> me")).to_be_visible()
        await expect(tab.sidebar.get_by_text("Made by the model")).to_have_count(0)
    await expect(chat.page).to_have_title("Chosen <b>by</b> me – Parley")
    await expect(same.page).to_have_title("Chosen <b>by</b> me – Parley")
    await expect(other.page).to_have_title("Parley")


async def test_a_menu_stays_open_and_where_it_is_while_the_list_is_told_anew(chat: Chat) -> None:
    await chat.ask("First words", reply("Named."))
    await chat.ended()
    other = await chat.tab()
    await chat.sidebar.locator("summary").first.click()
    export = chat.sidebar.get_by_role("link", name="Export")
    await expect(export).to_be_visible()
    at = await export.bounding_box()
    await other.menu("A short title", "Rename")
    await other.dialog.get_by_label("Title").fill("Second words")
    await other.dialog.get_by_role("button", name="Save").click()
    await expect(chat.sidebar.get_by_role("link", name="Second words")).to_be_visible()
    await expect(export).to_be_visible()
    assert await export.bounding_box() == at
    await chat.sidebar.get_by_role("button", name="Rename").click()
    await expect(chat.dialog.get_by_label("Title")).to_have_value("Second words")


async def test_a_name_of_ones_own_is_kept_from_the_model(chat: Chat) -> None:
    chat.provider.override("titles", Script(Gate("title")))
    await chat.ask("Who names it?", reply("You."))
    await chat.ended()
    await chat.menu("Who names it?", "Rename")
    await chat.dialog.get_by_label("Title").fill("Mine")
    await chat.dialog.get_by_role("button", name="Save").click()
    await expect(chat.sidebar.get_by_role("link", name="Mine")).to_be_visible()
    chat.provider.override("titles", None)
    chat.provider.open("title")
    await chat.ask("Still?", reply("Yes."))
    await chat.reconciled()
    await expect(chat.sidebar.get_by_role("link", name="Mine")).to_be_visible()


async def test_a_conversation_that_is_deleted_leaves_every_tab(chat: Chat) -> None:
    chat.provider.title = "To be deleted"
    await chat.ask("Delete me", reply("As you wish."))
    link = chat.sidebar.get_by_role("link", name="To be deleted")
    await expect(link).to_be_visible()
    same, elsewhere = await chat.tab(), await chat.tab("/")
    path = chat.path
    await chat.menu("To be deleted", "Delete")
    await expect(chat.dialog.get_by_role("button", name="Cancel")).to_be_focused()
    await chat.dialog.get_by_role("button", name="Delete").click()
    await chat.page.wait_for_url(chat.server.url + "/")
    await expect(link).to_have_count(0)
    await expect(elsewhere.sidebar.get_by_role("link", name="To be deleted")).to_have_count(0)
    await expect(same.log.get_by_role("article")).to_have_count(0)
    await expect(same.status).to_have_text("This conversation was deleted.")
    assert chat.server.get(path, chat.person)[0] == 404


async def test_deleting_while_a_reply_is_written_closes_the_provider(chat: Chat) -> None:
    await chat.ask("Delete now", TWO_PARTS)
    await expect(chat.text).to_have_text("The first")
    request = await chat.answers.request("Delete now")
    await chat.menu("Delete now", "Delete")
    await chat.dialog.get_by_role("button", name="Delete").click()
    await chat.page.wait_for_url(chat.server.url + "/")
    request.wait_closed()
    await expect(chat.sidebar.get_by_role("link", name="Delete now")).to_have_count(0)


async def test_deleting_another_conversation_leaves_this_one(chat: Chat) -> None:
    chat.provider.title = "The first one"
    await chat.ask("First", reply("1"))
    await expect(chat.sidebar.get_by_role("link", name="The first one")).to_be_visible()
    await chat.new.click()
    await chat.connected()
    chat.provider.title = "The second one"
    await chat.ask("Second", reply("2"))
    await expect(chat.sidebar.get_by_role("link", name="The second one")).to_be_visible()
    await chat.box.fill("a draft")
    await chat.menu("The first one", "Delete")
    await chat.dialog.get_by_role("button", name="Delete").click()
    await expect(chat.sidebar.get_by_role("link", name="The first one")).to_have_count(0)
    await expect(chat.text).to_have_text("2")
    await expect(chat.box).to_have_value("a draft")


async def test_people_do_not_see_each_other(server: Server, visit: Visit, chat: Chat) -> None:
    await chat.ask("A secret", reply("Kept."))
    await chat.ended()
    stranger = await visit(server, who=server.administrator)
    await expect(stranger.sidebar.get_by_role("link", name="A secret")).to_have_count(0)
    assert server.get(chat.path, stranger.person)[0] == 404
    assert server.get(f"{chat.path}export.json", stranger.person)[0] == 404
