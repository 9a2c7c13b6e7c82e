"""The cast, the fake provider, and the parts of Parley that tests start for real."""

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from django.conf import LazySettings
from django.test import Client

from chat import services
from chat.database import close_pool
from chat.models import User
from tests.fake_provider import FakeProvider, reply

PASSWORD = "correct horse battery"
# Whole processes and a browser share the machine with the test that times them.
REAL_TIME = {"e2e", "faults", "deployment"}
TESTS = Path(__file__).parent
TIMER = pytest.StashKey[object]()  # what pytest-timeout has been told of a test


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test of running processes that fails is run once more: a machine that hung is no fault.

    What fails twice is one. The summary names what was run again.
    """
    for item in items:
        if item.path.is_relative_to(TESTS) and item.path.relative_to(TESTS).parts[0] in REAL_TIME:
            item.add_marker(pytest.mark.flaky(reruns=1))


def pytest_timeout_set_timer(item: pytest.Item, settings: object) -> None:
    item.stash[TIMER] = settings


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    if getattr(item, "execution_count", 1) > 1:
        _time_anew(item)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> None:
    _time_anew(item)


def _time_anew(item: pytest.Item) -> None:
    """pytest-timeout's timer is gone after a failure, and so for teardown and the second run."""
    if TIMER in item.stash:
        item.ihook.pytest_timeout_cancel_timer(item=item)
        item.ihook.pytest_timeout_set_timer(item=item, settings=item.stash[TIMER])


def make_user(name: str, **fields: object) -> User:
    return User.objects.create_user(name, f"{name}@example.org", PASSWORD, **fields)


@pytest.fixture
def ada(db: None) -> User:
    """The owner of the conversations in a test."""
    return make_user("ada")


@pytest.fixture
def bob(db: None) -> User:
    """Another user: a stranger to Ada's conversations."""
    return make_user("bob")


@pytest.fixture
def admin(db: None) -> User:
    return User.objects.create_superuser("root", "root@example.org", PASSWORD)


@pytest.fixture
def sign_in() -> Callable[[User], Client]:
    def client_of(user: User) -> Client:
        client = Client()
        client.force_login(user)
        return client

    return client_of


@pytest.fixture(scope="session")
def _provider() -> Iterator[FakeProvider]:
    with FakeProvider(reply("All is well.")) as provider:
        yield provider


@pytest.fixture
def provider(_provider: FakeProvider, settings: LazySettings) -> Iterator[FakeProvider]:
    """A scriptable OpenAI-compatible endpoint on a real socket, as configured."""
    settings.OPENAI_BASE_URL = _provider.base_url
    yield _provider
    _provider.reset()
    _provider.script(reply("All is well."))


@pytest_asyncio.fixture
async def running(
    provider: FakeProvider, transactional_db: None
) -> AsyncIterator[services.Services]:
    """Parley's services on the test's event loop, against the fake provider."""
    yield services.ensure_started()
    await services.shut_down(drain_s=0)
    services.forget()


@pytest.fixture(autouse=True)
def _fast_passwords(settings: LazySettings) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture(autouse=True)
def _no_open_connections() -> Iterator[None]:
    yield
    close_pool()
