"""Signatures of supplier APIs: made as their documents say, and believed only when whole."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

import msgspec
import pytest

from monitor.adapters.signing import webhook_headers
from monitor.adapters.supplier_sign import is_from_supplier, sign
from monitor.adapters.supplier_template import FilledRequest
from monitor.model.endpoints import Signing
from monitor.model.received import Received
from monitor.model.secret import Secret

KEY = Secret("k3y")
NOW_MS = 1_772_323_200_000
NOW_S = "1772323200"
FORM = {"b": "2", "a": "1", "empty": "", "sign": "old"}
DUJIAO = "{{ method }}\n{{ path }}\n{{ timestamp }}\n{{ body_md5 }}"


def request_with(**parts: Any) -> FilledRequest:
    base = FilledRequest("POST", "http://x/p?q=1", {}, None, None, 1_000)
    return msgspec.structs.replace(base, **parts)


def received(body: bytes = b"", headers: dict[str, str] | None = None, **fields: Any) -> Received:
    return Received("POST", "/p", "q=1", headers or {}, body, fields)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({}, b"a=1&b=2k3y"),
        ({"suffix": "&key={{ secret }}"}, b"a=1&b=2&key=k3y"),
        ({"prefix": "{{ secret }}", "suffix": "", "join": "kv", "separator": ""}, b"k3ya1b2"),
        ({"join": "v", "separator": "|"}, b"1|2k3y"),
        ({"skip_empty": False}, b"a=1&b=2&empty=k3y"),
    ],
)
def test_md5_covers_the_text_that_the_scheme_asks_for(options: Any, text: bytes) -> None:
    """Fields by name, joined and surrounded as written; the sign itself stays out."""
    signing = Signing("md5_sorted", secret=KEY, **options)
    _, _, body = sign(request_with(form=FORM), signing, "m", NOW_MS)
    assert dict(pair.split("=") for pair in body.decode().split("&"))["sign"] == (
        hashlib.md5(text).hexdigest()
    )


def test_md5_writes_numbers_flags_and_lists_as_json_does() -> None:
    """`true`, not `True`; null is empty."""
    signing = Signing("md5_sorted", secret=KEY)
    fields = {"n": 1, "t": True, "none": None, "l": [1]}
    _, _, body = sign(request_with(json=fields), signing, "m", NOW_MS)
    assert json.loads(body)["sign"] == hashlib.md5(b"l=[1]&n=1&t=truek3y").hexdigest()


def test_hmac_over_method_path_time_and_digest_is_that_of_the_document() -> None:
    """The four lines of dujiao-next; without a query in the path, seconds in the header."""
    signing = Signing(
        "hmac_sha256",
        "X-Sig",
        None,
        KEY,
        account="me",
        account_header="X-Key",
        timestamp_header="X-Time",
        text=DUJIAO,
    )
    _, headers, body = sign(request_with(json={"a": 1}), signing, "m", NOW_MS)
    lines = f"POST\n/p\n{NOW_S}\n{hashlib.md5(body).hexdigest()}"
    assert headers["X-Sig"] == hmac.new(b"k3y", lines.encode(), "sha256").hexdigest()
    assert (headers["X-Key"], headers["X-Time"]) == ("me", NOW_S)


def test_hmac_matches_rfc_4231_case_2_in_hex_and_base64() -> None:
    """RFC 4231 test case 2: key `Jefe`."""
    text = "what do ya want for nothing?"
    mac = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    signing = Signing("hmac_sha256", secret=Secret("Jefe"), text=text)
    _, headers, _ = sign(request_with(), signing, "m", 0)
    assert headers["X-Signature"] == mac
    signing = msgspec.structs.replace(signing, encoding="base64")
    _, headers, _ = sign(request_with(), signing, "m", 0)
    assert headers["X-Signature"] == base64.b64encode(bytes.fromhex(mac)).decode()


def signed(kind: str, body: bytes) -> tuple[Received, Signing]:
    """A request of a supplier with a good signature of each kind, made without our code."""
    fields = json.loads(body)
    match kind:
        case "md5_sorted":
            text = "&".join(f"{name}={fields[name]}" for name in sorted(fields)) + "k3y"
            fields["sign"] = hashlib.md5(text.encode()).hexdigest()
            return received(body, **fields), Signing(kind, secret=KEY)
        case "hmac_sha256":
            text = f"POST\n/p\n{NOW_S}\n{hashlib.md5(body).hexdigest()}"
            mac = hmac.new(b"k3y", text.encode(), "sha256").hexdigest()
            signing = Signing(kind, "X-Sig", None, KEY, timestamp_header="X-Time", text=DUJIAO)
            return received(body, {"x-sig": mac, "x-time": NOW_S}, **fields), signing
        case "standard_webhooks":
            headers = webhook_headers(KEY, "id", NOW_MS, body)
            return received(body, headers, **fields), Signing(kind, secret=KEY)
        case _:
            signing = Signing(kind, "X-Event-Secret", None, KEY)
            return received(body, {"x-event-secret": "k3y"}, **fields), signing


KINDS = ("md5_sorted", "hmac_sha256", "standard_webhooks", "bearer")
BODY = b'{"id": "att_1", "status": "done"}'


@pytest.mark.parametrize("kind", KINDS)
def test_good_signature_is_believed_and_another_key_is_not(kind: str) -> None:
    """Who has the secret is the supplier."""
    request, signing = signed(kind, BODY)
    assert is_from_supplier(request, signing, NOW_MS)
    other = msgspec.structs.replace(signing, secret=Secret("k3x"))
    assert not is_from_supplier(request, other, NOW_MS)
    assert not is_from_supplier(request, msgspec.structs.replace(signing, secret=None), NOW_MS)
    assert not is_from_supplier(request, msgspec.structs.replace(signing, kind="none"), NOW_MS)


@pytest.mark.parametrize("kind", KINDS[:3])
def test_changed_words_are_not_believed(kind: str) -> None:
    """The signature covers what is said."""
    request, signing = signed(kind, BODY)
    forged = BODY.replace(b"done", b"gone")
    fields = {**request.fields, "status": "gone"}
    changed = msgspec.structs.replace(request, body=forged, fields=fields)
    assert not is_from_supplier(changed, signing, NOW_MS)


@pytest.mark.parametrize("kind", ["hmac_sha256", "standard_webhooks"])
@pytest.mark.parametrize("shift_ms", [-301_000, 301_000])
def test_signature_of_another_time_is_not_believed(kind: str, shift_ms: int) -> None:
    """Five minutes either way, as Standard Webhooks has it."""
    request, signing = signed(kind, BODY)
    assert is_from_supplier(request, signing, NOW_MS + (299_000 if shift_ms > 0 else -299_000))
    assert not is_from_supplier(request, signing, NOW_MS + shift_ms)


@pytest.mark.parametrize("kind", KINDS)
def test_request_without_a_signature_is_not_believed(kind: str) -> None:
    """Nothing offered is nothing proven."""
    _, signing = signed(kind, BODY)
    assert not is_from_supplier(received(BODY, id="att_1"), signing, NOW_MS)
