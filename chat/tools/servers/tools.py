"""A server's tools as the registry's."""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from chat.models import ToolServer
from chat.tools import schemas
from chat.tools.base import Context, Tool
from chat.tools.servers.reach import Reach

NAME_CHARS = 64  # what providers take
STRANGE = re.compile(r"[^a-zA-Z0-9_-]")
HASH_CHARS = 8
HASHED = re.compile(rf"_[0-9a-f]{{{HASH_CHARS}}}\Z")
# Beside the server's own limit for a call: opening the connection has the same limit, before it
# the library may have to be imported.
IMPORT_S = 10.0


@dataclass(frozen=True, kw_only=True)
class ServerTool(Tool):
    """``there`` is what the server calls it. The session enforces the server's own time limit;
    ``timeout_s`` is above what a call can take, as a second line."""

    reach: Reach
    there: str = field(repr=False)

    def check(self, arguments: dict[str, Any]) -> None:
        schemas.check(self.parameters, arguments)

    async def run(self, arguments: dict[str, Any], context: Context) -> str:
        return await context.sessions.call(self.reach, self.there, arguments)


def name_of(server: str, tool: str) -> str:
    """``server__tool``, in the characters and the length that providers take.

    A name that had to be changed ends in a hash of the original, so that two tools never share one
    and a name stays the same whatever else is listed. So does the name of a tool whose server's
    own name would make it ambiguous where the server's part ends: an assistant that may call
    ``a__b`` of one server must never come to call another's.
    """
    whole = f"{server}__{tool}"
    name = STRANGE.sub("_", whole)
    clear = "__" not in server and not server.endswith("_") and not HASHED.search(whole)
    if clear and name == whole and len(name) <= NAME_CHARS:
        return name
    digest = hashlib.sha256(f"{server}\0{tool}".encode()).hexdigest()[:HASH_CHARS]
    return f"{name[: NAME_CHARS - HASH_CHARS - 1]}_{digest}"


def tools_of(server: ToolServer) -> Iterator[ServerTool]:
    """The tools that the server had when it was last asked.

    One that does not say that it only reads asks first, and runs alone.
    """
    reach = Reach.of(server)
    for entry in server.listed:
        reads = bool(entry.get("read_only"))
        yield ServerTool(
            name=name_of(server.name, entry["name"]),
            title=f"{server.name}: {entry.get('title') or entry['name']}",
            description=entry["description"],
            parameters=entry["parameters"],
            timeout_s=2 * reach.timeout_s + IMPORT_S,
            parallel=reads,
            asks_first=not reads,
            reach=reach,
            there=entry["name"],
        )
