"""Signatures on what we send. Those on what we get are checked by `monitor/model/webhooks.py`."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping

from monitor.model.ids import derived_id
from monitor.model.secret import Secret
from monitor.model.webhooks import signed_text, webhook_key, webhook_mac

_PLAIN_ID = re.compile(r"[A-Za-z0-9_:/#@-]{1,200}")


def webhook_headers(secret: Secret, message_id: str, at_ms: int, body: bytes) -> dict[str, str]:
    """Sign a body as Standard Webhooks 1.0 asks and return its three headers.

    `message_id` stays the same over repeats, the time is that of the attempt. An id that is no
    plain header text, or holds a `.` (the separator of the signed text), is sent as its hash.
    """
    sent_id = message_id if _PLAIN_ID.fullmatch(message_id) else derived_id("msg", message_id)
    timestamp = str(at_ms // 1000)
    mac = webhook_mac(webhook_key(secret), signed_text(sent_id, timestamp, body))
    return {
        "webhook-id": sent_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": f"v1,{mac.decode()}",
    }


def dingtalk_sign(secret: Secret, at_ms: int) -> str:
    """Sign for a DingTalk robot; plain base64, to be URL-encoded once by the caller."""
    text = f"{at_ms}\n{secret.reveal()}"
    mac = hmac.new(secret.reveal().encode(), text.encode(), hashlib.sha256)
    return base64.b64encode(mac.digest()).decode()


def hmac_sha256_hex(secret: Secret, body: bytes) -> str:
    """HMAC-SHA256 of a body in lower-case hex, the commonest signature of supplier APIs."""
    return hmac.new(secret.reveal().encode(), body, hashlib.sha256).hexdigest()


def md5_sorted(
    secret: Secret, fields: Mapping[str, object], *, sign_field: str = "sign", before_key: str = ""
) -> str:
    """MD5 over `k=v` of all non-empty fields sorted by name and joined by `&`, then the key.

    The scheme of Chinese payment and card-key APIs: empty values and the sign itself stay out.
    Some of them (acg-faka) write `before_key="&key="` between text and key. Lower-case hex.
    """
    pairs = [
        f"{name}={text}"
        for name, value in sorted(fields.items())
        if name != sign_field and (text := _plain(value))
    ]
    signed = "&".join(pairs) + before_key + secret.reveal()
    # Weak by today's measure, and not ours to choose.
    return hashlib.md5(signed.encode(), usedforsecurity=False).hexdigest()


def bearer(secret: Secret) -> str:
    """Value of an Authorization header that carries the secret as a token."""
    return f"Bearer {secret.reveal()}"


def _plain(value: object) -> str:
    """A field as its text in the signed string; nothing for null."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
