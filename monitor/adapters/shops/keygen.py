"""Webhooks of Keygen: licences, 15 attempts over days, but none after a refused connection.

    license.created      delivery.delivered: the licence is what the buyer gets

The order is named in the licence's metadata (`order_id`, `orderId` or `order`). Keygen gives an
address up that refuses the connection, and takes 410 for good-bye; it is never answered so. The key
of the licence becomes a digest here and goes nowhere.
"""

from __future__ import annotations

from typing import Any

import msgspec

from monitor.adapters.shops.proof_more import cavage
from monitor.adapters.shops.push import Push, SecretForm, decoded, strange
from monitor.model.errors import InputError
from monitor.model.shops import Known, Precision, Pushed, RawRequest

_ORDER_NAMES = ("order_id", "orderId", "order")
_ORDER_MAX = 128


class _EventAttributes(msgspec.Struct, frozen=True):
    """What happened, and the licence as JSON in a text."""

    event: str
    payload: str


class _Event(msgspec.Struct, frozen=True):
    """The event."""

    attributes: _EventAttributes


class _Told(msgspec.Struct, frozen=True):
    """The body."""

    data: _Event


class _LicenceAttributes(msgspec.Struct, frozen=True):
    """Of a licence what is read."""

    key: str | None = None
    created: str | None = None
    metadata: dict[str, Any] = {}


class _Licence(msgspec.Struct, frozen=True):
    """A licence."""

    id: str
    attributes: _LicenceAttributes = _LicenceAttributes()


class _Payload(msgspec.Struct, frozen=True):
    """What stands in the text."""

    data: _Licence


class Keygen(Push):
    """Reads licences that were made."""

    KNOWN = (
        Known("delivered", Precision.EXACT, "created of the licence"),
        Known("paid", Precision.MISSING, "Keygen knows no payments"),
    )
    PATIENCE_S = 0  # a refused connection is the last attempt
    SECRET = SecretForm(
        "Keygen › Settings: the account's Ed25519 128-bit verify key",
        r"[0-9a-fA-F]{64}|[A-Za-z0-9+/]{43}=",
        "the public key in hex or base64",
    )

    def prove(self, request: RawRequest) -> None:
        """Check the ed25519 signature over target, host, date and digest."""
        cavage(self.secrets, request, "Keygen-Signature")

    def said(self, request: RawRequest) -> Pushed:
        """The delivery that a licence is."""
        told = decoded(request.body, _Told).data.attributes
        if told.event != "license.created":
            return Pushed(())
        try:
            licence = decoded(told.payload.encode("utf-8", "surrogatepass"), _Payload).data
        except InputError:
            return strange("an event whose payload is no JSON")
        named = licence.attributes.metadata
        order = next((named[name] for name in _ORDER_NAMES if named.get(name)), None)
        if not isinstance(order, str | int) or not 0 < len(str(order)) <= _ORDER_MAX:
            return strange("a licence without an order in its metadata")
        when = self.facts.when(licence.attributes.created, request.received_ms)
        handed = self.facts.delivered(
            str(order), when, request.received_ms, licence.attributes.key, key=licence.id
        )
        return Pushed((handed,))
