"""A program with a key."""

from collections.abc import AsyncIterator

import pytest_asyncio

from chat.database import in_database
from chat.models import ApiKey, User
from chat.models.api import digest


@pytest_asyncio.fixture
async def key(transactional_db: None) -> AsyncIterator[ApiKey]:
    def make() -> ApiKey:
        owner = User.objects.create_user("program", "program@example.org")
        return ApiKey.objects.create(owner=owner, sha256=digest("x"), shown="x")

    yield await in_database(make)
