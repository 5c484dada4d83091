"""What each gateway's callbacks mean, and whether their signatures hold."""

from __future__ import annotations

import pytest

from monitor.adapters.gateways import GATEWAYS
from monitor.adapters.gateways.md5_sign import sorted_check
from monitor.adapters.gateways.wechat_v2 import DIALECT as WECHAT_V2
from monitor.model.gateways import Callback, GatewayKeys, Meaning, Signature
from monitor.model.secret import Secret
from monitor.model.shops import RawRequest
from tests.unit.adapters.gateways import vectors
from tests.unit.adapters.gateways.vectors import alipay_form, get, post

VECTORS: dict[str, tuple[GatewayKeys, RawRequest]] = {
    "yipay": (vectors.YIPAY_KEYS, get(vectors.YIPAY_QUERY)),
    "epusdt": (vectors.EPUSDT_KEYS, post(vectors.EPUSDT_BODY)),
    "bepusdt": (vectors.EPUSDT_KEYS, post(vectors.EPUSDT_BODY)),
    "vpay": (vectors.VPAY_KEYS, get(vectors.VPAY_QUERY)),
    "alipay": (vectors.ALIPAY_KEYS, post(alipay_form())),
    "wechat_v2": (vectors.WECHAT_V2_KEYS, post(vectors.wechat_v2_body())),
    "wechat": (vectors.WECHAT_KEYS, post(vectors.WECHAT_BODY, vectors.WECHAT_HEADERS)),
}
FACTS: dict[str, tuple[str, int, int | None]] = {
    "yipay": ("2026112010000812345", 8880, None),
    "epusdt": ("20261120167", 2888, None),
    "bepusdt": ("20261120167", 2888, None),
    "vpay": ("A1001", 8880, None),
    "alipay": ("2026112022001400001", 8880, vectors.PAID_MS),
    "wechat_v2": ("4200000000202611209999", 8880, vectors.PAID_MS),
    "wechat": ("4200000000202611201234567890", 8880, vectors.PAID_MS),
}


@pytest.mark.parametrize("kind", sorted(GATEWAYS))
def test_signed_callback_of_a_payment_is_read_whole(kind: str) -> None:
    """Every gateway's payment gives its order, number, money and time, and its signature holds."""
    keys, request = VECTORS[kind]
    trade_no, amount_minor, paid_at_ms = FACTS[kind]
    found = GATEWAYS[kind](keys).read(request)
    assert found == Callback(
        "A1001", trade_no, Meaning.PAID, amount_minor, "CNY", paid_at_ms,
        Signature.VALID, found.fields_digest,
    )  # fmt: skip
    assert len(found.fields_digest) == 32


@pytest.mark.parametrize("kind", sorted(GATEWAYS))
def test_key_in_rotation_is_found_wherever_it_stands(kind: str) -> None:
    """A second key does not hide the first, and the other way round."""
    keys, request = VECTORS[kind]
    other = Secret("f" * 32)
    for secrets in ((other, *keys.secrets), (*keys.secrets, other)):
        rotating = GatewayKeys(secrets if keys.secrets else (), keys.public_keys)
        assert GATEWAYS[kind](rotating).read(request).signature == Signature.VALID


@pytest.mark.parametrize("kind", sorted(GATEWAYS))
def test_without_a_key_nothing_is_checked(kind: str) -> None:
    """A callback without a key is told as unchecked, never as valid."""
    _keys, request = VECTORS[kind]
    assert GATEWAYS[kind](GatewayKeys()).read(request).signature == Signature.UNCHECKED


def test_the_vector_of_epusdts_documentation_passes() -> None:
    """The signature printed in epusdt's API documentation comes out."""
    fields = {
        "order_id": "20220201030210321",
        "amount": "42",
        "notify_url": "http://example.com/notify",
        "redirect_url": "http://example.com/redirect",
        "signature": "1cd4b52df5587cfb1968b0c0c6e156cd",
    }
    keys = GatewayKeys((Secret("epusdt_password_xasddawqe"),))
    assert sorted_check("signature", ("signature",))(fields, keys)
    assert not sorted_check("signature", ("signature",))(fields | {"amount": "43"}, keys)


