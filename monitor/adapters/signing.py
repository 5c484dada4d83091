"""Signatures on what we send, and the check of Standard Webhooks signatures on what we get.

Verifying never raises: whatever a stranger sends, the answer is a `Verdict`. The reference library
raises four different errors on malformed input instead.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from enum import Enum

from monitor.model.ids import derived_id
from monitor.model.secret import Secret

TOLERANCE_S = 300
SIGNATURES_MAX = 8  # a rotation needs two; more is somebody trying
_PLAIN_ID = re.compile(r"[A-Za-z0-9_:/#@-]{1,200}")
_SECRET_PREFIX = "whsec_"  # noqa: S105 - a public prefix of Standard Webhooks, no secret
_SECRET_BYTES_MIN = 16
_TIMESTAMP_DIGITS_MAX = 12


class Verdict(Enum):
    """What a signature check found."""

    VALID = "valid"
    MISSING = "missing"  # a header is absent or not readable
    TOO_OLD = "too_old"
    TOO_NEW = "too_new"
    WRONG = "wrong"


def webhook_headers(secret: Secret, message_id: str, at_ms: int, body: bytes) -> dict[str, str]:
    """Sign a body as Standard Webhooks 1.0 asks and return its three headers.

    `message_id` stays the same over repeats, the time is that of the attempt. An id that is no
    plain header text, or holds a `.` (the separator of the signed text), is sent as its hash.
    """
    sent_id = message_id if _PLAIN_ID.fullmatch(message_id) else derived_id("msg", message_id)
    timestamp = str(at_ms // 1000)
    return {
        "webhook-id": sent_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": "v1," + _webhook_mac(webhook_key(secret), sent_id, timestamp, body),
    }


def webhook_key(secret: Secret) -> bytes:
    """Read a secret: `whsec_` + base64 gives the bytes, any other text stands for itself."""
    text = secret.reveal()
    if text.startswith(_SECRET_PREFIX):
        try:
            key = base64.b64decode(text.removeprefix(_SECRET_PREFIX), validate=True)
        except (binascii.Error, ValueError):
            return text.encode()
        if len(key) >= _SECRET_BYTES_MIN:
            return key
    return text.encode()


def verify_webhook(
    secrets: Sequence[Secret],
    headers: Mapping[str, str],
    body: bytes,
    now_ms: int,
    tolerance_s: int = TOLERANCE_S,
) -> Verdict:
    """Check a Standard Webhooks signature against every secret in force; never raises.

    Shapes: header names in lower case. Several secrets and several signatures serve rotation.
    """
    message_id = headers.get("webhook-id", "")
    timestamp = headers.get("webhook-timestamp", "")
    offered = headers.get("webhook-signature", "")
    if not message_id or not offered or not _is_timestamp(timestamp):
        return Verdict.MISSING
    age_s = now_ms // 1000 - int(timestamp)
    if age_s > tolerance_s:
        return Verdict.TOO_OLD
    if age_s < -tolerance_s:
        return Verdict.TOO_NEW
    candidates = [
        _bytes(part.removeprefix("v1,"))
        for part in offered.split(" ")[:SIGNATURES_MAX]
        if part.startswith("v1,")
    ]
    is_valid = False
    # Every pair is compared, so the time taken does not tell which one matched.
    for secret in secrets:
        expected = _webhook_mac(webhook_key(secret), message_id, timestamp, body).encode()
        for candidate in candidates:
            is_valid |= hmac.compare_digest(expected, candidate)
    return Verdict.VALID if is_valid else Verdict.WRONG


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


def _webhook_mac(key: bytes, message_id: str, timestamp: str, body: bytes) -> str:
    signed = b".".join((_bytes(message_id), timestamp.encode(), body))
    return base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def _bytes(text: str) -> bytes:
    """Header text to bytes; undecodable header bytes arrive as surrogates and stay bytes."""
    return text.encode("utf-8", "surrogatepass")


def _is_timestamp(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= _TIMESTAMP_DIGITS_MAX


def _plain(value: object) -> str:
    """A field as its text in the signed string; nothing for null."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
