"""Signatures against published vectors, independent computations and hostile input."""

import base64
import hashlib
import hmac
import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.adapters.signing import (
    bearer,
    dingtalk_sign,
    webhook_headers,
)
from monitor.model.secret import Secret
from monitor.model.webhooks import Verdict
from tests.webhooks import verify_webhook

KEY = b"0" * 24
SECRET = Secret("whsec_" + base64.b64encode(KEY).decode())
AT_MS = 1_700_000_000_000
BODY = b'{"type":"alert.firing"}'


def test_standard_webhook_matches_the_reference_library() -> None:
    """Known answer of the reference library for a fixed secret, id, time and body."""
    assert webhook_headers(SECRET, "msg_1", AT_MS, BODY) == {
        "webhook-id": "msg_1",
        "webhook-timestamp": "1700000000",
        "webhook-signature": "v1,Z8HVPaIScG6+zEqZLI1Krfyki+nAS4eEmL/tbOnZfYM=",
    }


@pytest.mark.parametrize("text", ["correct horse battery staple", "whsec_notbase64!", "whsec_AAAA"])
def test_secret_that_is_not_whsec_signs_with_its_own_bytes(text: str) -> None:
    """Plain text, broken base64 and keys too short to be meant as base64 stand for themselves."""
    signature = webhook_headers(Secret(text), "a", AT_MS, b"x")["webhook-signature"]
    mac = hmac.new(text.encode(), b"a.1700000000.x", hashlib.sha256).digest()
    assert signature == "v1," + base64.b64encode(mac).decode()


@pytest.mark.parametrize("odd", ["n.1", "订单", "a\r\nb", "", "x" * 300])
def test_message_id_that_is_no_header_text_is_sent_as_a_hash(odd: str) -> None:
    """A dot makes the signed text ambiguous; keys made from order ids may hold anything."""
    headers = webhook_headers(SECRET, odd, AT_MS, BODY)
    assert re.fullmatch(r"msg_[0-9a-f]{20}", headers["webhook-id"])
    assert headers == webhook_headers(SECRET, odd, AT_MS, BODY)
    assert verify_webhook([SECRET], headers, BODY, AT_MS) is Verdict.VALID


def test_dingtalk_sign_matches_the_known_answer() -> None:
    """Vector measured against the robot's documented algorithm."""
    expected = "aZLLrriXgn05YbwaGR7knYsLeJADjr9NwLaNNKpxh4g="
    assert dingtalk_sign(Secret("SECtest"), AT_MS) == expected


def test_bearer_carries_the_secret() -> None:
    """The value of an Authorization header."""
    assert bearer(Secret("t0k")) == "Bearer t0k"


@pytest.mark.parametrize(
    ("shift_s", "verdict"),
    [
        (0, Verdict.VALID),
        (300, Verdict.VALID),
        (301, Verdict.TOO_OLD),
        (-300, Verdict.VALID),
        (-301, Verdict.TOO_NEW),
    ],
)
def test_signature_outside_the_window_is_refused(shift_s: int, verdict: Verdict) -> None:
    """Five minutes either way, the edge included."""
    headers = webhook_headers(SECRET, "m", AT_MS, BODY)
    assert verify_webhook([SECRET], headers, BODY, AT_MS + shift_s * 1000) is verdict


def test_any_secret_and_any_signature_of_a_rotation_is_enough() -> None:
    """Old and new secret overlap on both sides."""
    headers = webhook_headers(SECRET, "m", AT_MS, BODY)
    headers["webhook-signature"] = f"v1a,xx v1,AAAA {headers['webhook-signature']} v1,BBBB"
    for secrets in ([Secret("new"), SECRET], [SECRET, Secret("old")]):
        assert verify_webhook(secrets, headers, BODY, AT_MS) is Verdict.VALID
    assert verify_webhook([Secret("new")], headers, BODY, AT_MS) is Verdict.WRONG
    assert verify_webhook([], headers, BODY, AT_MS) is Verdict.WRONG


@pytest.mark.parametrize("missing", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_header_that_is_absent_is_missing(missing: str) -> None:
    """All three headers are needed."""
    headers = webhook_headers(SECRET, "m", AT_MS, BODY)
    del headers[missing]
    assert verify_webhook([SECRET], headers, BODY, AT_MS) is Verdict.MISSING


@pytest.mark.parametrize("timestamp", ["", "x", "1e9", "-1", "١٧٠٠٠٠٠٠٠٠", "9" * 5000, " 17"])
def test_timestamp_that_is_no_number_is_missing(timestamp: str) -> None:
    """Digits of other scripts and numbers of any length are refused without an error."""
    headers = webhook_headers(SECRET, "m", AT_MS, BODY) | {"webhook-timestamp": timestamp}
    assert verify_webhook([SECRET], headers, BODY, AT_MS) is Verdict.MISSING


@given(st.integers(0, len(BODY) * 8 - 1))
def test_single_flipped_bit_of_the_body_is_wrong(bit: int) -> None:
    """No bit of the body is outside the signature."""
    headers = webhook_headers(SECRET, "m", AT_MS, BODY)
    flipped = bytearray(BODY)
    flipped[bit // 8] ^= 1 << bit % 8
    assert verify_webhook([SECRET], headers, bytes(flipped), AT_MS) is Verdict.WRONG


@given(
    st.text(),
    st.text(string.digits + "x.", max_size=14),
    st.text() | st.just("v1, v1,="),
    st.binary(),
)
def test_hostile_headers_never_raise(name: str, when: str, signature: str, body: bytes) -> None:
    """Whatever arrives, the answer is a verdict, and never the good one."""
    headers = {"webhook-id": name, "webhook-timestamp": when, "webhook-signature": signature}
    assert verify_webhook([SECRET], headers, body, AT_MS) is not Verdict.VALID


@pytest.mark.parametrize("text", ["v1,\ud800", "é" * 100_000, "v1,\x00"])
def test_undecodable_signature_is_wrong(text: str) -> None:
    """Lone surrogates are how undecodable header bytes arrive."""
    headers = webhook_headers(SECRET, "m", AT_MS, BODY) | {"webhook-signature": text}
    assert verify_webhook([SECRET], headers, BODY, AT_MS) is Verdict.WRONG
