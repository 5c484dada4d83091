"""V免签 (vmq, 码支付 of one's own): one GET inside the phone's push, consent is exactly `success`.

It calls only when money came, tells no number of its own and no status: the call is the payment.
The signature joins values without names, so text could move from one to the next; a pair of
digits in `price` and `reallyPrice` is what such a forger could win. Source: appPush of its PHP.
"""

from __future__ import annotations

from collections.abc import Mapping

from monitor.adapters.gateways.base import Dialect, FieldsGateway, Manners
from monitor.adapters.gateways.md5_sign import has_secret, is_signed
from monitor.model.gateways import GatewayKeys, Meaning, Said
from monitor.model.shops import RawReply

_SIGNED = ("payId", "param", "type", "price", "reallyPrice")


def _check(fields: Mapping[str, str], keys: GatewayKeys) -> bool:
    text = "".join(fields.get(name, "") for name in _SIGNED)
    return is_signed(text, fields.get("sign", ""), keys)


DIALECT = Dialect(
    order="payId",
    trade="",
    amount="price",
    says=(Said((("payId", "*"), ("reallyPrice", "*")), Meaning.PAID),),
    check=_check,
    has_key=has_secret,
    documented=_SIGNED,
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
    return FieldsGateway((DIALECT,), MANNERS, keys)
