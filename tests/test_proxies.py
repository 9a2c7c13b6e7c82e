"""Whose request it is, and by which scheme, behind trusted proxies."""

from ipaddress import ip_network
from typing import Any

import pytest

from chatsite.proxies import TrustedProxies, client_address

TRUSTED = [ip_network("10.0.0.0/8"), ip_network("::1/128")]


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "expected"),
    [
        ("192.0.2.1", "", "192.0.2.1"),
        ("192.0.2.1", "203.0.113.9", "192.0.2.1"),  # a stranger may claim anything
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", "198.51.100.1, 203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", "203.0.113.9, 10.0.0.2", "203.0.113.9"),
        ("10.0.0.1", "10.0.0.3,10.0.0.2", "10.0.0.3"),
        ("::1", "2001:db8::7", "2001:db8::7"),
        ("::ffff:10.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", "203.0.113.9:4711", "203.0.113.9"),
        ("10.0.0.1", "[2001:db8::7]:443", "2001:db8::7"),
        ("10.0.0.1", "203.0.113.9, unknown", "10.0.0.1"),
        ("10.0.0.1", " , ", "10.0.0.1"),
        ("testclient", "203.0.113.9", "testclient"),
    ],
)
def test_it_is_the_nearest_that_is_no_proxy_of_ours(
    peer: str, forwarded_for: str, expected: str
) -> None:
    assert client_address(peer, forwarded_for, TRUSTED) == expected


def test_nobody_is_trusted_by_default() -> None:
    assert client_address("10.0.0.1", "203.0.113.9", []) == "10.0.0.1"


async def _seen(kind: str, peer: str, **headers: str) -> tuple[str, str]:
    """(client's address, scheme) as the application behind the middleware sees them."""
    seen: list[Any] = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope)

    scheme = {"http": "http", "websocket": "ws"}[kind]
    raw = [(f"x-forwarded-{k}".encode(), v.encode()) for k, v in headers.items()]
    scope = {"type": kind, "client": (peer, 4711), "scheme": scheme, "headers": raw}
    await TrustedProxies(application, TRUSTED)(scope, None, None)
    return seen[0]["client"][0], seen[0]["scheme"]


@pytest.mark.parametrize(("kind", "scheme"), [("http", "https"), ("websocket", "wss")])
async def test_a_trusted_proxy_names_client_and_scheme(kind: str, scheme: str) -> None:
    headers = {"for": "203.0.113.9", "proto": "https"}
    assert await _seen(kind, "10.0.0.1", **headers) == ("203.0.113.9", scheme)


async def test_a_stranger_s_headers_are_not_believed() -> None:
    headers = {"for": "10.0.0.9", "proto": "https"}
    assert await _seen("http", "192.0.2.1", **headers) == ("192.0.2.1", "http")


async def test_a_strange_scheme_is_not_taken_over() -> None:
    assert await _seen("http", "10.0.0.1", proto="javascript") == ("10.0.0.1", "http")
