"""Which addresses a request may leave to: the public internet and what the operator wrote down.

The check runs on the address that is really dialled (aiohttp's `socket_factory`), after every
spelling (`0x7f.1`, `127。0。0。1`, `user@…`) and every DNS answer has become one. A filter in the
resolver is not asked for address literals, and one before the request loses to DNS rebinding.
"""

from __future__ import annotations

import ipaddress
import socket
from collections import Counter
from collections.abc import Callable, Collection
from typing import Any

from yarl import URL

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
AddressInfo = tuple[int | socket.AddressFamily, int | socket.SocketKind, int, str, tuple[Any, ...]]

# IPv6 forms that lead to an IPv4 address, with the bits of the address right of it, and whether
# anything outside this machine still follows them.
_EMBEDDED_IPV4: tuple[tuple[ipaddress.IPv6Network, int, bool], ...] = (
    (ipaddress.IPv6Network("::ffff:0:0/96"), 0, True),  # mapped, RFC 4291
    (ipaddress.IPv6Network("::ffff:0:0:0/96"), 0, False),  # translated, RFC 2765
    (ipaddress.IPv6Network("::/96"), 0, False),  # compatible, RFC 4291
    (ipaddress.IPv6Network("64:ff9b::/96"), 0, True),  # NAT64, RFC 6052: IPv6-only hosts use it
    (ipaddress.IPv6Network("2002::/16"), 80, True),  # 6to4, RFC 3056
)
# Why an address is refused: the first range that holds it says so. Not left to `is_global`, whose
# answer for some of these differs between Python releases.
_REASONS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (
        "metadata",  # the services of clouds that give credentials to whoever asks
        (
            "169.254.169.254/32",
            "169.254.170.2/32",  # of containers
            "100.100.100.200/32",
            "192.0.0.192/32",
            "168.63.129.16/32",  # a public address in form only
            "fd00:ec2::254/128",
            "fd20:ce::254/128",
        ),
    ),
    ("loopback", ("127.0.0.0/8", "::1/128")),
    ("unspecified", ("0.0.0.0/8", "::/128")),  # dialled, they are this machine
    ("private", ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "fec0::/10")),
    ("link_local", ("169.254.0.0/16", "fe80::/10")),
    ("shared", ("100.64.0.0/10",)),  # carrier-grade NAT, RFC 6598
    ("multicast", ("224.0.0.0/4", "ff00::/8")),
    (
        "reserved",
        (
            "192.0.0.0/24",  # protocol assignments, RFC 6890
            "192.88.99.0/24",  # 6to4 relay, RFC 7526
            "2001::/23",  # protocol assignments, among them Teredo
            "3fff::/20",  # documentation, RFC 9637
        ),
    ),
)
_REFUSED: tuple[tuple[str, Network], ...] = tuple(
    (reason, ipaddress.ip_network(text)) for reason, networks in _REASONS for text in networks
)
# All that was ever handed out as public. NAT64 for local use, segment routing (5f00::/16) and
# whatever comes next lie outside.
_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")
BLOCKED_REASONS = (*(reason for reason, _ in _REASONS), "bad_url")
"""Every reason a request is not sent, as the metric names it; `bad_url`: no address at all."""
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
    if "%" in host and ":" not in host:  # no name of a machine: it hides something
        raise ValueError("not an absolute http or https URL")
    return f"[{host}]:{parsed.port}" if ":" in host else f"{host}:{parsed.port}"


def refusal(address: Address) -> str | None:
    """Say why an address is none of the public internet, whatever form it is in; None: it is."""
    if isinstance(address, ipaddress.IPv6Address) and int(address) > 1:  # `::`, `::1` embed nothing
        for network, shift, is_followed in _EMBEDDED_IPV4:
            if address in network:
                reason = refusal(ipaddress.IPv4Address(int(address) >> shift & 0xFFFF_FFFF))
                return reason or (None if is_followed else "reserved")
    for reason, refused in _REFUSED:
        if address in refused:
            return reason
    is_public = address.is_global and not address.is_reserved
    if isinstance(address, ipaddress.IPv6Address):
        is_public = is_public and address in _GLOBAL_UNICAST
    return None if is_public else "reserved"


def guard(
    allow_networks: Collection[str],
    blocked: Counter[str],
    trusted_places: Collection[str] | None = None,
) -> Callable[[AddressInfo], socket.socket]:
    """Make a socket factory that gives no socket for an address outside; each refusal is counted.

    With `trusted_places`, the `host:port` an operator wrote down, it is the one for these: private
    addresses are fine. Only metadata services have to be written as addresses, because the owner of
    a name decides where it leads.
    Raises: ValueError for a network that cannot be read; the factory raises EgressRefusedError.
    """
    allowed = [ipaddress.ip_network(text, strict=False) for text in allow_networks]
    written = [one for place in trusted_places or () if (one := _literal(place)) is not None]

    def open_socket(info: AddressInfo) -> socket.socket:
        family, kind, protocol, _, where = info
        address = ipaddress.ip_address(where[0])
        reason = refusal(address)
        if trusted_places is not None and (reason != "metadata" or address in written):
            reason = None
        if reason is not None and not _is_in(address, allowed):
            blocked[reason] += 1
            raise EgressRefusedError
        return socket.socket(family=family, type=kind, proto=protocol)

    return open_socket


def _literal(place: str) -> Address | None:
    try:
        return ipaddress.ip_address(place.rpartition(":")[0].strip("[]"))
    except ValueError:
        return None


def _is_in(address: Address, allowed: list[Network]) -> bool:
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return any(address in network or (mapped and mapped in network) for network in allowed)
