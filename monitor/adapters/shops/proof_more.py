"""Proofs of senders that sign in a way of their own; those that many share are in `proof.py`.

    token        a word in the address, for senders that sign nothing at all
    signed_path  HMAC of method, path, time and MD5 of the body     dujiao-next
    sorted_md5   MD5 of the sorted fields and a key                  acg-faka
    cavage       ed25519 over chosen headers and the body's digest   Keygen
    detached_jws RS256 by a key of the sender's JWKS                 Saleor

Each raises AuthError or returns.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from email.utils import parsedate_to_datetime
from urllib.parse import parse_qsl, urlsplit

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey, RSAPublicNumbers
from cryptography.hazmat.primitives.hashes import SHA256

from monitor.adapters.shops.proof import (
    exact_base64,
    hmac_text,
    in_hex,
    in_time,
    is_ed25519,
    public_key,
    wrong,
)
from monitor.model.errors import AuthError
from monitor.model.secret import Secret
from monitor.model.shops import RawRequest

WORD = "token"
WORD_PATTERN = r"[A-Za-z0-9_.~-]{16,128}"
_FIELDS_MAX = 100
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_NOBODY = b"\0" * 32  # compared with where there is no secret, never believed
_SIGNED_HEADERS = {"(request-target)", "date", "digest"}
_CAVAGE = re.compile(
    r'(?:keyid="[^"]*", ?)?algorithm="ed25519", ?signature="([A-Za-z0-9+/=]+)", ?'
    r'headers="([a-z() -]+)"'
)


def token(secrets: Sequence[Secret], request: RawRequest) -> None:
    """Check `?token=` of the address; the body proves nothing. Raises: AuthError."""
    query = urlsplit(request.target).query
    try:
        pairs = parse_qsl(query, max_num_fields=_FIELDS_MAX)
    except ValueError:  # too many
        pairs = []
    offered = [value for key, value in pairs if key == WORD]
    given = (offered[0] if len(offered) == 1 else "").encode("utf-8", "surrogateescape")
    is_good = False
    for key in [secret.reveal().encode() for secret in secrets] or [_NOBODY]:
        is_good |= hmac.compare_digest(key, given)
    if not (is_good and secrets):
        raise AuthError(
            "this address does not carry the source's token",
            code="bad_signature",
            hint="give the sender /hooks/NAME?token=… with what secret_file holds",
        )


def signed_path(
    secrets: Sequence[Secret],
    request: RawRequest,
    *,
    path: str,
    time_header: str,
    proof_header: str,
    window_s: int,
) -> None:
    """Check hex HMAC-SHA256 of method, a fixed path, unix seconds and the body's MD5, by lines.

    Raises: AuthError `bad_signature`, `stale_signature`.
    """
    written = request.header(time_header)
    in_time(written, request.received_ms, window_s)
    body = hashlib.md5(request.body, usedforsecurity=False).hexdigest()
    signed = f"{request.method.upper()}\n{path}\n{written}\n{body}".encode("utf-8", "replace")
    hmac_text(secrets, signed, [request.header(proof_header)], in_hex)


def sorted_md5(secrets: Sequence[Secret], fields: Mapping[str, str], offered: str) -> None:
    """Check hex MD5 of `a=1&b=2…&key=SECRET`: fields by name, without empty ones and the sign.

    Weak, but all that such shops have. Raises: AuthError.
    """
    pairs = [
        f"{name}={value}" for name, value in sorted(fields.items()) if value and name != "sign"
    ]
    given = offered.encode("utf-8", "surrogateescape")
    is_good = False
    for key in [secret.reveal() for secret in secrets] or ["\0"]:
        text = "&".join((*pairs, f"key={key}")).encode("utf-8", "surrogateescape")
        expected = hashlib.md5(text, usedforsecurity=False).hexdigest().encode("ascii")
        is_good |= hmac.compare_digest(expected, given)
    if not (is_good and secrets):
        raise wrong()


def cavage(secrets: Sequence[Secret], request: RawRequest, header: str) -> None:
    """Check an ed25519 signature of HTTP headers (draft-cavage); secrets are public keys.

    Target, date and digest must be signed, the digest must be the body's, the date near to ours.
    Raises: AuthError `bad_signature`, `stale_signature`.
    """
    found = _CAVAGE.fullmatch(request.header(header))
    if found is None:
        raise wrong()
    signature, names = found[1], found[2].split(" ")
    digest = base64.b64encode(hashlib.sha256(request.body).digest()).decode("ascii")
    is_whole = request.header("digest") in (f"sha-256={digest}", f"SHA-256={digest}")
    if not is_whole or not set(names) >= _SIGNED_HEADERS:
        raise wrong()
    target = f"{request.method.lower()} {request.target}"
    lines = [
        f"{name}: {target if name == '(request-target)' else request.header(name)}"
        for name in names
    ]
    signed = "\n".join(lines).encode("utf-8", "surrogateescape")
    keys = [public_key(secret.reveal()) for secret in secrets]
    if not any(key is not None and is_ed25519(key, signed, signature) for key in keys):
        raise wrong()
    in_time(_unix_s(request.header("date")), request.received_ms)


def detached_jws(secrets: Sequence[Secret], request: RawRequest, header: str) -> None:
    """Check `header..signature`, RS256 over the raw body; a secret is the sender's JWKS as JSON.

    Raises: AuthError `bad_signature`.
    """
    head, _, rest = request.header(header).partition(".")
    middle, _, written = rest.partition(".")
    told, raw = _from_base64url(head), _from_base64url(written)
    if middle or told is None or raw is None:
        raise wrong()
    try:
        what = msgspec.json.decode(told, type=_Header)
    except _UNREADABLE:
        raise wrong() from None
    if what.alg != "RS256":
        raise wrong()
    body = request.body if not what.b64 else _to_base64url(request.body)
    signed = head.encode("ascii") + b"." + body
    keys = [key for secret in secrets for key in jwks(secret)]
    if not any(_is_rs256(key, signed, raw) for key in keys):
        raise wrong()


class _Header(msgspec.Struct, frozen=True):
    """Of the header of a JWS what is read; `b64` false: the body is signed as it is."""

    alg: str
    b64: bool = True


class _Key(msgspec.Struct, frozen=True):
    """An RSA key of a JWKS."""

    kty: str
    n: str = ""
    e: str = ""


class _Keys(msgspec.Struct, frozen=True):
    """A JWKS."""

    keys: list[_Key]


def jwks(secret: Secret) -> list[RSAPublicKey]:
    """The RSA keys of a JWKS as JSON; none of anything else."""
    try:
        listed = msgspec.json.decode(secret.reveal(), type=_Keys).keys
    except _UNREADABLE:
        return []
    found = []
    for one in listed:
        n, e = _from_base64url(one.n), _from_base64url(one.e)
        if one.kty == "RSA" and n and e:
            try:
                found.append(RSAPublicNumbers(int.from_bytes(e), int.from_bytes(n)).public_key())
            except ValueError:
                continue  # numbers that are no key
    return found


def _is_rs256(key: RSAPublicKey, signed: bytes, raw: bytes) -> bool:
    try:
        key.verify(raw, signed, PKCS1v15(), SHA256())
    except InvalidSignature:
        return False
    return True


def _from_base64url(text: str) -> bytes | None:
    """Decode base64url without padding of which no bit could be different."""
    if not text.isascii() or "+" in text or "/" in text or "=" in text:
        return None
    return exact_base64(text.replace("-", "+").replace("_", "/") + "=" * (-len(text) % 4))


def _to_base64url(raw: bytes) -> bytes:
    return base64.urlsafe_b64encode(raw).rstrip(b"=")


def _unix_s(written: str) -> str:
    """A date of HTTP in unix seconds; empty for what is none."""
    try:
        return str(int(parsedate_to_datetime(written).timestamp()))
    except (ValueError, TypeError, OverflowError):
        return ""
