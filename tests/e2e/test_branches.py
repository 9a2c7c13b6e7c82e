"""Edit, Regenerate, Continue and the versions, as a person has them on screen."""

import asyncio
import json

from playwright.async_api import Locator, Route, expect

from chat.worker.history import CONTINUE
from tests.fake_provider import Cut, Done, Finish, Gate, Script, Text, reply

from .axe import WIDTHS
from .browser import Watch
from .chat import CONVERSATION, Chat
from .conftest import Visit
from .server import Server
from .test_accessibility import is_clean
from .test_moderation import FLAGGED, NOTICE

HELD = Script(Text("Half an ans"), Gate("rest"), Text("wer."), Finish(), Done())
WRITING = "A reply is still being written here"


def button(where: Locator, name: str) -> Locator:
    return where.get_by_role("button", name=name, exact=True)


def edited(question: Locator) -> Locator:
    return question.get_by_role("textbox", name="Edited text")


async def edit(question: Locator) -> Locator:
    await button(question, "Edit").click()
    await expect(edited(question)).to_be_focused()
    return edited(question)


async def shows(chat: Chat, *texts: str) -> None:
    await expect(chat.log.locator("article .body")).to_have_text(list(texts))


async def cut(chat: Chat) -> None:
    """A reply that was stopped in the middle of a word."""
    await chat.ask("Long?", HELD)
    await expect(chat.text).to_have_text("Half an ans")
    await chat.stop.click()
    await chat.ended("stopped")
    await chat.reconciled()


# Edit


async def test_an_edit_makes_another_version_in_every_tab(chat: Chat) -> None:
    await chat.ask("Where is the sea?", reply("Here."))
    await chat.ended()
    await chat.ask("And then?", reply("Nothing."))
    await chat.ended()
    other = await chat.tab()
    box = await edit(chat.questions.first)
    await expect(box).to_have_value("Where is the sea?")
    chat.answers.to("Where is the moon?", reply("There."))
    await box.fill("Where is the moon?")
    await box.press("Enter")
    for tab in (chat, other):
        await shows(tab, "Where is the moon?", "There.")
        group = tab.questions.first.get_by_role("group", name="Version 2 of 2")
        await expect(group).to_contain_text("2 / 2")
        await expect(button(group, "Next version")).to_be_disabled()
        await expect(edited(tab.questions.first)).to_have_count(0)
    await expect(chat.box).to_be_focused()
    assert chat.saved()[:4] == ["Where is the sea?", "Here.", "And then?", "Nothing."]
    assert chat.saved()[4:] == ["Where is the moon?", "There."]


async def test_an_edit_can_be_cancelled_by_button_and_by_key(chat: Chat) -> None:
    await chat.ask("Never mind?", HELD)
    await expect(chat.text).to_have_text("Half an ans")
    question = chat.questions.first
    for leave in ("button", "key"):
        box = await edit(question)
        await box.fill("Something else")
        await expect(question.locator(".body")).to_be_hidden()
        if leave == "button":
            await button(question, "Cancel").click()
        else:
            await box.press("Escape")
        await expect(edited(question)).to_have_count(0)
        await expect(question.locator(".body")).to_have_text("Never mind?")
        await expect(button(question, "Edit")).to_be_focused()
    # Escape was for the form, not for the reply that is being written.
    await expect(chat.status).to_have_text("Writing…")
    chat.provider.open("rest")
    await chat.ended()


async def test_line_breaks_and_white_space_are_edited_as_they_are(chat: Chat) -> None:
    chat.answers.to("  one\n\n  two <b>", reply("Yes."))
    await chat.box.fill("  one\n\n  two <b>")
    await chat.box.press("Enter")
    await chat.ended()
    box = await edit(chat.questions.first)
    await expect(box).to_have_value("  one\n\n  two <b>")
    chat.answers.to("  one\n\n  two <b>\nthree", reply("No."))
    await box.press("Shift+Enter")
    await box.press_sequentially("three")
    await box.press("Enter")
    await expect(chat.text).to_have_text("No.")
    assert chat.saved()[2] == "  one\n\n  two <b>\nthree"


