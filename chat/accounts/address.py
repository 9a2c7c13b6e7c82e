"""Whose address a request comes from, when proxies stand in between."""

import ipaddress
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network


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
