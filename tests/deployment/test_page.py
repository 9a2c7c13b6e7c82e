"""The page in a browser, behind nginx, while the processes behind it come and go."""

import asyncio
import time

import pytest
import pytest_asyncio
from playwright.async_api import expect

from tests.deployment.cluster import Cluster
from tests.e2e.browser import Watch
from tests.e2e.chat import Answers, Chat
from tests.e2e.conftest import Visit, browser, chromium, visit, watch
from tests.e2e.server import Person
from tests.fake_provider import Done, FakeProvider, Finish, Gate, Script, Text, reply

__all__ = ["browser", "chromium", "visit", "watch"]

# The browser lives on one loop for the whole run.
pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(400)]

TWO_PARTS = Script(Text("The first "), Gate("rest"), Text("and the last."), Finish(), Done())
# What a browser writes to its console when a connection ends.
EXPECTED = ("WebSocket connection to", "ERR_", "htmx:ws:error", "502", "Failed to fetch")


@pytest.fixture
def person(somebody: Person) -> Person:
    return somebody


@pytest.fixture
def answers(provider: FakeProvider) -> Answers:
    return Answers(provider)


@pytest_asyncio.fixture(loop_scope="session")
async def chat(cluster: Cluster, visit: Visit, watch: Watch) -> Chat:
    """A new conversation, through nginx."""
    watch.allow(*EXPECTED)
    return await visit(cluster.webs[0], via=cluster.url)


async def test_a_rolling_restart_in_the_middle_of_a_reply_is_not_noticed(
    cluster: Cluster, chat: Chat, provider: FakeProvider
) -> None:
    await chat.ask("Rolling?", TWO_PARTS)
    await expect(chat.text).to_have_text("The first")
    for web in cluster.webs:
        await asyncio.to_thread(web.stop)
        # The other one has it, over its WebSocket, within the first tries.
        await expect(chat.status).to_contain_text("Writing…", timeout=5_000)
        await chat.connected()
        await asyncio.to_thread(web.start)
    provider.open("rest")
    await expect(chat.text).to_have_text("The first and the last.")
    await chat.reconciled()
    await expect(chat.log.get_by_role("article")).to_have_count(2)
    assert chat.saved() == ["Rolling?", "The first and the last."]
    assert len(chat.answers.requests("Rolling?")) == 1


async def test_a_page_comes_back_when_all_web_processes_were_killed(
    cluster: Cluster, chat: Chat, provider: FakeProvider
) -> None:
    await chat.ask("Killed?", TWO_PARTS)
    await expect(chat.text).to_have_text("The first")
    for web in cluster.webs:
        web.kill()
    await expect(chat.status).to_contain_text("Connection lost, reconnecting…")
    await asyncio.to_thread(cluster.start)
    started_at = time.monotonic()
    # The engine has written on meanwhile.
    provider.open("rest")
    await expect(chat.text).to_have_text("The first and the last.", timeout=8_000)
    assert time.monotonic() - started_at <= 8
    await chat.reconciled()
    await expect(chat.status).not_to_contain_text("Connection lost")
    assert chat.saved() == ["Killed?", "The first and the last."]


async def test_what_is_sent_through_nginx_is_answered_in_every_tab(
    cluster: Cluster, chat: Chat
) -> None:
    await chat.ask("Hello?", reply("Hello."))
    await chat.ended()
    other = await chat.tab()
    await other.ask("And you?", reply("Fine."))
    await expect(chat.text).to_have_text("Fine.")
    await chat.reconciled()
    await other.reconciled()
    said = [await tab.log.locator(".body").all_inner_texts() for tab in (chat, other)]
    assert said[0] == said[1]
