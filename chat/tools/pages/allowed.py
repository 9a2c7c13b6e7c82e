"""Which hosts may be asked, and at which addresses.

A host must stand in the operator's list. Its name is resolved by us, and every address that it has
must be public: else a name in somebody's domain could lead to the metadata service of a cloud or
into the operator's network. An address that the list itself names with its port is what the
operator wants, wherever it is.
"""

import ipaddress
import re
from dataclasses import dataclass

from chat.tools.base import ToolFailed

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

USUAL_PORTS = (80, 443)
ENTRY = re.compile(r"(?P<host>\[[0-9a-fA-F:.]+\]|(\*\.)?[a-z0-9_.-]+)(:(?P<port>\d{1,5}))?")

# The special-purpose registries of IANA, written out: ``is_global`` changed between versions of
# Python. Of IPv6 only what is given out for use is public, without the parts that lead to IPv4
# (6to4, Teredo; NAT64 and mapped addresses are outside of it anyway).
PRIVATE_V4 = [
    ipaddress.IPv4Network(network)
    for network in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16"),
        *("172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24"),
        *("192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24", "198.18.0.0/15"),
        *("198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"),
    )
]
PUBLIC_V6 = ipaddress.IPv6Network("2000::/3")
PRIVATE_V6 = [
    ipaddress.IPv6Network(network)
    for network in ("2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20")
]


@dataclass(frozen=True, slots=True)
class Entry:
    """One host of the list; ``port`` is None for the usual ones."""

    host: str
    port: int | None
    subdomains: bool = False

    @classmethod
    def parse(cls, text: str) -> "Entry":
        """Raises:
        ValueError
        """
        found = ENTRY.fullmatch(text.strip().lower())
        if found is None:
            raise ValueError(f"not a host: {text!r}")
        port = int(found["port"]) if found["port"] else None
        if port is not None and not 0 < port < 65536:
            raise ValueError(f"not a port: {text!r}")
        host = found["host"].removeprefix("[").removesuffix("]").rstrip(".")
        if host.startswith("*."):
            return cls(host[2:], port, subdomains=True)
        address = literal(host)
        return cls(str(address) if address else host, port)

    def covers(self, host: str, port: int) -> bool:
        if self.port != port and (self.port is not None or port not in USUAL_PORTS):
            return False
        return host.endswith(f".{self.host}") if self.subdomains else host == self.host


def literal(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def is_public(address: Address) -> bool:
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in network for network in PRIVATE_V4)
    return address in PUBLIC_V6 and not any(address in network for network in PRIVATE_V6)


@dataclass(frozen=True, slots=True)
class AllowList:
    entries: tuple[Entry, ...]

    @classmethod
    def of(cls, texts: list[str]) -> "AllowList":
        return cls(tuple(map(Entry.parse, texts)))

    def require_host(self, host: str, port: int) -> None:
        """Raises:
        ToolFailed
        """
        if not any(entry.covers(host, port) for entry in self.entries):
            raise ToolFailed("This host is not among those that may be fetched here.")

    def require_addresses(self, host: str, port: int, addresses: list[str]) -> None:
        """That each address of the host may be connected to.

        One that is not spoils all: which of them is connected to is not decided here.

        Raises:
            ToolFailed
        """
        named = literal(host) is not None and Entry(host, port) in self.entries
        for text in addresses:
            address = literal(text)
            if address is None or not (named or is_public(address)):
                raise ToolFailed("This host has an address that is not public.")
