"""Which tools a server has: asked when an administrator saves it, and kept in its row."""

import dataclasses
import json
from typing import Any

from asgiref.sync import async_to_sync
from django.utils import timezone

from chat.models import ToolServer
from chat.tools.base import ToolFailed
from chat.tools.mcp_sessions import Sessions
from chat.tools.schemas import usable
from chat.tools.servers.reach import Reach
from chat.tools.text import squeezed

TOOLS = 100
PAGES = 20  # a server may list a tool per page, or nothing for ever
NAME_CHARS = 128
TITLE_CHARS = 80
DESCRIPTION_CHARS = 2_000
SCHEMA_BYTES = 20_000


async def list_tools(server: ToolServer, *, within_s: float | None = None) -> list[dict[str, Any]]:
    """The server's tools: name, title, description, parameters and whether it only reads.

    One whose schema is too large, or none, is left out: half a schema would be another. Opening
    the connection and asking may each take ``within_s``, or what the server has for a call.

    Raises:
        ToolFailed
    """
    reach = Reach.of(server)
    if within_s is not None:
        reach = dataclasses.replace(reach, timeout_s=min(within_s, reach.timeout_s))
    async with Sessions() as sessions:
        listed = await sessions.of(reach).ask(_listed)
    found: dict[str, dict[str, Any]] = {}
    for raw in listed[:TOOLS]:
        entry = _entry(raw)
        if entry is not None:
            found.setdefault(entry["name"], entry)
    return list(found.values())


async def _listed(session: Any) -> list[Any]:
    from mcp.types import PaginatedRequestParams

    found: list[Any] = []
    cursor: str | None = None
    for _ in range(PAGES):
        page = await session.list_tools(params=PaginatedRequestParams(cursor=cursor))
        found += page.tools
        cursor = page.nextCursor
        if cursor is None or len(found) >= TOOLS:
            break
    return found


def _entry(raw: Any) -> dict[str, Any] | None:
    name = squeezed(raw.name, NAME_CHARS)
    # Written out, so that what is no well-formed text (and NUL, which PostgreSQL refuses) shows.
    schema = json.dumps(raw.inputSchema)
    strange = "\\u0000" in schema or "\\ud" in schema
    if name != raw.name or not name.strip() or strange or len(schema) > SCHEMA_BYTES:
        return None
    if not usable(raw.inputSchema):
        return None
    hints = raw.annotations
    return {
        "name": name,
        "title": squeezed(raw.title or (hints and hints.title) or name, TITLE_CHARS),
        "description": squeezed(raw.description or "", DESCRIPTION_CHARS),
        "parameters": {"type": "object", **raw.inputSchema},
        "read_only": bool(hints and hints.readOnlyHint),
    }


def refresh(server: ToolServer, *, within_s: float | None = None) -> None:
    """Ask the server and store what it said; a failure is stored as its problem.

    What was listed before stays when it cannot be asked: it may be away for a minute only. Not
    inside a transaction: it takes seconds, and SQLite lets one write at a time.
    """
    fields = ["problem"]
    try:
        server.listed = async_to_sync(list_tools)(server, within_s=within_s)
    except ToolFailed as error:
        server.problem = str(error)[:300]
    else:
        server.problem = ""
        server.listed_at = timezone.now()
        fields += ["listed", "listed_at"]
    server.save(update_fields=fields)
