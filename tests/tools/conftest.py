"""The tool server of the tests, over both transports."""

import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp import web
from django.conf import LazySettings

from chat.models import ServerTransport, ToolServer
from chat.tools.base import Context
from chat.tools.mcp_sessions import Sessions
from tests.tools.site import Site

SERVER = Path(__file__).with_name("server.py")
TIMEOUT_S = 30
Make = Callable[..., ToolServer]


def over_stdio(*flags: str, name: str = "test", **fields: object) -> ToolServer:
    return ToolServer(
        **{
            "name": name,
            "transport": ServerTransport.STDIO,
            "command": sys.executable,
            "arguments": [str(SERVER), *flags],
            "timeout_s": TIMEOUT_S,
            **fields,
        }
    )


@contextmanager
def http_process() -> Iterator[str]:
    """The address of a server of its own; the process is killed at the end."""
    with subprocess.Popen(
        [sys.executable, str(SERVER), "--http"], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}/mcp"
        finally:
            process.kill()


@pytest.fixture(scope="session")
def http_url() -> Iterator[str]:
    """A server that several tests share. None of them ends it."""
    with http_process() as url:
        yield url


@pytest.fixture(params=["stdio", "http"])
def make(request: pytest.FixtureRequest) -> Make:
    """Makes a row for the test server; each test that asks for this runs over both transports."""
    if request.param == "stdio":
        return over_stdio
    url = request.getfixturevalue("http_url")

    def over_http(**fields: object) -> ToolServer:
        row = {
            "name": "test",
            "transport": ServerTransport.HTTP,
            "url": url,
            "timeout_s": TIMEOUT_S,
        }
        return ToolServer(**{**row, **fields})

    return over_http


@pytest_asyncio.fixture
async def sessions() -> AsyncIterator[Sessions]:
    async with Sessions() as opened:
        yield opened


@pytest.fixture
def context() -> Context:
    """For tools that use neither the user nor a session."""
    return Context(user_id=0, conversation_id=uuid.uuid4(), sessions=Sessions())


@pytest_asyncio.fixture
async def site(settings: LazySettings) -> AsyncIterator[Site]:
    site = Site()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", site.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0)
    await runner.setup()
    listener = web.TCPSite(runner, "127.0.0.1", 0)
    await listener.start()
    site.port = runner.addresses[0][1]
    settings.TOOL_FETCH_HOSTS = [f"127.0.0.1:{site.port}"]
    yield site
    site.over.set()
    await runner.cleanup()
