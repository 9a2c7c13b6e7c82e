"""What the reader waited for, measured where he waits; and the charts made of it."""

import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import closing
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from tests.fake_provider import FakeProvider, Finish, Gate, Script, Text, Wait, reply
from tests.support import eventually

from .axe import WIDTHS
from .browser import Watch
from .chat import CONVERSATION, Chat
from .conftest import Visit
from .relay import Relay
from .server import Server
from .test_accessibility import is_clean
from .test_over_http import BLOCKED, NOTE

PATH = "/operate/metrics/"
SLOW = Script(Wait(0.3), Text("Here it is."), Finish())
HELD = Script(Gate("text"), Text("Here it is."), Finish())
COLUMNS = "ttft_served_ms", "ttft_perceived_ms", "transport", "state", "reconciled_at"


def rows(chat: Chat) -> list[dict[str, Any]]:
    """The conversation's replies as the server's database has them, the oldest first."""
    database = chat.server.log.parent / "parley.sqlite3"
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        found = connection.execute(
            f"SELECT {', '.join(COLUMNS)} FROM chat_generation"
            " WHERE purpose = 'reply' AND conversation_id = ? ORDER BY id",
            [chat.path.split("/")[2].replace("-", "")],
        )
        return [dict(zip(COLUMNS, row, strict=True)) for row in found]


async def perceived(chat: Chat, count: int = 1) -> list[dict[str, Any]]:
    """The replies, once so many of them have their time."""

    async def probe() -> list[dict[str, Any]]:
        found = rows(chat)
        return found if sum(row["ttft_perceived_ms"] is not None for row in found) == count else []

    await expect(chat.page).to_have_url(CONVERSATION)  # of a new one, with the answer to its send
    return await eventually(probe, within=20, message="not so many perceived times")


async def settled(chat: Chat) -> list[dict[str, Any]]:
    """The replies when the last one has ended and its beacon, if there was one, has been taken."""
    await chat.reconciled()
    # What left the page before this has been answered when this is.
    await chat.page.evaluate("fetch('/healthz')")
    return rows(chat)


async def test_a_send_is_measured_from_the_key_to_the_text(chat: Chat) -> None:
    chat.answers.to("How long?", SLOW)
    await chat.box.fill("How long?")
    began = time.monotonic()
    await chat.box.press("Enter")
    await expect(chat.text).to_have_text("Here it is.")
    (row,) = await perceived(chat)
    waited_ms = (time.monotonic() - began) * 1000
    assert 300 <= row["ttft_served_ms"] <= row["ttft_perceived_ms"] < waited_ms
    assert row["transport"] == "websocket"


async def test_it_begins_with_the_key_even_if_the_page_is_busy(chat: Chat) -> None:
    await chat.box.fill("How long?")
    await chat.page.evaluate(
        """addEventListener("keydown", () => {
          const until = performance.now() + 1500;
          while (performance.now() < until);
        }, { capture: true, once: true })"""
    )
    chat.answers.to("How long?", SLOW)
    await chat.box.press("Enter")
    await expect(chat.text).to_have_text("Here it is.")
    (row,) = await perceived(chat)
    assert row["ttft_perceived_ms"] >= row["ttft_served_ms"] + 1400


async def test_it_goes_on_until_the_text_is_painted(chat: Chat) -> None:
    # The frame in which the text stands takes long, as one with a large table does.
    await chat.page.evaluate(
        """new MutationObserver((_, observer) => {
          if (!document.querySelector("article[data-role=assistant] .body")?.textContent) return;
          observer.disconnect();
          requestAnimationFrame(() => {
            const until = performance.now() + 1500;
            while (performance.now() < until);
          });
        }).observe(document.body, { childList: true, characterData: true, subtree: true });"""
    )
    await chat.ask("How long?", SLOW)
    (row,) = await perceived(chat)
    assert row["ttft_perceived_ms"] >= row["ttft_served_ms"] + 1400


async def test_it_reaches_the_ledger(chat: Chat) -> None:
    await chat.ask("How long?", SLOW)
    (row,) = await perceived(chat)
    await chat.reconciled()
    database = chat.server.log.parent / "parley.sqlite3"

    def is_entered() -> bool:
        with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
            query = "SELECT count(*) FROM chat_usage WHERE ttft_perceived_ms = ?"
            found: tuple[int] = connection.execute(query, [row["ttft_perceived_ms"]]).fetchone()
            return found == (1,)

    await chat.provider.eventually(is_entered)


async def test_regenerated_edited_and_continued_replies_are_measured_too(chat: Chat) -> None:
    await chat.ask("Again?", SLOW)
    await chat.reconciled()
    await chat.reply.get_by_role("button", name="Regenerate").click()
    await perceived(chat, 2)
    await chat.reconciled()
    chat.answers.to("And now?", Script(Text("Half"), Finish("length")))
    await chat.questions.last.get_by_role("button", name="Edit").click()
    await chat.page.get_by_role("textbox", name="Edited text").fill("And now?")
    await chat.page.get_by_role("button", name="Save and send").click()
    await perceived(chat, 3)
    await chat.reconciled()
    await chat.reply.get_by_role("button", name="Continue").click()
    found = await perceived(chat, 4)
    assert all(row["ttft_perceived_ms"] >= row["ttft_served_ms"] for row in found)


