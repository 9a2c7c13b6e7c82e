"""Where no WebSocket gets through, the page follows the same stream over HTTP, by itself."""

import re
from collections.abc import AsyncIterator

import pytest_asyncio
from playwright.async_api import expect

from tests.fake_provider import FakeProvider, Finish, Gate, Script, Text, reply

from .browser import Watch
from .chat import Chat
from .conftest import Visit
from .relay import Relay
from .server import Server

# The browser's own words about handshakes that fail and connections that break.
BLOCKED = (
    r"WebSocket connection to .* failed",
    r"htmx:ws:error",
    r"net::ERR_",
    r"403 \(Forbidden\)",
)
NOTE = "following over HTTP"
TWO_PARTS = Script(Text("The first"), Gate("rest"), Text(" and the last."), Finish())


@pytest_asyncio.fixture(loop_scope="session")
async def relay(server: Server) -> AsyncIterator[Relay]:
    async with Relay(server.port, no_websockets=True) as relay:
        yield relay


@pytest_asyncio.fixture(loop_scope="session")
async def around(server: Server, relay: Relay, visit: Visit, watch: Watch) -> Chat:
    """A new conversation behind a proxy that blocks WebSockets, once it has found its way."""
    watch.allow(*BLOCKED)
    chat = await visit(server, via=relay.url, connect=False)
    await expect(chat.status).to_contain_text(NOTE)
    return chat


async def test_a_reply_streams_all_the_same(around: Chat, provider: FakeProvider) -> None:
    await around.ask("Blocked?", TWO_PARTS)
    await expect(around.text).to_have_text("The first")
    await expect(around.status).to_contain_text("Writing…")
    provider.open("rest")
    await expect(around.text).to_have_text("The first and the last.")
    await around.reconciled()
    assert around.saved() == ["Blocked?", "The first and the last."]


async def test_stop_works(around: Chat) -> None:
    await around.ask("Blocked?", Script(Text("Half"), Gate("never"), Finish()))
    await expect(around.text).to_have_text("Half")
    await around.page.get_by_role("button", name="Stop").click()
    await around.ended("stopped")


async def test_a_connection_that_breaks_is_picked_up_at_the_same_place(
    around: Chat, relay: Relay, provider: FakeProvider
) -> None:
    await around.ask("Blocked?", TWO_PARTS)
    await expect(around.text).to_have_text("The first")
    await relay.cut()
    await expect(around.status).to_contain_text("Connection lost, reconnecting…")
    await relay.mend()
    await expect(around.status).to_contain_text("Writing…")
    provider.open("rest")
    await expect(around.text).to_have_text("The first and the last.")
    await around.ended()


async def test_a_deletion_elsewhere_is_told(around: Chat, server: Server, visit: Visit) -> None:
    around.provider.title = "To be deleted"
    await around.ask("Blocked?", reply("An answer."))
    await expect(around.sidebar.get_by_role("link", name="To be deleted")).to_be_visible()
    direct = await visit(server, around.path)
    await direct.menu("To be deleted", "Delete")
    await direct.dialog.get_by_role("button", name="Delete").click()
    await expect(around.status).to_contain_text("deleted")
    await expect(around.log.get_by_role("article")).to_have_count(0)


async def test_without_a_blockade_nothing_is_said(chat: Chat) -> None:
    await chat.ask("Free?", reply("As a bird."))
    await chat.reconciled()
    await expect(chat.status).not_to_have_text(re.compile("HTTP"))
