"""What a shop's answer comes to: by our judgement, and by that of the gateway."""

from __future__ import annotations

import pytest

from monitor.adapters.gateways import GATEWAYS
from monitor.model.gateways import GatewayKeys, ShopAnswer

_WORDS = {
    "yipay": b"success",
    "epusdt": b"ok",
    "bepusdt": b"ok",
    "vpay": b"success",
    "alipay": b"success",
    "wechat_v2": b"<xml><return_code><![CDATA[SUCCESS]]></return_code></xml>",
    "wechat": b'{"code":"SUCCESS","message":"OK"}',
}


@pytest.mark.parametrize("kind", sorted(GATEWAYS))
def test_word_of_consent_is_taken_by_both(kind: str) -> None:
    """The word that a gateway asks for is acceptance for it and for us; so is our own answer."""
    gateway = GATEWAYS[kind](GatewayKeys())
    ours = gateway.acknowledgement
    for status, body in ((200, _WORDS[kind]), (ours.status, ours.body)):
        assert gateway.accepts(status, body)
        assert gateway.shop_accepted(status, body) == ShopAnswer.ACCEPTED


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (200, b" success\r\n", ShopAnswer.ACCEPTED),
        (200, b"\xef\xbb\xbfsuccess", ShopAnswer.ACCEPTED),
        (200, b"<html><body>success</body></html>", ShopAnswer.UNCLEAR),
        (200, b"<b>Warning</b>: mail(): failed in pay.php on line 9\nsuccess", ShopAnswer.UNCLEAR),
        (200, b"not success", ShopAnswer.UNCLEAR),
        (200, b"unsuccessful", ShopAnswer.UNCLEAR),
        (200, b"fail", ShopAnswer.REFUSED),
        (200, b"token error", ShopAnswer.REFUSED),
        (200, b"not ok", ShopAnswer.REFUSED),
        (200, b"", ShopAnswer.UNCLEAR),
        (302, b"success", ShopAnswer.UNCLEAR),
        (201, b"success", ShopAnswer.UNCLEAR),
        (404, b"success", ShopAnswer.REFUSED),
        (500, b"success", ShopAnswer.REFUSED),
    ],
)
def test_shops_answer_is_judged_by_its_whole_text(
    status: int, body: bytes, expected: ShopAnswer
) -> None:
    """Pages, warnings and longer texts around the word are no acceptance."""
    assert GATEWAYS["yipay"](GatewayKeys()).shop_accepted(status, body) == expected


@pytest.mark.parametrize(
    ("kind", "status", "body", "does_accept"),
    [
        ("bepusdt", 200, b"token error", True),  # contains `ok`
        ("bepusdt", 200, b"not ok", True),
        ("bepusdt", 500, b"ok", False),
        ("epusdt", 200, b"ok\n", False),  # its first author compares the bytes
        ("yipay", 500, b"Warning: ... success", True),
        ("yipay", 200, b"ok", False),
        ("vpay", 500, b"success", True),
        ("vpay", 200, b"success\n", False),
        ("wechat", 204, b"", True),
        ("wechat_v2", 200, b"Notice: x <return_code><![CDATA[SUCCESS]]></return_code>", True),
        ("wechat_v2", 200, b"success", False),
        ("wechat", 500, b'{"code":"SUCCESS"}', False),
    ],
)
def test_gateway_takes_what_its_source_takes(
    kind: str, status: int, body: bytes, *, does_accept: bool
) -> None:
    """The gateway's own judgement is as lax or strict as its code."""
    assert GATEWAYS[kind](GatewayKeys()).accepts(status, body) is does_accept


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (204, b"", ShopAnswer.ACCEPTED),
        (200, b"", ShopAnswer.ACCEPTED),
        (200, b'{"code": "SUCCESS"}', ShopAnswer.ACCEPTED),
        (200, b'{"code":"FAIL","message":"sign"}', ShopAnswer.REFUSED),
        (200, b'{"message":"hello"}', ShopAnswer.UNCLEAR),
        (200, b"<html>", ShopAnswer.UNCLEAR),
        (500, b'{"code":"SUCCESS"}', ShopAnswer.REFUSED),
    ],
)
def test_shops_answer_to_wechat_is_read_as_json(
    status: int, body: bytes, expected: ShopAnswer
) -> None:
    """WeChat's shops answer with a code, or with nothing."""
    assert GATEWAYS["wechat"](GatewayKeys()).shop_accepted(status, body) == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"<xml>\n<return_code>SUCCESS</return_code></xml>\n", ShopAnswer.ACCEPTED),
        (b"<xml><return_code><![CDATA[FAIL]]></return_code></xml>", ShopAnswer.REFUSED),
        (b"<xml><return_msg>OK</return_msg></xml>", ShopAnswer.UNCLEAR),
        (b"Notice: x\n<xml><return_code>SUCCESS</return_code></xml>", ShopAnswer.UNCLEAR),
        (b"fail", ShopAnswer.REFUSED),
        (b"success", ShopAnswer.UNCLEAR),
    ],
)
def test_shops_answer_to_older_wechat_is_read_as_xml(body: bytes, expected: ShopAnswer) -> None:
    """It answers with a code, and with nothing before it."""
    assert GATEWAYS["wechat_v2"](GatewayKeys()).shop_accepted(200, body) == expected
