"""One Chromium and one server for the run; a person, a provider and a clean context per test."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, async_playwright, expect

from tests.fake_provider import FakeProvider, reply
from tests.parts.programs import need

from .browser import NAMES, Watch, close, launch
from .chat import PATIENCE_S, Answers, Chat
from .server import Person, Prepared, Server, prepare

PEOPLE = 300

Visit = Callable[..., Awaitable[Chat]]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            # The browser lives on one loop for the whole run.
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest.fixture(scope="session")
def chromium() -> str:
    return need("chromium", *NAMES)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser(chromium: str) -> AsyncIterator[Browser]:
    expect.set_options(timeout=PATIENCE_S * 1000)
    async with async_playwright() as playwright:
        browser = await launch(playwright, chromium)
        yield browser
        await browser.close()


@pytest.fixture(scope="session")
def prepared(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return prepare(tmp_path_factory.mktemp("prepared"), PEOPLE)


@pytest.fixture(scope="session")
def _people(prepared: Prepared) -> Iterator[Person]:
    return iter(prepared.people[1:])


@pytest.fixture
def person(_people: Iterator[Person]) -> Person:
    """Somebody whom no other test knows."""
    return next(_people)


@pytest.fixture(scope="session")
def _fake() -> Iterator[FakeProvider]:
    with FakeProvider(reply("All is well.")) as provider:
        yield provider


@pytest.fixture(scope="session")
def shared_server(
    prepared: Prepared, _fake: FakeProvider, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    server = Server(prepared, tmp_path_factory.mktemp("server"), _fake.base_url)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def answers(_fake: FakeProvider) -> Iterator[Answers]:
    yield Answers(_fake)
    _fake.reset()


@pytest.fixture
def provider(answers: Answers) -> FakeProvider:
    return answers.provider


@pytest_asyncio.fixture(loop_scope="session")
async def server(shared_server: Server, answers: Answers) -> AsyncIterator[Server]:
    """The server of the run; fails the test when its log has an error."""
    since = shared_server.log_bytes
    yield shared_server
    # What a test left running would ask the provider during the next one.
    answers.provider.reset()
    await asyncio.to_thread(shared_server.wait_quiet)
    shared_server.check_log(since)


@pytest.fixture
def own_server(
    prepared: Prepared, _fake: FakeProvider, tmp_path: Path
) -> Iterator[Callable[..., Server]]:
    """Starts servers of the test's own, with variables of its own."""
    servers: list[Server] = []

    def start(**variables: str) -> Server:
        server = Server(prepared, tmp_path / str(len(servers)), _fake.base_url, **variables)
        servers.append(server)
        server.start()
        return server

    yield start
    for server in servers:
        if server.is_running:
            server.stop()
        server.check_log()


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest_asyncio.fixture(loop_scope="session")
async def visit(
    browser: Browser, person: Person, answers: Answers, watch: Watch
) -> AsyncIterator[Visit]:
    """Opens the page in a fresh context: ``await visit(server, path, **context options)``.

    ``who`` is the test's person unless told otherwise; None is nobody yet. ``via`` is an address
    to use instead of the server's own. Without ``connect`` no socket is waited for.
    """
    async with AsyncExitStack() as contexts:

        async def open_page(
            server: Server,
            path: str = "/",
            *,
            who: Person | None = person,
            via: str = "",
            connect: bool = True,
            **options: Any,
        ) -> Chat:
            origin = via or server.url
            context = await browser.new_context(base_url=origin, **options)
            contexts.push_async_callback(close, context)
            context.set_default_timeout(PATIENCE_S * 1000)
            await watch.attach(context, origin)
            if who is not None:
                await context.add_cookies(
                    [{"name": "sessionid", "value": who.session, "url": origin}]
                )
            chat = Chat(await context.new_page(), server, who or person, answers)
            if who is None or not connect or not options.get("java_script_enabled", True):
                await chat.page.goto(path)
            else:
                await chat.open(path)
            return chat

        yield open_page
    assert not watch.faults, watch.faults


@pytest_asyncio.fixture(loop_scope="session")
async def chat(server: Server, visit: Visit) -> Chat:
    """A signed-in person's new conversation on the server of the run."""
    return await visit(server)
