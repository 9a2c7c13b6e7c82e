"""A Redis server that keeps its data over a restart, as the one in compose.yaml does."""

import socket
from pathlib import Path

from tests.parts.process import PATIENCE_S, Process, free_port
from tests.parts.programs import need


class RedisServer(Process):
    """``start``, ``stop``, ``kill`` and ``freeze`` it; ``url`` stays the same."""

    def __init__(self, home: Path) -> None:
        home.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        options = {
            "port": str(self.port),
            "bind": "127.0.0.1",
            "dir": str(home),
            "appendonly": "yes",
            "save": "",
            "rdbcompression": "no",  # what is in its file can be looked for
        }
        words = [word for name, value in options.items() for word in (f"--{name}", value)]
        super().__init__([need("redis-server"), *words], home / "redis.log")

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        super().start()
        # It listens before it has read its file, and refuses commands until then.
        self.wait(self.answers, PATIENCE_S, "Redis does not answer")

    def stop(self) -> None:
        assert self.end() == 0, self.last_lines()

    def answers(self) -> bool:
        return self.ask("PING") == b"+PONG"

    def ask(self, command: str) -> bytes:
        """The first line of the answer to a command; empty when there is none."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
                connection.sendall(f"{command}\r\n".encode())
                return connection.makefile("rb").readline().strip()
        except OSError:
            return b""