async def test_hammering_saves_one_edit(chat: Chat) -> None:
    await chat.ask("Once?", reply("Once."))
    await chat.ended()
    chat.answers.to("Twice?", reply("No, once."))
    box = await edit(chat.questions.first)
    await box.fill("Twice?")
    await chat.page.evaluate(
        """() => {
          const form = document.querySelector(".edit-form");
          for (let i = 0; i < 8; i++) form.requestSubmit();
        }"""
    )
    await expect(chat.text).to_have_text("No, once.")
    await chat.ended()
    assert chat.saved() == ["Once?", "Once.", "Twice?", "No, once."]
    assert len(chat.answers.requests("Twice?")) == 1


async def test_an_edit_while_a_reply_is_written_is_declined_and_kept(
    chat: Chat, watch: Watch
) -> None:
    watch.allow("status of 409")
    await chat.ask("Patience?", HELD)
    await expect(chat.text).to_have_text("Half an ans")
    question = chat.questions.first
    box = await edit(question)
    await box.fill("Impatience")
    await button(question, "Save and send").click()
    await expect(question.get_by_role("alert")).to_contain_text(WRITING)
    await expect(question.get_by_role("alert")).to_be_in_viewport()
    chat.provider.open("rest")
    await chat.ended()
    await expect(box).to_have_value("Impatience")
    chat.answers.to("Impatience", reply("Now."))
    await box.press("Enter")
    await shows(chat, "Impatience", "Now.")


async def test_what_is_typed_outlives_a_change_of_the_transcript(chat: Chat) -> None:
    await chat.ask("One?", reply("Eins."), reply("Uno."))
    await chat.ended()
    other = await chat.tab()
    box = await edit(chat.questions.first)
    await box.fill("Half a sen")
    await box.evaluate("(box) => box.setSelectionRange(4, 4)")
    await button(other.reply, "Regenerate").click()
    await shows(chat, "One?", "Uno.")
    await chat.ended()
    await expect(box).to_have_value("Half a sen")
    await expect(box).to_be_focused()
    await chat.page.keyboard.type(" of")
    await expect(box).to_have_value("Half of a sen")
    # Its message leaves the screen.
    other_box = await edit(other.questions.first)
    other.answers.to("Two?", reply("Zwei."))
    await other_box.fill("Two?")
    await other_box.press("Enter")
    await shows(chat, "Two?", "Zwei.")
    await chat.ended()
    left = chat.log.get_by_role("textbox", name="Edited text")
    await expect(left).to_have_value("Half of a sen")
    await expect(left).to_be_focused()
    chat.answers.to("Half of a sentence?", reply("A whole one."))
    await left.fill("Half of a sentence?")
    await left.press("Enter")
    await shows(chat, "Half of a sentence?", "A whole one.")
    await expect(left).to_have_count(0)


async def test_an_edit_that_could_not_be_sent_is_kept_and_sent_once(
    chat: Chat, watch: Watch
) -> None:
    watch.allow("Failed to fetch", "ERR_FAILED")
    lost: list[str] = []

    async def lose_the_first_answer(route: Route) -> None:
        if route.request.method == "POST" and not lost:
            lost.append("answer")
            await route.fetch()
            await route.abort()
        else:
            await route.continue_()

    await chat.ask("First?", reply("First."))
    await chat.ended()
    await chat.page.route("**/edit", lose_the_first_answer)
    chat.answers.to("Second?", reply("Second."))
    box = await edit(chat.questions.first)
    await box.fill("Second?")
    await box.press("Enter")
    # It had arrived; the form does not know that and stays.
    await expect(chat.text).to_have_text("Second.")
    await chat.ended()
    form = chat.log.locator(".edit-form")
    await expect(form.get_by_role("alert")).to_contain_text("could not be sent")
    await form.get_by_role("textbox").press("Enter")
    await expect(form).to_have_count(0)
    assert chat.saved() == ["First?", "First.", "Second?", "Second."]


async def test_what_is_typed_outlives_a_reload_and_a_sign_out(chat: Chat) -> None:
    await chat.ask("Mine?", reply("Yours."))
    await chat.ended()
    box = await edit(chat.questions.first)
    await box.fill("Still mine")
    await chat.reload()
    box = await edit(chat.questions.first)
    await expect(box).to_have_value("Still mine")
    await chat.page.context.clear_cookies(name="sessionid")
    await box.press("Enter")
    await expect(chat.questions.first.get_by_role("alert")).to_contain_text("You are signed out.")
    await expect(box).to_have_value("Still mine")


# Regenerate and the versions


