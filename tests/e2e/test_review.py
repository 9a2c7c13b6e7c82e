"""A reviewer's day: what is flagged arrives, is read for a purpose, decided; its user sees it."""

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Locator, Page, expect

from tests.fake_provider import reply

from .axe import SCHEMES
from .browser import Watch
from .chat import Chat
from .conftest import Visit
from .server import Person, Server
from .test_accessibility import OVERFLOW, is_clean
from .test_moderation import FLAGGED, NOTICE

SMALL = {"width": 320, "height": 256}
UNDER_THE_BAR = """(() => {
  const bar = document.querySelector(".review-bar");
  const focused = document.activeElement;
  if (bar.contains(focused) || focused.matches("body, .skip-link")) return false;
  return focused.getBoundingClientRect().bottom <= bar.getBoundingClientRect().bottom;
})()"""
PARROT = f"The parrot said: Polly wants a cracker. {FLAGGED}"


def database(server: Server) -> Path:
    return server.log.parent / "parley.sqlite3"


def write(server: Server, sql: str, *values: object) -> None:
    connection = sqlite3.connect(database(server), timeout=20)
    try:
        with connection:
            connection.execute(sql, values)
    finally:
        connection.close()


@pytest.fixture
def rita(server: Server, _people: Iterator[Person]) -> Person:
    """A reviewer, as an administrator makes one: by the group."""
    person = next(_people)
    write(
        server,
        "INSERT INTO chat_user_groups(user_id, group_id) SELECT u.id, g.id FROM chat_user u,"
        " auth_group g WHERE u.username = ? AND g.name = 'Reviewers'",
        person.name,
    )
    return person


@pytest_asyncio.fixture(loop_scope="session")
async def desk(server: Server, visit: Visit, rita: Person) -> Page:
    """The reviewer's queue."""
    return (await visit(server, "/review/", who=rita, connect=False)).page


def row(desk: Page, who: str) -> Locator:
    return desk.locator(".row", has_text=who)


async def open_transcript(desk: Page, purpose: str = "It is in the review queue") -> None:
    await expect(desk.get_by_role("heading", level=1)).to_contain_text("What do you open")
    assert FLAGGED not in await desk.content()
    await desk.get_by_label(purpose).check()
    await desk.get_by_role("button", name="Open the transcript").click()


async def flag(chat: Chat, question: str = "Be rude", text: str = PARROT) -> None:
    await chat.ask(question, reply(text))
    await expect(chat.reply).to_contain_text(NOTICE)


def turn(desk: Page, text: str) -> Locator:
    return desk.locator("article.turn", has_text=text).last


async def test_a_flagged_reply_comes_live_and_is_restored_on_the_open_page(
    chat: Chat, desk: Page
) -> None:
    await expect(row(desk, chat.person.name)).to_have_count(0)
    await flag(chat)
    arrived = row(desk, chat.person.name)  # without a reload
    await expect(arrived).to_contain_text("Flagged")
    await expect(desk.locator("#said")).to_contain_text("to decide")
    await arrived.get_by_role("button", name="Assign to me").click()
    await expect(arrived).to_contain_text("Release")
    await expect(desk.locator("#said")).to_have_text("Assigned to you.")
    await arrived.get_by_role("link").click()
    await open_transcript(desk)
    message = turn(desk, "Polly wants a cracker")
    await expect(message.locator("mark").first).to_be_visible()
    await expect(message).to_contain_text("SHA-256 matches")
    await message.get_by_label("Note").fill("A quotation.")
    await message.get_by_role("button", name="Dismiss and restore").click()
    await expect(desk.get_by_text("Restored.", exact=False).first).to_be_visible()
    await expect(chat.text).to_contain_text("Polly wants a cracker")  # nobody reloaded it
    await expect(chat.reply).to_contain_text("Restored after review.")


async def test_a_second_click_is_no_second_decision(chat: Chat, desk: Page) -> None:
    await flag(chat)
    await row(desk, chat.person.name).get_by_role("link").click()
    await open_transcript(desk)
    held_back = (
        await turn(desk, "Polly")
        .locator("form.form-stack")
        .evaluate(
            """(form) => [1, 2].map(() => {
          const event = new SubmitEvent("submit", { bubbles: true, cancelable: true });
          return !form.dispatchEvent(event);
        })"""
        )
    )
    assert held_back == [False, True]


