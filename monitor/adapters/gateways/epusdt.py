"""epusdt (assimon, GMWallet): JSON with an MD5 signature, consent is `ok`; by default it calls once.

Orders that came in through its 易支付 door are called back as 易支付 does, by GET.
Source: mq/handle/callback_queue.go, mq/worker.go and util/sign of its Go.
"""

from __future__ import annotations

from monitor.adapters.gateways.base import Dialect, FieldsGateway, Manners
from monitor.adapters.gateways.md5_sign import has_secret, sorted_check
from monitor.adapters.gateways.yipay import DIALECT as AS_YIPAY
from monitor.model.gateways import GatewayKeys, Meaning, Said
from monitor.model.shops import RawReply

DIALECT = Dialect(
    order="order_id",
    trade="trade_id",
    amount="amount",
    says=(
        Said((("status", "1"),), Meaning.WAITING),
        Said((("status", "2"),), Meaning.PAID),
        Said((("status", "3"),), Meaning.EXPIRED),
    ),
    check=sorted_check("signature", ("signature",)),
    has_key=has_secret,
)


def _accepts(status: int, body: bytes) -> bool:
    """What both take: one asks for exactly `ok` under any status, the other for 200 and either word."""
    return status == 200 and body == b"ok"


MANNERS = Manners(
    accepts=_accepts,
    words=("ok", "success"),
    acknowledgement=RawReply(200, b"ok"),
    patience_ms=5_000,
)


def epusdt(keys: GatewayKeys) -> FieldsGateway:
    """A gateway of this kind."""
    return FieldsGateway((AS_YIPAY, DIALECT), MANNERS, keys)
