"""What a receiver of our webhooks does with the product's own pieces: one verdict per request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from monitor.model.secret import Secret
from monitor.model.webhooks import (
    TOLERANCE_S,
    Verdict,
    matching_keys,
    read_signature,
    webhook_key,
)


def verify_webhook(
    secrets: Sequence[Secret],
    headers: Mapping[str, str],
    body: bytes,
    now_ms: int,
    tolerance_s: int = TOLERANCE_S,
) -> Verdict:
    """Check a signature against every secret in force; never raises.

    Shapes: header names in lower case. Several secrets and several signatures serve rotation.
    """
    signature = read_signature(headers, now_ms, tolerance_s)
    if isinstance(signature, Verdict):
        return signature
    matching = matching_keys(signature, map(webhook_key, secrets), body)
    return Verdict.VALID if matching else Verdict.WRONG
