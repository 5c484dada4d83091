"""WeChat Pay v2, which dujiaoka and many older shops speak: XML, signed with the merchant's key.

    "a=1&b=2&key=…", MD5 or HMAC-SHA256, upper-case hex

Notices of refunds hold nothing but a sealed text: they are passed on and not read.
Source: pay.weixin.qq.com, API v2, signature algorithm and payment result notice.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping

from monitor.adapters.gateways.base import Dialect, FieldsGateway, Manners, judged
from monitor.adapters.gateways.beijing import beijing_ms
from monitor.adapters.gateways.fields import bytes_of, xml_fields
from monitor.adapters.gateways.md5_sign import has_secret, joined
from monitor.model.gateways import GatewayKeys, Meaning, Said, ShopAnswer
from monitor.model.shops import RawReply

_HMAC_DIGITS = 64


def _check(fields: Mapping[str, str], keys: GatewayKeys) -> bool:
    offered, found = fields.get("sign", ""), False
    text = bytes_of(joined(fields, ("sign",)))
    for secret in keys.secrets:
        key = secret.reveal().encode()
        raw = b"%s&key=%s" % (text, key)
        if len(offered) == _HMAC_DIGITS:
            made = hmac.digest(key, raw, "sha256").hex()
        else:
            made = hashlib.md5(raw, usedforsecurity=False).hexdigest()
        found |= hmac.compare_digest(made.upper().encode(), bytes_of(offered))
    return found


def _paid_at(fields: Mapping[str, str]) -> int | None:
    digits = fields.get("time_end", "")
    return beijing_ms(f"{digits[:8]}T{digits[8:]}")


DIALECT = Dialect(
    order="out_trade_no",
    trade="transaction_id",
    amount="total_fee",
    says=(
        Said((("return_code", "SUCCESS"), ("result_code", "SUCCESS")), Meaning.PAID),
        Said((("return_code", "SUCCESS"), ("result_code", "FAIL")), Meaning.WAITING),
    ),
    check=_check,
    has_key=has_secret,
    volatile=("sign", "sign_type", "nonce_str"),
    paid_at=_paid_at,
    is_in_minor=True,
)


def _accepts(_status: int, body: bytes) -> bool:
    return xml_fields(body).get("return_code") == "SUCCESS"


MANNERS = Manners(
    accepts=_accepts,
    words=(),
    acknowledgement=RawReply(
        200, b"<xml><return_code><![CDATA[SUCCESS]]></return_code></xml>", "text/xml"
    ),
    patience_ms=5_000,
)


class WechatV2Gateway(FieldsGateway):
    """Its shops answer in XML."""

    def shop_accepted(self, status: int, body: bytes) -> ShopAnswer:
        """What a shop's answer comes to: its `return_code`, if that is all there is."""
        text = body.strip()
        if status != 200 or not (text.startswith(b"<xml>") and text.endswith(b"</xml>")):
            return judged(status, body, MANNERS)
        match xml_fields(text).get("return_code"):
            case "SUCCESS":
                return ShopAnswer.ACCEPTED
            case None:
                return ShopAnswer.UNCLEAR
            case _:
                return ShopAnswer.REFUSED


def wechat_v2(keys: GatewayKeys) -> WechatV2Gateway:
    """A gateway of this kind."""
    return WechatV2Gateway((DIALECT,), MANNERS, keys)
