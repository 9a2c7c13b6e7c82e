"""Web processes and engines on one database and one Redis, behind nginx."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from tests.e2e.server import Child, Engine, Prepared, Server
from tests.parts.nginx import Nginx
from tests.parts.postgres import PostgresServer
from tests.parts.redis import RedisServer


class Cluster:
    """``url`` is nginx; ``webs`` and ``engines`` can be stopped, killed and started again."""

    def __init__(
        self,
        prepared: Prepared,
        home: Path,
        provider_url: str,
        database_url: str,
        redis: RedisServer,
        *,
        webs: int = 2,
        engines: int = 2,
        **variables: str,
    ) -> None:
        variables = {
            "DATABASE_URL": database_url,
            "REDIS_URL": redis.url,
            "TRUSTED_PROXIES": "127.0.0.1",
            **variables,
        }
        self.redis = redis
        self.webs = [
            Server(prepared, home / f"web{n}", provider_url, "--no-engine", **variables)
            for n in range(webs)
        ]
        self.engines = [
            Engine(prepared, home / f"engine{n}", provider_url, **variables) for n in range(engines)
        ]
        self.nginx = Nginx(home / "nginx", [web.port for web in self.webs])

    @property
    def url(self) -> str:
        return self.nginx.url

    @property
    def ours(self) -> list[Child]:
        return [*self.webs, *self.engines]

    def start(self) -> None:
        """Start whatever does not run, side by side."""
        if not self.redis.is_running:
            self.redis.start()
        with ThreadPoolExecutor() as side_by_side:
            stopped = [child for child in self.ours if not child.is_running]
            list(side_by_side.map(lambda child: child.start(), stopped))
        if not self.nginx.is_running:
            self.nginx.start()

    def stop(self) -> None:
        """End everything, and look at the logs."""
        with ThreadPoolExecutor() as side_by_side:
            running = [child for child in self.ours if child.is_running]
            list(side_by_side.map(lambda child: child.stop(), running))
        if self.nginx.is_running:
            self.nginx.stop()

    def end_at_once(self) -> None:
        for child in [*self.ours, self.nginx, self.redis]:
            child.kill()


@contextmanager
def database_of(postgres: PostgresServer, name: str, like: str) -> Iterator[str]:
    """A copy of the prepared database, for as long as it is needed."""
    yield postgres.create(name, like=like)
    postgres.drop(name)