async def test_an_upheld_reply_is_gone_for_good(chat: Chat, desk: Page, watch: Watch) -> None:
    watch.allow("409")  # what the console says of a decision that is refused
    await flag(chat)
    await row(desk, chat.person.name).get_by_role("link").click()
    await open_transcript(desk)
    message = turn(desk, "Polly wants a cracker")
    await message.get_by_role("button", name="Uphold and remove").click()
    await expect(desk.get_by_role("alert")).to_contain_text("needs a note")
    await turn(desk, "Polly").get_by_label("Note").fill("Rude.")
    await turn(desk, "Polly").get_by_role("button", name="Uphold and remove").click()
    await expect(chat.reply).to_contain_text("This reply was removed after review.")
    await chat.reload()
    assert "Polly" not in await chat.page.content()


async def test_a_selected_passage_is_redacted(chat: Chat, desk: Page) -> None:
    await chat.ask("Where?", reply("🦊 Ask Käthe Müller, or *somebody* else."))
    await chat.reconciled()
    await chat.reply.get_by_role("button", name="Report").click()
    dialog = chat.page.get_by_role("dialog")
    await dialog.get_by_label("Reveals private information").check()
    await dialog.get_by_role("button", name="Report").click()
    await expect(chat.reply.get_by_role("button", name="Reported")).to_be_visible()
    await row(desk, chat.person.name).get_by_role("link").click()
    await open_transcript(desk)
    message = turn(desk, "Käthe Müller")
    await expect(message).to_contain_text("Reveals private information")
    await message.get_by_text("Source", exact=True).click()
    await select(message.locator(".source-text"), "Käthe Müller")
    field = message.get_by_label("Passages to redact")
    await expect(field).to_have_value("6-18")  # characters, though the fox is two of UTF-16
    await message.get_by_label("Note").fill("A person.")
    await message.get_by_role("button", name="Redact", exact=True).click()
    await expect(turn(desk, "[redacted: 12 characters]")).to_contain_text("the rest matches")
    await expect(chat.text).to_contain_text("Ask ████████████, or somebody else.")
    await expect(chat.reply).to_contain_text("A passage was redacted after review.")
    assert "Müller" not in await chat.page.content()
    assert "Müller" not in await desk.content()


async def select(source: Locator, text: str) -> None:
    """Select with the mouse's end: the passage is written when the button is let go."""
    await source.evaluate(
        """(root, text) => {
          const node = [...root.childNodes].find((each) => each.textContent.includes(text));
          const inner = node.nodeType === Node.TEXT_NODE ? node : node.firstChild;
          const at = inner.data.indexOf(text);
          getSelection().setBaseAndExtent(inner, at, inner, at + text.length);
        }""",
        text,
    )
    await source.dispatch_event("pointerup")


async def test_enter_in_the_passages_redacts(chat: Chat, desk: Page) -> None:
    await flag(chat)
    await row(desk, chat.person.name).get_by_role("link").click()
    await open_transcript(desk)
    message = turn(desk, "Polly wants a cracker")
    await message.get_by_label("Note").fill("A name.")
    await message.get_by_text("Redact, and show the rest").click()
    await message.get_by_label("Passages to redact").fill("22-27")
    await message.get_by_label("Passages to redact").press("Enter")
    await expect(turn(desk, "[redacted: 5 characters]")).to_contain_text("the rest matches")


async def test_a_page_begins_at_its_message_and_leads_back_to_the_list(
    chat: Chat, desk: Page, watch: Watch
) -> None:
    watch.allow("409")
    await flag(chat)
    await flag(chat, "Be rude again", f"Once more. {FLAGGED}")
    listed = f"/review/?tab=open&user={chat.person.name}&order=oldest"
    await desk.goto(listed)
    await expect(desk.locator(".row")).to_have_count(2)
    await desk.keyboard.press("j")
    await desk.keyboard.press("j")
    await desk.keyboard.press("Enter")
    await expect(desk.get_by_role("radio").first).to_be_focused()
    await desk.keyboard.press("u")
    await desk.wait_for_url(f"**{listed}")
    await desk.keyboard.press("k")
    await desk.keyboard.press("Enter")
    await expect(desk.get_by_role("radio").first).to_be_focused()
    await desk.keyboard.press("Space")
    await desk.keyboard.press("Enter")
    second = turn(desk, "Once more.")
    await expect(second).to_be_focused()
    await desk.keyboard.press("d")
    await expect(second.get_by_label("Note")).to_be_focused()
    await desk.keyboard.press("Escape")
    await expect(second).to_be_focused()
    await second.get_by_role("button", name="Uphold and remove").click()
    await expect(desk.get_by_role("alert")).to_be_focused()
    await expect(desk.get_by_role("alert")).to_be_in_viewport()
    await turn(desk, "Once more.").get_by_role("button", name="Dismiss and restore").click()
    second = turn(desk, "Once more.")
    await expect(second).to_be_focused()
    await expect(second.get_by_text("Restored.")).to_be_in_viewport()
    await desk.keyboard.press("n")
    first = turn(desk, "Polly wants a cracker")
    await expect(first).to_be_focused()
    await desk.keyboard.press("u")
    await desk.wait_for_url(f"**{listed}")


