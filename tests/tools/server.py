"""A tool server for the tests: a real process, over stdio or streamable HTTP.

python server.py                   over stdio
python server.py --http            on a free port, which it prints
python server.py --stubborn        over stdio, and stays when asked to go
"""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from typing import Any

import uvicorn
from mcp.server.fastmcp import Context, FastMCP
from mcp.types import ImageContent, TextContent, ToolAnnotations

server = FastMCP("test", log_level="CRITICAL")
given_up: list[str] = []


@server.tool(annotations=ToolAnnotations(readOnlyHint=True))
def echo(text: str) -> str:
    """Say it again."""
    return text


@server.tool()
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@server.tool()
async def stall() -> str:
    """Never answer."""
    try:
        await asyncio.Event().wait()
    finally:
        given_up.append("stall")
    return ""


@server.tool()
def taken_back() -> str:
    """How many calls the client took back."""
    return str(len(given_up))


@server.tool()
async def slow(seconds: float) -> str:
    """Answer late."""
    await asyncio.sleep(seconds)
    return "at last"


@server.tool()
def fail() -> str:
    """Say that it failed."""
    raise ValueError("the printer is on fire")


@server.tool()
def die() -> str:
    """Exit in the middle of the call."""
    os._exit(3)


@server.tool(structured_output=False)
def hostile(kind: str) -> Any:
    """Return what should not be returned."""
    match kind:
        case "html":
            return "<script>alert(1)</script><img src=x onerror=alert(1)>"
        case "control":
            return "a\0b\x1b[31mc\x07\r\nd"
        case "large":
            return "x" * 200_000
        case "image":
            image = ImageContent(type="image", data="aGVsbG8=", mimeType="image/png")
            return [TextContent(type="text", text="Look:"), image]
    return []


@server.tool()
def environment() -> str:
    """All variables that this process has."""
    return json.dumps(dict(os.environ))


@server.tool()
def pids() -> str:
    """The process, and one that it started and that ignores SIGTERM."""
    child = subprocess.Popen(["/bin/sh", "-c", "trap '' TERM; while :; do sleep 1; done"])
    return json.dumps([os.getpid(), child.pid])


@server.tool()
def leak(context: Context[Any, Any, Any]) -> str:
    """Fail, with a secret in the words."""
    request = context.request_context.request
    secret = request.headers["authorization"] if request else os.environ["SERVICE_TOKEN"]
    raise ValueError(f"no such customer, asked with {secret}")


@server.tool()
def header(name: str, context: Context[Any, Any, Any]) -> str:
    """A header of the request."""
    request = context.request_context.request
    return str(request.headers.get(name)) if request else ""


def over_http() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    config = uvicorn.Config(server.streamable_http_app(), log_level="critical", lifespan="on")
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    if "--http" in sys.argv:
        over_http()
    elif "--stubborn" in sys.argv:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        try:
            server.run("stdio")
        finally:
            while True:
                time.sleep(60)
    else:
        server.run("stdio")
