"""The ``mcp`` library: imported when it is first needed, and kept from our log.

Importing it takes a second or two, which a process that uses no tool server need not spend, and
which must not hold up the event loop.
"""

import asyncio
import importlib
import logging

LOUD = ("mcp", "client", "httpx", "httpcore")
IN_ROOT = "mcp/shared/session"


def _not_from_mcp(record: logging.LogRecord) -> bool:
    """It logs what a server sent, word by word, with the root logger."""
    return IN_ROOT not in record.pathname


async def load() -> None:
    await asyncio.to_thread(_load)


def _load() -> None:
    for name in ("mcp.types", "mcp.client.session", "mcp.client.streamable_http"):
        importlib.import_module(name)
    # Session ids at INFO, hostile messages with a traceback at ERROR. What matters reaches the
    # caller as an exception.
    for name in LOUD:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    root = logging.getLogger()
    if _not_from_mcp not in root.filters:
        root.addFilter(_not_from_mcp)
