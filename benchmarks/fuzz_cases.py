"""Hostile requests from a seed: the same number always makes the same bytes.

Most are good requests with something broken in them: that comes further than noise. The rest are
heads that two parsers may read in two ways, which are written down in `RAW`.
"""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Callable
from typing import Any, NamedTuple

Make = Callable[[random.Random], bytes]

JSON, LINES = "application/json", "application/x-ndjson"
CLOUD, BATCH = "application/cloudevents+json", "application/cloudevents-batch+json"
TYPES = ("order.created", "order.paid", "payment.callback", "delivery.delivered", "order.refunded",
         "delivery.failed", "source.heartbeat", "order.expired")  # fmt: skip

HOSTILE: tuple[bytes, ...] = (
    b"NaN", b"-Infinity", b"1e999", b"-0.0", b"9" * 400, b"1e-400", b"00", b"0x10",
    b"9223372036854775807", b"9223372036854775808", b"-9223372036854775809", b"1.5", b"true",
    b"null", b"[]", b"{}", b'""', b'"\\ud800"', b'"\\udfff\\ud800"', b'"\\u0000"', b'"\x00"',
    b'"\xed\xa0\x80"', b'"\xff\xfe"', b'"\xc0\xaf"', b'"' + b"x" * 4_097 + b'"',
    '"\u202e\u2028\u0085"'.encode(), '"\U0001f4a9"'.encode(),
    b"[" * 17 + b"]" * 17, b'{"a":1,"a":2}', b'"\\', b'"\\u12', b"'x'", b"-", b"+1",
    b'"9999-12-31T23:59:60Z"', b'"0000-00-00T00:00:00Z"', b'"2026-01-05T02:00:00+99:99"',
    b'"2026-02-30T02:00:00Z"', b'"1-1-1"', b"1e308", b"-1", b"253402300800000",
    b'"=cmd|x"', b'"../../etc/passwd"', b'"{{ 7*7 }}"', b'"<script>"', b'"A\\r\\nB: c"', b'"\\u2028"',
)  # fmt: skip
HUGE: tuple[bytes, ...] = (  # they cost milliseconds, ours and theirs
    b"9" * 60_000, b"[" * 60_000, b"[" * 60_000 + b"]" * 60_000, b'"' + b"x" * 70_000 + b'"',
    b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
    b"{" + b",".join(b'"k%d":%d' % (one, one) for one in range(1_000)) + b"}",
)  # fmt: skip
HUGE_SHARE = 0.02
FIELDS = ("type", "order_id", "id", "source", "time", "channel", "sku", "quantity", "amount_minor",
          "currency", "promise_s", "meaning", "attempt", "traceparent", "data", "x", "card", "")  # fmt: skip
