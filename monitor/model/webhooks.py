"""Standard Webhooks 1.0: the signed text and its MAC, and the check of what a stranger sends.

Checking never raises: whatever arrives, the answer is a `Verdict`. The reference library raises
four different errors on malformed input instead. Only `v1` (HMAC-SHA256) is spoken; signatures of
other schemes beside it are passed over, as the specification asks.

Source: standard-webhooks/standard-webhooks, spec/standard-webhooks.md 1.0.0.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from collections.abc import Iterable, Mapping
from enum import Enum

import msgspec

from monitor.model.secret import Secret

TOLERANCE_S = 300
SIGNATURES_MAX = 8  # a rotation needs two; more is somebody trying
SECRET_PREFIX = "whsec_"  # noqa: S105 - a public prefix of Standard Webhooks, no secret
SECRET_BYTES_MIN = 16

# No `.`: it separates the parts of the signed text, so an id with one could swallow the timestamp.
_MESSAGE_ID = re.compile(r"[!-\-/-~]{1,255}")
_TIMESTAMP_DIGITS_MAX = 12


class Verdict(Enum):
    """What a signature check found."""

    VALID = "valid"
    MISSING = "missing"  # a header is absent or not readable
    TOO_OLD = "too_old"
    TOO_NEW = "too_new"
    WRONG = "wrong"


class Signature(msgspec.Struct, frozen=True):
    """The three headers, as far as they can be read without a key."""

    message_id: str
    timestamp: str
    offered: tuple[bytes, ...]  # base64 text, as it came


def webhook_key(secret: Secret) -> bytes:
    """Read a secret: `whsec_` + base64 gives the bytes, any other text stands for itself."""
    text = secret.reveal()
    if text.startswith(SECRET_PREFIX):
        try:
            key = base64.b64decode(text.removeprefix(SECRET_PREFIX), validate=True)
        except (binascii.Error, ValueError):
            return text.encode()
        if len(key) >= SECRET_BYTES_MIN:
            return key
    return text.encode()


def webhook_mac(key: bytes, signed: bytes) -> bytes:
    """Return the base64 text of the HMAC-SHA256 of a signed text."""
    return base64.b64encode(hmac.digest(key, signed, "sha256"))


def signed_text(message_id: str, timestamp: str, body: bytes) -> bytes:
    """Join what is signed; undecodable header bytes arrive as surrogates and stay bytes."""
    return b".".join((message_id.encode("utf-8", "surrogatepass"), timestamp.encode(), body))


def read_signature(
    headers: Mapping[str, str], now_ms: int, tolerance_s: int = TOLERANCE_S
) -> Signature | Verdict:
    """Read the headers and judge their time, which needs no key and gives nothing away.

    Shapes: header names are looked up in lower case.
    """
    message_id = headers.get("webhook-id", "")
    timestamp = headers.get("webhook-timestamp", "")
    offered = headers.get("webhook-signature", "")
    if not offered or not _MESSAGE_ID.fullmatch(message_id) or not _is_timestamp(timestamp):
        return Verdict.MISSING
    age_s = now_ms // 1000 - int(timestamp)
    if age_s > tolerance_s:
        return Verdict.TOO_OLD
    if age_s < -tolerance_s:
        return Verdict.TOO_NEW
    parts = offered.split(" ", SIGNATURES_MAX)[:SIGNATURES_MAX]
    candidates = tuple(
        part.removeprefix("v1,").encode("utf-8", "surrogatepass")
        for part in parts
        if part.startswith("v1,")
    )
    return Signature(message_id, timestamp, candidates)


def matching_keys(signature: Signature, keys: Iterable[bytes], body: bytes) -> int:
    """Say which of the keys made one of the signatures: bit 0 is the first key.

    Every pair is compared, so the time taken does not tell which one matched. The base64 text is
    compared, not what it decodes to: then no bit of it can be changed without notice.
    """
    signed = signed_text(signature.message_id, signature.timestamp, body)
    matching = 0
    for at, key in enumerate(keys):
        expected = webhook_mac(key, signed)
        for candidate in signature.offered:
            matching |= hmac.compare_digest(expected, candidate) << at
    return matching


def _is_timestamp(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= _TIMESTAMP_DIGITS_MAX
