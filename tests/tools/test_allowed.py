"""Which hosts, and which of their addresses, may be fetched."""

import ipaddress

import pytest

from chat.tools.base import ToolFailed
from chat.tools.pages.allowed import AllowList, Entry, is_public


@pytest.mark.parametrize(
    "address",
    [
        *("0.0.0.0", "10.1.2.3", "100.64.0.1", "127.0.0.1", "127.255.255.254", "169.254.169.254"),
        *("172.16.0.1", "172.31.255.255", "192.0.0.1", "192.0.2.1", "192.88.99.1", "192.168.1.1"),
        *("198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255"),
        *("240.0.0.1", "255.255.255.255", "::", "::1", "::ffff:8.8.8.8", "::ffff:127.0.0.1"),
        *("::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b:1::1", "100::1", "2001::1", "2001:db8::1"),
        *("2002:7f00:1::1", "3fff::1", "fc00::1", "fd12::1", "fe80::1", "fe80::1%eth0", "fec0::1"),
        *("ff02::1", "5f00::1"),
    ],
)
def test_no_public_address(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "93.184.216.34", "172.32.0.1", "2606:4700::6810:84e5", "2a00:1450::1"]
)
def test_public_addresses(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    ("entry", "host", "port", "allowed"),
    [
        ("example.org", "example.org", 443, True),
        ("Example.org", "example.org", 80, True),
        ("example.org", "example.org", 8080, False),
        ("example.org", "www.example.org", 443, False),
        ("example.org", "notexample.org", 443, False),
        ("example.org", "example.org.evil.test", 443, False),
        ("*.example.org", "www.example.org", 443, True),
        ("*.example.org", "a.b.example.org", 443, True),
        ("*.example.org", "example.org", 443, False),
        ("*.example.org", "evilexample.org", 443, False),
        ("example.org:8080", "example.org", 8080, True),
        ("example.org:8080", "example.org", 443, False),
        ("[2606:4700:0:0::1]:8080", "2606:4700::1", 8080, True),
    ],
)
def test_hosts(entry: str, host: str, port: int, allowed: bool) -> None:
    assert Entry.parse(entry).covers(host, port) is allowed


@pytest.mark.parametrize("text", ["", "*", "http://example.org", "a b", "a:0", "a:65536", "a/b"])
def test_what_is_no_entry(text: str) -> None:
    with pytest.raises(ValueError, match="not a"):
        Entry.parse(text)


def test_one_private_address_spoils_the_host() -> None:
    allowed = AllowList.of(["example.org", "127.0.0.1:8123", "10.0.0.1"])
    allowed.require_addresses("example.org", 443, ["93.184.216.34"])
    for addresses in (["127.0.0.1"], ["93.184.216.34", "10.0.0.1"], ["no address"]):
        with pytest.raises(ToolFailed, match="not public"):
            allowed.require_addresses("example.org", 443, addresses)


def test_an_address_with_its_port_is_what_the_operator_wants() -> None:
    allowed = AllowList.of(["127.0.0.1:8123", "10.0.0.1", "*.test:8123"])
    allowed.require_addresses("127.0.0.1", 8123, ["127.0.0.1"])
    for host, port in (("127.0.0.1", 8124), ("10.0.0.1", 80), ("a.test", 8123)):
        with pytest.raises(ToolFailed):
            allowed.require_addresses(host, port, ["127.0.0.1" if host == "a.test" else host])