def test_the_vectors_of_wechats_documentation_pass() -> None:
    """Both signatures of the example in its chapter on signatures come out."""
    fields = {
        "appid": "wxd930ea5d5a258f4f", "mch_id": "10000100", "device_info": "1000",
        "body": "test", "nonce_str": "ibuaiVcKdpRxkhJA",
    }  # fmt: skip
    for sign in (
        "9A0A8659F005D6984697E2CA0A9CF3B7",
        "6A9AE1657590FD6257D693A078E1C3E4BB6BA4DC30B23E0EE2496E54170DACD6",
    ):
        assert WECHAT_V2.check({**fields, "sign": sign}, vectors.WECHAT_V2_KEYS)
        assert not WECHAT_V2.check({**fields, "body": "tesu", "sign": sign}, vectors.WECHAT_V2_KEYS)


def test_wechats_newer_hash_is_told_by_its_length() -> None:
    """HMAC-SHA256 has twice the digits."""
    request = post(vectors.wechat_v2_body(vectors.WECHAT_V2_HMAC))
    found = GATEWAYS["wechat_v2"](vectors.WECHAT_V2_KEYS).read(request)
    assert (found.signature, found.meaning) == (Signature.VALID, Meaning.PAID)


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"\xff\xfe", b"a" * 70_000, b'{"order_id":{"a":1}}', b"%", b"{" * 9_000],
)
@pytest.mark.parametrize("kind", sorted(GATEWAYS))
def test_unreadable_body_has_no_order(kind: str, body: bytes) -> None:
    """Whatever comes, reading does not fail, and nothing is made of it."""
    found = GATEWAYS[kind](VECTORS[kind][0]).read(post(body))
    assert (found.order_id, found.meaning) == ("", Meaning.UNKNOWN)


@pytest.mark.parametrize("late_s", [-301, 301])
def test_wechats_signature_of_another_hour_is_refused(late_s: int) -> None:
    """It is good for five minutes, so that a recorded one cannot be played again."""
    keys, request = VECTORS["wechat"]
    signed_ms = 1_795_140_009_000
    received = post(request.body, request.headers, signed_ms + late_s * 1_000)
    assert GATEWAYS["wechat"](keys).read(received).signature == Signature.INVALID
    edge = post(request.body, request.headers, signed_ms + 300_000)
    assert GATEWAYS["wechat"](keys).read(edge).signature == Signature.VALID


@pytest.mark.parametrize(
    ("changed", "meaning", "amount_minor"),
    [
        ({"trade_status": "WAIT_BUYER_PAY"}, Meaning.WAITING, 8880),
        ({"trade_status": "TRADE_SUCCESS", "refund_fee": "8.80"}, Meaning.REFUNDED, 880),
        ({"trade_status": "TRADE_CLOSED", "gmt_refund": "x"}, Meaning.REFUNDED, None),
        ({"trade_status": "TRADE_CLOSED", "refund_fee": "88.80"}, Meaning.REFUNDED, 8880),
        ({"trade_status": "TRADE_CLOSED"}, Meaning.EXPIRED, 8880),
        ({"trade_status": "TRADE_FINISHED"}, Meaning.UNKNOWN, 8880),
        ({"total_amount": "88.805"}, Meaning.PAID, None),
        ({"total_amount": "NaN"}, Meaning.PAID, None),
    ],
)
def test_alipays_words_are_told_apart(
    changed: dict[str, str], meaning: Meaning, amount_minor: int | None
) -> None:
    """A partial refund is no second payment, and an order that was closed may have been paid."""
    found = GATEWAYS["alipay"](GatewayKeys()).read(post(alipay_form(**changed)))
    assert (found.meaning, found.amount_minor) == (meaning, amount_minor)


def test_digest_tells_content_apart_and_repeats_together() -> None:
    """A repeat has another time of sending; a changed amount is another content."""
    gateway = GATEWAYS["alipay"](GatewayKeys())
    first, repeat, changed = (
        gateway.read(post(alipay_form(**fields))).fields_digest
        for fields in ({}, {"notify_time": "later", "sign": "other"}, {"total_amount": "1.00"})
    )
    assert first == repeat != changed
