"""Parley as operators run it: one process on SQLite, or several on Redis and PostgreSQL.

Each measurement has a fresh copy of a database with signed-in users.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from tests.parts.postgres import PostgresServer
from tests.parts.programs import find
from tests.parts.redis import RedisServer

from .parley import ParleyUser
from .processes import (
    ROOT,
    MissingProgramError,
    NotRunningError,
    Running,
    Workspace,
    answers,
    child,
    free_port,
)
from .progress import say

SERVES = 2  # processes that serve, where there are several
SQLITE, POSTGRESQL = "SQLite", "PostgreSQL"
TEMPLATE = "bench_users"


@contextmanager
def single(work: Workspace) -> Iterator[Running]:
    """`manage.py serve`, which runs the replies too, on SQLite."""
    with sqlite(work) as (database, directory):
        environment = parley_environment(work, directory, DATABASE_URL=database)
        with serve(work, environment) as (pid, port):
            cookies = work.cookies[SQLITE]
            yield Running({"serve": pid}, lambda number, _=0: ParleyUser(port, cookies[number]))


@contextmanager
def many(work: Workspace) -> Iterator[Running]:
    """`serve` twice and `engine` once, with Redis between them.

    Raises:
        MissingProgramError: there is no redis-server.
    """
    if find("redis-server") is None:
        raise MissingProgramError("redis-server")
    kind = SQLITE if find("initdb") is None else POSTGRESQL
    with ExitStack() as stack:
        fresh = postgres if kind == POSTGRESQL else sqlite
        database, directory = stack.enter_context(fresh(work))
        redis = RedisServer(directory / "redis")
        redis.start()
        stack.callback(redis.kill)  # what it holds is of no use any more
        environment = parley_environment(
            work, directory, DATABASE_URL=database, REDIS_URL=redis.url
        )
        parts, ports = {}, []
        for number in range(SERVES):
            parts[f"serve {number + 1}"], port = stack.enter_context(serve(work, environment))
            ports.append(port)
        parts["engine"] = stack.enter_context(engine(work, environment, directory))
        parts["Redis"] = redis.popen.pid
        if work.postgres is not None:
            parts[POSTGRESQL] = work.postgres.popen.pid
        cookies = work.cookies[kind]

        def user(number: int, place: int | None = None) -> ParleyUser:
            # As a balancer has it, the page may come from one process and its socket from another.
            place = number if place is None else place
            page_port, socket_port = ports[place // SERVES % SERVES], ports[place % SERVES]
            return ParleyUser(page_port, cookies[number], socket_port)

        label = f"parley {SERVES}+1, Redis, {kind}"
        yield Running(parts, user, places=SERVES**2, label=label)


@contextmanager
def serve(work: Workspace, environment: dict[str, str]) -> Iterator[tuple[int, int]]:
    """Yields pid and port."""
    port = free_port()
    command = ["manage.py", "serve", "--host", "127.0.0.1", "--port", str(port)]
    ready = answers(f"http://127.0.0.1:{port}/readyz")
    with child(work, "serve", command, environment, ready) as pid:
        yield pid, port


@contextmanager
def engine(work: Workspace, environment: dict[str, str], directory: Path) -> Iterator[int]:
    alive = directory / "engine-is-alive"
    command = ["manage.py", "engine", "--alive-file", str(alive)]
    with child(work, "engine", command, environment, alive.exists) as pid:
        yield pid


@contextmanager
def sqlite(work: Workspace) -> Iterator[tuple[str, Path]]:
    """A database's URL, and a directory for what else the processes keep."""
    template, copy = work.directory / "sqlite", work.new_directory("sqlite")
    if SQLITE not in work.cookies:
        shutil.rmtree(template, ignore_errors=True)  # of an attempt that failed
        template.mkdir()
        prepare(work, SQLITE, parley_environment(work, template, DATABASE_URL=_file(template)))
    shutil.copytree(template, copy)
    yield _file(copy), copy


def _file(directory: Path) -> str:
    return f"sqlite:///{directory}/bench.sqlite3"


@contextmanager
def postgres(work: Workspace) -> Iterator[tuple[str, Path]]:
    """As sqlite(), on a PostgreSQL server that stays until the run ends."""
    server, directory = postgres_server(work), work.new_directory("postgres")
    directory.mkdir()
    if POSTGRESQL not in work.cookies:
        server.drop(TEMPLATE)
        url = server.create(TEMPLATE)
        prepare(work, POSTGRESQL, parley_environment(work, directory, DATABASE_URL=url))
    try:
        yield server.create(directory.name, like=TEMPLATE), directory
    finally:
        server.drop(directory.name)


def postgres_server(work: Workspace) -> PostgresServer:
    if work.postgres is None:
        say("preparing PostgreSQL")
        work.postgres = PostgresServer()
        work.open.callback(work.postgres.remove)
        work.postgres.start()
    return work.postgres


def parley_environment(work: Workspace, directory: Path, **more: str) -> dict[str, str]:
    return work.environment(
        DJANGO_SETTINGS_MODULE="chatsite.settings",
        VAR_DIR=str(directory),
        STATIC_ROOT=str(work.directory / "static"),
        ENV_FILE=os.devnull,  # the operator's own settings stay out
        REDIS_URL=more.pop("REDIS_URL", ""),
        SECRET_KEY="bench-" + "0123456789abcdef" * 4,
        SIGNUP="closed",
        CHAT_MODELS="fake",
        **more,
    )


def prepare(work: Workspace, kind: str, environment: dict[str, str]) -> None:
    """Tables, static files and signed-in users, whose cookies it notes."""
    say(f"preparing a {kind} database with {work.users:,} users")
    manage = partial(run, environment)
    manage(["manage.py", "migrate", "--no-input", "-v", "0"])
    if not (work.directory / "static").exists():
        manage(["manage.py", "collectstatic", "--no-input", "-v", "0"])
    seeded = json.loads(manage(["-m", "benchmarks.seed_parley", str(work.users)]).splitlines()[-1])
    work.cookies[kind] = [{seeded["cookie"]: session} for session in seeded["sessions"]]


def run(environment: dict[str, str], command: list[str]) -> str:
    done = subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    if done.returncode:
        raise NotRunningError(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    return done.stdout
