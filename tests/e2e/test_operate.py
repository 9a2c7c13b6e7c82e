"""The operator's status page: the streaming test behind real proxies, refreshing, keyboard, axe."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from tests.fake_provider import reply
from tests.parts.nginx import Nginx

from .axe import WIDTHS
from .browser import Watch
from .chat import Chat
from .conftest import Visit
from .server import Server
from .test_accessibility import is_clean

PATH = "/operate/status/"
# A proxy as it should not be. Over HTTP/1.1 nginx passes each complete chunk on even when it
# buffers; over 1.0 it waits until a buffer is full or the answer has ended.
BUFFERING = """
location /operate/status/stream {
    proxy_http_version 1.0;
    proxy_buffering on;
    proxy_ignore_headers X-Accel-Buffering;
    proxy_pass http://parley;
}
"""
WITHOUT_SOCKETS = "location ^~ /ws/ { return 403; }"

Operate = Callable[..., Awaitable[Page]]
Proxy = Callable[[str], Awaitable[str]]


@pytest.fixture
def operate(server: Server, visit: Visit) -> Operate:
    """The status page as the administrator sees it."""

    async def open_page(via: str = "", **options: Any) -> Page:
        administrator = server.administrator
        chat = await visit(server, PATH, who=administrator, via=via, connect=False, **options)
        await expect(chat.page.get_by_role("heading", name="Status", exact=True)).to_be_visible()
        return chat.page

    return open_page


@pytest_asyncio.fixture(loop_scope="session")
async def proxy(server: Server, tmp_path: Path) -> AsyncIterator[Proxy]:
    """The address of the nginx that we ship, with something added."""
    async with AsyncExitStack() as started:

        async def start(extra: str = "") -> str:
            nginx = Nginx(tmp_path / "nginx", [server.port], extra={"extra.conf": extra})
            await asyncio.to_thread(nginx.start)
            started.callback(nginx.stop)
            return nginx.url

        yield start


async def verdicts(page: Page) -> list[str]:
    """What the streaming test says: of the stream, then of WebSockets."""
    button = page.get_by_role("button", name="Test streaming")
    await button.click()
    await expect(page.get_by_role("status").filter(has_text="Testing…")).to_be_visible()
    await expect(button).to_have_attribute("aria-disabled", "false")
    return await page.locator("#verdicts .verdict").all_text_contents()


async def test_streaming_works_directly(operate: Operate) -> None:
    page = await operate()
    stream, socket = await verdicts(page)
    assert stream.startswith("Streaming works: 8 pieces arrived one by one (largest gap ")
    assert socket.startswith("WebSockets get through")
    await page.get_by_text("When each piece was sent and arrived").click()
    await expect(page.get_by_role("table", name="Pieces").get_by_role("row")).to_have_count(9)


async def test_streaming_works_behind_the_nginx_that_we_ship(
    operate: Operate, proxy: Proxy
) -> None:
    stream, socket = await verdicts(await operate(await proxy("")))
    assert stream.startswith("Streaming works: 8 pieces")
    assert socket.startswith("WebSockets get through")


async def test_a_proxy_that_buffers_is_found_out(operate: Operate, proxy: Proxy) -> None:
    stream, socket = await verdicts(await operate(await proxy(BUFFERING)))
    assert stream.startswith("Something between this browser and Parley buffers: all 8 pieces")
    assert "together after 1." in stream
    assert "docs/deployment.md: proxy_buffering off" in stream
    assert socket.startswith("WebSockets get through")


async def test_a_proxy_without_websockets_is_found_out(
    operate: Operate, proxy: Proxy, watch: Watch
) -> None:
    watch.allow("WebSocket connection to")
    stream, socket = await verdicts(await operate(await proxy(WITHOUT_SOCKETS)))
    assert stream.startswith("Streaming works")
    assert socket.startswith("WebSockets do not get through")


async def test_a_server_that_stops_meanwhile_is_said(
    operate: Operate, server: Server, watch: Watch
) -> None:
    watch.allow("Failed to load resource", "htmx:error: Failed to fetch", "status of 502")
    page = await operate()
    await page.get_by_label("Refresh every 5 seconds").uncheck()
    await page.route("**/operate/status/**", lambda route: route.abort())
    stream, _ = await verdicts(page)
    assert stream == "The stream could not be tested: the server does not answer."
    await page.get_by_role("button", name="Refresh now").click()
    await expect(page.locator("#refresh-said")).to_contain_text("the server does not answer")
    await page.unroute("**/operate/status/**")
    await page.route("**/operate/status/**", lambda route: route.fulfill(status=502, body="bad"))
    stream, _ = await verdicts(page)
    assert stream == "The stream could not be tested: the server answered 502."
    await page.get_by_role("button", name="Refresh now").click()
    await expect(page.locator("#refresh-said")).to_contain_text("the server answered 502")
    await expect(page.get_by_role("heading", name="Backlog")).to_be_visible()


APART, SLOW = [150 * n for n in range(8)], [400 * n for n in range(8)]
VERDICTS: dict[str, tuple[list[float], list[float], dict[str, float | str]]] = {
    "as they were sent": (APART, APART, {"kind": "streams", "lots": 8, "gap": 150}),
    "far away": (APART, [900 + t for t in APART], {"kind": "streams", "after": 1950}),
    "a server that is slow to send": (SLOW, SLOW, {"kind": "streams", "gap": 400}),
    "a hiccup": (APART, [0, 150, 600, 601, 602, 750, 900, 1050], {"kind": "streams", "lots": 6}),
    "all at the end": (APART, [1050 + n for n in range(8)], {"kind": "buffered", "lots": 1}),
    "emptied twice": (APART, [500] * 4 + [1050] * 4, {"kind": "lots", "lots": 2, "gap": 550}),
    "four pairs": (APART, [150, 150, 450, 450, 750, 750, 1050, 1050], {"kind": "lots", "lots": 4}),
    "cut": (APART[:3], APART[:3], {"kind": "broken", "count": 3, "of": 8}),
    "cut at once": (APART[:1], APART[:1], {"kind": "broken", "count": 1}),
    "nothing": ([], [], {"kind": "broken", "count": 0, "of": 0}),
}


async def test_the_verdict_on_arrivals(operate: Operate) -> None:
    page = await operate()
    for name, (sent, arrived, wanted) in VERDICTS.items():
        arrivals = [{"of": 8, "sent": s, "arrived": a} for s, a in zip(sent, arrived, strict=True)]
        found = await page.evaluate(
            "async (arrivals) => (await import('/static/js/verdict.js')).verdict(arrivals)",
            arrivals,
        )
        assert {key: found[key] for key in wanted} == wanted, name


async def test_events_are_the_same_however_they_are_cut(operate: Operate) -> None:
    page = await operate()
    text = 'data: {"piece": 1}\n\ndata: {"piece": 2}\n\ndata: {"pie'
    fed = """async (pieces) => {
      const events = new (await import('/static/js/verdict.js')).Events();
      return pieces.flatMap((piece) => events.feed(piece));
    }"""
    for cut in range(len(text)):
        found = await page.evaluate(fed, [text[:cut], text[cut:]])
        assert [json.loads(data) for data in found] == [{"piece": 1}, {"piece": 2}]


async def test_the_figures_are_fetched_again(operate: Operate, chat: Chat) -> None:
    page = await operate()
    pages = page.get_by_role("row", name="Open pages").get_by_role("cell")
    before = int(await pages.inner_text())
    await chat.tab("/")
    # By itself, and nothing of it is read out.
    await expect(pages).to_have_text(str(before + 1))
    await expect(page.locator("#refresh-said")).to_have_text("")
    await page.get_by_label("Refresh every 5 seconds").uncheck()
    await chat.ask("Counted?", reply("Yes."))
    await chat.reconciled()
    await page.get_by_role("button", name="Refresh now").click()
    await expect(page.locator("#refresh-said")).to_have_text("Refreshed.")
    complete = page.get_by_role("row", name="Complete").get_by_role("cell").first
    assert int(await complete.inner_text()) >= 1


async def test_who_is_signed_out_is_told(operate: Operate) -> None:
    page = await operate()
    await page.get_by_label("Refresh every 5 seconds").uncheck()
    await page.context.clear_cookies()
    assert await verdicts(page) == ["You are signed out. Reload the page and sign in again."]
    await page.get_by_role("button", name="Refresh now").click()
    await expect(page.locator("#refresh-said")).to_contain_text("You are signed out")
    await expect(page.get_by_role("heading", name="Backlog")).to_be_visible()


async def test_without_scripts_it_is_a_page_to_reload(operate: Operate) -> None:
    page = await operate(java_script_enabled=False)
    await expect(page.get_by_label("Refresh every 5 seconds")).to_be_hidden()
    await expect(page.get_by_role("button", name="Test streaming")).to_be_hidden()
    await page.get_by_role("button", name="Refresh now").click()
    await expect(page.get_by_role("heading", name="Backlog")).to_be_visible()


async def test_by_keyboard(operate: Operate) -> None:
    page = await operate(viewport=WIDTHS["wide"])
    focused = "document.activeElement.textContent.trim() || document.activeElement.type"
    passed = []
    for _ in range(7):
        await page.keyboard.press("Tab")
        passed.append(await page.evaluate(focused))
    links = ["Parley", "Status", "Metrics", "Administration"]
    assert passed == [*links, "checkbox", "Refresh now", "Test streaming"]
    await page.keyboard.press("Enter")
    await expect(page.locator("#verdicts .verdict-good")).to_have_count(2)
    # The focus is where it was, also after the figures have been swapped.
    await page.evaluate("document.getElementById('refresh').dispatchEvent(new Event('tick'))")
    await asyncio.sleep(0.5)
    assert await page.evaluate(focused) == "Test streaming"
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("table", name="Pieces")).to_be_visible()


async def test_axe_finds_nothing(operate: Operate, proxy: Proxy) -> None:
    page = await operate(await proxy(BUFFERING))
    await page.get_by_label("Refresh every 5 seconds").uncheck()
    await is_clean(page)
    await verdicts(page)
    await page.get_by_text("When each piece was sent and arrived").click()
    await is_clean(page)


async def test_the_ways_to_it(server: Server, visit: Visit) -> None:
    chat = await visit(server, who=server.administrator)
    await chat.page.locator("summary", has_text="Your account").click()
    await chat.page.get_by_role("link", name="Status").click()
    await chat.page.wait_for_url(f"**{PATH}")
    await chat.page.get_by_role("link", name="Administration").click()
    await chat.page.get_by_role("link", name="Status of this installation").click()
    await chat.page.wait_for_url(f"**{PATH}")
