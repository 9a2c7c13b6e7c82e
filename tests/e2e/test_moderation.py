"""A reply that moderation flags is taken off every page."""

import asyncio
import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from playwright.async_api import expect

from tests.fake_provider import FakeProvider, Gate, Script, Status, Text, reply

from .chat import Chat
from .conftest import Visit
from .server import Server

LABELLED = Path(__file__).parents[1] / "moderation" / "labelled.jsonl"
SAMPLES = map(json.loads, LABELLED.read_text().splitlines())
FLAGGED = next(sample["text"] for sample in SAMPLES if sample["flagged"])
NOTICE = "This reply was withheld by moderation"


async def test_a_flagged_reply_is_replaced_by_a_notice_in_every_tab(chat: Chat) -> None:
    await chat.ask("Hello", reply("Hello."))
    await chat.ended()
    other = await chat.tab()
    await chat.ask("Be rude", reply(FLAGGED))
    for tab in (chat, other):
        await expect(tab.reply).to_contain_text(NOTICE)
        await expect(tab.log.get_by_text(FLAGGED)).to_have_count(0)
        assert FLAGGED not in await tab.page.content()
    await chat.reload()
    await expect(chat.reply).to_contain_text(NOTICE)
    assert FLAGGED not in await chat.page.content()
    answer = chat.export()["messages"][-1]
    assert (answer["verdict"], answer["withheld"], answer["text"]) == ("flagged", True, "")


async def test_stopping_does_not_evade_moderation(chat: Chat) -> None:
    await chat.ask("Be rude", Script(Text(FLAGGED), Gate("never"), Text("!")))
    await expect(chat.text).to_contain_text(FLAGGED)
    await chat.stop.click()
    await expect(chat.reply).to_contain_text(NOTICE)
    assert FLAGGED not in await chat.page.content()
    assert chat.export()["messages"][-1]["state"] == "stopped"


async def test_a_reply_is_stopped_in_the_middle_and_taken_off_every_page(
    own_server: Callable[..., Server], visit: Visit, provider: FakeProvider
) -> None:
    server = await asyncio.to_thread(own_server, MODERATION_STREAM_CHARS="40")
    made = {"name": "Codenames", "kind": "term", "pattern": "badger", "category": "codename"}
    await asyncio.to_thread(insert, server, "chat_moderationrule", made | {"score": 1.0})
    rule = {"direction": "output", "category": "codename", "action": "stop"}
    await asyncio.to_thread(insert, server, "chat_policyrule", rule)
    chat = await visit(server)
    await chat.ask("Hello", reply("Hello."))
    await chat.ended()
    other = await chat.tab()
    told = "It is time that you hear everything about the badger, and what it is for. "
    script = Script(Text(told + "There is more. " * 5), Gate("never"), Text("The end."))
    await chat.ask("What is it called?", script)
    for tab in (chat, other):
        await expect(tab.reply).to_contain_text("stopped by moderation and withheld")
        assert "badger" not in await tab.page.content()
    await provider.eventually(lambda: not provider.open_streams, timeout=2)
    answer = chat.export()["messages"][-1]
    assert (answer["state"], answer["stop_reason"]) == ("stopped", "moderation")


def insert(server: Server, table: str, row: dict[str, object]) -> None:
    """A row as an administrator would make it; what the form fills in by itself, too."""
    if table == "chat_moderationrule":
        row = {"direction": "", "enabled": 1, "note": "", "changed_at": "2026-01-01"} | row
    names, places = ", ".join(row), ", ".join("?" * len(row))
    path = server.log.parent / "parley.sqlite3"
    with closing(sqlite3.connect(path, timeout=20, isolation_level=None)) as connection:
        connection.execute(f"INSERT INTO {table}({names}) VALUES ({places})", [*row.values()])


async def test_a_withheld_reply_is_not_told_to_the_provider_again(chat: Chat) -> None:
    await chat.ask("Be rude", reply(FLAGGED))
    await expect(chat.reply).to_contain_text(NOTICE)
    await chat.ask("Be nice", reply("Gladly."))
    await chat.reconciled()
    request = await chat.answers.request("Be nice")
    assert FLAGGED not in json.dumps(request.messages, ensure_ascii=False)
    await expect(chat.text).to_have_text("Gladly.")


async def test_a_verdict_that_comes_later_takes_the_reply_away_or_leaves_it(
    own_server: Callable[..., Server], visit: Visit, provider: FakeProvider
) -> None:
    provider.override("moderations", Script(Gate("verdict"), Status(500)))
    server = await asyncio.to_thread(own_server, MODERATION_BACKENDS="local,openai")
    chat = await visit(server)
    await chat.ask("Hm?", reply("A word that only the remote one knows: flagme."))
    await chat.reconciled("check pending")
    await expect(chat.text).to_contain_text("flagme")
    other = await visit(server)
    await other.ask("Fine?", reply("Nothing wrong with this."))
    await other.reconciled("check pending")
    copy = other.reply.get_by_role("button", name="Copy")
    await copy.focus()
    provider.override("moderations", None)
    provider.open("verdict")
    await expect(chat.reply).to_contain_text(NOTICE)
    await expect(chat.log.get_by_text("flagme")).to_have_count(0)
    await other.reconciled()
    await expect(copy).to_be_focused()
