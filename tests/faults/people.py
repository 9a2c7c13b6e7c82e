"""Who sends, stops and reads."""

import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.e2e.server import CANARY_KEY, Person
from tests.faults.tab import Over, Tab
from tests.visitor import Answer, Visitor, ask, ask_soon


class Guest(Visitor):
    """A person with a new conversation, whose page can be opened more than once."""

    def __init__(self, url: str, person: Person) -> None:
        self.url, self.person = url, person
        self.page = ask(url + "/", Cookie=person.cookie).text
        self.socket_path = Tab(self, self.page).socket_path
        form = self.page[self.page.index('class="composer"') :]
        self.path = re.search(r'action="([^"]+)messages"', form)[1]  # type: ignore[index]
        self.fields = dict(re.findall(r'type="hidden" name="([^"]+)"[^>]*value="([^"]*)"', form))

    @asynccontextmanager
    async def opened(self, over: Over = "socket") -> AsyncIterator[Tab]:
        """The page of the new conversation, connected."""
        tab = Tab(self, self.page)
        async with tab.connected(over):
            yield tab

    @asynccontextmanager
    async def reopened(self, over: Over = "socket", at: str = "") -> AsyncIterator[Tab]:
        """The page loaded anew, as by a reload or in a second tab."""
        answer = await self.get(at=at)
        assert answer.status == 200, answer
        assert CANARY_KEY not in answer.text
        tab = Tab(self, answer.text)
        async with tab.connected(over, at):
            yield tab

    async def asks(self, text: str, **how: str) -> float:
        """Send, and have it accepted; returns when it was."""
        answer = await self.send(text, **how)
        assert answer.status == 200, answer.text
        return time.monotonic()

    async def stop(self) -> Answer:
        return await self.post("stop")

    async def signs_out(self) -> None:
        """In another tab."""
        token = self.fields["csrfmiddlewaretoken"]
        answer = await ask_soon(
            f"{self.url}/accounts/logout/",
            "POST",
            f"csrfmiddlewaretoken={token}".encode(),
            Cookie=f"{self.person.cookie}; csrftoken={token}",
            Content_Type="application/x-www-form-urlencoded",
        )
        assert answer.status == 302, answer

    async def goes_on(self) -> Answer:
        """The button "Continue" under the newest reply."""
        reply = await self.reply()
        return await self.post(f"messages/{reply['id']}/continue", key="continue")

    async def replies(self) -> list[dict[str, Any]]:
        return [m for m in await self.messages() if m["role"] == "assistant"]
