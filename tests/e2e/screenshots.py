"""The pictures in docs/: `python -m tests.e2e.screenshots docs/images`.

A server, a fake provider and Chromium, as in the tests; the conversations are streamed for real.
"""

import argparse
import asyncio
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.async_api import Browser, Page, async_playwright, expect

from tests.fake_provider import FakeProvider, reply

from . import samples
from .browser import find_chromium, launch
from .chat import PATIENCE_S, Answers, Chat
from .server import ROOT, Person, Server, prepare

SIZES = {"wide": {"width": 1280, "height": 860}, "narrow": {"width": 390, "height": 844}}
SCALE = 2  # device pixels: sharp on the screens that people read READMEs on
STILL = "document.documentElement.getAnimations({ subtree: true }).forEach((a) => a.cancel())"


class Studio:
    """Opens pages in a given light."""

    def __init__(self, browser: Browser, server: Server, answers: Answers) -> None:
        self._browser, self._server, self._answers = browser, server, answers

    async def page(self, who: Person | None, width: str, scheme: str) -> Chat:
        context = await self._browser.new_context(
            base_url=self._server.url,
            viewport=SIZES[width],
            color_scheme=scheme,
            device_scale_factor=SCALE,
            reduced_motion="reduce",
        )
        context.set_default_timeout(PATIENCE_S * 1000)
        if who is not None:
            await context.add_cookies(
                [{"name": "sessionid", "value": who.session, "url": self._server.url}]
            )
        return Chat(
            await context.new_page(), self._server, who or self._server.administrator, self._answers
        )


async def take(page: Page, target: Path) -> None:
    await page.mouse.move(0, 0)
    await page.evaluate(STILL)
    await page.screenshot(path=target)
    print(target)


async def have(chat: Chat, sample: samples.Sample, rate: float = 0.0) -> None:
    """Have this conversation, up to the title that the model gives it."""
    chat.provider.title = sample.title
    script = reply(sample.answer, reasoning=sample.reasoning, rate=rate)
    await chat.open()
    await chat.ask(sample.question, script)
    await chat.reconciled()
    await expect(chat.sidebar.get_by_role("link", name=sample.title)).to_be_visible()


async def shoot(studio: Studio, server: Server, into: Path) -> None:
    ada = server.administrator
    wide = await studio.page(ada, "wide", "light")
    for sample in reversed(samples.OTHERS):
        await have(wide, sample)
    await have(wide, samples.SLOW_QUERY, rate=70)
    path = wide.path
    await wide.reload()  # as it looks to who comes back: nothing has the focus
    await take(wide.page, into / "conversation-light.png")
    await wide.page.goto(f"/admin/chat/conversation/{path.split('/')[2]}/change/")
    await take(wide.page, into / "admin-transcript.png")
    dark = await studio.page(ada, "wide", "dark")
    await dark.open(path)
    await take(dark.page, into / "conversation-dark.png")
    narrow = await studio.page(ada, "narrow", "light")
    await narrow.open(path)
    await take(narrow.page, into / "conversation-narrow.png")
    await assisted(wide, into)
    await reviewed(studio, wide, path.split("/")[2], into)
    stranger = await studio.page(None, "wide", "light")
    await stranger.page.goto("/accounts/login/")
    await take(stranger.page, into / "sign-in.png")


async def reviewed(studio: Studio, chat: Chat, conversation: str, into: Path) -> None:
    """The queue, a transcript, and what operators look at."""
    program = [sys.executable, "-m", "tests.e2e.past"]
    await asyncio.to_thread(
        subprocess.run, program, cwd=ROOT, env=chat.server.environment, check=True
    )
    page = chat.page
    await page.goto("/review/")
    await take(page, into / "review-queue.png")
    await page.goto(f"/review/{conversation}/")
    await page.get_by_label("It is in the review queue").check()
    await page.get_by_role("button", name="Open the transcript").click()
    await expect(page.get_by_role("button", name="Replay").first).to_be_visible()
    await take(page, into / "review-transcript.png")
    dark = await studio.page(chat.server.administrator, "wide", "dark")
    await dark.page.goto("/operate/metrics/?range=30d")
    await expect(dark.page.locator("canvas").first).to_be_visible()
    await take(dark.page, into / "metrics.png")


async def assisted(chat: Chat, into: Path) -> None:
    """A tool that asks first, and an answer in a form."""
    page = chat.page
    await page.goto("/assistants/new/")
    for name in ("tools", "approvals"):
        await page.locator(f"input[name={name}][value=calculator]").check()
    await make(page, "Bookkeeper")
    await chat.connected()
    await chat.ask(samples.INVOICE, samples.INVOICE_CALL)
    await expect(chat.reply.get_by_role("button", name="Approve")).to_be_visible()
    await take(page, into / "tool-call.png")
    await chat.stop.click()
    await page.goto("/assistants/new/")
    await page.get_by_label("Response schema").fill(samples.MINUTES_SCHEMA)
    await make(page, "Minutes")
    await chat.connected()
    await chat.ask(samples.MEETING, samples.MINUTES)
    await expect(chat.reply).to_contain_text("The answer is valid.")
    await take(page, into / "form.png")


async def make(page: Page, name: str) -> None:
    await page.get_by_label("Name", exact=True).fill(name)
    await page.get_by_role("button", name="Save").click()
    await page.get_by_role("link", name="Start a chat").click()


async def draw(server: Server, provider: FakeProvider, chromium: str, into: Path) -> None:
    expect.set_options(timeout=PATIENCE_S * 1000)
    async with async_playwright() as playwright:
        browser = await launch(playwright, chromium)
        await shoot(Studio(browser, server, Answers(provider)), server, into)
        await browser.close()


def main(into: Path) -> None:
    chromium = find_chromium()
    if chromium is None:
        raise SystemExit("The pictures need a browser: the Debian package chromium.")
    into.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as home, FakeProvider() as provider:
        prepared = prepare(Path(home) / "prepared", people=1)
        server = Server(
            prepared,
            Path(home) / "server",
            provider.base_url,
            CHAT_MODELS="gpt-oss-120b",
            MODEL_PRICES="gpt-oss-120b=0.15/0.6,qwen3-32b=0.1/0.4",
        )
        server.start()
        try:
            asyncio.run(draw(server, provider, chromium, into))
        finally:
            server.stop()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.e2e.screenshots", description=__doc__)
    parser.add_argument("into", type=Path, help="the directory to write them to")
    main(parser.parse_args().into)
