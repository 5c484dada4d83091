"""RSA signatures with SHA-256 (PKCS #1 v1.5), as Alipay calls RSA2 and WeChat Pay v3 uses them."""

from __future__ import annotations

import base64
import binascii
import hmac
import textwrap
from collections.abc import Iterable
from functools import lru_cache

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key


def public_key(text: str) -> RSAPublicKey:
    """Read a key: PEM, a certificate in PEM, or the bare base64 that Alipay's page shows.

    Raises: ValueError that completes "the key …".
    """
    try:
        return _loaded(text.strip())
    except (ValueError, TypeError) as error:
        raise ValueError("is no RSA public key or certificate in PEM or base64") from error


def is_signed(signed: bytes, offered: str, keys: Iterable[str]) -> bool:
    """Whether the owner of one of the keys signed these bytes; `offered` is base64.

    The text must be the base64 of its bytes, or its unused bits could be flipped without notice.
    """
    try:
        signature = base64.b64decode(offered, validate=True)
    except (binascii.Error, ValueError):
        return False
    if not hmac.compare_digest(base64.b64encode(signature), offered.encode()):
        return False
    return any(_verifies(public_key(key), signature, signed) for key in keys)


def _verifies(key: RSAPublicKey, signature: bytes, signed: bytes) -> bool:
    try:
        key.verify(signature, signed, PKCS1v15(), SHA256())
    except InvalidSignature:
        return False
    return True


@lru_cache(maxsize=32)
def _loaded(text: str) -> RSAPublicKey:
    key: object
    if "BEGIN CERTIFICATE" in text:
        key = x509.load_pem_x509_certificate(text.encode()).public_key()
    elif "BEGIN" in text:
        key = load_pem_public_key(text.encode())
    else:
        bare = "\n".join(textwrap.wrap("".join(text.split()), 64))
        pem = f"-----BEGIN PUBLIC KEY-----\n{bare}\n-----END PUBLIC KEY-----\n"
        key = load_pem_public_key(pem.encode())
    if not isinstance(key, RSAPublicKey):
        raise TypeError("no RSA key")
    return key
