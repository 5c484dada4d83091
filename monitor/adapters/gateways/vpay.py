"""V免签 (vmq, 码支付 of one's own): one GET inside the phone's push, consent is exactly `success`.

It calls only when money came, tells no number of its own and no status: the call is the payment.
The signature joins five values without names or marks between them, so a buyer, whose browser is sent
back with the signed values of his own order, could read another order out of the same text:

    1207 · · 1 · 11.00 · 11.01     order 1207, paid
    12071 · · 1 · 1.00 · 11.01     the same text, but what is asked and what is paid are far apart
    1207 · · 1 · 11 · 11           and 120711 · · 1 · 1 · 1: nobody can tell

The gateway takes a few cents off, or adds them, to tell payments apart; that rules out nearly all other
readings. What remains, and whatever has a `param` (its beginning could be the order's end), counts as
unchecked. dujiaoka makes up a `payId` and writes its order into `param` (`order_in: param`), so there
every callback is unchecked: a payment once the shop took it. An order without `param` that is another's order and `param` joined is not told from it.
Source: appPush, checkOrder and createOrder of its PHP.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal

import msgspec

from monitor.adapters.gateways.base import Dialect, FieldsGateway, Manners
from monitor.adapters.gateways.md5_sign import has_secret, is_signed
from monitor.model.gateways import GatewayKeys, Meaning, Said, Signature
from monitor.model.shops import RawReply

_SIGNED = ("payId", "param", "type", "price", "reallyPrice")
_TYPES = ("1", "2")
_PRICE = re.compile(r"(?:0|[1-9][0-9]{0,9})(?:\.[0-9]{1,2})?")
_PRICE_CHARACTERS = 13
_CENTS_OFF = Decimal("0.10")  # ten open orders of one price at most


def _check(fields: Mapping[str, str], keys: GatewayKeys) -> bool:
    if any(name not in fields for name in _SIGNED) or fields["type"] not in _TYPES:
        return False
    if any(_PRICE.fullmatch(fields[name]) is None for name in ("price", "reallyPrice")):
        return False
    return is_signed(_text(fields), fields.get("sign", ""), keys)


def _worth(fields: Mapping[str, str]) -> Signature:
    """Of fields that `_check` let pass."""
    order = fields["payId"] + fields["param"]
    own = order, fields["price"], fields["reallyPrice"]
    near = [
        one
        for one in _readings(_text(fields))
        if _is_near(*one[1:]) and (one == own or "." not in one[0])  # no shop's order looks so
    ]
    if near == [own] and not fields["param"]:
        return Signature.VALID
    return Signature.INVALID if near and own not in near else Signature.UNCHECKED


def _text(fields: Mapping[str, str]) -> str:
    return "".join(fields[name] for name in _SIGNED)


def _readings(text: str) -> list[tuple[str, str, str]]:
    """Every order (with `param`), price and paid price that the signed text could be made of."""
    found = []
    for paid_at in range(max(len(text) - _PRICE_CHARACTERS, 3), len(text)):
        if _PRICE.fullmatch(text, paid_at) is None:
            continue
        for price_at in range(max(paid_at - _PRICE_CHARACTERS, 2), paid_at):
            is_price = _PRICE.fullmatch(text, price_at, paid_at) is not None
            if is_price and text[price_at - 1] in _TYPES:
                found.append((text[: price_at - 1], text[price_at:paid_at], text[paid_at:]))
    return found


def _is_near(price: str, paid: str) -> bool:
    return abs(Decimal(price) - Decimal(paid)) <= _CENTS_OFF


DIALECT = Dialect(
    order="payId",
    trade="",
    amount="price",
    says=(Said((("payId", "*"), ("reallyPrice", "*")), Meaning.PAID),),
    check=_check,
    has_key=has_secret,
    documented=_SIGNED,
    worth=_worth,
)


def _accepts(_status: int, body: bytes) -> bool:
    return body == b"success"


MANNERS = Manners(
    accepts=_accepts,
    words=("success",),
    acknowledgement=RawReply(200, b"success"),
    patience_ms=60_000,
)


def vpay(keys: GatewayKeys) -> FieldsGateway:
    """A gateway of this kind."""
    dialect = msgspec.structs.replace(DIALECT, order=keys.order_in)
    return FieldsGateway((dialect,), MANNERS, keys)