async def test_versions_are_switched_in_every_tab_and_survive_a_reload(chat: Chat) -> None:
    await chat.ask("Which?", reply("One."), reply("Two."), reply("Three."))
    await chat.reconciled()
    for text in ("Two.", "Three."):
        await button(chat.reply, "Regenerate").click()
        await shows(chat, "Which?", text)
        await chat.reconciled()
    other = await chat.tab()
    await expect(chat.reply.get_by_role("group", name="Version 3 of 3")).to_contain_text("3 / 3")
    await button(chat.reply, "Previous version").click()
    for tab in (chat, other):
        await shows(tab, "Which?", "Two.")
        await expect(tab.reply.get_by_role("group")).to_contain_text("2 / 3")
    await button(other.reply, "Previous version").click()
    await shows(chat, "Which?", "One.")
    await expect(button(chat.reply, "Previous version")).to_be_disabled()
    await chat.reload()
    await shows(chat, "Which?", "One.")
    assert [m["verdict"] for m in chat.export()["messages"][1:]] == ["passed"] * 3


async def test_a_branch_comes_back_with_all_that_followed(chat: Chat) -> None:
    await chat.ask("A?", reply("a"), reply("b"))
    await chat.ended()
    await chat.ask("More?", reply("more"))
    await chat.ended()
    await button(chat.replies.first, "Regenerate").click()
    await shows(chat, "A?", "b")
    await chat.ended()
    await button(chat.reply, "Previous version").click()
    await shows(chat, "A?", "a", "More?", "more")
    await chat.ask("And now?", reply("Here."))
    request = await chat.answers.request("And now?")
    said = [m["content"] for m in request.messages if m["role"] != "system"]
    assert said == ["A?", "a", "More?", "more", "And now?"]


async def test_versions_are_switched_by_keyboard_in_one_place(chat: Chat) -> None:
    long = "\n\n".join(f"Line {number}." for number in range(60))
    await chat.ask("Which?", reply("One."), reply(long), reply("Three."))
    await chat.ended()
    for text in ("Line 59.", "Three."):
        await button(chat.reply, "Regenerate").click()
        await expect(chat.text).to_contain_text(text)
        await chat.ended()
    await expect(chat.box).to_be_focused()
    previous = button(chat.reply, "Previous version")
    await previous.focus()
    await chat.page.keyboard.press("Enter")
    await expect(chat.text).to_contain_text("Line 59.")
    await expect(previous).to_be_focused()
    await expect(previous).to_be_in_viewport()
    await chat.page.keyboard.press("Enter")
    await shows(chat, "Which?", "One.")
    await expect(button(chat.reply, "Next version")).to_be_focused()


async def test_the_buttons_of_the_versions_stay_under_the_pointer(chat: Chat) -> None:
    long = "\n\n".join(f"Line {number}." for number in range(60))
    for question in ("First?", "Second?"):
        await chat.ask(question, reply(long))
        await chat.ended()
    box = await edit(chat.questions.last)
    chat.answers.to("Third?", reply("Short."))
    await box.fill("Third?")
    await box.press("Enter")
    await expect(chat.text).to_have_text("Short.")
    await chat.ended()
    previous = button(chat.questions.last, "Previous version")
    before = await previous.bounding_box()
    await previous.click()
    await expect(chat.text).to_contain_text("Line 59.")
    following = button(chat.questions.last, "Next version")
    after = await following.bounding_box()
    assert before is not None
    assert after is not None
    assert abs(before["y"] - after["y"]) <= 2


async def test_commands_while_a_reply_is_written_are_declined_in_words(
    chat: Chat, watch: Watch
) -> None:
    watch.allow("status of 409")
    await chat.ask("One?", reply("Eins."), reply("Uno."))
    await chat.ended()
    await button(chat.reply, "Regenerate").click()
    await shows(chat, "One?", "Uno.")
    await chat.ended()
    await chat.ask("Two?", HELD)
    await expect(chat.text).to_have_text("Half an ans")
    for name in ("Previous version", "Regenerate"):
        await expect(chat.error).to_be_empty()
        await button(chat.replies.first, name).click()
        await expect(chat.error).to_contain_text(WRITING)
        await shows(chat, "One?", "Uno.", "Two?", "Half an ans")
        await chat.page.evaluate("document.getElementById('composer-error').textContent = ''")
    chat.provider.open("rest")
    await chat.ended()
    await shows(chat, "One?", "Uno.", "Two?", "Half an answer.")


