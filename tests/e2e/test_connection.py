"""The connection: lost and back, servers that stop and die, sign-out."""

import asyncio
import time
from collections.abc import Callable

import pytest_asyncio
from playwright.async_api import expect

from tests.fake_provider import Done, FakeProvider, Finish, Gate, Script, Text, Usage, reply

from .browser import Watch
from .chat import Chat
from .conftest import Visit
from .relay import Relay
from .server import Server

LOST = "Connection lost, reconnecting…"
# What a browser writes to the console when nobody listens.
REFUSED = ("WebSocket connection to", "ERR_CONNECTION_REFUSED", "htmx:ws:error", "Failed to fetch")
TWO_PARTS = Script(
    Text("The first "), Gate("rest"), Text("and the last."), Finish(), Usage(), Done()
)


@pytest_asyncio.fixture(loop_scope="session")
async def own(own_server: Callable[..., Server], visit: Visit, watch: Watch) -> Chat:
    """A page on a server that the test may end."""
    watch.allow(*REFUSED)
    server = await asyncio.to_thread(own_server, DRAIN_TIMEOUT="3")
    return await visit(server)


async def stop(server: Server) -> None:
    await asyncio.to_thread(server.stop)


async def start(server: Server) -> None:
    await asyncio.to_thread(server.start)


async def test_a_page_comes_back_after_a_restart_and_goes_on(own: Chat) -> None:
    await own.ask("Before?", reply("Before."))
    await own.reconciled()
    before = await own.log.inner_html()
    await stop(own.server)
    await expect(own.status).to_have_text(LOST)
    await own.box.fill("Typed meanwhile")
    await start(own.server)
    await own.connected()
    await expect(own.status).not_to_have_text(LOST)
    assert await own.log.inner_html() == before
    await expect(own.box).to_have_value("Typed meanwhile")
    await own.ask("After?", reply("After."))
    await expect(own.text).to_have_text("After.")
    await expect(own.log.get_by_role("article")).to_have_count(4)


async def test_a_server_that_is_told_to_stop_lets_a_short_reply_finish(
    own: Chat, provider: FakeProvider
) -> None:
    await own.ask("Finish?", TWO_PARTS)
    await expect(own.text).to_have_text("The first")
    stopping = asyncio.create_task(stop(own.server))
    await expect(own.status).to_have_text(LOST)
    provider.open("rest")
    await stopping
    await start(own.server)
    await expect(own.text).to_have_text("The first and the last.")
    await own.ended()
    await expect(own.log.get_by_role("article")).to_have_count(2)
    assert own.saved()[1] == "The first and the last."


async def test_a_server_that_is_told_to_stop_saves_a_long_reply_as_interrupted(own: Chat) -> None:
    await own.ask("Too long?", TWO_PARTS)
    await expect(own.text).to_have_text("The first")
    request = await own.answers.request("Too long?")
    await stop(own.server)
    assert request.closed_by_client
    await start(own.server)
    await own.ended("interrupted")
    await expect(own.text).to_have_text("The first")
    await expect(own.reply).to_contain_text("The server was restarted")
    await own.reconciled()
    await expect(own.log.get_by_role("article")).to_have_count(2)
    answer = own.export()["messages"][1]
    assert answer["text"].strip() == "The first"
    assert answer["verdict"] == "passed"


async def test_a_server_that_is_killed_loses_at_most_a_second(own: Chat) -> None:
    words = " ".join(f"w{number}" for number in range(2_000))
    await own.ask("Killed?", Script(Text(words, size=5, rate=50)))
    await expect(own.text).to_contain_text("w60 ")
    # What was on screen a second before: at least so much must be kept.
    shown = (await own.text.inner_text()).strip()
    await asyncio.sleep(1)
    own.server.kill()
    await expect(own.status).to_have_text(LOST)
    on_screen = (await own.text.inner_text()).strip()
    await start(own.server)
    ready_at = time.monotonic()
    await own.ended("interrupted")
    assert time.monotonic() - ready_at <= 5
    kept = own.saved()[1]
    assert kept.startswith(shown)
    assert words.startswith(kept)
    assert (await own.text.inner_text()).strip() == kept.strip()
    assert len(kept) >= len(shown)
    assert on_screen.startswith(shown)
    await expect(own.log.get_by_role("article")).to_have_count(2)
    await own.reconciled()


async def test_what_is_sent_to_a_server_that_is_down_stays_in_the_composer(own: Chat) -> None:
    await own.ask("Before?", reply("Before."))
    await own.ended()
    await stop(own.server)
    await own.box.fill("Into the void")
    await own.box.press("Enter")
    await expect(own.page.get_by_role("alert")).to_contain_text("could not be sent")
    await expect(own.box).to_have_value("Into the void")
    await start(own.server)
    await own.connected()
    await own.ask("Into the void", reply("Received."))
    await expect(own.text).to_have_text("Received.")
    assert own.saved() == ["Before?", "Before.", "Into the void", "Received."]


async def test_what_was_written_while_the_connection_was_lost_is_caught_up_with(
    server: Server, visit: Visit, watch: Watch, provider: FakeProvider
) -> None:
    watch.allow(*REFUSED)
    async with Relay(server.port) as relay:
        chat = await visit(server, via=relay.url)
        await chat.ask("Network?", TWO_PARTS)
        await expect(chat.text).to_have_text("The first")
        other = await visit(server, chat.path)
        await relay.cut()
        await expect(chat.status).to_have_text(LOST)
        provider.open("rest")
        await expect(other.text).to_have_text("The first and the last.")
        await other.ended()
        await other.ask("More?", reply("More."))
        await other.reconciled()
        await relay.mend()
        await expect(chat.text).to_have_text("More.", timeout=8_000)  # a retry comes within 5 s
        await chat.reconciled()
        await expect(chat.status).not_to_have_text(LOST)
        assert await chat.log.inner_text() == await other.log.inner_text()
        await expect(chat.log.get_by_role("article")).to_have_count(4)


async def test_signing_out_ends_the_other_tabs(chat: Chat, watch: Watch) -> None:
    await chat.ask("Hello?", reply("Hello."))
    await chat.ended()
    other = await chat.tab()
    await other.page.locator("summary", has_text="Your account").click()
    await other.page.get_by_role("button", name="Sign out").click()
    await other.page.wait_for_url("**/accounts/login/")
    await expect(chat.status).to_contain_text("You are signed out.")
    # What is typed there must not vanish behind a sign-in page.
    await chat.box.fill("Still mine")
    await chat.box.press("Enter")
    await expect(chat.page.locator("#composer-error")).to_contain_text("You are signed out.")
    await expect(chat.box).to_have_value("Still mine")
    await expect(chat.page.get_by_label("Username or email")).to_have_count(0)
