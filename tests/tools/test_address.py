"""Addresses that answer, but not as a tool server should."""

import asyncio
from typing import Any

import pytest
from aiohttp import web

from chat.models import ServerTransport, ToolServer
from chat.tools.base import ToolFailed
from chat.tools.servers import address
from chat.tools.servers.listing import list_tools
from tests.tools.site import Site


def at(site: Site, **fields: Any) -> ToolServer:
    usual = {
        "name": "web",
        "transport": ServerTransport.HTTP,
        "url": f"{site.origin}/mcp",
        "timeout_s": 5,
    }
    return ToolServer(**{**usual, **fields})


@pytest.mark.parametrize(
    ("response", "words"),
    [
        ({"status": 401}, "did not accept the credentials"),
        ({"status": 403, "text": "s3cret"}, "did not accept the credentials"),
        ({"status": 500, "text": "s3cret"}, "HTTP status 500"),
        ({"status": 307, "headers": {"Location": "http://169.254.169.254/"}}, "HTTP status 307"),
        ({"body": b"x", "headers": {"Content-Encoding": "gzip"}}, "ended before it answered"),
    ],
)
async def test_a_refusal_is_told_neutrally(
    response: dict[str, Any], words: str, site: Site
) -> None:
    site.says(**response)
    with pytest.raises(ToolFailed, match=words) as caught:
        await list_tools(at(site, headers={"Authorization": "Bearer s3cret"}))
    assert "s3cret" not in str(caught.value)
    assert len(site.requests) == 1
    assert site.requests[0].headers["Authorization"] == "Bearer s3cret"


@pytest.mark.parametrize("kind", ["application/json", "text/event-stream"])
async def test_an_answer_without_end_is_left(
    kind: str, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(address, "ANSWER_BYTES", 100_000)

    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": kind})
        await response.prepare(request)
        while not site.over.is_set():
            await response.write(b": x" * 10_000)
            await asyncio.sleep(0)
        return response

    site.handler = handler
    with pytest.raises(ToolFailed, match="ended before it answered"):
        await list_tools(at(site, timeout_s=20))


async def test_an_address_that_says_nothing_is_left_in_time(site: Site) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        await site.over.wait()
        return web.Response()

    site.handler = handler
    with pytest.raises(ToolFailed, match="did not answer within 1 seconds"):
        await list_tools(at(site, timeout_s=1))
