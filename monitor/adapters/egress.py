"""Which addresses a request may leave to: the public internet and what the operator wrote down.

The check runs on the address that is really dialled (aiohttp's `socket_factory`), after every
spelling (`0x7f.1`, `127。0。0。1`, `user@…`) and every DNS answer has become one. A filter in the
resolver is not asked for address literals, and one before the request loses to DNS rebinding.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Collection
from typing import Any

from yarl import URL

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
AddressInfo = tuple[int | socket.AddressFamily, int | socket.SocketKind, int, str, tuple[Any, ...]]

# IPv6 forms that lead to an IPv4 address, with the bits of the address right of it.
_EMBEDDED_IPV4: tuple[tuple[ipaddress.IPv6Network, int], ...] = (
    (ipaddress.IPv6Network("::ffff:0:0/96"), 0),  # mapped, RFC 4291
    (ipaddress.IPv6Network("::ffff:0:0:0/96"), 0),  # translated, RFC 2765
    (ipaddress.IPv6Network("::/96"), 0),  # compatible, RFC 4291 (deprecated)
    (ipaddress.IPv6Network("64:ff9b::/96"), 0),  # NAT64, RFC 6052: how IPv6-only hosts reach IPv4
    (ipaddress.IPv6Network("2002::/16"), 80),  # 6to4, RFC 3056
)
# Not left to `is_global`: its answer for these differs between Python releases.
_NEVER_GLOBAL: tuple[Network, ...] = (
    ipaddress.IPv4Network("100.64.0.0/10"),  # carrier-grade NAT, RFC 6598
    ipaddress.IPv4Network("192.0.0.0/24"),  # protocol assignments, RFC 6890
    ipaddress.IPv4Network("192.88.99.0/24"),  # 6to4 relay, RFC 7526
    ipaddress.IPv6Network("64:ff9b:1::/48"),  # local-use NAT64, RFC 8215
    ipaddress.IPv6Network("2001::/23"),  # protocol assignments, among them Teredo
    ipaddress.IPv6Network("fec0::/10"),  # site-local, RFC 3879
)
REFUSED = "the address is not a public one"


class EgressRefusedError(PermissionError):
    """The dialled address is not allowed; an OSError, because aiohttp expects one from a socket."""

    def __init__(self) -> None:
        # One constant text: with several refused addresses aiohttp re-raises the first unchanged.
        super().__init__(REFUSED)


def host_port(url: str) -> str:
    """Name where a URL leads as `host:port`, lower case, the default port written out.

    Raises: ValueError if it is not an absolute http or https URL.
    """
    parsed = URL(url)
    if parsed.scheme not in ("http", "https") or not parsed.raw_host or not parsed.port:
        raise ValueError("not an absolute http or https URL")
    host = parsed.raw_host.lower()
    return f"[{host}]:{parsed.port}" if ":" in host else f"{host}:{parsed.port}"


def is_public(address: Address) -> bool:
    """Whether the address belongs to the public internet, whatever form it is written in."""
    if isinstance(address, ipaddress.IPv6Address):
        embedded = embedded_ipv4(address)
        if embedded is not None:
            return is_public(embedded)
    return (
        address.is_global
        and not address.is_multicast
        and not address.is_reserved
        and not any(address in network for network in _NEVER_GLOBAL)
    )


def embedded_ipv4(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """Find the IPv4 address that an IPv6 address stands for, if it is of such a form."""
    for network, shift in _EMBEDDED_IPV4:
        if address in network:
            return ipaddress.IPv4Address(int(address) >> shift & 0xFFFF_FFFF)
    return None


def guard(allow_networks: Collection[str]) -> Callable[[AddressInfo], socket.socket]:
    """Make a socket factory that gives no socket for an address outside.

    Raises: ValueError for a network that cannot be read; the factory raises EgressRefusedError.
    """
    allowed = [ipaddress.ip_network(text, strict=False) for text in allow_networks]

    def open_socket(info: AddressInfo) -> socket.socket:
        family, kind, protocol, _, where = info
        if not _is_allowed(ipaddress.ip_address(where[0]), allowed):
            raise EgressRefusedError
        return socket.socket(family=family, type=kind, proto=protocol)

    return open_socket


def _is_allowed(address: Address, allowed: list[Network]) -> bool:
    if is_public(address):
        return True
    mapped = embedded_ipv4(address) if isinstance(address, ipaddress.IPv6Address) else None
    return any(address in network or (mapped and mapped in network) for network in allowed)