async def test_what_comes_after_a_reload_was_waited_for_by_nobody(
    chat: Chat, provider: FakeProvider
) -> None:
    await chat.ask("Wait?", HELD)
    await chat.answers.request("Wait?")
    await expect(chat.page).to_have_url(CONVERSATION)
    await chat.reload()
    provider.open("text")
    (row,) = await settled(chat)
    assert row["ttft_perceived_ms"] is None
    assert row["ttft_served_ms"] is not None


async def test_what_comes_to_a_hidden_page_was_seen_by_nobody(
    chat: Chat, provider: FakeProvider
) -> None:
    await chat.ask("Wait?", HELD)
    await chat.answers.request("Wait?")
    await chat.page.evaluate(
        """Object.defineProperty(document, "hidden", { configurable: true, get: () => true });
        document.dispatchEvent(new Event("visibilitychange"));
        delete document.hidden;"""
    )
    provider.open("text")
    assert (await settled(chat))[0]["ttft_perceived_ms"] is None


async def test_a_second_tab_measures_nothing(chat: Chat, provider: FakeProvider) -> None:
    await chat.ask("First?", reply("Yes."))
    await perceived(chat, 1)
    other = await chat.tab()
    await other.ask("Second?", HELD)
    await chat.answers.request("Second?")
    provider.open("text")
    await perceived(other, 2)
    beacons = "performance.getEntriesByType('resource').filter((e) => e.name.endsWith('perceived'))"
    assert await chat.page.evaluate(f"{beacons}.length") == 1
    assert await other.page.evaluate(f"{beacons}.length") == 1


async def test_what_was_refused_is_not_measured_with_the_next_reply(
    chat: Chat, provider: FakeProvider, watch: Watch
) -> None:
    watch.allow("status of 409")
    other = await chat.tab("/")
    await chat.ask("First?", HELD)
    await chat.answers.request("First?")
    await other.page.goto(chat.path)
    await other.connected()
    await other.box.fill("Second?")
    await other.box.press("Enter")
    await expect(other.error).not_to_be_empty()
    provider.open("text")
    await expect(other.text).to_have_text("Here it is.")
    await perceived(chat)
    beacons = "performance.getEntriesByType('resource').filter((e) => e.name.endsWith('perceived'))"
    assert await other.page.evaluate(f"{beacons}.length") == 0


@pytest_asyncio.fixture(loop_scope="session")
async def around(server: Server, visit: Visit, watch: Watch) -> AsyncIterator[Chat]:
    """A page that follows over HTTP."""
    watch.allow(*BLOCKED)
    async with Relay(server.port, no_websockets=True) as relay:
        chat = await visit(server, via=relay.url, connect=False)
        await expect(chat.status).to_contain_text(NOTE)
        yield chat


async def test_over_http_it_is_measured_as_well(around: Chat) -> None:
    await around.ask("How long?", SLOW)
    (row,) = await perceived(around)
    assert row["transport"] == "sse"
    assert row["ttft_perceived_ms"] >= row["ttft_served_ms"]


# The page of charts


@pytest_asyncio.fixture(loop_scope="session")
async def charts(server: Server, visit: Visit, chat: Chat) -> Callable[..., Awaitable[Page]]:
    """The metrics page as the administrator sees it, after a reply."""
    await chat.ask("Counted?", SLOW)
    await perceived(chat)
    await chat.reconciled()

    async def open_page(query: str = "", **options: Any) -> Page:
        who = server.administrator
        return (await visit(server, PATH + query, who=who, connect=False, **options)).page

    return open_page


async def test_charts_have_names_and_tables(charts: Callable[..., Awaitable[Page]]) -> None:
    page = await charts()
    name = "Time to first token: Provider p50, Provider p95, Served p50"
    await expect(page.get_by_role("img", name=name)).to_be_visible()
    region = page.get_by_role("region", name="Time to first token", exact=True)
    await region.get_by_text("Show the figures").click()
    table = region.get_by_role("table", name="Time to first token")
    await expect(table.get_by_role("columnheader", name="Perceived p95")).to_be_visible()
    await expect(table.get_by_role("rowheader").last).to_be_visible()
    drawn = await page.evaluate("[...document.querySelectorAll('canvas')].map((c) => c.width > 0)")
    assert len(drawn) >= 7
    assert all(drawn)


async def test_a_time_that_stands_alone_is_drawn(charts: Callable[..., Awaitable[Page]]) -> None:
    """A line needs two points; an installation begins with one."""
    page = await charts("?range=1y")
    point = "Chart.getChart('plot-ttft').getDatasetMeta(0).data.at(-1)"
    assert await page.evaluate(f"{point}.skip === false && {point}.options.radius > 0")


