"""易支付 (epay, 彩虹易支付 and its many hosts): GET with an MD5 signature, consent is `success`.

It counts any answer that contains `success` as consent, whatever the status, and calls again only
where the owner set up its cron task. Source: creat_callback and do_notify of its PHP.
"""

from __future__ import annotations

from monitor.adapters.gateways.base import Dialect, FieldsGateway, Manners
from monitor.adapters.gateways.md5_sign import has_secret, sorted_check
from monitor.model.gateways import GatewayKeys, Meaning, Said
from monitor.model.shops import RawReply

_SUCCESSES = (b"success", b"SUCCESS", b"Success")
_DOCUMENTED = (
    "pid", "trade_no", "out_trade_no", "type", "name", "money", "trade_status", "param",
)  # fmt: skip

DIALECT = Dialect(
    order="out_trade_no",
    trade="trade_no",
    amount="money",
    says=(
        Said((("trade_status", "TRADE_SUCCESS"),), Meaning.PAID),
        Said((("trade_status", "TRADE_CLOSED"),), Meaning.EXPIRED),
    ),
    check=sorted_check("sign", ("sign", "sign_type"), _DOCUMENTED),
    documented=_DOCUMENTED,
    has_key=has_secret,
)


def _accepts(_status: int, body: bytes) -> bool:
    return any(word in body for word in _SUCCESSES)


MANNERS = Manners(
    accepts=_accepts,
    words=("success",),
    acknowledgement=RawReply(200, b"success"),
    patience_ms=10_000,  # hosts wait between 3 s and 30 s; 10 s is what the current code has
)


def yipay(keys: GatewayKeys) -> FieldsGateway:
    """A gateway of this kind."""
    return FieldsGateway((DIALECT,), MANNERS, keys)
