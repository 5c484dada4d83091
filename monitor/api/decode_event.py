"""One event of the wire becomes one `OrderEvent`, or an `InputError` that says why not."""

from __future__ import annotations

import re
import sys
from collections.abc import Container, Mapping, Sequence

import msgspec

from monitor.api.decode_clean import parse_object, to_nested
from monitor.api.decode_quick import Sender, Wire, build, is_clean_text, read_one
from monitor.api.decode_types import DecodeContext, Json, Notes, printable
from monitor.api.decode_wire import (
    ATTRIBUTES,
    NOTHING_FLAT,
    TEXT_LENGTH_MAX,
    TRACEPARENT,
    Attributes,
    Flat,
    Nested,
    explain,
    pointer_to,
)
from monitor.model.errors import InputError
from monitor.model.event_time import EventTime, resolve_time
from monitor.model.events import LIFECYCLE_RANK, EventType, OrderEvent
from monitor.model.goods import NOTHING, WITHOUT_GOODS, Goods, read_goods
from monitor.model.ids import UNNAMED_CHANNEL, derived_id
from monitor.model.personal import masked
from monitor.model.settings import SourceSettings

# Control characters (C0, DEL, C1), line separators, direction overrides, lone surrogates.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_CHECKED = tuple(name for name in ATTRIBUTES if name != "reason")  # the reason is mended instead
# Not of the buyer: who has the id of an event could try out every telephone number.
_IDENTITY = tuple(
    name for name in ATTRIBUTES if name not in ("order_id", "customer_hash", "payment_id")
)

_DELIVERIES = (EventType.DELIVERED, EventType.VERIFIED)
_KINDS = {kind: kind for kind in LIFECYCLE_RANK}  # one text per type instead of one per event


def decode_text(raw: bytes, context: DecodeContext, notes: Notes) -> OrderEvent:
    """Decode the JSON text of one event.

    Raises: InputError with a pointer relative to the event.
    """
    wire = read_one(raw)
    if wire is None:
        return decode_object(parse_object(raw), context, notes)
    is_clean = is_clean_text(raw)
    event = build(wire, Sender(context, is_clean=is_clean))
    return event or decode_wire(wire, context, notes, is_clean=is_clean)


def decode_wire(wire: Wire, context: DecodeContext, notes: Notes, *, is_clean: bool) -> OrderEvent:
    """Decode an event that was read straight; `is_clean`: no character of it needs a look.

    Raises: InputError with a pointer relative to the event.
    """
    if isinstance(wire, Flat):
        return _Event(wire, wire, ATTRIBUTES, context, notes).build(is_clean=is_clean)
    fields = wire.data or Attributes()
    return _Event(wire, fields, NOTHING_FLAT, context, notes).build(is_clean=is_clean)


def decode_object(event: Mapping[str, Json], context: DecodeContext, notes: Notes) -> OrderEvent:
    """Decode an event that was read as a plain object.

    Raises: InputError with a pointer relative to the event.
    """
    nested, flat, goods = to_nested(event, notes)
    try:
        wire = msgspec.convert(nested, Nested)
    except msgspec.ValidationError as error:
        raise explain(error, flat) from None
    except UnicodeEncodeError:  # a number written as text that is no text
        raise _unreadable(nested, flat) from None
    return _Event(wire, wire.data or Attributes(), flat, context, notes, goods).build(
        is_clean=False
    )


def _unreadable(nested: Mapping[str, Json], flat: Container[str]) -> InputError:
    inner = nested.get("data")
    fields = {**nested, **(inner if isinstance(inner, dict) else {})}
    name = next(key for key, one in fields.items() if isinstance(one, str) and _CONTROL.search(one))
    pointer = pointer_to(name, flat)
    return InputError(f"{name} contains control characters", code="bad_characters", pointer=pointer)


