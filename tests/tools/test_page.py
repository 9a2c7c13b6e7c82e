"""Pages over a socket: redirects, bounds, and addresses that change between two answers."""

import gzip
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from django.conf import LazySettings

from chat.tools.base import Context, InvalidArguments, ToolFailed
from chat.tools.page import fetch_page
from chat.tools.pages import fetching
from chat.tools.text import CUT, RESULT_CHARS
from tests.tools.site import Site


@pytest.fixture
def resolving(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What the resolver says, answer after answer; the last is repeated."""
    answers: list[list[str]] = []

    async def resolve(host: str, port: int) -> list[str]:
        return answers.pop(0) if len(answers) > 1 else answers[0]

    monkeypatch.setattr(fetching, "resolve", resolve)
    return answers


async def fetched(url: str, context: Context) -> str:
    return await fetch_page.run({"url": url}, context)


async def test_html_is_read_as_text(site: Site, context: Context) -> None:
    site.says(
        text="<title>Hi</title><script>x()</script><p>One &amp; <b>two</b>",
        content_type="text/html",
    )
    text = await fetched(f"{site.origin}/page#part", context)
    assert text == f"{site.origin}/page\n\nHi\nOne & two"


async def test_json_and_other_encodings(site: Site, context: Context) -> None:
    site.says(text='{"a": "<b>"}', content_type="application/ld+json")
    assert (await fetched(site.origin, context)).endswith('\n\n{"a": "<b>"}')
    site.says(body="Grüße".encode("cp1252"), headers={"Content-Type": "text/plain; charset=cp1252"})
    assert (await fetched(site.origin, context)).endswith("\n\nGrüße")
    site.says(body=b"plain\xff", headers={"Content-Type": "text/plain; charset=punycode"})
    assert (await fetched(site.origin, context)).endswith("\n\nplain\ufffd")


async def test_nothing_of_ours_goes_along(
    site: Site, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    site.says(text="a", headers={"Set-Cookie": "a=b"})
    for _ in range(2):
        await fetched(site.origin, context)
    last = site.requests[-1]
    assert "Cookie" not in last.headers
    assert "Authorization" not in last.headers
    assert last.headers["Host"] == f"127.0.0.1:{site.port}"


async def test_redirects_are_followed_and_counted(site: Site, context: Context) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        left = int(request.path.strip("/"))
        if not left:
            return web.Response(text="arrived")
        return web.Response(status=302, headers={"Location": f"/{left - 1}"})

    site.handler = handler
    assert (await fetched(f"{site.origin}/5", context)).endswith("/0\n\narrived")
    with pytest.raises(ToolFailed, match="More than 5 redirects"):
        await fetched(f"{site.origin}/6", context)


@pytest.mark.parametrize(
    "target",
    [
        "http://169.254.169.254/latest/meta-data/",
        "http://localhost/",
        "http://127.0.0.1:22/",
        "//[::1]/",
        "file:///etc/passwd",
        "gopher://127.0.0.1/",
        "http://user:password@127.0.0.1:{port}/",
        "http://[",
    ],
)
async def test_a_redirect_leads_nowhere_else(target: str, site: Site, context: Context) -> None:
    site.says(status=302, headers={"Location": target.replace("{port}", str(site.port))})
    with pytest.raises(ToolFailed):
        await fetched(site.origin, context)
    assert len(site.requests) == 1


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org/",
        "http://127.0.0.1/",
        "http://localhost:{port}/",
        "http://2130706433:{port}/",
        "http://127.1:{port}/",
        "http://0x7f000001:{port}/",
        "http://[::ffff:127.0.0.1]:{port}/",
        "https://127.0.0.1:1/",
        "ftp://127.0.0.1:{port}/",
        "javascript:alert(1)",
        "not a url",
        "http://a\r\nHost: b/",
        "",
    ],
)
async def test_other_hosts_are_refused(url: str, site: Site, context: Context) -> None:
    with pytest.raises(ToolFailed):
        await fetched(url.replace("{port}", str(site.port)), context)
    assert site.requests == []


async def test_a_name_that_leads_inside_is_refused(
    site: Site, context: Context, settings: LazySettings, resolving: list[list[str]]
) -> None:
    settings.TOOL_FETCH_HOSTS.append(f"*.example.org:{site.port}")
    for address in ("127.0.0.1", "::1", "10.0.0.1", "169.254.169.254", "::ffff:127.0.0.1"):
        resolving[:] = [[address]]
        with pytest.raises(ToolFailed, match="not public"):
            await fetched(f"http://a.example.org:{site.port}/", context)
    assert site.requests == []


async def test_the_address_that_was_checked_is_the_one_that_is_asked(
    site: Site, context: Context, settings: LazySettings, resolving: list[list[str]]
) -> None:
    """DNS that answers with a public address first and with ours afterwards."""
    settings.TOOL_FETCH_HOSTS.append(f"example.org:{site.port}")
    connected: list[Any] = []

    async def connector(self: aiohttp.TCPConnector, *arguments: Any, **options: Any) -> Any:
        connected.extend(info[4][0] for info in options["addr_infos"])
        raise OSError("not in a test")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(aiohttp.TCPConnector, "_wrap_create_connection", connector)
        resolving[:] = [["93.184.216.34"], ["127.0.0.1"]]
        with pytest.raises(ToolFailed, match="could not be fetched"):
            await fetched(f"http://example.org:{site.port}/", context)
    assert connected == ["93.184.216.34"]
    assert resolving == [["127.0.0.1"]]  # asked once


async def test_the_name_is_kept_for_the_server(
    site: Site,
    context: Context,
    settings: LazySettings,
    resolving: list[list[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings.TOOL_FETCH_HOSTS.append(f"example.org:{site.port}")
    monkeypatch.setattr("chat.tools.pages.allowed.is_public", lambda address: True)
    resolving[:] = [["127.0.0.1"]]
    site.says(text="by name")
    assert "by name" in await fetched(f"http://example.org:{site.port}/", context)
    assert site.requests[0].headers["Host"] == f"example.org:{site.port}"


async def test_a_large_page_is_cut(site: Site, context: Context) -> None:
    page = gzip.compress(b"<p>" + b"word " * 2_000_000)
    headers = {"Content-Encoding": "gzip", "Content-Type": "text/html"}
    site.says(body=page, headers=headers)
    text = await fetched(site.origin, context)
    assert len(text) == RESULT_CHARS
    assert text.endswith(CUT)
    page_there = await fetching.fetch(
        site.origin, fetching.AllowList.of([f"127.0.0.1:{site.port}"])
    )
    assert (len(page_there.text), page_there.cut) == (fetching.PAGE_BYTES, True)


@pytest.mark.parametrize(
    ("response", "words"),
    [
        ({"status": 404}, "HTTP status 404"),
        ({"status": 302}, "HTTP status 302"),
        ({"body": b"\x89PNG", "content_type": "image/png"}, "no page of text"),
        ({"body": b"%PDF", "content_type": "application/pdf"}, "no page of text"),
        ({"body": b"x", "headers": {"Content-Encoding": "gzip"}}, "no page|could not be fetched"),
    ],
)
async def test_what_is_no_page(
    response: dict[str, Any], words: str, site: Site, context: Context
) -> None:
    site.says(**response)
    with pytest.raises(ToolFailed, match=words):
        await fetched(site.origin, context)


async def test_a_page_that_does_not_end_is_left(
    site: Site, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/plain"})
        await response.prepare(request)
        await response.write(b"drip")
        await site.over.wait()
        return response

    site.handler = handler
    monkeypatch.setattr(fetching, "TOTAL_S", 0.3)
    with pytest.raises(ToolFailed, match="did not arrive"):
        await fetched(site.origin, context)


async def test_the_url_is_bounded() -> None:
    with pytest.raises(InvalidArguments, match="url: "):
        fetch_page.check({"url": "http://a/" + "x" * 3000})
