"""Very long replies: whole on screen and in the record, and the page stays usable meanwhile."""

import asyncio
import re
import statistics
import time

from playwright.async_api import expect

from tests.fake_provider import Done, Finish, Script, Text, Usage

from .chat import Chat

# Seconds. What a person may wait for an answer to a key while a reply pours in, on a busy machine;
# the median of several, so that somebody else's work on this machine is not taken for ours.
USABLE_S = 1.0
BIG_S = 90_000  # milliseconds that a reply of these sizes may take on a busy machine

WORDS = ["the", "tide", "comes", "in", "while", "nobody", "looks", "at", "the", "sea"]


def fast(text: str, size: int) -> Script:
    pieces = -(-len(text) // size)
    return Script(Text(text, size), Finish(), Usage(completion_tokens=pieces), Done())


def prose(tokens: int) -> str:
    """Words that are numbered, so that a gap or a repeat shows."""
    words = [f"{WORDS[n % len(WORDS)]}{n} " for n in range(tokens)]
    paragraphs = ["".join(words[at : at + 60]).strip() for at in range(0, tokens, 60)]
    return "\n\n".join(paragraphs)


def squeezed(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()


async def usable_meanwhile(chat: Chat) -> list[float]:
    """Type, and ask the server how it is, until the reply has ended; how long each key took."""
    delays = []
    foot = chat.reply.locator(".message-foot[data-state=complete]")
    while not await foot.count():
        typed = await chat.box.input_value()
        started = time.monotonic()
        await chat.box.press("x")
        await chat.until(f"document.getElementById('message-box').value === '{typed}x'")
        delays.append(time.monotonic() - started)
        started = time.monotonic()
        assert (await asyncio.to_thread(chat.server.get, "/healthz"))[0] == 200
        delays.append(time.monotonic() - started)
    return delays


async def whole(chat: Chat, question: str, script: Script, text: str) -> None:
    """Ask, use the page meanwhile, and find the record whole."""
    await chat.ask(question, script)
    delays = await usable_meanwhile(chat)
    assert not delays or statistics.median(delays) <= USABLE_S, delays
    await expect(chat.reply).to_contain_text("checked", timeout=BIG_S)
    assert chat.saved()[1] == text


async def test_forty_thousand_tokens(chat: Chat) -> None:
    text = prose(40_000)
    await whole(chat, "At length, please.", fast(text, 7), text)
    assert squeezed(await chat.text.text_content() or "") == squeezed(text)
    await chat.reload()
    assert squeezed(await chat.text.text_content() or "") == squeezed(text)


async def test_ten_thousand_tokens_of_one_character(chat: Chat) -> None:
    text = prose(1_400)[:10_000].strip()
    await whole(chat, "Letter by letter.", fast(text, 1), text)
    assert squeezed(await chat.text.text_content() or "") == squeezed(text)


async def test_a_code_block_of_a_mebibyte(chat: Chat) -> None:
    lines = (f"x{number} = '<b>&amp; {number}</b>'\n" for number in range(40_000))
    code = "".join(lines)[: 1024 * 1024]
    text = f"```python\n{code}\n```\n\nThat is all."
    await whole(chat, "All the code.", fast(text, 400), text)
    assert (await chat.text.locator("pre code").text_content() or "").rstrip("\n") == code.rstrip()
    await expect(chat.text.get_by_role("paragraph")).to_have_text("That is all.")


async def test_a_list_of_two_hundred_kilobytes(chat: Chat) -> None:
    items = [f"item {number} of a long list, *with* emphasis" for number in range(4_600)]
    text = "\n".join(f"- {item}" for item in items)
    assert len(text) >= 200_000
    await whole(chat, "A list.", fast(text, 60), text)
    shown = await chat.text.get_by_role("listitem").all_text_contents()
    assert [item.strip() for item in shown] == [item.replace("*", "") for item in items]
