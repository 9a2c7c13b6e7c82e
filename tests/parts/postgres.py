"""A PostgreSQL server in a directory of its own."""

import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import psycopg

from tests.parts.process import PATIENCE_S, Process, free_port
from tests.parts.programs import need

USER = "parley"
# Nothing here outlives the machine, so nothing is flushed to its disk; the processes' own deaths
# lose nothing by that.
SETTINGS = {"fsync": "off", "full_page_writes": "off", "max_connections": "60"}


class PostgresServer(Process):
    """``start``, ``stop`` and ``crash`` it; its databases stay.

    PostgreSQL refuses to run as root: then it runs as the user that its Debian package made. That
    one cannot enter pytest's own directories, so it gets one elsewhere.
    """

    def __init__(self) -> None:
        # psql belongs to another package; initdb is what only the server brings.
        initdb = need("postgresql", "initdb")
        user = "postgres" if os.geteuid() == 0 else None
        self._home = Path(tempfile.mkdtemp(prefix="parley-postgres-"))
        if user is not None:
            shutil.chown(self._home, user, user)
        self.port = free_port()
        data = self._home / "data"
        subprocess.run(
            [initdb, "-D", data, "-U", USER, "-A", "trust", "-E", "UTF8", "--locale=C", "-N"],
            user=user,
            group=user,
            extra_groups=None if user is None else [],
            cwd=self._home,
            check=True,
            capture_output=True,
        )
        settings = SETTINGS | {
            "port": str(self.port),
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
        }
        words = [word for item in settings.items() for word in ("-c", "=".join(item))]
        postgres = str(Path(initdb).resolve().with_name("postgres"))
        super().__init__(
            [postgres, "-D", str(data), *words],
            self._home / "postgres.log",
            directory=self._home,
            user=user,
        )

    def start(self) -> None:
        super().start()
        self.wait(self.answers, PATIENCE_S, "PostgreSQL does not answer")

    def stop(self) -> None:
        """Stop it as an upgrade does: it breaks the connections that are open."""
        assert self.end(signal.SIGINT) == 0, self.last_lines()

    def crash(self) -> None:
        """Stop it without a word to anybody; it recovers from its journal at the next start."""
        self.end(signal.SIGQUIT)

    def remove(self) -> None:
        if self.is_running:
            self.crash()
        shutil.rmtree(self._home, ignore_errors=True)

    def url(self, database: str) -> str:
        return f"postgres://{USER}@127.0.0.1:{self.port}/{database}"

    def create(self, database: str, *, like: str = "template1") -> str:
        """Make a database, as a copy of another one that nobody uses; returns its URL."""
        self.run(f'CREATE DATABASE "{database}" TEMPLATE "{like}"')
        return self.url(database)

    def drop(self, database: str) -> None:
        self.run(f'DROP DATABASE IF EXISTS "{database}" WITH (FORCE)')

    def run(self, statement: str) -> list[tuple[object, ...]]:
        """Run a statement in the database ``postgres``; returns the rows, if it has any."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def connections(self, database: str) -> int:
        """How many connections this database has."""
        rows = self.run(f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{database}'")
        return int(str(rows[0][0]))

    def answers(self) -> bool:
        try:
            self.run("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True
