"""Behind trusted proxies: whose request it is, and by which scheme he asked.

One place, before Django and the sockets: what comes after sees the client's address and scheme as
if he had come directly. Headers of a peer outside ``TRUSTED_PROXIES`` are nobody's word.
"""

import ipaddress
from collections.abc import Awaitable, Callable, Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Any

from chat.metrics.who import THROUGH_PROXY

App = Callable[[Any, Any, Any], Awaitable[None]]


class TrustedProxies:
    """ASGI middleware that believes ``X-Forwarded-For`` and ``-Proto`` of the given networks."""

    def __init__(self, app: App, trusted: Iterable[IPv4Network | IPv6Network]) -> None:
        self.app, self.trusted = app, list(trusted)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if self.trusted and scope["type"] in {"http", "websocket"}:
            scope = self._seen_through(scope)
        await self.app(scope, receive, send)

    def _seen_through(self, scope: dict[str, Any]) -> dict[str, Any]:
        peer, port = scope.get("client") or ("127.0.0.1", 0)  # a Unix socket has no address
        if not is_trusted(peer, self.trusted):
            return scope
        headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
        forwarded_for = headers.get(b"x-forwarded-for", "")
        client = (client_address(peer, forwarded_for, self.trusted), port)
        scope = {**scope, "client": client, THROUGH_PROXY: True}
        secure = headers.get(b"x-forwarded-proto", "").strip().lower()
        if secure in {"http", "https"}:
            schemes = {"http": secure, "websocket": "wss" if secure == "https" else "ws"}
            scope["scheme"] = schemes[scope["type"]]
        return scope


def is_trusted(peer: str, trusted: Iterable[IPv4Network | IPv6Network]) -> bool:
    found = _parse(peer)
    return found is not None and any(found in network for network in trusted)


def client_address(
    peer: str, forwarded_for: str, trusted: Iterable[IPv4Network | IPv6Network]
) -> str:
    """The nearest address that is not a trusted proxy's.

    ``X-Forwarded-For`` is read from its end, where our own proxies wrote; what stands before the
    first stranger was written by that stranger and proves nothing. An entry that is no address
    ends the search at the proxy that passed it on.
    """
    networks = list(trusted)
    found = _parse(peer)
    if found is None:
        return peer
    hops = forwarded_for.split(",") if forwarded_for else []
    while hops and any(found in network for network in networks):
        earlier = _parse(hops.pop())
        if earlier is None:
            break
        found = earlier
    return str(found)


def _parse(text: str) -> IPv4Address | IPv6Address | None:
    text = text.strip()
    if text.startswith("["):  # [2001:db8::1]:443
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:  # 192.0.2.1:443
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
