"""Who may read the metrics: whoever has the token, and the addresses that were named."""

import ipaddress
import secrets
from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network

from django.conf import settings
from django.http import HttpRequest

THROUGH_PROXY = "parley.through_proxy"  # in the scope: a trusted proxy says for whom it asks

# Each says that somebody else has asked than who is connected; so does any X-Forwarded-….
FORWARDED = {"X-Real-Ip", "Forwarded", "Via", "Cf-Connecting-Ip", "True-Client-Ip"}
HERE = {"localhost", "127.0.0.1", "[::1]"}  # names that no proxy is asked by from outside


def may_scrape(request: HttpRequest) -> bool:
    return _has_token(request) or _is_near(request)


def _has_token(request: HttpRequest) -> bool:
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    wanted: str = settings.METRICS_TOKEN
    if not wanted or scheme.lower() != "bearer":
        return False
    return secrets.compare_digest(given.strip().encode(), wanted.encode())


def _is_near(request: HttpRequest) -> bool:
    """By its address. One that a proxy has passed on counts only when the proxy is trusted.

    Else a proxy on this machine would let the whole world in as 127.0.0.1. And a trusted proxy must
    have said for whom it asks.
    """
    address = request.META.get("REMOTE_ADDR", "")
    if not _is_in(address, settings.METRICS_ADDRESSES):
        return False
    if not any(name in FORWARDED or name.startswith("X-Forwarded-") for name in request.headers):
        # A trusted proxy may just have said nothing.
        name = request.get_host().rpartition(":")[0] or request.get_host()
        return not _is_in(address, settings.TRUSTED_PROXIES) or name in HERE
    through_proxy = bool(getattr(request, "scope", {}).get(THROUGH_PROXY))
    return through_proxy and not _is_in(address, settings.TRUSTED_PROXIES)


def _is_in(address: str, networks: Iterable[IPv4Network | IPv6Network]) -> bool:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address):
        found = found.ipv4_mapped or found
    return any(found in network for network in networks)