async def test_the_focus_keeps_its_place_when_its_row_leaves(
    server: Server, chat: Chat, desk: Page
) -> None:
    for number in range(3):
        await flag(chat, f"Be rude {number}")
    await desk.goto(f"/review/?user={chat.person.name}")
    links = desk.locator(".row-link")
    await expect(links).to_have_count(3)
    ids = await desk.locator(".row").evaluate_all("(rows) => rows.map((row) => row.id)")
    await links.nth(1).focus()
    write(
        server,
        "UPDATE chat_reviewitem SET state = 'closed' WHERE message_id = ?",
        ids[1].removeprefix("row-"),
    )
    await expect(links).to_have_count(2)
    await expect(desk.locator(f"#{ids[2]} .row-link")).to_be_focused()


async def test_by_keyboard_alone(chat: Chat, desk: Page) -> None:
    await flag(chat)
    await expect(row(desk, chat.person.name)).to_be_visible()
    await desk.keyboard.press("?")
    await expect(desk.get_by_role("dialog", name="Keys")).to_be_visible()
    await desk.keyboard.press("Escape")
    link = row(desk, chat.person.name).get_by_role("link")
    for _step in range(40):
        await desk.keyboard.press("j")
        if await link.evaluate("(element) => element === document.activeElement"):
            break
    await expect(link).to_be_focused()
    await desk.keyboard.press("a")
    await expect(row(desk, chat.person.name)).to_contain_text("Release")
    await expect(link).to_be_focused()
    await desk.keyboard.press("Enter")
    await expect(desk.get_by_role("radio").first).to_be_visible()
    await desk.get_by_role("radio").first.focus()
    await desk.keyboard.press("Space")
    await desk.keyboard.press("Enter")
    message = turn(desk, "Polly wants a cracker")
    await expect(message).to_be_visible()
    await message.focus()
    await desk.keyboard.press("d")
    note = message.get_by_label("Note")
    await note.focus()
    await desk.keyboard.type("just a joke?")  # none of these is a key for the page now
    await expect(note).to_have_value("just a joke?")
    await expect(desk.get_by_role("dialog")).to_have_count(0)
    await message.get_by_role("button", name="Dismiss and restore").focus()
    await desk.keyboard.press("Enter")
    await expect(chat.text).to_contain_text("Polly wants a cracker")
    await desk.locator("main").focus()
    await desk.keyboard.press("u")
    await desk.wait_for_url("**/review/")


async def test_a_replay_has_the_pace_of_the_reply(
    server: Server, chat: Chat, desk: Page, rita: Person
) -> None:
    await flag(chat)
    points = json.dumps([[n * 100, n * 2, 0] for n in range(1, 20)])
    write(
        server,
        "INSERT INTO chat_timeline(generation_id, points) SELECT max(id), ? FROM chat_generation g"
        " WHERE message_id IS NOT NULL AND conversation_id = ?"
        " ON CONFLICT (generation_id) DO UPDATE SET points = excluded.points",
        points,
        chat.path.split("/")[2].replace("-", ""),
    )
    await row(desk, chat.person.name).get_by_role("link").click()
    await open_transcript(desk)
    message = turn(desk, "Polly wants a cracker")
    await message.get_by_role("button", name="Replay").click()
    player = message.get_by_role("group", name="Replay of message")
    await player.get_by_role("button", name="Pause").click()
    scrubber = player.get_by_role("slider", name="Time")
    await scrubber.fill("1000")
    await expect(player.locator("[data-text]")).to_have_text(PARROT[:20].rstrip())
    await expect(player.locator("output")).to_have_text("1.0 / 1.9 s")
    await player.get_by_label("Speed").select_option("8×")
    await player.get_by_role("button", name="Play").click()
    await expect(player.locator("[data-text]")).to_have_text(PARROT[:38].rstrip())
    await desk.emulate_media(reduced_motion="reduce")
    await desk.reload()
    await message.get_by_role("button", name="Replay").click()
    await expect(player.get_by_role("button", name="Play")).to_be_hidden()
    await player.get_by_role("button", name="Step").click()
    await expect(player.locator("output")).to_have_text("0.1 / 1.9 s")


