"""The parts, and what several tests of a deployment start."""

from collections.abc import Iterator

import pytest

from tests.deployment.cluster import Cluster, database_of
from tests.e2e.server import Person, Prepared, prepare
from tests.fake_provider import FakeProvider
from tests.parts.fixtures import nginx, postgres, redis_server
from tests.parts.postgres import PostgresServer
from tests.parts.redis import RedisServer

__all__ = ["nginx", "postgres", "redis_server"]

PEOPLE = 60
TEMPLATE = "prepared"


@pytest.fixture(scope="session")
def prepared_on_postgres(
    postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> Prepared:
    """A database with people, for copies: nobody else may use it."""
    home = tmp_path_factory.mktemp("prepared")
    return prepare(home, PEOPLE, DATABASE_URL=postgres.create(TEMPLATE))


@pytest.fixture(scope="session")
def _people_on_postgres(prepared_on_postgres: Prepared) -> Iterator[Person]:
    return iter(prepared_on_postgres.people[1:])


@pytest.fixture
def somebody(_people_on_postgres: Iterator[Person]) -> Person:
    """A person whom no other test knows."""
    return next(_people_on_postgres)


@pytest.fixture
def another(_people_on_postgres: Iterator[Person]) -> Person:
    """Another one."""
    return next(_people_on_postgres)


@pytest.fixture(scope="session")
def _cluster(
    postgres: PostgresServer,
    prepared_on_postgres: Prepared,
    _provider: FakeProvider,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Cluster]:
    home = tmp_path_factory.mktemp("cluster")
    redis = RedisServer(home / "redis")
    with database_of(postgres, home.name, TEMPLATE) as url:
        cluster = Cluster(
            prepared_on_postgres,
            home,
            _provider.base_url,
            url,
            redis,
            STREAM_HEARTBEAT="1",
            # How long a page is away in a test is the machine's business.
            STREAM_ABANDON_GRACE="never",
        )
        try:
            cluster.start()
            yield cluster
            cluster.stop()
        finally:
            cluster.end_at_once()


@pytest.fixture
def cluster(_cluster: Cluster, provider: FakeProvider) -> Iterator[Cluster]:
    """Two web processes, two engines and all around them, running and well at the start."""
    _cluster.start()
    since = [child.log_bytes for child in _cluster.ours]
    yield _cluster
    for child, start in zip(_cluster.ours, since, strict=True):
        child.check_log(start)
