"""Schemes of signatures against vectors that others have published."""

import pytest

from monitor.adapters.shops.proof import (
    exact_base64,
    hmac_text,
    in_base64,
    in_hex,
    in_time,
    is_ed25519,
    public_key,
    standard_webhooks,
    timestamped,
)
from monitor.model.errors import AuthError
from monitor.model.secret import Secret
from tests.schemes import posted

STRIPE_BODY = b"""{
  "id": "evt_123",
  "object": "event",
  "account": "acct_123",
  "api_version": "2017-05-25",
  "created": 1533204620,
  "data": {
    "object": {
      "id": "ii_123",
      "object": "invoiceitem",
      "amount": 1000,
      "currency": "usd",
      "customer": "cus_123",
      "date": 1533204620,
      "description": "Test Invoice Item",
      "discountable": false,
      "invoice": "in_123",
      "livemode": false,
      "metadata": {},
      "period": {
        "start": 1533204620,
        "end": 1533204620
      },
      "proration": false,
      "quantity": 3
    }
  },
  "livemode": false,
  "pending_webhooks": 1,
  "request": {
    "id": "req_123",
    "idempotency_key": "idempotency-key-123"
  },
  "type": "invoiceitem.created"
}
"""
STRIPE_HEADER = (
    "t=1533204620,v1=82216eca827bcb7b34b8055eb2d2d9e6bc13b9ac39ded14a61e69f70c565f53a,"
    "v0=63f3a72374a733066c4be69ed7f8e5ac85c22c9f0a6a612ab9a025a9e4ee7eef"
)
PADDLE = [
    "pdl_ntf_01hbpjmytsa32fhr36nqgc3kgb_TjIG2BXbm83HPXqNfziwe506sBEdqL/4",
    "pdl_ntf_01hbpjmytsa32fhr36nqgc3kgb_vB/yIOnTOCWIvpBadM5jzBZPHc7OmdSo",
    "pdl_ntf_01hbpjmytsa32fhr36nqgc3kgb_WvRO0eL4Bj9rgYYIBZY6wZhG4EHy9jzh",
]
PADDLE_HEADER = (
    "ts=1696195954;h1=dummy;h1=d96299976a6eb066f484d7fde011ac56fc32b38fc9940bc419d6e537fdc6ef02"
)
STANDARD = {
    "webhook_id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "webhook_timestamp": "1614265330",
    "webhook_signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
}


def stripe(secrets: list[str], body: bytes, received_s: int, header: str = STRIPE_HEADER) -> None:
    request = posted(body, received_s * 1_000, Stripe_Signature=header)
    timestamped(
        [Secret(text) for text in secrets], request, "Stripe-Signature",
        separator=",", time_name="t", proof_name="v1", joint=b".",
    )  # fmt: skip


def paddle(secrets: list[str], body: bytes = b"hello-world", received_s: int = 1696195954) -> None:
    request = posted(body, received_s * 1_000, Paddle_Signature=PADDLE_HEADER)
    timestamped(
        [Secret(text) for text in secrets], request, "Paddle-Signature",
        separator=";", time_name="ts", proof_name="h1", joint=b":",
    )  # fmt: skip


def test_mac_of_rfc_4231() -> None:
    """Test case 2 of RFC 4231, in hex and in base64."""
    key, signed = [Secret("Jefe")], b"what do ya want for nothing?"
    found = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    hmac_text(key, signed, [found], in_hex)
    hmac_text(key, signed, ["W9zBRr9gdU5qBCQmCJV1x1oAPwidJzmDnexYuWTsOEM="], in_base64)
    with pytest.raises(AuthError):
        hmac_text(key, signed, [found.upper()], in_hex)


def test_vector_of_stripe_is_good_for_five_minutes() -> None:
    """From async-stripe's tests (MIT): v0 of test mode is passed over; 300 s are in time, 301 are not."""
    stripe(["webhook_secret"], STRIPE_BODY, 1533204620)
    stripe(["webhook_secret"], STRIPE_BODY, 1533204620 + 300)
    stripe(["webhook_secret"], STRIPE_BODY, 1533204620 - 300)
    for off_s in (-301, 301):
        with pytest.raises(AuthError) as late:
            stripe(["webhook_secret"], STRIPE_BODY, 1533204620 + off_s)
        assert late.value.code == "stale_signature"
    with pytest.raises(AuthError) as wrong:
        stripe(["webhook_secret"], STRIPE_BODY[:-1], 1533204620)
    assert wrong.value.code == "bad_signature"


@pytest.mark.parametrize(
    "header",
    [
        "", "t=1533204620", "v1=82216e", "t,v1", "t=1533204620,t=1533204620,v1=8",
        "t=-1,v1=8", "t=١٥٣٣٢٠٤٦٢٠,v1=8", f"t={'1' * 400},v1=8", "t=1533204620,v1=\udcff",
    ],
)  # fmt: skip
def test_header_that_is_no_proof_is_a_wrong_signature(header: str) -> None:
    """Whatever stands there, the answer is the same and nothing breaks."""
    with pytest.raises(AuthError) as wrong:
        stripe(["webhook_secret"], STRIPE_BODY, 1533204620, header)
    assert wrong.value.code == "bad_signature"


def test_vector_of_paddle_with_several_proofs_and_secrets() -> None:
    """From PaddleHQ/paddle-python-sdk (Apache-2.0): the third secret made the second signature."""
    paddle(PADDLE)
    paddle(PADDLE[2:])
    with pytest.raises(AuthError):
        paddle(PADDLE[:2])
    with pytest.raises(AuthError):
        paddle(PADDLE, b"hello-worle")


def test_vector_of_standard_webhooks() -> None:
    """From the specification's reference library; the id is what it returns."""
    secret = [Secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")]
    request = posted(b'{"test": 2432232314}', 1614265330_000, **STANDARD)
    assert standard_webhooks(secret, request) == "msg_p5jXN8AQM9LWM0D4loKWxJek"
    late = posted(b'{"test": 2432232314}', 1614265631_000, **STANDARD)
    with pytest.raises(AuthError) as stale:
        standard_webhooks(secret, late)
    assert stale.value.code == "stale_signature"


def test_vector_of_ed25519() -> None:
    """Test 2 of RFC 8032; the key in hex and in base64."""
    text = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
    signature = bytes.fromhex(
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
    )
    for key in (public_key(text), public_key(in_base64(bytes.fromhex(text)))):
        assert key is not None
        assert is_ed25519(key, b"\x72", in_base64(signature))
        assert not is_ed25519(key, b"\x73", in_base64(signature))
    assert public_key("no key") is None
    assert public_key("z" * 64) is None


def test_base64_with_other_spare_bits_is_no_base64() -> None:
    """`QQ==` and `QR==` decode to the same byte; only the first is how it is written."""
    assert exact_base64("QQ==") == b"A"
    assert exact_base64("QR==") is None
    assert exact_base64("QQ==", 2) is None
    assert exact_base64("é") is None


def test_time_without_a_window_is_refused() -> None:
    """What is no number of seconds cannot be judged."""
    for written in ("", "x", "1e9", "１"):
        with pytest.raises(AuthError):
            in_time(written, 0)