KINDS = (
    JSON, LINES, CLOUD, BATCH, "", "text/plain", "application/json; charset=evil", "\u00e4/\u00f6",
    "application/json; charset=utf-16", 'application/json;charset="utf-8', "application/x-ndjson;;",
    "multipart/form-data; boundary=x", "application/x-www-form-urlencoded", "*/*", "a" * 4_000,
)  # fmt: skip
ENCODINGS = ("gzip", "gzip", "GZIP", "deflate", "br", "gzip, gzip", "identity", "x", "\x80")
_MESSAGE = "\r\nwebhook-timestamp: {}\r\nwebhook-signature: {}"
_EVENT_HEAD = (
    "ce-specversion: 1.0\r\nce-type: order.paid\r\nce-id: %\r\nce-subject: %u1234\r\nce-source: %FF"
)
_SOCKET = (
    "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: x"
)
HEADERS = (
    "Idempotency-Key: k", "Idempotency-Key: " + "k" * 300, "Idempotency-Key:", "Idempotency-Key: \xff",
    "webhook-id: a.b", "webhook-signature: v1,x",
    "webhook-id: m" + _MESSAGE.format("9" * 30, "v1,AAAA v1a,=== v9"),
    "webhook-id: \u0131" + _MESSAGE.format("1e5", ",,, , v1,"),
    _EVENT_HEAD, "ce-specversion: 9\r\nce-type: \xff", "ce-time: now", _SOCKET,
    "traceparent: 00-zz-zz-zz", "Origin: null", "Origin: http://127.0.0.1", "Expect: 100-continue",
    "Expect: everything", "Accept: \xff", "Range: bytes=-1", 'If-None-Match: "\xff', "Cookie: =;=;",
    "Connection: close, keep-alive", "Connection: Upgrade\r\nUpgrade: h2c", "TE: trailers",
    "X-Forwarded-For: 127.0.0.1", 'Forwarded: for="[', "Authorization: Basic \xff", "A: " + "b" * 8_000,
    "Authorization: Bearer " + "t" * 4_000, "Content-Encoding: gzip", "Content-Encoding: gzip, br",
)  # fmt: skip
QUERIES = (
    "limit=-1", "limit=99999999999999999999", "limit=NaN", "cursor=%00", "cursor=%ff%fe", "state=%F0%9F",
    "at=9999999999999999999", "at=1e400", "at=0000-00-00", "window=999999999d", "window=-1s", "by=%2e",
    "scope=%ed%a0%80", "sku=" + "x" * 4_000, "source[]=x", "&&&===", "channel=../..", "until=%C0%AF",
    "before=9223372036854775808", "limit=1&limit=2", "speed=\u0131", "window=1h&by=channel&k=%s", "%",
)  # fmt: skip
READS = ("/v1/orders", "/v1/quote", "/v1/health-index", "/v1/signals", "/v1/alerts", "/v1/rules",
         "/v1/slos", "/v1/arrivals", "/v1/sources", "/v1/state-hash", "/v1/channels", "/v1/route",
         "/v1/switches", "/v1/takeovers", "/v1/audit", "/readyz", "/", "/orders", "/openapi.json")  # fmt: skip
NAMES = (
    "A1",
    "%00",
    "%ff",
    "%2e%2e%2f",
    "..",
    "%F0%9F%92%A9",
    "{}",
    "x" * 4_000,
    "%",
    "%zz",
    "a%2Fb",
)
READ_NAMED = ("/v1/orders/{}", "/v1/takeovers/{}", "/v1/rules/{}/explanation", "/static/{}", "/{}")
WRITES = ("/v1/switches", "/v1/channels/{}/drain", "/v1/channels/{}/lock", "/v1/channels/{}/unlock",
          "/v1/switches/{}/ack", "/v1/takeovers/{}/resolution")  # fmt: skip