async def test_they_are_drawn_anew_when_the_theme_changes(
    charts: Callable[..., Awaitable[Page]],
) -> None:
    page = await charts(color_scheme="light")
    drawn = "document.getElementById('plot-replies').toDataURL()"
    colours = """[Chart.getChart("plot-replies").options.scales.x.ticks.color,
      getComputedStyle(document.documentElement).getPropertyValue("--text-soft").trim()]"""
    light = await page.evaluate(drawn)

    async def anew() -> bool:
        return bool(await page.evaluate(drawn) != light)

    await page.emulate_media(color_scheme="dark")
    await eventually(anew, message="the chart is still the light one")
    found, wanted = await page.evaluate(colours)
    assert found == wanted


async def test_the_arrow_keys_walk_through_a_chart(
    charts: Callable[..., Awaitable[Page]],
) -> None:
    page = await charts()
    tip = "Chart.getChart('plot-states').tooltip.title[0]"
    await page.locator("#plot-states").focus()
    await page.keyboard.press("ArrowLeft")
    labels = await page.evaluate("Chart.getChart('plot-states').data.labels")
    assert await page.evaluate(tip) == labels[-1]
    await page.keyboard.press("Home")
    await page.keyboard.press("ArrowRight")
    assert await page.evaluate("Chart.getChart('plot-states').getActiveElements()[0].index") == 1
    await page.keyboard.press("Escape")
    assert await page.evaluate("Chart.getChart('plot-states').getActiveElements().length") == 0


async def test_the_filters_by_keyboard(charts: Callable[..., Awaitable[Page]]) -> None:
    page = await charts(viewport=WIDTHS["wide"])
    await page.get_by_role("radio", name="7 days").focus()
    await page.keyboard.press("ArrowRight")
    await page.keyboard.press("Tab")
    await page.keyboard.press("Tab")
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/operate/metrics/?range=30d&**")
    await expect(page.get_by_role("radio", name="30 days")).to_be_checked()
    async with page.expect_download() as download:
        await page.get_by_role("link", name="Download CSV: User").click()
    assert (await download.value).suggested_filename.startswith("parley-usage-by-user-")


async def test_names_lie_and_the_other_arrows_walk_through_them(
    charts: Callable[..., Awaitable[Page]],
) -> None:
    page = await charts()
    await page.locator("#plot-by-transport").focus()
    await page.keyboard.press("ArrowDown")
    tip = "Chart.getChart('plot-by-transport').tooltip"
    assert await page.evaluate(f"{tip}.title[0]") == "WebSocket"
    lines = await page.evaluate(f"{tip}.body.map((one) => one.lines[0].trim())")
    assert [line.split(":")[0] for line in lines] == [
        *("Provider p50", "Served p50", "Perceived p50")
    ]
    assert all(line.endswith(("ms", " s")) for line in lines)


async def test_on_paper_it_is_light_and_whole(charts: Callable[..., Awaitable[Page]]) -> None:
    page = await charts(color_scheme="dark")
    colour = "Chart.getChart('plot-states').options.scales.x.ticks.color"
    dark = await page.evaluate(colour)
    await page.emulate_media(media="print")

    async def light() -> bool:
        return bool(await page.evaluate(colour) != dark)

    await eventually(light, message="the charts are still those of a dark screen")
    heights = """[...document.querySelectorAll('.table-scroll')]
        .map((e) => getComputedStyle(e).maxHeight)"""
    assert set(await page.evaluate(heights)) == {"none"}


async def test_axe_finds_nothing(charts: Callable[..., Awaitable[Page]]) -> None:
    page = await charts()
    for summary in await page.get_by_text("Show the figures").all():
        await summary.click()
    await is_clean(page)


async def test_without_scripts_the_figures_are_there(
    charts: Callable[..., Awaitable[Page]],
) -> None:
    page = await charts(java_script_enabled=False)
    await expect(page.get_by_role("table", name="Usage by user")).to_be_visible()
    region = page.get_by_role("region", name="How replies ended")
    await region.get_by_text("Show the figures").click()
    await expect(region.get_by_role("columnheader", name="Complete")).to_be_visible()


async def test_status_and_metrics_lead_to_each_other(
    charts: Callable[..., Awaitable[Page]],
) -> None:
    page = await charts()
    await page.get_by_role("link", name="Status", exact=True).click()
    await page.wait_for_url("**/operate/status/")
    await page.get_by_role("link", name="Metrics", exact=True).click()
    await page.wait_for_url(f"**{PATH}")


@pytest.mark.parametrize(
    "size", [*WIDTHS.values(), {"width": 320, "height": 256}], ids=lambda size: str(size["width"])
)
async def test_the_page_fits_whatever_is_on_it(
    charts: Callable[..., Awaitable[Page]], chat: Chat, size: dict[str, int]
) -> None:
    with closing(sqlite3.connect(chat.server.log.parent / "parley.sqlite3")) as connection:
        long = "a-vendor/" + "a-model-with-a-very-long-name-" * 4
        wide = "model = ?, prompt_tokens = 2000000000, completion_tokens = 2000000000"
        with connection:
            connection.execute(f"UPDATE chat_usage SET {wide}", [long])
    page = await charts(viewport=size)
    overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert await page.evaluate(overflow) <= 0
