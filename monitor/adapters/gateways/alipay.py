"""Alipay: a form with an RSA2 signature, consent is exactly `success`; eight calls in 25 hours.

`TRADE_FINISHED` says that the time for refunds is over; it can follow a refund, so it is no payment.
`TRADE_CLOSED` is an order nobody paid, or one that was paid and given back whole.
"""

from __future__ import annotations

from collections.abc import Mapping

from monitor.adapters.gateways.base import Dialect, FieldsGateway, Manners, word_of
from monitor.adapters.gateways.beijing import beijing_ms
from monitor.adapters.gateways.fields import bytes_of
from monitor.adapters.gateways.md5_sign import joined
from monitor.adapters.gateways.rsa import is_signed
from monitor.model.gateways import GatewayKeys, Meaning, Said
from monitor.model.shops import RawReply


def _check(fields: Mapping[str, str], keys: GatewayKeys) -> bool:
    text = bytes_of(joined(fields, ("sign", "sign_type")))
    is_rsa2 = fields.get("sign_type", "RSA2") == "RSA2"
    return is_rsa2 and is_signed(text, fields.get("sign", ""), keys.public_keys)


def _has_key(keys: GatewayKeys) -> bool:
    return bool(keys.public_keys)


def _paid_at(fields: Mapping[str, str]) -> int | None:
    return beijing_ms(fields.get("gmt_payment", ""))


DIALECT = Dialect(
    order="out_trade_no",
    trade="trade_no",
    amount="total_amount",
    says=(
        Said((("trade_status", "WAIT_BUYER_PAY"),), Meaning.WAITING),
        Said((("trade_status", "TRADE_SUCCESS"), ("gmt_refund", "*")), Meaning.REFUNDED),
        Said((("trade_status", "TRADE_SUCCESS"), ("refund_fee", "*")), Meaning.REFUNDED),
        Said((("trade_status", "TRADE_SUCCESS"),), Meaning.PAID),
        Said((("trade_status", "TRADE_CLOSED"), ("gmt_refund", "*")), Meaning.REFUNDED),
        Said((("trade_status", "TRADE_CLOSED"), ("refund_fee", "*")), Meaning.REFUNDED),
        Said((("trade_status", "TRADE_CLOSED"),), Meaning.EXPIRED),
        Said((("trade_status", "TRADE_FINISHED"),), Meaning.UNKNOWN),
    ),
    check=_check,
    has_key=_has_key,
    volatile=("sign", "sign_type", "notify_time"),
    refund="refund_fee",
    paid_at=_paid_at,
)


def _accepts(_status: int, body: bytes) -> bool:
    return word_of(body) == "success"


MANNERS = Manners(
    accepts=_accepts,
    words=("success",),
    acknowledgement=RawReply(200, b"success"),
    patience_ms=5_000,
)


def alipay(keys: GatewayKeys) -> FieldsGateway:
    """A gateway of this kind."""
    return FieldsGateway((DIALECT,), MANNERS, keys)