class _Event:
    """The parts of one event while they are judged."""

    def __init__(
        self,
        envelope: Nested | Flat,
        fields: Attributes,
        flat: Container[str],
        context: DecodeContext,
        notes: Notes,
        goods: Sequence[Json] = (),
    ) -> None:
        self.envelope, self.fields, self.flat = envelope, fields, flat
        self.context, self.notes, self.goods = context, notes, goods

    def build(self, *, is_clean: bool) -> OrderEvent:
        envelope, fields = self.envelope, self.fields
        kind = self._type()
        if not is_clean:
            self._check_characters()
        order_id = self._order_id(kind)
        source = _shared(envelope.source) or self.context.default_source
        settings = self._settings(source)
        time = resolve_time(
            envelope.time, self.context.received_ms, settings.timezone if settings else None
        )
        if time.remark:
            self.notes.remarks[time.remark] += 1
        event_id = envelope.id or self._content_hash(kind, order_id, source, time)
        has_identity = bool(envelope.id) or time.identity is not None
        goods = self._goods(kind)
        is_apology = goods.is_apology
        return OrderEvent(
            type=EventType.ATTEMPT_FAILED.value if is_apology else kind,
            order_id=order_id,
            source=source,
            event_id=event_id,
            time_ms=time.time_ms,
            received_ms=self.context.received_ms,
            is_inferred=time.is_inferred,
            is_unique=kind == EventType.HEARTBEAT or not has_identity,
            created_means_paid=kind == EventType.CREATED
            and settings is not None
            and settings.created_means_paid,
            meaning=fields.meaning or None,
            outcome=fields.outcome or None,
            takeover_id=fields.takeover_id or None,
            channel=self._channel(),
            sku=_shared(fields.sku),
            quantity=fields.quantity,
            amount_minor=fields.amount_minor,
            currency=_shared(fields.currency),
            provider=_shared(fields.provider),
            customer_tier=_shared(fields.customer_tier),
            speed=_shared(fields.speed),
            fulfilment=_shared(fields.fulfilment),
            region=_shared(fields.region),
            attempt=fields.attempt,
            reason=WITHOUT_GOODS if is_apology else self._reason(),
            promise_ms=None if fields.promise_s is None else round(fields.promise_s * 1_000),
            customer_hash=self._customer(),
            traceparent=self._traceparent(),
            payment=self.context.name_goods(fields.payment_id) if fields.payment_id else None,
            goods=goods.digests,
            goods_units=goods.units,
        )

    def _type(self) -> str:
        kind = self.envelope.type or ""
        version = self.envelope.specversion
        if version and not version.startswith("1."):
            raise InputError(
                "specversion must be 1.0", code="bad_specversion", pointer="/specversion"
            )
        if kind in _KINDS:
            return _KINDS[kind]
        if not kind:
            raise InputError("type is missing", code="missing_type", pointer="/type")
        suggestion = self.notes.suggest_type(kind)
        raise InputError(
            f"unknown type '{printable(kind)}'{suggestion}", code="unknown_type", pointer="/type"
        )

    def _check_characters(self) -> None:
        for owner, names in ((self.envelope, ("id", "source", "subject")), (self.fields, _CHECKED)):
            for name in names:
                value = getattr(owner, name)
                if isinstance(value, str) and _CONTROL.search(value):
                    raise InputError(
                        f"{name} contains control characters",
                        code="bad_characters",
                        pointer=pointer_to(name, self.flat),
                    )

    def _order_id(self, kind: str) -> str:
        if kind == EventType.HEARTBEAT:
            return ""
        subject, order_id = self.envelope.subject, self.fields.order_id
        chosen = subject or order_id or ""
        if not chosen.strip():
            raise InputError(
                "the order id is missing; send it as subject or order_id",
                code="missing_order_id",
                pointer=pointer_to("order_id", self.flat),
            )
        if subject and order_id and subject != order_id:
            self.notes.remarks["subject and order_id differ: subject was used"] += 1
        return sys.intern(chosen)

    def _settings(self, source: str) -> SourceSettings | None:
        """Settings of the source that sends; a key of one source cannot speak for another."""
        sources, sender = self.context.sources, self.context.default_source
        if sender in sources and source != sender and source in sources:
            raise InputError(
                "this key belongs to another source", code="wrong_source", pointer="/source"
            )
        return sources.get(source) or sources.get(sender)

    def _content_hash(self, kind: str, order_id: str, source: str, time: EventTime) -> str:
        """Name an event by what it says; not by `traceparent`, which is new with every retry."""
        when = str(self.context.received_ms) if time.identity is None else time.identity
        said = [f"{name}={getattr(self.fields, name)}" for name in _IDENTITY]
        return derived_id("content", kind, order_id, source, when, *said)

    def _reason(self) -> str | None:
        reason = self.fields.reason
        if not reason:
            return None
        if len(reason) > TEXT_LENGTH_MAX:
            self.notes.remarks[f"reason was cut to {TEXT_LENGTH_MAX} characters"] += 1
        shown = masked(reason[: 2 * TEXT_LENGTH_MAX])
        return _CONTROL.sub(" ", shown[:TEXT_LENGTH_MAX])

    def _channel(self) -> str | None:
        """The channel; of one that the file does not know the sender hears, in case it is misspelt."""
        channel, known = self.fields.channel, self.context.channels
        if channel and known and channel not in known and channel != UNNAMED_CHANNEL:
            self.notes.strangers[channel] += 1
        return _shared(channel)

    def _goods(self, kind: str) -> Goods:
        """What a delivery brought; an apology in the place of a key is no delivery."""
        if not self.goods or kind not in _DELIVERIES:
            return NOTHING
        goods = read_goods(self.goods, self.fields.quantity, self.context.name_goods)
        if goods.is_apology:
            text = "a delivery that holds an apology instead of goods counts as a failed attempt"
            self.notes.remarks[text] += 1
        return goods

    def _customer(self) -> str | None:
        customer = self.fields.customer_hash
        return self.context.name_customer(customer) if customer else None

    def _traceparent(self) -> str | None:
        text = self.envelope.traceparent
        if text and not TRACEPARENT.fullmatch(text):
            self.notes.remarks["traceparent is malformed and was left out"] += 1
            return None
        return text or None


def _shared(text: str | None) -> str | None:
    """The same object for equal texts: orders stay in memory, and most name what others name.

    Interned texts are freed when nobody holds them any more, so a flood of names leaves nothing.
    """
    return sys.intern(text) if text else None