async def test_a_command_without_a_network_says_so(chat: Chat, watch: Watch) -> None:
    watch.allow("Failed to fetch", "ERR_INTERNET_DISCONNECTED", "status of 502")
    await chat.ask("One?", reply("Eins."), reply("Uno."))
    await chat.ended()
    await chat.page.route("**/regenerate", lambda route: route.abort("internetdisconnected"))
    await button(chat.reply, "Regenerate").click()
    await expect(chat.error).to_contain_text("did not work")
    await chat.page.unroute("**/regenerate")
    await button(chat.reply, "Regenerate").click()
    await shows(chat, "One?", "Uno.")
    await expect(chat.error).to_be_empty()


async def test_a_page_that_followed_gets_its_buttons_without_the_text_again(chat: Chat) -> None:
    frames: list[str] = []
    chat.page.on(
        "websocket",
        lambda socket: socket.on("framereceived", lambda frame: frames.append(str(frame))),
    )
    await chat.reload()
    script = Script(Text("Unmis"), Gate("rest"), Text("takable"), Finish(), Done())
    await chat.ask("Once?", script)
    await expect(chat.text).to_have_text("Unmis")
    chat.provider.open("rest")
    await expect(button(chat.reply, "Regenerate")).to_be_visible()
    await chat.reconciled()
    assert len([frame for frame in frames if "Unmistakable" in frame]) == 1  # closing its block
    assert not [frame for frame in frames if "Unmistakable" in frame and "Regenerate" in frame]


# Ratings


async def test_a_rating_leaves_the_reader_where_he_is(server: Server, visit: Visit) -> None:
    chat = await visit(server, viewport=WIDTHS["narrow"])
    for question in ("One?", "Two?", "Three?"):
        await chat.ask(question, reply("And so on.\n\n" * 20))
        await chat.reconciled()
    await chat.reload()  # the messages of a page that has not followed are replaced as a whole
    rating = button(chat.replies.first, "Bad reply")
    await rating.scroll_into_view_if_needed()
    place = "document.getElementById('transcript').scrollTop"
    before = await chat.page.evaluate(place)
    await rating.click()
    await expect(rating).to_have_attribute("aria-pressed", "true")
    await expect(rating).to_be_focused()
    assert abs(await chat.page.evaluate(place) - before) < 2


# Continue


async def test_a_cut_reply_goes_on_where_it_stopped(chat: Chat) -> None:
    await cut(chat)
    other = await chat.tab()
    chat.answers.to(CONTINUE, reply("wer."))
    await button(chat.reply, "Continue").click()
    for tab in (chat, other):
        await shows(tab, "Long?", "Half an ans", "wer.")
        await tab.reconciled()
        await expect(button(tab.log, "Continue")).to_have_count(0)
        await expect(tab.replies.last.get_by_role("heading").first).to_have_text(
            "Parley, continued"
        )
    request = await chat.answers.request(CONTINUE)
    said = [(m["role"], m["content"]) for m in request.messages if m["role"] != "system"]
    assert said == [("user", "Long?"), ("assistant", "Half an ans"), ("user", CONTINUE)]
    _, first, rest = chat.export()["messages"]
    assert (first["state"], rest["state"]) == ("stopped", "complete")
    assert rest["parent"] == first["id"]
    assert first["sha256"] != rest["sha256"]
    assert (first["verdict"], rest["verdict"]) == ("passed", "passed")
    await chat.reload()
    await shows(chat, "Long?", "Half an ans", "wer.")
    await chat.ask("Thanks!", reply("You are welcome."))
    request = await chat.answers.request("Thanks!")
    said = [(m["role"], m["content"]) for m in request.messages if m["role"] != "system"]
    assert said == [("user", "Long?"), ("assistant", "Half an answer."), ("user", "Thanks!")]


async def test_every_kind_of_cut_can_be_continued(chat: Chat) -> None:
    chat.answers.to(CONTINUE, reply(" and on."))
    for question, script, state in (
        ("Break off?", Script(Text("On"), Cut()), "interrupted"),
        ("At length?", reply("On", finish="length"), "complete"),
    ):
        await chat.ask(question, script)
        await chat.ended(state)
        await button(chat.reply, "Continue").click()
        await expect(chat.text).to_have_text("and on.")
        await chat.ended()


