"""BEpusdt: as epusdt or as 易支付, but it calls while it waits, and takes nearly anything for a yes.

`status=1` comes about once a minute and `status=3` once, to the URL that is meant for payments.
Refused connections of its 易支付 form come again every three seconds without end.
Source: app/task/notify and app/model/order.go of its Go.
"""

from __future__ import annotations

import msgspec

from monitor.adapters.gateways.base import FieldsGateway, Manners
from monitor.adapters.gateways.epusdt import DIALECT as AS_EPUSDT
from monitor.adapters.gateways.yipay import DIALECT as AS_YIPAY
from monitor.model.gateways import GatewayKeys, Meaning, Said
from monitor.model.shops import RawReply

DIALECT = msgspec.structs.replace(
    AS_EPUSDT,
    says=(
        *AS_EPUSDT.says,
        Said((("status", "4"),), Meaning.EXPIRED),  # cancelled
        Said((("status", "5"),), Meaning.WAITING),  # seen on the chain, not yet confirmed
        Said((("status", "6"),), Meaning.EXPIRED),  # not confirmed by the chain
    ),
)


def _accepts(status: int, body: bytes) -> bool:
    """The stricter of its two forms: the epusdt form is content with any 200."""
    text = body.strip().lower()
    return status == 200 and (b"success" in text or b"ok" in text)


MANNERS = Manners(
    accepts=_accepts,
    words=("ok", "success"),
    acknowledgement=RawReply(200, b"ok"),
    patience_ms=5_000,
)


def bepusdt(keys: GatewayKeys) -> FieldsGateway:
    """A gateway of this kind."""
    return FieldsGateway((AS_YIPAY, DIALECT), MANNERS, keys)
