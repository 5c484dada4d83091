"""Signatures of supplier APIs: made for what we send, checked on what a supplier sends by itself.

    bearer             the secret in a header: `Authorization: Bearer …`, or bare in one of its own
    md5_sorted         prefix + fields by name + suffix; of the JSON body, the form, or the query
    hmac_sha256        a text made of method, path, time and body, under the secret
    standard_webhooks  id, time and body (`monitor/model/webhooks.py`)

A check compares in constant time and says yes or no, never why: a stranger learns nothing from it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import msgspec

from monitor.adapters.signing import bearer, webhook_headers
from monitor.adapters.supplier_template import FilledRequest, Value, written
from monitor.model.endpoints import Signing
from monitor.model.received import Received
from monitor.model.secret import Secret
from monitor.model.webhooks import (
    TOLERANCE_S,
    Verdict,
    matching_keys,
    read_signature,
    webhook_key,
)

SIGN_FIELD = "sign"
_encoder = msgspec.json.Encoder(decimal_format="number")


def sign(
    request: FilledRequest, signing: Signing, message_id: str, now_ms: int
) -> tuple[str, dict[str, str], bytes]:
    """Sign and encode a request; returns URL, headers and body."""
    url, headers = request.url, dict(request.headers)
    fields, form = request.json, request.form
    secret = signing.secret
    if signing.kind == "md5_sorted" and secret is not None:
        name = signing.field or SIGN_FIELD
        if isinstance(fields, dict):
            fields = {**fields, name: _md5(signing, secret, fields)}
        elif form is not None:
            form = {**form, name: _md5(signing, secret, form)}
        else:
            asked = dict(parse_qsl(urlsplit(url).query, keep_blank_values=True))
            asked[name] = _md5(signing, secret, asked)
            url = urlunsplit(urlsplit(url)._replace(query=urlencode(asked)))
    body = _encoded(fields, form, headers)
    if signing.account_header is not None and signing.account is not None:
        headers[signing.account_header] = signing.account
    if signing.timestamp_header is not None:
        headers[signing.timestamp_header] = str(now_ms // 1000)
    if secret is None:
        return url, headers, body
    match signing.kind:
        case "bearer":
            header = signing.header or "Authorization"
            is_standard = header.lower() == "authorization"
            headers[header] = bearer(secret) if is_standard else secret.reveal()
        case "hmac_sha256":
            parts = urlsplit(url)
            text = _canonical(
                signing, request.method, parts.path or "/", parts.query, str(now_ms // 1000), body
            )
            headers[signing.header or "X-Signature"] = _hmac(signing, secret, text)
        case "standard_webhooks":
            headers.update(webhook_headers(secret, message_id, now_ms, body))
        case _:
            pass
    return url, headers, body


def is_from_supplier(received: Received, signing: Signing, now_ms: int) -> bool:
    """Whether a request carries the proof the channel asks for; without a secret nothing does."""
    secret = signing.secret
    if secret is None:
        return False
    match signing.kind:
        case "bearer":
            name = (signing.header or "Authorization").lower()
            wanted = bearer(secret) if name == "authorization" else secret.reveal()
            return _same(received.headers.get(name, ""), wanted)
        case "md5_sorted":
            offered = received.fields.get(signing.field or SIGN_FIELD)
            made = _md5(signing, secret, received.fields)
            return isinstance(offered, str) and _same(offered.lower(), made)
        case "hmac_sha256":
            return _has_hmac(received, signing, secret, now_ms)
        case "standard_webhooks":
            signature = read_signature(received.headers, now_ms)
            if isinstance(signature, Verdict):
                return False
            return bool(matching_keys(signature, [webhook_key(secret)], received.body))
        case _:
            return False


def _has_hmac(received: Received, signing: Signing, secret: Secret, now_ms: int) -> bool:
    timestamp = ""
    if signing.timestamp_header is not None:
        timestamp = received.headers.get(signing.timestamp_header.lower(), "")
        is_number = timestamp.isascii() and timestamp.isdecimal() and len(timestamp) <= 12
        if not is_number or abs(int(timestamp) - now_ms // 1000) > TOLERANCE_S:
            return False
    text = _canonical(
        signing, received.method, received.path, received.query, timestamp, received.body
    )
    offered = received.headers.get((signing.header or "X-Signature").lower(), "")
    return _same(offered, _hmac(signing, secret, text))


def _canonical(
    signing: Signing, method: str, path: str, query: str, timestamp: str, body: bytes
) -> bytes:
    """The text that is signed; a plain `{{ body }}` is its bytes, whatever they are."""
    if signing.text.strip() == "{{ body }}":
        return body
    values: dict[str, Value] = {
        "method": method,
        "path": path,
        "query": query,
        "timestamp": timestamp,
        "account": signing.account,
        "body": body.decode("utf-8", "surrogateescape"),
        # Weak by today's measure, and not ours to choose.
        "body_md5": hashlib.md5(body, usedforsecurity=False).hexdigest(),
        "body_sha256": hashlib.sha256(body).hexdigest(),
    }
    return written(signing.text, values).encode("utf-8", "surrogateescape")


def _hmac(signing: Signing, secret: Secret, text: bytes) -> str:
    mac = hmac.digest(secret.reveal().encode(), text, "sha256")
    return base64.b64encode(mac).decode() if signing.encoding == "base64" else mac.hex()


def _md5(signing: Signing, secret: Secret, fields: Mapping[str, Any]) -> str:
    """MD5 over the fields sorted by name, in lower-case hex; the sign itself stays out."""
    name = signing.field or SIGN_FIELD
    texts = [(key, _plain(fields[key])) for key in sorted(fields) if key != name]
    kept = [(key, text) for key, text in texts if text or not signing.skip_empty]
    joined = signing.separator.join(_pair(signing.join, key, text) for key, text in kept)
    around: dict[str, Value] = {"secret": secret.reveal(), "account": signing.account}
    whole = written(signing.prefix, around) + joined + written(signing.suffix, around)
    return hashlib.md5(whole.encode("utf-8", "surrogateescape"), usedforsecurity=False).hexdigest()


def _pair(join: str, key: str, text: str) -> str:
    return {"k=v": f"{key}={text}", "kv": f"{key}{text}", "v": text}[join]


def _plain(value: object) -> str:
    """A field as its text in the signed string; nothing for null."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict | list):
        return _encoder.encode(value).decode()
    return str(value)


def _encoded(json: Any, form: dict[str, str] | None, headers: dict[str, str]) -> bytes:
    """Encode the body and name its type, unless the template names one."""
    named = {name.lower() for name in headers}
    if json is not None:
        if "content-type" not in named:
            headers["Content-Type"] = "application/json"
        return _encoder.encode(json)
    if form is not None:
        if "content-type" not in named:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        return urlencode(form).encode()
    return b""


def _same(offered: str, wanted: str) -> bool:
    return hmac.compare_digest(offered.encode("utf-8", "surrogateescape"), wanted.encode())
