"""What payment gateways say to a shop, and what the shop's answer to them comes to.

request of a gateway ─► Gateway.read ─► Callback ─► `payment.callback`
answer of the shop   ─► Gateway.shop_accepted (ours), Gateway.accepts (the gateway's own)
"""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol

import msgspec

from monitor.model.secret import Secret
from monitor.model.shops import RawReply, RawRequest

LISTENER_PREFIX = "listener:"  # of the source that a gateway's listener is
LISTENER_HEARTBEAT_MS = 24_000  # it is silent when nothing is heard of it for longer


class Meaning(StrEnum):
    """What a callback means for the order, as in the event contract; only `paid` is payment evidence."""

    PAID = "paid"
    WAITING = "waiting"
    EXPIRED = "expired"
    REFUNDED = "refunded"
    UNKNOWN = "unknown"


class Signature(StrEnum):
    """What the check of a callback's signature found."""

    VALID = "valid"
    INVALID = "invalid"  # missing counts as wrong where a key is configured
    UNCHECKED = "unchecked"  # no key is configured, or another order fits it too


class ShopAnswer(StrEnum):
    """What a shop's answer to a callback comes to, whatever the gateway makes of it."""

    ACCEPTED = "accepted"  # exactly the word that this gateway's shops say
    REFUSED = "refused"  # an error status, or a plain word for no
    UNCLEAR = "unclear"  # a page, a warning, a redirect: nobody can say that the order was handled


class Said(msgspec.Struct, frozen=True):
    """One row of a gateway's meaning table; the first row whose fields all fit holds.

    `when` pairs a field with its value; `*` is any value but an empty one.
    """

    when: tuple[tuple[str, str], ...]
    meaning: Meaning


class Callback(msgspec.Struct, frozen=True):
    """What a request of a gateway says; `order_id` is empty if it cannot be read.

    `trade_no` is the gateway's own number, or the order's where the gateway tells none.
    `amount_minor` is the order's amount, of a refund what went back; None if it is not told to the
    cent. `fields_digest` is the same for the same content, signature and time of sending apart.
    """

    order_id: str = ""
    trade_no: str = ""
    meaning: Meaning = Meaning.UNKNOWN
    amount_minor: int | None = None
    currency: str | None = None
    paid_at_ms: int | None = None
    signature: Signature = Signature.UNCHECKED
    fields_digest: str = ""


class Inquiry(msgspec.Struct, frozen=True):
    """An order that a gateway is asked about; its own number for it, where somebody told it.

    `is_signed`: a callback with a valid signature told that number, so it is this order's for sure.
    """

    order_id: str
    trade_no: str = ""
    is_signed: bool = False


class Reported(msgspec.Struct, frozen=True):
    """What a gateway says of an order when it is asked; `unknown` means that it has no such order.

    `is_stray`: money that the gateway could match with no order; `order_id` is made up for it.
    """

    order_id: str
    meaning: Meaning
    trade_no: str = ""
    amount_minor: int | None = None
    paid_at_ms: int | None = None
    is_stray: bool = False


class GatewayKeys(msgspec.Struct, frozen=True):
    """What a gateway's callbacks are checked with; several keys while one replaces another.

    `secrets` are keys shared with the gateway (MD5 key, API token, APIv3 key), `public_keys` its own
    in PEM or bare base64, a certificate as well. None of either: nothing is checked.
    """

    secrets: tuple[Secret, ...] = ()
    public_keys: tuple[str, ...] = ()
    currency: str = "CNY"
    order_in: str = "payId"  # of vpay: which of its two fields is the shop's order


class Gateway(Protocol):
    """Reads the callbacks of one payment gateway, and the answers that shops give to them.

    It stands here and not with the ports: it asks nobody, and the same bytes give the same answer.
    """

    says: tuple[Said, ...]  # its meaning table
    acknowledgement: RawReply  # what it must hear from whoever takes over the duty
    patience_ms: int  # how long it waits for an answer

    def read(self, request: RawRequest) -> Callback:
        """Say what a request means; never raises: what cannot be read has an empty `order_id`."""
        ...

    def accepts(self, status: int, body: bytes) -> bool:
        """Whether the gateway itself takes this answer for consent and stops calling."""
        ...

    def shop_accepted(self, status: int, body: bytes) -> ShopAnswer:
        """Whether a shop's answer shows that it handled the callback, whatever the gateway thinks."""
        ...
