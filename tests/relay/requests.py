"""Random requests as strange as HTTP allows, from a seed, and what of them the shop must see."""

from __future__ import annotations

from random import Random

from tests.relay.shop import Seen
from tests.relay.world import FORWARD

METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS")
OURS = (b"x-delivery-monitor-relay", b"connection")
_PATH = "abcXYZ019-._~!$&'()*+,;=:@%2F%E4%BC%9A/"
_QUERY = _PATH + '?[]{}|\\^`"<>'
_NAME = "abcXYZ-_019"
_VALUE = bytes(range(0x21, 0x7F)) + bytes(range(0x80, 0x100)) + b"  \t"


def target(random: Random) -> bytes:
    """What stands behind the address of the relay."""
    below = "".join(random.choices(_PATH, k=random.randrange(20)))
    below = below.replace("..", "._").replace("%2E", "%2F")  # `..` segments are refused
    rest = f"/{below}".encode() if random.random() < 0.4 else b""
    if random.random() < 0.8:
        query = "".join(random.choices(_QUERY, k=random.randrange(200))).encode()
        if random.random() < 0.3:
            query += "&name=会员卡&name=会员卡".encode(random.choice(("utf-8", "gbk")))
        rest += b"?" + query
    return rest


def header(random: Random) -> bytes:
    name = "X-" + "".join(random.choices(_NAME, k=random.randrange(1, 20)))
    value = bytes(random.choices(_VALUE, k=random.randrange(60))).strip()
    return f"{name}: ".encode() + value


def request(random: Random) -> tuple[bytes, bytes, bytes, list[bytes], bytes]:
    """The bytes of a request, and of it: method, rest of the target, header lines, body."""
    method = random.choice(METHODS).encode()
    rest = target(random)
    lines = [b"Host: shop.example"]
    lines += [header(random) for _ in range(random.randrange(8))]
    if len(lines) > 1 and random.random() < 0.3:
        lines.append(lines[-1])  # a line that is there twice
    body = random.randbytes(random.randrange(3000)) if method not in (b"GET", b"HEAD") else b""
    gone = []
    if random.random() < 0.3:
        gone.append(random.choice((b"Keep-Alive: 5", b"TE: trailers", b"Proxy-Authorization: x")))
    is_chunked = bool(body) and random.random() < 0.3
    sent = list(lines)
    if is_chunked:
        sent.append(b"Transfer-Encoding: chunked")
        lines.append(b"Content-Length: %d" % len(body))
    elif body or method not in (b"GET", b"HEAD"):
        line = b"Content-Length: %d" % len(body)
        place = random.randrange(1, len(lines) + 1)
        lines.insert(place, line)
        sent.insert(place, line)
    head = [method + b" /relay/main/epay" + rest + b" HTTP/1.1", *sent, *gone, b"", b""]
    wire = body
    if is_chunked:
        cut = random.randrange(len(body)) + 1
        parts = [part for part in (body[:cut], body[cut:]) if part]
        wire = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"
    return b"\r\n".join(head) + wire, method, rest, lines, body


def differences(
    seen: Seen, method: bytes, rest: bytes, lines: list[bytes], body: bytes
) -> list[str]:
    """What is not as it was sent; our own lines are left out."""
    theirs = [line for line in seen.lines if line.split(b":")[0].lower() not in OURS]
    found = []
    if seen.method.encode() != method:
        found.append(f"method {seen.method}")
    if seen.target.encode("latin-1") != FORWARD.encode() + rest:
        found.append(f"target {seen.target!r}, not {rest!r}")
    if [_trimmed(one) for one in theirs] != [_trimmed(one) for one in lines]:
        found.append(f"lines {theirs}, not {lines}")
    if seen.body != body:
        found.append("body")
    return found


def _trimmed(line: bytes) -> bytes:
    """Spaces around a value are no part of it (RFC 9110 §5.5)."""
    name, _, value = line.partition(b":")
    return name + b":" + value.strip(b" \t")
