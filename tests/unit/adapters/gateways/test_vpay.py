"""V免签 signs values joined without marks: what a buyer could read out of his own order's text."""

from __future__ import annotations

import hashlib
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.adapters.gateways import GATEWAYS
from monitor.model.gateways import GatewayKeys, Signature
from monitor.model.secret import Secret
from monitor.model.shops import RawRequest

KEYS = GatewayKeys((Secret("k"),))
NAMES = ("payId", "param", "type", "price", "reallyPrice")
Values = tuple[str, str, str, str, str]


def judged(values: Values, signed: Values, *left_out: str) -> Signature:
    """What a callback of these values comes to with the signature that was made for those."""
    sign = hashlib.md5(("".join(signed) + "k").encode()).hexdigest()
    fields = {
        name: value for name, value in zip(NAMES, values, strict=True) if name not in left_out
    }
    target = f"/relay/main/v?{urlencode({**fields, 'sign': sign})}"
    return GATEWAYS["vpay"](KEYS).read(RawRequest("GET", target, (), b"", 1)).signature


@pytest.mark.parametrize(
    ("price", "paid"),
    [("1.00", "1.01"), ("88.8", "88.79"), ("11.00", "11.01"), ("9.9", "9.9"), ("100", "99.91"),
     ("0.1", "0.01"), ("21", "21.09"), ("30", "30")],
)  # fmt: skip
def test_callback_that_can_be_read_in_one_way_is_valid(price: str, paid: str) -> None:
    """As the phone's push writes prices, and as the page after the payment does."""
    real = ("1207", "", "1", price, paid)
    assert judged(real, real) is Signature.VALID


@pytest.mark.parametrize(
    ("real", "forged"),
    [
        (("1207", "", "1", "11.00", "11.01"), ("12071", "", "1", "1.00", "11.01")),
        (("1207", "", "1", "1.00", "1.01"), ("12", "", "0", "711.00", "1.01")),
        (("1207", "", "1", "1.00", "1.01"), ("12", "", "", "0711.00", "1.01")),
        (("1207", "", "1", "1.00", "1.01"), ("12071", "", "", "1.00", "1.01")),
        (("1207", "", "2", "21", "20.99"), ("12072", "", "2", "1", "20.99")),
        (("1207", "", "1", "1.00", "1.01"), ("1207", "", "1", "1.00", "1.010")),
        (("1217", "", "1", "5", "5.00"), ("1", "", "2", "1715", "5.00")),
    ],
)
def test_other_order_read_out_of_a_signed_text_is_refused(real: Values, forged: Values) -> None:
    """Digits moved between the order and its price."""
    assert judged(forged, real) is Signature.INVALID
    assert judged(real, real) is Signature.VALID


@pytest.mark.parametrize(
    ("real", "other"),
    [
        (("1207", "", "1", "11", "11"), ("120711", "", "1", "1", "1")),
        (("120711", "", "1", "1", "1"), ("1207", "", "1", "11", "11")),
        (("1207", "", "1", "1.00", "1.01"), ("120", "7", "1", "1.00", "1.01")),
        (("1207", "", "1", "11.00", "11.01"), ("1207111.00", "", "1", "1.0", "1")),
    ],
)
def test_text_that_fits_two_orders_is_unchecked(real: Values, other: Values) -> None:
    """Its signature is evidence for neither: the gateway is asked, as about any claim."""
    assert judged(other, real) is Signature.UNCHECKED


@pytest.mark.parametrize("name", NAMES)
def test_callback_without_one_of_the_signed_values_is_refused(name: str) -> None:
    """Nothing stands for a value that does not come."""
    real = ("1207", "", "1", "1.00", "1.01")
    assert judged(real, real, name) in (Signature.INVALID, Signature.UNCHECKED)
    if name != "payId":  # without an order there is no callback
        assert judged(real, real, name) is Signature.INVALID


@given(st.integers(1, 10**6), st.sampled_from("12"), st.integers(1, 99_999), st.integers(-9, 9),
       st.data())  # fmt: skip
def test_no_reading_of_a_signed_text_is_valid_for_another_order(
    number: int, kind: str, cents: int, off: int, data: st.DataObject
) -> None:
    """However the text is cut: if the true order's callback is valid, no other order's is."""
    paid = max(cents + off, 1)
    real = (str(number), "", kind, f"{cents / 100:.2f}".removesuffix(".00"), f"{paid / 100:.2f}")
    text = "".join(real)
    cuts = sorted(data.draw(st.lists(st.integers(1, len(text)), min_size=3, max_size=3)))
    a, b, c = cuts
    forged = (text[:a], "", text[a:b], text[b:c], text[c:])
    if forged[0] != real[0]:
        assert judged(forged, real) is not Signature.VALID
    assert judged(real, real) is not Signature.INVALID


def test_order_of_dujiaoka_stands_in_param_and_is_unchecked() -> None:
    """Its `payId` is made up; where the order begins in the signed text nobody can tell."""
    values = ("2026112305000017", "SN00000000000001", "2", "19.8", "19.81")
    sign = hashlib.md5(("".join(values) + "k").encode()).hexdigest()
    fields = {**dict(zip(NAMES, values, strict=True)), "sign": sign}
    keys = GatewayKeys((Secret("k"),), order_in="param")
    request = RawRequest("GET", f"/relay/main/v?{urlencode(fields)}", (), b"", 1)
    found = GATEWAYS["vpay"](keys).read(request)
    assert (found.order_id, found.signature) == ("SN00000000000001", Signature.UNCHECKED)
