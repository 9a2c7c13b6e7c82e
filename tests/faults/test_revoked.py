"""Who may not read any more gets no byte after five seconds, whether anybody rings or not."""

import asyncio
import sqlite3
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, closing

import pytest

from tests.e2e.server import Person, Server
from tests.fake_provider import FakeProvider, Script, Text
from tests.faults.people import Guest
from tests.faults.tab import OVER, Tab

NO_BYTE_AFTER_S = 5.0
FLOWING = Script(Text(" ".join(f"w{number}" for number in range(5_000)), size=5, rate=30))
Revoke = Callable[[Server, Guest], Awaitable[object]]


def execute(statement: str, *of: Callable[[Guest], str]) -> Revoke:
    """Change the row alone: nobody is rung, as when the ring gets lost."""

    async def revoke(server: Server, guest: Guest) -> None:
        with closing(sqlite3.connect(server.log.with_name("parley.sqlite3"), timeout=20)) as file:
            changed = file.execute(statement, [value(guest) for value in of])
            assert changed.rowcount == 1
            file.commit()

    return revoke


def name(guest: Guest) -> str:
    return guest.person.name


def session(guest: Guest) -> str:
    return guest.person.session


def conversation(guest: Guest) -> str:
    return guest.path.split("/")[2].replace("-", "")


async def sign_out(server: Server, guest: Guest) -> None:
    await guest.signs_out()


HOW: dict[str, tuple[Revoke, int]] = {
    "signed out": (sign_out, 4401),
    "session gone": (execute("DELETE FROM django_session WHERE session_key = ?", session), 4401),
    "deactivated": (execute("UPDATE chat_user SET is_active = 0 WHERE username = ?", name), 4401),
    "new password": (execute("UPDATE chat_user SET password = 'x' WHERE username = ?", name), 4401),
    "deleted": (
        execute(
            "UPDATE chat_conversation SET deleted_at = '2026-01-01' WHERE id = ?", conversation
        ),
        4404,
    ),
    "another's": (
        execute("UPDATE chat_conversation SET owner_id = 1 WHERE id = ?", conversation),
        4404,
    ),
}


@pytest.mark.parametrize("how", HOW)
async def test_an_open_page_gets_no_byte_more(
    server: Server, people: Iterator[Person], provider: FakeProvider, how: str
) -> None:
    provider.script(FLOWING)
    revoke, code = HOW[how]
    guest = Guest(server.url, next(people))
    tabs = [Tab(guest, guest.page) for _ in OVER]
    async with AsyncExitStack() as stack:
        for tab, over in zip(tabs, OVER, strict=True):
            await stack.enter_async_context(tab.connected(over))
        await guest.asks("Go on!")
        for tab in tabs:
            await tab.shows("w5")
        await revoke(server, guest)
        revoked_at = time.monotonic()
        codes = [await tab.let_go(within=20) for tab in tabs]
        assert max(tab.heard[-1] for tab in tabs) - revoked_at <= NO_BYTE_AFTER_S
        assert codes == [code, code]
        # And there is no way back in.
        for path in (guest.path, f"{guest.path}events", f"{guest.path}export.json"):
            answer = await guest.get(path)
            assert b"w1" not in answer.body
            assert answer.status in {200, 302, 404}
    await asyncio.to_thread(provider.reset)