_POST = b"POST /v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\n"
_BODY = b'{"type":"order.paid","order_id":"S1"}'
_SECOND = b"GET /smuggled HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
# Each must be refused, once, and the connection must end: what stands behind is never a request.
SMUGGLING: tuple[bytes, ...] = (
    _POST + b"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + _SECOND,
    _POST + b"Transfer-Encoding: chunked\r\nContent-Length: 6\r\n\r\n0\r\n\r\n" + _SECOND,
    _POST + b"Content-Length: 0\r\nContent-Length: 44\r\n\r\n" + _SECOND,
    _POST + b"Content-Length: 0, 44\r\n\r\n" + _SECOND,
    _POST + b"Content-Length: +0\r\n\r\n" + _SECOND,
    _POST + b"Content-Length: 0x2c\r\n\r\n" + _SECOND,
    _POST + b"Content-Length: -1\r\n\r\n" + _SECOND,
    _POST + b"Content-Length : 0\r\n\r\n" + _SECOND,
    _POST + b"Content-Length: \x0b0\r\n\r\n" + _SECOND,
    _POST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + _SECOND,
    _POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + _SECOND,
    _POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + _SECOND,
    _POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n" + _SECOND,
    _POST + b"Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n" + _SECOND,
    _POST + b"Transfer-Encoding: chunked\r\n\r\n0x0\r\n\r\n" + _SECOND,
    _POST + b"Transfer-Encoding: chunked\r\n\r\n1;a=\x00\r\nx\r\n0\r\n\r\n" + _SECOND,
    _POST + b"Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n" + _SECOND,
    _POST + b"Host: evil\r\nContent-Length: 0\r\n\r\n" + _SECOND,
    _POST + b" folded: x\r\nContent-Length: 0\r\n\r\n" + _SECOND,
    _POST + b"A: b\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + _SECOND,
    _POST.replace(b"\r\n", b"\n") + b"Content-Length: 0\n\n" + _SECOND,
    b"POST /v1/events HTTP/1.1\r\nHost: 127.0.0.1\rContent-Length: 0\r\n\r\n" + _SECOND,
    b"POST /v1/events HTTP/1.1 \r\nX\r\n\r\n" + _SECOND,
    b"POST /v1/events HTTP/9.9\r\nHost: 127.0.0.1\r\n\r\n" + _SECOND,
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64),
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"\x00\r\n\r\n" + _SECOND,
)  # fmt: skip
# Odd, and not always wrong; only errors of ours are.
RAW: tuple[bytes, ...] = (
    b"POST  /v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n\r\n" + _SECOND,
    b"GET http://evil.example/livez HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    b"GET //evil.example HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    b"GET /\xff\xfe?\x80 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    b"GET /livez HTTP/1.1\r\n\r\n",
    b"GET /livez HTTP/1.1\r\nHost:\r\n\r\n",
    b"GET /livez HTTP/1.1\r\nHost: [\r\n\r\n",
    b"GET /livez HTTP/1.1\r\nHost: \xff\r\n\r\n",
    b"GET /livez HTTP/1.0\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    b"CONNECT 127.0.0.1:80 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    b"TRACE / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    b"BREW /v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    b"GET /" + b"a" * 9_000 + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n" + b"X: y\r\n" * 70 + b"\r\n",
    b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"y" * 9_000 + b"\r\n\r\n",
    b"HEAD /v1/orders HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n",
    b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * 40,
    _POST + b"Content-Length: 5\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello",
    _POST + b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n25\r\n" + _BODY
    + b"\r\n0\r\nTrailer: x\r\n\r\n",
    _POST + b"Content-Length: 99999999999999999999\r\n\r\n",
    _POST + b"Content-Length: 2000000\r\n\r\n" + bytes(1_000),
)  # fmt: skip


class Case(NamedTuple):
    """One request. `is_smuggling`: must be refused with one answer, after which the server ends."""

    raw: bytes
    is_alone: bool = False  # on a connection of its own: it may never be answered
    is_smuggling: bool = False
    is_fast: bool = False  # also for the address that takes events only


def case(seed: int, number: int, tokens: tuple[str, str]) -> Case:
    """The request of a number; `tokens` are a shop's and the operator's."""
    chance = random.Random(f"{seed}/{number}")
    roll = chance.random()
    if roll < 0.80:
        return Case(_events(chance, tokens[0]), is_fast=chance.random() < 0.3)
    if roll < 0.90:
        return Case(_question(chance, tokens[1]))
    if roll < 0.93:
        return Case(chance.choice(SMUGGLING), is_alone=True, is_smuggling=True)
    raw = chance.choice(RAW) if roll < 0.95 else _events(chance, tokens[0])
    return Case(_noise(raw, chance) if chance.random() < 0.7 else raw, is_alone=True)


def _events(chance: random.Random, token: str) -> bytes:
    kind, body = _written(chance, [_event(chance) for _ in range(chance.choice((1, 1, 1, 2, 5)))])
    if chance.random() < 0.35:
        body = _noise(body, chance)
    more = []
    if chance.random() < 0.15:
        kind = chance.choice(KINDS)
    if chance.random() < 0.10:
        more.append(f"Content-Encoding: {chance.choice(ENCODINGS)}")
        body = gzip.compress(body, 1)
        if chance.random() < 0.4:
            body = chance.choice((_noise, _twice))(body, chance)
    if chance.random() < 0.20:
        more.append(chance.choice(HEADERS))
    return _post("/v1/events", kind, body, token, more)


