"""A provider that fails: the reply says so in neutral words, keeps its text, can be repeated."""

import re

import pytest
from playwright.async_api import expect

from tests.fake_provider import (
    Chunk,
    Cut,
    Done,
    Gate,
    Raw,
    Reset,
    Script,
    Status,
    Text,
    error_body,
    reply,
)

from .chat import Chat
from .server import CANARY_KEY

LEAK = error_body(401, f"Incorrect API key provided: {CANARY_KEY}. <script>alert(1)</script>")
HTML = "<!doctype html><html><body><h1>Welcome to nginx!</h1></body></html>"

# What the provider does, what the person reads.
FAILURES = {
    "refused key": (Script(Status(401, body=LEAK)), "did not accept our credentials"),
    "refused request": (Script(Status(400)), "did not accept this request"),
    "server error": (Script(Status(500)), "not available right now"),
    "a page instead of an answer": (Script(Status(200, body=HTML)), "gave no usable answer"),
    "garbage": (Script(Raw(b"\x00\xff{{{ not sse\n\n")), "gave no usable answer"),
    "nothing at all": (Script(Done()), "gave no usable answer"),
    "nothing but a finish": (reply(""), "gave no usable answer"),
}
BROKEN_OFF = {
    "cut": Script(Text("Half an ans"), Cut()),
    "reset": Script(Text("Half an ans"), Reset()),
    "no finish": Script(Text("Half an ans")),
    "error event": Script(Text("Half an ans"), Chunk(raw=error_body(500, f"key {CANARY_KEY}"))),
    "garbage": Script(Text("Half an ans"), Raw(b"data: {not json\n\n")),
}


@pytest.mark.parametrize("name", FAILURES)
async def test_a_failure_is_said_in_neutral_words_and_can_be_repeated(
    chat: Chat, name: str
) -> None:
    script, words = FAILURES[name]
    # At most three calls are made; the ones after that are the person's own.
    scripts = [script] * (3 if name == "server error" else 1)
    await chat.ask("Will it work?", *scripts, reply("Now it does."))
    await chat.ended("failed")
    await expect(chat.reply.get_by_role("alert")).to_contain_text(words)
    await expect(chat.status).to_have_text("The reply failed.")
    shown = await chat.page.content()
    assert CANARY_KEY not in shown
    assert "nginx" not in shown
    await chat.reload()
    await expect(chat.reply.get_by_role("alert")).to_contain_text(words)
    await chat.reply.get_by_role("button", name="Try again").click()
    await expect(chat.text).to_have_text("Now it does.")
    await expect(chat.replies).to_have_count(1)
    await expect(chat.reply.get_by_role("alert")).to_have_count(0)
    assert [m["state"] for m in chat.export()["messages"]] == ["complete", "failed", "complete"]


@pytest.mark.parametrize("name", BROKEN_OFF)
async def test_a_reply_that_breaks_off_keeps_its_text(chat: Chat, name: str) -> None:
    await chat.ask("And?", BROKEN_OFF[name], reply("A whole answer."))
    await chat.ended("interrupted")
    await expect(chat.text).to_have_text("Half an ans")
    await expect(chat.reply.get_by_role("alert")).to_contain_text("interrupted")
    await chat.reconciled()
    assert chat.saved()[1] == "Half an ans"
    assert CANARY_KEY not in await chat.page.content()
    await chat.reply.get_by_role("button", name="Regenerate").click()
    await expect(chat.text).to_have_text("A whole answer.")


async def test_a_reply_at_its_length_limit_says_so(chat: Chat) -> None:
    await chat.ask("At length?", reply("Once upon a", finish="length"))
    await chat.ended()
    await expect(chat.reply).to_contain_text("The reply reached its length limit.")


async def test_a_busy_provider_is_not_called_before_it_says_so_and_stop_works(chat: Chat) -> None:
    busy = Script(Status(429, headers={"Retry-After": "30"}))
    await chat.ask("Busy?", busy)
    await expect(chat.status).to_contain_text("busy")
    await expect(chat.status).to_contain_text("30 s")
    await expect(chat.status.locator("[data-countdown]")).to_have_text(re.compile(r"2\d s"))
    await chat.stop.click()
    await chat.ended("stopped")
    assert len(chat.answers.requests("Busy?")) == 1


async def test_trying_again_twice_at_once_tries_once(chat: Chat) -> None:
    held = Script(Text("Half an ans"), Gate("never"), Text("wer"))
    await chat.ask("Twice?", Script(Status(401)), held)
    await chat.ended("failed")
    await chat.reply.get_by_role("button", name="Try again").dblclick()
    await expect(chat.text).to_have_text("Half an ans")
    await expect(chat.error).to_be_empty()
    assert len(chat.answers.requests("Twice?")) == 2
    await chat.stop.click()
    await chat.ended("stopped")
