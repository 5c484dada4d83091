"""The quick way for bodies whose events are all exactly of one shape: no text is cut out or copied.

    whole body ─► msgspec: one list of structs ─► is every key there once? ─► one event per struct

What is out of the ordinary anywhere (an unknown field, an odd escape, a malformed event) sends the
whole body to the careful way, which looks at every event alone; what is only out of the ordinary in
one event (no id, no time, a reason) is judged alone by `monitor/api/decode_event.py`. Either way the
outcome is the same, only later: below 2 µs an event here, 10 µs and more there.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import msgspec

from monitor.api.decode_split import EVENTS_MAX, SPACE
from monitor.api.decode_types import DecodeContext
from monitor.api.decode_wire import TRACEPARENT, Attributes, Flat, Nested
from monitor.model.event_time import AHEAD_MAX_MS
from monitor.model.events import LIFECYCLE_RANK, EventType, OrderEvent

# What may stand in a text of the quick way beyond plain characters: `\/`, and U+3000 to U+9FFF (as
# PHP writes Chinese). No escape of a quotation mark, of a control character, of half a pair.
_ODD_ESCAPE = re.compile(rb"\\(?!/|u[3-9][0-9A-Fa-f]{3})")
# What no id may hold, as far as a JSON text can hold it unescaped, in UTF-8: U+007F to U+009F,
# U+2028 to U+202E, U+2066 to U+2069.
_ODD_CHARACTER = re.compile(
    rb"\x7f|\xc2[\x80-\x9f]|\xe2(?:\x80[\xa8-\xae]|\x81[\xa6-\xa9])", re.DOTALL
)
_ODD_LEADS = (b"\x7f", b"\xc2", b"\xe2\x80", b"\xe2\x81")

_ORDER_KINDS: Mapping[str | None, str] = {
    kind: kind for kind in LIFECYCLE_RANK if kind != EventType.HEARTBEAT
}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_NO_ATTRIBUTES = Attributes()

_MILLISECONDS = len("2026-01-05T02:00:00.123Z")
_SECONDS = len("2026-01-05T02:00:00Z")
_OFFSET = len("2026-01-05T02:00:00+08:00")
_MILLISECONDS_OFFSET = len("2026-01-05T02:00:00.123+08:00")
_GLANCE = 2_048  # bytes at the beginning that tell the shape of all events

_flat = msgspec.json.Decoder(Flat)
_nested = msgspec.json.Decoder(Nested)
_flat_list = msgspec.json.Decoder(list[Flat])
_nested_list = msgspec.json.Decoder(list[Nested])
_encoder = msgspec.json.Encoder()
_fromisoformat = datetime.fromisoformat
_intern = sys.intern

Wire = Nested | Flat


class Sender:
    """What the events of one request share; remembers what was found out about their sources.

    `is_clean`: no character of the request needs a look.
    """

    __slots__ = (
        "_context",
        "ahead_ms",
        "channels",
        "default_source",
        "is_clean",
        "means_paid",
        "name_customer",
        "received_ms",
    )

    def __init__(self, context: DecodeContext, *, is_clean: bool) -> None:
        self.received_ms = context.received_ms
        self.ahead_ms = context.received_ms + AHEAD_MAX_MS
        self.channels = context.channels
        self.default_source = context.default_source
        self.is_clean = is_clean
        self.means_paid: dict[str, bool | None] = {}
        self.name_customer = context.name_customer
        self._context = context

    def admit(self, source: str) -> bool | None:
        """Whether *created* means paid for a source; None: this sender may not speak for it."""
        sources, sender = self._context.sources, self.default_source
        found: bool | None = None
        if sender not in sources or source == sender or source not in sources:
            settings = sources.get(source) or sources.get(sender)
            found = settings is not None and settings.created_means_paid
        self.means_paid[source] = found
        return found


def read_one(text: bytes) -> Wire | None:
    """Read an event that is exactly of one of the two shapes; None: look at it with suspicion."""
    if b"\\" in text and _ODD_ESCAPE.search(text):
        return None
    decoder: msgspec.json.Decoder[Nested] | msgspec.json.Decoder[Flat]
    decoder = _nested if b'"data"' in text[:_GLANCE] else _flat
    try:
        wire = decoder.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return wire if _has_each_key_once(text, wire) else None


def read_array(text: bytes) -> list[Nested] | list[Flat] | None:
    """Read a JSON array of such events, or of none; None: look at it with suspicion."""
    # More braces than events can have: not worth the memory of a whole list.
    if text.count(b"{") > 2 * EVENTS_MAX or (b"\\" in text and _ODD_ESCAPE.search(text)):
        return None
    decoder: msgspec.json.Decoder[list[Nested]] | msgspec.json.Decoder[list[Flat]]
    decoder = _nested_list if b'"data"' in text[:_GLANCE] else _flat_list
    try:
        wires = decoder.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return wires if len(wires) <= EVENTS_MAX and _has_each_key_once(text, wires) else None


def read_lines(body: bytes) -> list[Nested] | list[Flat] | None:
    """Read NDJSON of such events, one a line and no line blank; None: look at it with suspicion."""
    text = body.strip(SPACE)
    borders = text.count(b"\n")
    if borders >= EVENTS_MAX or (b"\\" in text and _ODD_ESCAPE.search(text)):
        return None
    # Between two events stands nothing but the end of a line, and it stands nowhere else.
    if borders != text.count(b"}\n{") and borders != text.count(b"}\r\n{"):
        return None
    decoder: msgspec.json.Decoder[Nested] | msgspec.json.Decoder[Flat]
    decoder = _nested if b'"data"' in text[:_GLANCE] else _flat
    try:
        wires = decoder.decode_lines(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return wires if len(wires) == borders + 1 and _has_each_key_once(text, wires) else None


def is_clean_text(text: bytes) -> bool:
    """Whether a text that was read the quick way holds only characters that need no look."""
    if text.isascii():
        return b"\x7f" not in text
    # Nearly every text ends here: the search itself costs more than all the decoding.
    if not any(lead in text for lead in _ODD_LEADS):
        return True
    return _ODD_CHARACTER.search(text) is None


def build(wire: Wire, sender: Sender) -> OrderEvent | None:
    """Make the event if nothing about it is out of the ordinary; None: judge it alone."""
    fields = wire if isinstance(wire, Flat) else wire.data or _NO_ATTRIBUTES
    kind = _ORDER_KINDS.get(wire.type)
    order_id, subject = fields.order_id, wire.subject
    if subject:
        if order_id and order_id != subject:
            return None
        order_id = subject
    event_id, time, version = wire.id, wire.time, wire.specversion
    if (
        kind is None
        or not (event_id and time and order_id)
        or order_id.isspace()
        or not (version is None or version == "1.0")
        or fields.reason is not None
        or fields.payment_id is not None
        or not sender.is_clean
    ):
        return None
    source = wire.source or sender.default_source
    means_paid = sender.means_paid[source] if source in sender.means_paid else sender.admit(source)
    time_ms = quick_ms(time)
    traceparent = wire.traceparent
    if means_paid is None or not 0 <= time_ms <= sender.ahead_ms:
        return None
    if traceparent is not None and not TRACEPARENT.fullmatch(traceparent):
        return None
    channel, sku, currency = fields.channel, fields.sku, fields.currency
    if channel and sender.channels and channel not in sender.channels:
        return None
    provider, region, promise_s = fields.provider, fields.region, fields.promise_s
    # By position, in the order of `OrderEvent`: names would cost more than all the rest.
    return OrderEvent(
        kind, _intern(order_id), _intern(source), event_id, time_ms, sender.received_ms,
        False, False, means_paid and kind == EventType.CREATED,
        fields.meaning or None, fields.outcome or None, fields.takeover_id or None,
        _intern(channel) if channel else None, _intern(sku) if sku else None,
        fields.quantity, fields.amount_minor,
        _intern(currency) if currency else None, _intern(provider) if provider else None,
        fields.customer_tier or None, fields.speed or None, fields.fulfilment or None,
        _intern(region) if region else None, fields.attempt, None,
        None if promise_s is None else round(promise_s * 1_000),
        sender.name_customer(fields.customer_hash) if fields.customer_hash else None, traceparent,
    )  # fmt: skip


def quick_ms(text: str) -> int:
    """Read `2026-01-05T02:00:00Z`, with `.123` or not, `Z` or `+08:00`, as ms; -1: any other form.

    Each length leaves `fromisoformat` little choice; the marks at a few places leave it none.
    """
    length = len(text)
    if length == _MILLISECONDS:
        is_known = text[19] == "." and text[23] == "Z"
    elif length == _SECONDS:
        is_known = text[16] == ":" and text[19] == "Z"
    elif length == _MILLISECONDS_OFFSET:
        is_known = text[19] == "." and text[23] in "+-" and text[26] == ":"
    else:
        is_known = length == _OFFSET and text[16] == ":" and text[22] == ":"
    if not is_known or text[10] != "T" or text[5] == "W":
        return -1
    try:
        return (_fromisoformat(text) - _EPOCH) // _MILLISECOND
    except ValueError:
        return -1


def _has_each_key_once(text: bytes, wire: Wire | list[Nested] | list[Flat]) -> bool:
    """Whether no key stands twice (of which msgspec takes the last) and none is null.

    Every quotation mark here is structural, so writing it again gives fewer of them exactly then.
    """
    return _encoder.encode(wire).count(b'"') == text.count(b'"')