def _question(chance: random.Random, token: str) -> bytes:
    name = chance.choice(NAMES)
    if chance.random() < 0.4:
        body = json.dumps({"weights": {"auto": 1}, "reason": "x", "status": "applied"}).encode()
        path = chance.choice(WRITES).format(name)
        return _post(path, JSON, _noise(body, chance), token, [])
    path = chance.choice((*READS, *(one.format(name) for one in READ_NAMED)))
    path += f"?{chance.choice(QUERIES)}" if chance.random() < 0.8 else ""
    head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n\r\n"
    return head.encode("utf-8")


def _post(path: str, kind: str, body: bytes, token: str, more: list[str]) -> bytes:
    lines = [
        f"POST {path} HTTP/1.1", "Host: 127.0.0.1", f"Authorization: Bearer {token}",
        f"Content-Type: {kind}", f"Content-Length: {len(body)}", *more,
    ]  # fmt: skip
    return "\r\n".join((*lines, "", "")).encode("utf-8") + body


def _event(chance: random.Random) -> bytes:
    """One event as JSON text, some of its values replaced."""
    order = f"F{chance.randrange(2_000)}"
    fields: dict[str, Any] = {
        "type": chance.choice(TYPES), "order_id": order, "id": f"{chance.getrandbits(40):x}",
        "time": "2026-01-05T02:00:00Z", "channel": "auto", "amount_minor": 990,
    }  # fmt: skip
    parts = {json.dumps(key): json.dumps(value).encode() for key, value in fields.items()}
    for _ in range(chance.choice((0, 1, 1, 2, 3))):
        parts[json.dumps(chance.choice(FIELDS))] = _hostile(chance)
    pairs = [key.encode() + b":" + value for key, value in parts.items()]
    if chance.random() < 0.05:
        pairs.append(chance.choice(pairs))
    return b"{" + b",".join(pairs) + b"}"


def _hostile(chance: random.Random) -> bytes:
    return chance.choice(HUGE if chance.random() < HUGE_SHARE else HOSTILE)


def _written(chance: random.Random, events: list[bytes]) -> tuple[str, bytes]:
    roll = chance.randrange(5)
    if roll == 0:
        return LINES, chance.choice((b"\n", b"\r\n", b"\n\n")).join(events)
    if roll == 1:
        return JSON, b"[" + b",".join(events) + b"]"
    if roll == 2:
        return CLOUD, _cloud(events[0], chance)
    if roll == 3:
        return BATCH, b"[" + b",".join(_cloud(one, chance) for one in events) + b"]"
    return JSON, events[0]


def _cloud(event: bytes, chance: random.Random) -> bytes:
    version = b'"1.0"' if chance.random() < 0.9 else chance.choice(HOSTILE)
    return b'{"specversion":' + version + b',"type":"order.paid","subject":"A","id":"i","source":"/s","data":' + event + b"}"  # fmt: skip


def _noise(raw: bytes, chance: random.Random) -> bytes:
    """Flip, cut, repeat, insert."""
    made = bytearray(raw)
    for _ in range(chance.choice((1, 1, 2, 8))):
        if not made:
            return b""
        at = chance.randrange(len(made))
        roll = chance.randrange(5)
        if roll == 0:
            made[at] ^= 1 << chance.randrange(8)
        elif roll == 1:
            del made[at : at + chance.randrange(1, 40)]
        elif roll == 2:
            made[at:at] = made[at : at + chance.randrange(1, 40)]
        elif roll == 3:
            made[at:at] = chance.randbytes(chance.randrange(1, 8))
        else:
            made[at:at] = chance.choice((b"\r\n", b"\x00", b"\n", b'"', b"\\", b"{", b"]", b"\xff"))
    return bytes(made)


def _twice(raw: bytes, _chance: random.Random) -> bytes:
    return raw + raw
