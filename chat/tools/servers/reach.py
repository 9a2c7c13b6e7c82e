"""How to reach a tool server, with its secrets filled in."""

import os
import re
from dataclasses import dataclass, field

from chat.models import ServerTransport, ToolServer
from chat.tools.base import ToolFailed

TAKEN = re.compile(r"\$([A-Za-z_][A-Za-z0-9_]*)")
SECRETIVE = re.compile(r"(?i)key|token|secret|passw|credential|auth")


@dataclass(frozen=True, slots=True)
class Reach:
    """A row of ToolServer, for use away from the database. Values are as configured."""

    name: str
    transport: str
    command: str
    arguments: tuple[str, ...]
    environment: tuple[tuple[str, str], ...] = field(repr=False)
    url: str = field(repr=False)
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    timeout_s: float

    @classmethod
    def of(cls, server: ToolServer) -> "Reach":
        return cls(
            name=server.name,
            transport=server.transport,
            command=server.command,
            arguments=tuple(map(str, server.arguments)),
            environment=tuple((str(k), str(v)) for k, v in server.environment.items()),
            url=server.url,
            headers=tuple((str(k), str(v)) for k, v in server.headers.items()),
            timeout_s=float(server.timeout_s),
        )

    def child_environment(self) -> dict[str, str]:
        """All that the program gets of our environment, which holds keys that are not its."""
        ours = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": os.environ.get("HOME", "/"),
            "LANG": os.environ.get("LANG", "C.UTF-8"),
        }
        return {**ours, **{name: self._filled(value) for name, value in self.environment}}

    def request_headers(self) -> dict[str, str]:
        return {name: self._filled(value) for name, value in self.headers}

    def secrets(self) -> tuple[str, ...]:
        """What must not be repeated: every header, and what looks like a secret by its name.

        Not the whole environment: a directory that is named there may be part of every result.
        """
        if self.transport == ServerTransport.HTTP:
            values = list(self.headers)
        else:
            values = [
                (n, v) for n, v in self.environment if TAKEN.fullmatch(v) or SECRETIVE.search(n)
            ]
        found = [self._filled(value) for _, value in values]
        # Of "Bearer abc" the second word alone is the secret.
        words = [word for value in found for word in value.split() if len(word) >= 8]
        return tuple(sorted({*found, *words}, key=len, reverse=True))

    def _filled(self, value: str) -> str:
        name = TAKEN.fullmatch(value)
        if name is None:
            return value
        try:
            return os.environ[name[1]]
        except KeyError:
            raise ToolFailed(
                f"The tool server {self.name} needs {name[1]} in Parley's environment."
            ) from None
