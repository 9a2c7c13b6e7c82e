"""The conversation page as a person meets it: everything is found by its role and name."""

import asyncio
import re
import time
from collections import deque
from typing import Any

from playwright.async_api import Locator, Page, expect

from tests.fake_provider import FakeProvider, Request, Script

from .server import Person, Server

PATIENCE_S = 30.0  # for what takes milliseconds on an idle machine
CONVERSATION = re.compile(r"/c/[0-9a-f-]{36}/$")


class Answers:
    """What the provider says to which question, so that tests cannot get each other's replies.

    Several scripts for one question answer one request each; the last one answers the rest.
    """

    def __init__(self, provider: FakeProvider) -> None:
        self.provider = provider
        self._scripts: dict[str, deque[Script]] = {}
        provider.choose = self._choose

    def to(self, question: str, *scripts: Script) -> None:
        self._scripts[question] = deque(scripts)

    def requests(self, question: str) -> list[Request]:
        return [r for r in self.provider.streams if r.messages[-1]["content"] == question]

    async def request(self, question: str, count: int = 1) -> Request:
        """The newest of at least ``count`` requests for this question."""

        def arrived() -> list[Request]:
            found = self.requests(question)
            return found if len(found) >= count else []

        return (await self.provider.eventually(arrived, 20))[-1]

    def _choose(self, request: Request) -> Script | None:
        scripts = self._scripts.get(str(request.messages[-1]["content"]))
        if not scripts:
            return None
        return scripts.popleft() if len(scripts) > 1 else scripts[0]


class Chat:
    """One tab."""

    def __init__(self, page: Page, server: Server, person: Person, answers: Answers) -> None:
        self.page, self.server, self.person, self.answers = page, server, person, answers
        self.log = page.get_by_role("log", name="Conversation")
        self.box = page.get_by_role("textbox", name="Message")
        self.send = page.get_by_role("button", name="Send", exact=True)
        self.stop = page.get_by_role("button", name="Stop", exact=True)
        self.status = page.get_by_role("status")
        self.sidebar = page.get_by_role("navigation", name="Conversations")
        self.new = self.sidebar.get_by_role("link", name="New chat")
        self.dialog = page.get_by_role("dialog")
        self.jump = page.get_by_role("button", name="Jump to latest")
        self.error = page.locator("#composer-error")
        self.replies = self.log.locator("article[data-role=assistant]")
        self.questions = self.log.get_by_role("article", name="You")

    @property
    def reply(self) -> Locator:
        """The newest reply."""
        return self.replies.last

    @property
    def text(self) -> Locator:
        """The newest reply's text, without its name and what stands under it."""
        return self.reply.locator(".body")

    @property
    def provider(self) -> FakeProvider:
        return self.answers.provider

    async def tab(self, path: str | None = None) -> "Chat":
        """Another tab of the same person, on this conversation unless told otherwise."""
        other = Chat(await self.page.context.new_page(), self.server, self.person, self.answers)
        await other.open(self.path if path is None else path)
        return other

    async def open(self, path: str = "/") -> None:
        await self.page.goto(path)
        await self.connected()

    async def reload(self) -> None:
        await self.page.reload()
        await self.connected()

    async def connected(self) -> None:
        """Wait until the page's socket is open."""
        await self.until(
            "document.getElementById('conversation')?._htmx?.ws?.connection"
            "?.socket?.readyState === WebSocket.OPEN"
        )

    async def until(self, condition: str, within: float = PATIENCE_S) -> None:
        """Wait until the expression is true in the page.

        Playwright's own way to wait looks again from a timer of the page, where our policy forbids
        to evaluate a string.
        """
        deadline = time.monotonic() + within
        while not await self.page.evaluate(condition):
            assert time.monotonic() < deadline, f"not within {within} s: {condition}"
            await asyncio.sleep(0.02)

    async def ask(self, question: str, *scripts: Script) -> None:
        if scripts:
            self.answers.to(question, *scripts)
        await self.box.fill(question)
        await self.box.press("Enter")
        await expect(self.questions.last).to_contain_text(question)

    async def ended(self, state: str = "complete") -> None:
        """Wait until the newest reply has come to this end."""
        await expect(self.reply.locator(".message-foot")).to_have_attribute("data-state", state)

    async def reconciled(self, verdict: str = "checked") -> None:
        await expect(self.reply.get_by_role("list", name="About this reply")).to_contain_text(
            verdict
        )

    @property
    def path(self) -> str:
        """The conversation's address, once it has one."""
        found = CONVERSATION.search(self.page.url)
        assert found, self.page.url
        return found[0]

    def export(self) -> dict[str, Any]:
        return self.server.export(self.path, self.person)

    def saved(self) -> list[str]:
        """The text of every saved message."""
        return [message["text"] for message in self.export()["messages"]]

    async def menu(self, title: str, item: str) -> None:
        """Choose from the menu of a conversation in the list."""
        await self.sidebar.locator("summary", has_text=f"Options for {title}").click()
        await self.sidebar.get_by_role("button", name=item).click()
