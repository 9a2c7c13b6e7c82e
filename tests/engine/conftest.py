"""The engine's provider, pointed at the fake one's socket."""

from collections.abc import AsyncIterator

import pytest_asyncio

from chat.engine.provider import Endpoint, Provider
from tests.engine.running import KEY
from tests.fake_provider import FakeProvider


@pytest_asyncio.fixture
async def client(provider: FakeProvider) -> AsyncIterator[Provider]:
    made = Provider(lambda: Endpoint(provider.base_url, KEY))
    yield made
    await made.close()
