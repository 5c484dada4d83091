"""How senders prove who they are: each scheme a small function over the raw bytes.

    hmac_text         mac(body), in hex or base64                   WooCommerce, Shopify, Lemon Squeezy …
    timestamped       "t=…,v1=…": mac(t . body), with a time window  Stripe, Paddle
    standard_webhooks "v1,…" mac and "v1a,…" ed25519 of id.t.body    whoever follows that standard
    ed25519           a signature over some text                     Keygen …

Each raises AuthError or returns. Several secrets are in force beside each other while they are
rotated: every pair of secret and signature is compared, in constant time, so nothing tells which one
matched. What is compared is the text as it was sent, not what it decodes to: no bit of it can change.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Callable, Iterable, Mapping, Sequence

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from monitor.model.errors import AuthError
from monitor.model.secret import Secret
from monitor.model.shops import RawRequest
from monitor.model.times import SECOND_MS
from monitor.model.webhooks import (
    SIGNATURES_MAX,
    Verdict,
    matching_keys,
    read_signature,
    signed_text,
    webhook_key,
)

PUBLIC_PREFIX = "whpk_"  # of the public key of a Standard Webhooks sender that signs with ed25519
WINDOW_S = 300

_NO_KEY = b"\0" * 32  # computed with where no secret is known, never believed
_SECONDS_DIGITS_MAX = 12
_PUBLIC_BYTES, _SIGNED_BYTES = 32, 64


def in_hex(mac: bytes) -> str:
    """A MAC as lower-case hex."""
    return mac.hex()


def in_base64(mac: bytes) -> str:
    """A MAC as base64 with its padding."""
    return base64.b64encode(mac).decode("ascii")


def hmac_text(
    secrets: Sequence[Secret],
    signed: bytes,
    offered: Iterable[str],
    written: Callable[[bytes], str],
    algorithm: str = "sha256",
) -> None:
    """Check that one of the secrets made one of the signatures over the signed bytes.

    Raises: AuthError `bad_signature`.
    """
    keys = [secret.reveal().encode() for secret in secrets]
    candidates = [_raw(text) for text in offered if text][:SIGNATURES_MAX]
    is_good = False
    for key in keys or [_NO_KEY]:
        expected = written(hmac.digest(key, signed, algorithm)).encode("ascii")
        for candidate in candidates:
            is_good |= hmac.compare_digest(expected, candidate)
    if not (is_good and keys):
        raise wrong()


def in_time(written: str, received_ms: int, window_s: int = WINDOW_S) -> None:
    """Check that a time in unix seconds is near to ours; only what is signed as well says anything.

    Raises: AuthError `stale_signature`, or `bad_signature` for what is no time.
    """
    if not (written.isascii() and written.isdigit() and len(written) <= _SECONDS_DIGITS_MAX):
        raise wrong()
    if abs(received_ms // SECOND_MS - int(written)) > window_s:
        raise AuthError(
            f"the signature was made more than {window_s} s from the time here",
            code="stale_signature",
            hint="check the clock of this machine; every attempt is signed anew",
        )


def timestamped(
    secrets: Sequence[Secret],
    request: RawRequest,
    header: str,
    *,
    separator: str,
    time_name: str,
    proof_name: str,
    joint: bytes,
    window_s: int = WINDOW_S,
) -> None:
    """Check a header of named parts, one of which is a time that is signed before the body.

    Raises: AuthError `bad_signature`, `stale_signature`.
    """
    parts = [part.partition("=") for part in request.header(header).split(separator)]
    times = [value for name, equals, value in parts if equals and name == time_name]
    macs = [value for name, equals, value in parts if equals and name == proof_name]
    if len(times) != 1:
        raise wrong()
    in_time(times[0], request.received_ms, window_s)
    hmac_text(secrets, times[0].encode("ascii") + joint + request.body, macs, in_hex)


def standard_webhooks(secrets: Sequence[Secret], request: RawRequest) -> str:
    """Check a request in the form of Standard Webhooks; returns its id, the same when it is repeated.

    A secret that begins with `whpk_` is a public key and checks `v1a`, others check `v1`.
    Raises: AuthError `bad_signature`, `stale_signature`.
    """
    headers = lower_headers(request)
    signature = read_signature(headers, request.received_ms)
    if signature in (Verdict.TOO_OLD, Verdict.TOO_NEW):
        in_time(headers["webhook-timestamp"], request.received_ms)  # raises, with what to do
    if isinstance(signature, Verdict):
        raise wrong()
    public = [one for one in secrets if one.reveal().startswith(PUBLIC_PREFIX)]
    shared = [webhook_key(one) for one in secrets if one not in public]
    is_good = bool(shared) and matching_keys(signature, shared, request.body) != 0
    signed = signed_text(signature.message_id, signature.timestamp, request.body)
    offered = headers["webhook-signature"].split(" ", SIGNATURES_MAX)[:SIGNATURES_MAX]
    for one in public:
        key = public_key(one.reveal().removeprefix(PUBLIC_PREFIX))
        for part in offered:
            if key is not None and part.startswith("v1a,"):
                is_good |= is_ed25519(key, signed, part.removeprefix("v1a,"))
    if not is_good:
        raise wrong()
    return signature.message_id


def public_key(text: str) -> Ed25519PublicKey | None:
    """Read an ed25519 public key: 32 bytes in base64 or hex; None for what is none."""
    raw = exact_base64(text, _PUBLIC_BYTES)
    if raw is None and len(text) == 2 * _PUBLIC_BYTES:
        try:
            raw = bytes.fromhex(text)
        except ValueError:
            return None
    return None if raw is None else Ed25519PublicKey.from_public_bytes(raw)


def is_ed25519(key: Ed25519PublicKey, signed: bytes, offered: str) -> bool:
    """Whether base64 text is the key's signature over some bytes."""
    raw = exact_base64(offered, _SIGNED_BYTES)
    if raw is None:
        return False
    try:
        key.verify(raw, signed)
    except InvalidSignature:
        return False
    return True


def exact_base64(text: str, size: int | None = None) -> bytes | None:
    """Decode base64 of which no bit could be different; None for anything else."""
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    is_exact = hmac.compare_digest(base64.b64encode(raw), text.encode("ascii"))
    return raw if is_exact and size in (None, len(raw)) else None


def lower_headers(request: RawRequest) -> Mapping[str, str]:
    """The headers by lower-case name; of a name that stands twice the first."""
    return {name.lower(): value for name, value in reversed(request.headers)}


def wrong() -> AuthError:
    """What is said of every proof that is none, whatever is wrong with it."""
    return AuthError(
        "this source did not sign it so",
        code="bad_signature",
        hint="check that secret_file of the source holds the secret of this very webhook",
    )


def _raw(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
