"""What a callback is to the relay, and what gateway and monitor are told of it: no state, no waiting."""

from __future__ import annotations

import zlib
from collections.abc import Callable

from monitor.core.relay.duty import kind_of
from monitor.model.gateways import Signature
from monitor.model.ids import digest
from monitor.model.relay import Arrival, Kind, News, ShopReply, State, Verdict
from monitor.model.shops import RawRequest
from monitor.model.times import SECOND_MS
from monitor.runtime.relay_ports import Relayed

MARGIN_MS_MAX = SECOND_MS  # before the end of the gateway's patience the answer must have left
BODY_BYTES_MAX = 64 * 1024  # of what can be owed; a callback has two or three thousand
PLAIN_BYTES_MAX = 64 * 1024  # of a packed answer

_TEXT = (("Content-Type", "text/plain; charset=utf-8"),)
UNREACHED = ShopReply(502, _TEXT, b"the shop does not answer\n")
TOO_SLOW = ShopReply(504, _TEXT, b"the shop did not answer in time\n")


def patience_ms(relayed: Relayed) -> int:
    """How long the shop is waited for, so that the gateway still gets its answer in time."""
    whole_ms = relayed.settings.patience_ms or relayed.gateway.patience_ms
    return whole_ms - min(MARGIN_MS_MAX, whole_ms // 4)


def arrival_of(
    relayed: Relayed, request: RawRequest, rest: str, has_room: Callable[[Signature], bool]
) -> Arrival:
    """Read a request as a callback; `has_room`: whether a further duty can be taken on."""
    callback = relayed.gateway.read(request)
    is_forged = callback.signature is Signature.INVALID
    kind = kind_of(callback.meaning, is_forged=is_forged, has_order=bool(callback.order_id))
    is_full = kind == Kind.DUTY and not has_room(callback.signature)
    if is_full or len(request.body) > BODY_BYTES_MAX:
        kind = Kind.PLAIN
    name = relayed.settings.name
    key = f"{name}\n{callback.trade_no}\n{callback.meaning}"
    if kind == Kind.PLAIN:
        key = ""
    elif callback.signature is Signature.UNCHECKED:
        key += "\nunchecked"  # from before there was a key: a signed one does not wait behind it
    sent = f"{request.method}\n{rest}\n", request.body.decode("latin-1")
    return Arrival(name, key, kind, callback, request, rest, digest(*sent).hex())


def answer_of(relayed: Relayed, kind: Kind, state: State, reply: ShopReply | None) -> ShopReply:
    """What the gateway is told."""
    if state == State.ACCEPTED and reply is not None:
        return reply
    if kind == Kind.DUTY:
        return ShopReply.of(relayed.gateway.acknowledgement)
    return reply or UNREACHED


def news_of(kind: Kind, state: State, verdict: Verdict) -> tuple[News, ...]:
    """What the monitor hears of a callback that is done; of a stranger's nothing but a success."""
    if state == State.ACCEPTED:
        return (News.OK,)
    if kind == Kind.PLAIN:
        return ()
    return (News.REJECTED,) if verdict == Verdict.REFUSED else (News.PASSED,)


def plain_of(reply: ShopReply) -> bytes:
    """The body to be judged: some servers pack even a word."""
    encoding = next(
        (value for name, value in reply.headers if name.lower() == "content-encoding"), ""
    )
    if encoding.strip().lower() not in ("gzip", "deflate"):
        return reply.body
    try:
        return zlib.decompressobj(zlib.MAX_WBITS | 32).decompress(reply.body, PLAIN_BYTES_MAX)
    except zlib.error:
        return reply.body