async def test_a_lost_permission_empties_the_open_page(
    server: Server, chat: Chat, desk: Page, rita: Person, watch: Watch
) -> None:
    watch.allow("404")
    await flag(chat)
    await expect(row(desk, chat.person.name)).to_be_visible()
    transcript = await desk.context.new_page()
    await transcript.goto("/review/")
    await row(transcript, chat.person.name).get_by_role("link").click()
    await open_transcript(transcript)
    await expect(turn(transcript, "Polly")).to_be_visible()
    write(
        server,
        "DELETE FROM chat_user_groups"
        " WHERE user_id = (SELECT id FROM chat_user WHERE username = ?)",
        rita.name,
    )
    for page in (transcript, desk):
        await page.bring_to_front()
        await expect(page.get_by_role("alert")).to_contain_text("You may not read this any more.")
        assert "Polly" not in await page.locator("body").inner_text()
        await expect(page.locator(".row, .turn")).to_have_count(0)


async def test_without_scripts_everything_can_be_done(
    server: Server, chat: Chat, visit: Visit, rita: Person
) -> None:
    await flag(chat)
    plain = await visit(server, "/review/", who=rita, connect=False, java_script_enabled=False)
    desk = plain.page
    await row(desk, chat.person.name).get_by_role("button", name="Assign to me").click()
    await expect(row(desk, chat.person.name)).to_contain_text("Release")
    await row(desk, chat.person.name).get_by_role("link").click()
    await open_transcript(desk)
    message = turn(desk, "Polly wants a cracker")
    await message.get_by_role("button", name="Dismiss and restore").click()
    await expect(chat.text).to_contain_text("Polly wants a cracker")


async def test_a_bare_address_begins_at_what_waits(chat: Chat, desk: Page) -> None:
    await flag(chat)
    await row(desk, chat.person.name).get_by_role("link").click()
    await open_transcript(desk)
    await desk.goto(desk.url.partition("?")[0])
    await expect(turn(desk, "Polly wants a cracker")).to_be_focused()
    # At a quarter of 1280 pixels what gets the focus is not under the bar.
    await desk.set_viewport_size(SMALL)
    await desk.evaluate("document.querySelector('.overview').scrollIntoView()")
    await desk.keyboard.press("k")
    for _step in range(12):
        await desk.keyboard.press("Shift+Tab")
        assert not await desk.evaluate(UNDER_THE_BAR)
    assert await desk.evaluate(OVERFLOW) <= 0


async def test_the_queue_at_four_times_its_size(chat: Chat, desk: Page) -> None:
    for number in range(4):
        await flag(chat, f"Be rude {number}")
    await desk.goto(f"/review/?tab=escalated&user={chat.person.name}")
    await desk.set_viewport_size(SMALL)
    assert await desk.evaluate(OVERFLOW) <= 0
    for name in ("open", "escalated", "all"):
        right = "(tab) => tab.getBoundingClientRect().right"
        assert await desk.locator(f"#tab-{name}").evaluate(right) <= SMALL["width"], name
    await desk.goto(f"/review/?tab=open&user={chat.person.name}")
    await desk.keyboard.press("End")
    for _step in range(4):
        await desk.keyboard.press("k")
        assert not await desk.evaluate(UNDER_THE_BAR)
    await desk.get_by_role("button", name="Keys").click()
    await expect(desk.get_by_role("dialog", name="Keys")).to_be_visible()


async def test_a_refused_report_keeps_the_focus(chat: Chat, watch: Watch) -> None:
    watch.allow("status of 422")
    await chat.ask("Be nice", reply("Gladly."))
    await chat.reconciled()
    await chat.reply.get_by_role("button", name="Report").click()
    await chat.dialog.get_by_role("button", name="Report").click()
    await expect(chat.dialog.get_by_role("alert")).to_be_visible()
    await expect(chat.dialog.get_by_role("radio").first).to_be_focused()


async def test_accessible_at_both_widths_and_in_both_themes(chat: Chat, desk: Page) -> None:
    assert SCHEMES == ("light", "dark")
    await flag(chat)
    await expect(row(desk, chat.person.name)).to_be_visible()
    await is_clean(desk)
    await desk.goto("/review/?tab=all&q=Polly&direction=assistant&score=2")
    await is_clean(desk)
    await desk.goto("/review/?tab=all&q=Polly&direction=assistant&model=m")
    await expect(desk.get_by_role("list", name="Filters that are on")).to_be_visible()
    await is_clean(desk)
    await desk.goto("/review/")
    await row(desk, chat.person.name).get_by_role("link").click()
    await is_clean(desk)
    await open_transcript(desk)
    await desk.evaluate("for (const fold of document.querySelectorAll('details')) fold.open = true")
    await is_clean(desk)
    await chat.ask("Be nice", reply("Gladly."))
    await chat.reconciled()
    await chat.reply.get_by_role("button", name="Report").click()
    await expect(chat.page.get_by_role("dialog")).to_be_visible()
    await is_clean(chat.page)
