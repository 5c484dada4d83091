"""The shapes an event may have on the wire, with their limits; msgspec checks while it decodes.

Two shapes decode straight: `Nested` (CloudEvents, fields in `data`) and `Flat` (all names side by
side). Everything else is brought into the shape of `Nested` by `monitor/api/decode_clean.py`.
"""

from __future__ import annotations

import re
from collections.abc import Container
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from monitor.model.errors import InputError
from monitor.model.times import DAY_MS, SECOND_MS

ID_LENGTH_MAX = 128
TEXT_LENGTH_MAX = 256
COUNT_MAX = 1_000_000_000
PROMISE_MAX_S = 400 * DAY_MS // SECOND_MS

Id = Annotated[str, Meta(max_length=ID_LENGTH_MAX)]
Text = Annotated[str, Meta(max_length=TEXT_LENGTH_MAX)]
Count = Annotated[int, Meta(ge=0, le=COUNT_MAX)]
Amount = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
Seconds = Annotated[float, Meta(ge=0.001, le=PROMISE_MAX_S)]
Meaning = Literal["paid", "waiting", "expired", "refunded", "unknown", ""]
CallbackOutcome = Literal["ok", "rejected", ""]
CustomerTier = Literal["normal", "vip", ""]
Speed = Literal["express", "normal", "economy", ""]
Fulfilment = Literal["auto", "manual", ""]


class Attributes(
    msgspec.Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True, gc=False
):
    """The fields of `data`. An empty text is the same as none: PHP shops send it so."""

    order_id: Id | None = None
    meaning: Meaning | None = None
    outcome: CallbackOutcome | None = None
    takeover_id: Id | None = None
    channel: Text | None = None
    sku: Text | None = None
    quantity: Count | None = None
    amount_minor: Amount | None = None
    currency: Text | None = None
    provider: Text | None = None
    customer_tier: CustomerTier | None = None
    speed: Speed | None = None
    fulfilment: Fulfilment | None = None
    region: Text | None = None
    attempt: Count | None = None
    reason: str | None = None  # an exception's text may be long: it is cut, not refused
    promise_s: Seconds | None = None
    customer_hash: Text | None = None
    payment_id: Text | None = None


class Nested(
    msgspec.Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True, gc=False
):
    """A CloudEvent."""

    type: Text | None = None
    id: Id | None = None
    source: Text | None = None
    subject: Id | None = None
    time: Text | None = None
    traceparent: Text | None = None
    specversion: Text | None = None
    datacontenttype: Text | None = None
    dataschema: Text | None = None
    tracestate: str | None = None
    data: Attributes | None = None


class Flat(Attributes, kw_only=True, omit_defaults=True, forbid_unknown_fields=True, gc=False):
    """The same names side by side; msgspec cannot inherit from two structs, so they stand twice."""

    type: Text | None = None
    id: Id | None = None
    source: Text | None = None
    subject: Id | None = None
    time: Text | None = None
    traceparent: Text | None = None
    specversion: Text | None = None
    datacontenttype: Text | None = None
    dataschema: Text | None = None
    tracestate: str | None = None


ATTRIBUTES = Attributes.__struct_fields__
ENVELOPE = tuple(name for name in Nested.__struct_fields__ if name != "data")
NOTHING_FLAT: tuple[str, ...] = ()

TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")

_ID = f"a string of at most {ID_LENGTH_MAX} characters"
_TEXT = f"a string of at most {TEXT_LENGTH_MAX} characters"
_COUNT = f"a whole number from 0 to {COUNT_MAX}"
_EXPECTED = {
    "data": "an object",
    "order_id": _ID,
    "id": _ID,
    "subject": _ID,
    "takeover_id": _ID,
    "quantity": _COUNT,
    "attempt": _COUNT,
    "amount_minor": "a whole number of minor units (int64), such as 990 for 9.90",
    "promise_s": f"a number of seconds above 0 and at most {PROMISE_MAX_S} (400 days)",
    "meaning": "one of paid, waiting, expired, refunded, unknown",
    "outcome": "one of ok, rejected",
    "customer_tier": "one of normal, vip",
    "speed": "one of express, normal, economy",
    "fulfilment": "one of auto, manual",
    "reason": "a string",
    "tracestate": "a string",
}
_AT = re.compile(r"at `\$\.([a-z_.]+)`$")


def pointer_to(name: str, flat: Container[str]) -> str:
    """Return the pointer of a field relative to its event; `flat` are the names outside `data`."""
    return f"/data/{name}" if name in ATTRIBUTES and name not in flat else f"/{name}"


def explain(error: msgspec.ValidationError, flat: Container[str]) -> InputError:
    """Turn msgspec's complaint about a field into ours, which never repeats the value."""
    place = _AT.search(str(error))
    name = place[1].rpartition(".")[2] if place else ""
    return InputError(
        f"{name or 'event'} must be {_EXPECTED.get(name, _TEXT)}",
        code="bad_field",
        pointer=pointer_to(name, flat) if name else "",
    )
