"""Which addresses count as public, and how places are named."""

import ipaddress
from collections import Counter

import pytest

from monitor.adapters.egress import EgressRefusedError, guard, host_port, refusal

PRIVATE = [
    "0.0.0.0",
    "10.1.2.3",
    "100.64.0.1",
    "127.0.0.1",
    "127.255.255.254",
    "169.254.169.254",
    "172.16.0.1",
    "192.0.0.8",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.51.100.7",
    "203.0.113.9",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "168.63.129.16",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:0:127.0.0.1",
    "::ffff:10.0.0.1",
    "2002:7f00:1::",
    "2002:a00:1::1",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1",
    "2001:0:4136:e378::1",
    "2001:db8::1",
    "3fff::1",
    "4000::1",
    "5f00::1",
    "fc00::1",
    "fd12:3456::1",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
]
PUBLIC = ["1.1.1.1", "223.5.5.5", "2400:3200::1", "64:ff9b::df05:505", "::ffff:223.5.5.5"]


@pytest.mark.parametrize("text", PRIVATE)
def test_address_off_the_public_internet_is_not_public(text: str) -> None:
    """Loopback, private, link-local, shared, reserved, multicast and all forms that hide them."""
    assert refusal(ipaddress.ip_address(text))


@pytest.mark.parametrize("text", PUBLIC)
def test_address_of_the_public_internet_is_public(text: str) -> None:
    """Ordinary addresses pass, also through NAT64 and mapped."""
    assert refusal(ipaddress.ip_address(text)) is None


@pytest.mark.parametrize(
    ("allowed", "text", "is_open"),
    [
        ("10.0.0.0/8", "10.1.2.3", True),
        ("10.0.0.0/8", "::ffff:10.1.2.3", True),
        ("10.0.0.0/8", "11.0.0.1", True),
        ("10.0.0.0/8", "192.168.0.1", False),
        ("fd00::/8", "fd00::5", True),
        ("fd00::/8", "10.0.0.1", False),
    ],
)
def test_allowed_network_opens_that_network_only(allowed: str, text: str, is_open: bool) -> None:
    """`egress.allow` opens what it names and nothing beside it."""
    open_socket = guard([allowed], Counter())
    info = (2 if "." in text and ":" not in text else 10, 1, 6, "", (text, 80))
    if is_open:
        open_socket(info).close()
    else:
        with pytest.raises(EgressRefusedError):
            open_socket(info)


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("https://Shop.example/claim?token=x", "shop.example:443"),
        ("http://127.0.0.1/", "127.0.0.1:80"),
        ("http://user:pw@shop.example:8080/x", "shop.example:8080"),
        ("http://[::1]:9000/", "[::1]:9000"),
    ],
)
def test_place_of_url_is_host_and_port(url: str, place: str) -> None:
    """The default port is written out, everything secret is left out."""
    assert host_port(url) == place


@pytest.mark.parametrize("url", ["", "shop.example", "ftp://shop.example/", "file:///etc/passwd"])
def test_place_of_something_else_is_an_error(url: str) -> None:
    """Only absolute http and https URLs lead anywhere."""
    with pytest.raises(ValueError, match="absolute"):
        host_port(url)
