"""Signed requests: which source made the signature, in a time that does not tell.

A Standard Webhooks sender knows an address and a secret, no header of ours: with several sources
that sign, the address names the source (`/v1/events?source=main-shop`). A source that does not
exist gets the answer of a wrong signature, for the same work.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import msgspec

from monitor.api.caller import INGEST, Caller
from monitor.model.endpoints import SourceSecrets
from monitor.model.errors import AuthError, InputError
from monitor.model.notes import MessageTaken
from monitor.model.secret import Secret
from monitor.model.times import SECOND_MS
from monitor.model.webhooks import (
    TOLERANCE_S,
    Verdict,
    matching_keys,
    read_signature,
    webhook_key,
)

SIGNATURE_HEADER = "webhook-signature"
SOURCE_PARAMETER = "source"

_NO_KEY = b"\0" * 32  # computed with, never believed
_HINT = "check the secret; with several signed sources name yours: /v1/events?source=NAME"
_CODES = {
    Verdict.MISSING: "webhook-id, webhook-timestamp and webhook-signature cannot be read",
    Verdict.TOO_OLD: "webhook-timestamp is too old",
    Verdict.TOO_NEW: "webhook-timestamp is in the future",
}


class _Keys(msgspec.Struct, frozen=True):
    """The keys to compute with; only those in `mask` (bit 0 is the first) are believed."""

    padded: tuple[bytes, ...]
    mask: int


class Signatures:
    """The secrets in force of every source that signs."""

    def __init__(
        self, sources: Sequence[SourceSecrets] = (), tolerance_s: int = TOLERANCE_S
    ) -> None:
        self._tolerance_s = tolerance_s
        self._only = sources[0].source if len(sources) == 1 else ""
        # As many keys for everybody: neither a wrong name nor a rotation shows in the time taken.
        keys_max = max((len(one.secrets) for one in sources), default=1)
        self._nobody = _Keys((_NO_KEY,) * keys_max, 0)
        self._keys = {one.source: _padded(one.secrets, keys_max) for one in sources}

    def __len__(self) -> int:
        return len(self._keys)

    def verify(
        self, headers: Mapping[str, str], source: str | None, raw_body: bytes, now_ms: int
    ) -> Caller:
        """Return the source that signed the raw body; it may send events and nothing else.

        Raises: AuthError `bad_signature`, or `stale_signature` for the wrong time; InputError
        `unsigned_attributes` for a CloudEvent whose attributes the signature does not cover.
        """
        signature = read_signature(headers, now_ms, self._tolerance_s)
        if signature in (Verdict.TOO_OLD, Verdict.TOO_NEW):
            raise AuthError(
                f"{_CODES[signature]}: more than {self._tolerance_s} s from the time here",
                code="stale_signature",
                hint="check the clock of the sender; every attempt is signed anew",
            )
        if isinstance(signature, Verdict):
            raise AuthError(_CODES[signature], code="bad_signature", hint=_HINT)
        named = self._only if source is None else source
        keys = self._keys.get(named, self._nobody)
        if not matching_keys(signature, keys.padded, raw_body) & keys.mask:
            raise AuthError("this source did not sign it so", code="bad_signature", hint=_HINT)
        _refuse_headers_of_events(headers)
        digest = hashlib.blake2b(raw_body, digest_size=8).hexdigest()
        signed_ms = int(signature.timestamp) * SECOND_MS
        message = MessageTaken(named, signature.message_id, digest, signed_ms, now_ms)
        return Caller(named, (INGEST,), named, message)


def _padded(secrets: Sequence[Secret], keys_max: int) -> _Keys:
    keys = tuple(map(webhook_key, secrets))
    return _Keys(keys + (_NO_KEY,) * (keys_max - len(keys)), (1 << len(keys)) - 1)


def is_signed(headers: Mapping[str, str]) -> bool:
    """Whether a request wants to be judged by its signature; a token beside it goes first."""
    return SIGNATURE_HEADER in headers and "Authorization" not in headers


def _refuse_headers_of_events(headers: Mapping[str, str]) -> None:
    """Refuse the binary mode of CloudEvents: whoever is between us could change its headers."""
    if any(name.lower().startswith("ce-") for name in headers):
        raise InputError(
            "a signature covers the body, not the ce- headers",
            code="unsigned_attributes",
            hint="send the event in structured mode, application/cloudevents+json",
        )
