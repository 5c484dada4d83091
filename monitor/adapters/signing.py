"""Signatures on what we send. Those on what we get are checked by `monitor/model/webhooks.py`."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re

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


def bearer(secret: Secret) -> str:
    """Value of an Authorization header that carries the secret as a token."""
    return f"Bearer {secret.reveal()}"
