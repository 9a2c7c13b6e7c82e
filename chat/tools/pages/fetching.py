"""One page, from exactly the address that was checked.

A name is resolved once per step, its addresses are checked, and the connection goes to one of
these: a name that answers differently a second time gains nothing. Redirects are followed by hand,
each checked in the same way. Nothing of ours goes along: no cookie, no proxy, no ``.netrc``.
"""

import asyncio
import codecs
import contextlib
import socket
from dataclasses import dataclass

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from chat.tools.base import ToolFailed
from chat.tools.pages.allowed import AllowList, literal

REDIRECTS = 5
PAGE_BYTES = 1_000_000
TOTAL_S = 15.0
URL_CHARS = 2_000
MOVED = {301, 302, 303, 307, 308}
PORTS = {"http": 80, "https": 443}
READ_AS_TEXT = {"application/json", "application/xml", "application/xhtml+xml"}
HEADERS = {"User-Agent": "Parley", "Accept": "text/html, text/*, application/json, application/xml"}
# Others are either no encodings of text, or take time that grows with the square of the page.
ENCODINGS = (
    "utf-8",
    "ascii",
    "iso8859",
    "cp12",
    "utf-16",
    "koi8",
    "gb",
    "big5",
    "euc",
    "shift_jis",
)


@dataclass(frozen=True, slots=True)
class Page:
    url: str
    kind: str  # the media type
    text: str
    cut: bool


class CheckedResolver(AbstractResolver):
    """Knows one host: the one whose addresses were checked."""

    def __init__(self, host: str, addresses: list[str]) -> None:
        self.host, self.addresses = host, addresses

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        if host != self.host:
            raise OSError("another host than the one that was checked")
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in self.addresses
        ]

    async def close(self) -> None:
        pass


async def fetch(url: str, allowed: AllowList) -> Page:
    """Raises:
    ToolFailed: not allowed, not there, not in time, or not text.
    """
    try:
        async with asyncio.timeout(TOTAL_S):
            for _ in range(REDIRECTS + 1):
                found = await _step(_parsed(url), allowed)
                if isinstance(found, Page):
                    return found
                url = found
    except TimeoutError:
        raise ToolFailed(f"The page did not arrive within {TOTAL_S:g} seconds.") from None
    except (aiohttp.ClientError, OSError, ValueError):
        raise ToolFailed("The page could not be fetched.") from None
    raise ToolFailed(f"More than {REDIRECTS} redirects.")


def _parsed(text: str) -> URL:
    try:
        url = URL(text[:URL_CHARS])
        port = url.port
    except ValueError:
        raise ToolFailed("This is not a URL.") from None
    if url.scheme not in PORTS or not url.host or not port:
        raise ToolFailed("Only http:// and https:// addresses can be fetched.")
    if url.user or url.password:
        raise ToolFailed("The address must hold no user name and no password.")
    return url.with_fragment(None)


async def _step(url: URL, allowed: AllowList) -> Page | str:
    """The page, or where the server sends us instead."""
    assert url.raw_host is not None
    assert url.port is not None
    address = literal(url.raw_host)
    host = str(address) if address else url.raw_host.lower().rstrip(".")
    allowed.require_host(host, url.port)
    addresses = [host] if address else await resolve(host, url.port)
    allowed.require_addresses(host, url.port, addresses)
    connector = aiohttp.TCPConnector(
        resolver=CheckedResolver(url.raw_host, addresses), use_dns_cache=False, force_close=True
    )
    async with (
        aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            headers=HEADERS,
            timeout=aiohttp.ClientTimeout(total=TOTAL_S),
            trust_env=False,
        ) as session,
        session.get(url, allow_redirects=False) as response,
    ):
        if response.status in MOVED and (target := response.headers.get("Location")):
            return str(url.join(URL(target[:URL_CHARS])))
        if response.status != 200:
            raise ToolFailed(f"The server answered with HTTP status {response.status}.")
        kind = response.content_type.lower()
        if not (
            kind.startswith("text/") or kind in READ_AS_TEXT or kind.endswith(("+json", "+xml"))
        ):
            raise ToolFailed("This is no page of text.")
        body, cut = await _bounded(response)
        return Page(str(url), kind, body.decode(_encoding(response.charset), "replace"), cut)


async def resolve(host: str, port: int) -> list[str]:
    """All addresses of a host, as the system knows them.

    Raises:
        ToolFailed
    """
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise ToolFailed("There is no such host.") from None
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


async def _bounded(response: aiohttp.ClientResponse) -> tuple[bytes, bool]:
    """At most PAGE_BYTES of the body, decompressed, and whether that cut it."""
    pieces: list[bytes] = []
    size = 0
    async for piece in response.content.iter_any():
        pieces.append(piece)
        size += len(piece)
        if size > PAGE_BYTES:
            break
    return b"".join(pieces)[:PAGE_BYTES], size > PAGE_BYTES


def _encoding(charset: str | None) -> str:
    with contextlib.suppress(LookupError, ValueError):
        name = codecs.lookup(charset or "utf-8").name
        if name.startswith(ENCODINGS):
            return name
    return "utf-8"
