"""A pytest plugin: run the tests on PostgreSQL instead of SQLite.

    TEST_DATABASE_URL=postgres://… python -m pytest -p tests.parts.on_postgres tests/test_actions.py

Loaded after tests.environment, which clears DATABASE_URL, and before Django's settings.
"""

import os
from collections.abc import Iterator

import pytest
from asgiref.sync import SyncToAsync

os.environ["DATABASE_URL"] = os.environ["TEST_DATABASE_URL"]


@pytest.fixture(autouse=True)
def _no_connection_of_channels() -> Iterator[None]:
    """Channels asks for sessions in asgiref's own thread; a database in use cannot be dropped."""
    yield
    from django.db import connections

    SyncToAsync.single_thread_executor.submit(connections.close_all).result()