async def test_a_continuation_that_fails_leaves_the_text_and_can_be_tried_again(
    chat: Chat,
) -> None:
    await cut(chat)
    chat.answers.to(CONTINUE, Script(Text("w"), Gate("more"), Text("x")), reply("wer."))
    await button(chat.reply, "Continue").click()
    await expect(chat.text).to_have_text("w")
    await chat.stop.click()
    await chat.ended("stopped")
    await button(chat.reply, "Regenerate").click()
    await shows(chat, "Long?", "Half an ans", "wer.")
    await chat.ended()
    await expect(chat.reply.get_by_role("group")).to_contain_text("2 / 2")
    await button(chat.reply, "Previous version").click()
    await shows(chat, "Long?", "Half an ans", "w")
    await expect(button(chat.reply, "Continue")).to_be_visible()


async def test_continue_is_offered_only_at_the_end(chat: Chat) -> None:
    await cut(chat)
    await expect(button(chat.log, "Continue")).to_have_count(1)
    await chat.ask("Never mind.", reply("Very well."))
    await chat.ended()
    await expect(button(chat.log, "Continue")).to_have_count(0)


# Moderation


async def test_a_flagged_reply_stays_withheld_behind_another_version(chat: Chat) -> None:
    await chat.ask("Be rude", reply(FLAGGED), reply("No."))
    await expect(chat.reply).to_contain_text(NOTICE)
    await button(chat.reply, "Regenerate").click()
    await shows(chat, "Be rude", "No.")
    await chat.reconciled()
    await button(chat.reply, "Previous version").click()
    await expect(chat.reply).to_contain_text(NOTICE)
    assert FLAGGED not in await chat.page.content()
    rude, polite = chat.export()["messages"][1:]
    assert (rude["verdict"], rude["withheld"], rude["text"]) == ("flagged", True, "")
    assert polite["verdict"] == "passed"
    await chat.ask("And now?", reply("Yes."))
    request = await chat.answers.request("And now?")
    assert FLAGGED not in json.dumps(request.messages, ensure_ascii=False)


# Everybody


async def test_without_scripts_all_of_it_works(server: Server, visit: Visit) -> None:
    chat = await visit(server, java_script_enabled=False)
    page = chat.page

    async def wait_for(question: str, count: int = 1) -> None:
        request = await chat.answers.request(question, count)
        await asyncio.to_thread(request.wait_finished)
        await asyncio.to_thread(server.wait_quiet)
        await page.reload()

    chat.answers.to("Plainly?", reply("Plain"), reply("Plainer", finish="length"))
    await chat.box.fill("Plainly?")
    await chat.send.click()
    await page.wait_for_url(CONVERSATION)
    await wait_for("Plainly?")
    await button(chat.reply, "Regenerate").click()
    await page.wait_for_url(CONVERSATION)
    await wait_for("Plainly?", 2)
    await shows(chat, "Plainly?", "Plainer")
    chat.answers.to(CONTINUE, reply(" still."))
    await button(chat.reply, "Continue").click()
    await wait_for(CONTINUE)
    await shows(chat, "Plainly?", "Plainer", "still.")
    await button(chat.replies.first, "Previous version").click()
    await shows(chat, "Plainly?", "Plain")
    await chat.questions.last.hover()
    await button(chat.questions.last, "Edit").click()
    chat.answers.to("In plain words?", reply("Yes."))
    await expect(page.get_by_role("link", name="Cancel")).to_be_visible()
    await page.get_by_role("textbox").fill("In plain words?")
    await page.get_by_role("button", name="Save and send").click()
    await page.wait_for_url(CONVERSATION)
    await wait_for("In plain words?")
    await shows(chat, "In plain words?", "Yes.")


async def test_on_a_touch_screen_the_buttons_are_there(server: Server, visit: Visit) -> None:
    chat = await visit(server, viewport=WIDTHS["narrow"], has_touch=True, is_mobile=True)
    await chat.ask("Touch?", reply("Yes."))
    await chat.ended()
    opacity = await button(chat.questions.first, "Edit").evaluate(
        "(b) => getComputedStyle(b).opacity"
    )
    assert opacity == "1"


async def test_nothing_of_it_is_hard_to_use(chat: Chat) -> None:
    await cut(chat)
    chat.answers.to(CONTINUE, reply("wer."))
    await button(chat.reply, "Continue").click()
    await chat.reconciled()
    await button(chat.replies.first, "Regenerate").click()
    await expect(chat.text).to_have_text("Half an ans")
    await chat.stop.click()
    await chat.ended("stopped")
    await edit(chat.questions.first)
    await is_clean(chat.page)
