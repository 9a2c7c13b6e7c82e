"""A web process that takes requests and an engine that writes the replies, with Redis between."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openai import AsyncOpenAI

from tests.e2e.server import Engine, Server, prepare
from tests.fake_provider import FakeProvider, Finish, Gate, Script, Text
from tests.parts.redis import RedisServer
from tests.support import eventually

from .conftest import Caller, manage

pytestmark = [pytest.mark.timeout(240), pytest.mark.flaky(reruns=1)]
HELLO: list[Any] = [{"role": "user", "content": "Hello?"}]


@pytest.fixture
def apart(redis_server: RedisServer, provider: FakeProvider, tmp_path: Path) -> Iterator[Caller]:
    home = tmp_path
    url = f"sqlite:///{home / 'web' / 'parley.sqlite3'}"
    (home / "web").mkdir()
    prepared = prepare(home, 2, DATABASE_URL=url)
    variables = {"DATABASE_URL": url, "REDIS_URL": redis_server.url}
    web = Server(prepared, home / "web", provider.base_url, "--no-engine", **variables)
    engine = Engine(prepared, home / "engine", provider.base_url, **variables)
    web.start()
    engine.start()
    person = prepared.people[1]
    yield Caller(web, person, manage(web, "api_key", person.name).stdout.strip())
    web.stop()
    engine.stop()


async def test_a_stream_comes_through_redis_and_ends_with_its_client(
    apart: Caller, provider: FakeProvider
) -> None:
    provider.enqueue(Script(Text("First"), Gate("rest"), Text(" and last."), Finish()))
    async with AsyncOpenAI(
        base_url=apart.base_url, api_key=apart.key, max_retries=0, timeout=30
    ) as client:
        text = ""
        stream = await client.chat.completions.create(model="fake", messages=HELLO, stream=True)
        async for chunk in stream:
            text += chunk.choices[0].delta.content or ""
            if text == "First":
                provider.open("rest")
        assert (text, chunk.choices[0].finish_reason) == ("First and last.", "stop")

        provider.enqueue(Script(Text("Half"), Gate("never"), Finish()))
        create = client.chat.completions.create(model="fake", messages=HELLO)
        asking = asyncio.create_task(create)
        await provider.eventually(lambda: len(provider.streams) == 2 and provider._at_gate["never"])
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        await provider.eventually(lambda: not provider.open_streams, timeout=1)

    async def stopped() -> bool:
        return apart.generation() == ("stopped", "user")

    await eventually(stopped)
