r"""WeChat Pay v3: JSON signed in its headers, its content sealed with the APIv3 key.

    signed    timestamp "\n" nonce "\n" body "\n", RSA-SHA256 by WeChat's certificate or public key
    sealed    resource.ciphertext, AES-256-GCM; without the APIv3 key there is no order to read

The seal is a proof too: only WeChat and the merchant have the key. So with the APIv3 key alone a
callback that opens is valid. Source: pay.weixin.qq.com, APIv3 notifications.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from monitor.adapters.gateways.base import (
    UNREADABLE,
    Manners,
    digest_of,
    judged,
    meaning_of,
    named,
)
from monitor.adapters.gateways.fields import read_json
from monitor.adapters.gateways.rsa import is_signed
from monitor.model.gateways import Callback, GatewayKeys, Meaning, Said, ShopAnswer, Signature
from monitor.model.shops import RawReply, RawRequest

TOLERANCE_S = 300
KEY_BYTES = 32

SAYS: tuple[Said, ...] = (
    Said((("trade_state", "SUCCESS"),), Meaning.PAID),
    Said((("trade_state", "REFUND"),), Meaning.REFUNDED),
    Said((("trade_state", "NOTPAY"),), Meaning.WAITING),
    Said((("trade_state", "USERPAYING"),), Meaning.WAITING),
    Said((("trade_state", "CLOSED"),), Meaning.EXPIRED),
    Said((("trade_state", "REVOKED"),), Meaning.EXPIRED),
    Said((("trade_state", "PAYERROR"),), Meaning.EXPIRED),
    Said((("refund_status", "SUCCESS"),), Meaning.REFUNDED),
)


def _accepts(status: int, _body: bytes) -> bool:
    return status in (200, 204)


MANNERS = Manners(
    accepts=_accepts,
    words=("", "success", '{"code":"success"}'),
    acknowledgement=RawReply(
        200, '{"code":"SUCCESS","message":"成功"}'.encode(), "application/json"
    ),
    patience_ms=5_000,
    statuses=(200, 204),
)


class WechatGateway:
    """Reads the notifications of payments and refunds."""

    def __init__(self, keys: GatewayKeys) -> None:
        self._keys = keys
        self.says = SAYS
        self.acknowledgement = MANNERS.acknowledgement
        self.patience_ms = MANNERS.patience_ms

    def read(self, request: RawRequest) -> Callback:
        """Say what a notification means; one that cannot be opened has no order."""
        envelope = read_json(request.body)
        resource = envelope.get("resource") if isinstance(envelope, dict) else None
        content = self._opened(resource) if isinstance(resource, dict) else None
        signature = self._signature(request, is_opened=content is not None)
        order_id = named(content, "out_trade_no") if content else ""
        if not content or not order_id:
            return Callback(signature=signature) if isinstance(resource, dict) else UNREADABLE
        meaning = meaning_of(content, SAYS)
        part = "amount.refund" if meaning == Meaning.REFUNDED else "amount.total"
        return Callback(
            order_id=order_id,
            trade_no=named(content, "transaction_id") or order_id,
            meaning=meaning,
            amount_minor=_minor(content.get(part) or content.get("amount.total", "")),
            currency=content.get("amount.currency") or self._keys.currency,
            paid_at_ms=_time(content.get("success_time", "")),
            signature=signature,
            fields_digest=digest_of(content, ()),
        )

    def accepts(self, status: int, body: bytes) -> bool:
        """Whether WeChat takes this answer for consent."""
        return MANNERS.accepts(status, body)

    def shop_accepted(self, status: int, body: bytes) -> ShopAnswer:
        """What a shop's answer comes to: nothing at all, or a JSON object whose code is SUCCESS."""
        found = read_json(body)
        if isinstance(found, dict) and status < 400:
            return _said(found.get("code"))
        return judged(status, body, MANNERS)

    def _signature(self, request: RawRequest, *, is_opened: bool) -> Signature:
        if not self._keys.public_keys and not self._keys.secrets:
            return Signature.UNCHECKED
        if self._keys.secrets and not is_opened:
            return Signature.INVALID
        if self._keys.public_keys and not _is_signed(request, self._keys):
            return Signature.INVALID
        return Signature.VALID

    def _opened(self, resource: Mapping[str, Any]) -> dict[str, str] | None:
        """The content under the seal, flat; None if none of the keys opens it."""
        texts = [resource.get(name) for name in ("ciphertext", "nonce")]
        beside = resource.get("associated_data") or ""
        if not all(isinstance(text, str) for text in (*texts, beside)):
            return None
        sealed, nonce = texts
        for secret in self._keys.secrets:
            plain = _unseal(secret.reveal().encode(), str(sealed), str(nonce), str(beside))
            found = read_json(plain) if plain is not None else None
            if isinstance(found, dict):
                return _flat(found)
        return None


def wechat(keys: GatewayKeys) -> WechatGateway:
    """A gateway of this kind."""
    return WechatGateway(keys)


def _is_signed(request: RawRequest, keys: GatewayKeys) -> bool:
    timestamp = request.header("Wechatpay-Timestamp")
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 12):
        return False
    if abs(request.received_ms // 1000 - int(timestamp)) > TOLERANCE_S:
        return False
    nonce = request.header("Wechatpay-Nonce").encode("utf-8", "replace")
    signed = b"\n".join((timestamp.encode(), nonce, request.body, b""))
    return is_signed(signed, request.header("Wechatpay-Signature"), keys.public_keys)


def _unseal(key: bytes, sealed: str, nonce: str, beside: str) -> bytes | None:
    if len(key) != KEY_BYTES:
        return None
    try:
        raw = base64.b64decode(sealed, validate=True)
        return AESGCM(key).decrypt(nonce.encode(), raw, beside.encode())
    except (binascii.Error, ValueError, InvalidTag):
        return None


def _flat(found: Mapping[str, Any]) -> dict[str, str]:
    """`{"amount": {"total": 1}}` as `{"amount.total": "1"}`; lists and what is deeper are left out."""
    flat = {name: value for name, value in found.items() if isinstance(value, str)}
    for name, inner in found.items():
        if isinstance(inner, dict):
            flat |= {
                f"{name}.{key}": value for key, value in inner.items() if isinstance(value, str)
            }
    return flat


def _said(code: object) -> ShopAnswer:
    if code == "SUCCESS":
        return ShopAnswer.ACCEPTED
    return ShopAnswer.REFUSED if isinstance(code, str) and code else ShopAnswer.UNCLEAR


def _minor(written: str) -> int | None:
    """Fen are minor units already."""
    return int(written) if written.isascii() and written.isdigit() and len(written) <= 15 else None


def _time(text: str) -> int | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return int(moment.timestamp() * 1000) if moment.tzinfo else None
