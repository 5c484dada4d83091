"""No bit of what a gateway signs can change without notice; every bit is tried, not some."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest

from monitor.adapters.gateways import GATEWAYS
from monitor.adapters.gateways.fields import read_fields
from monitor.model.gateways import Signature
from monitor.model.shops import RawRequest
from tests.unit.adapters.gateways.test_callbacks import VECTORS

STEP = {"alipay": 3, "wechat": 3}  # each look costs an RSA check


def flipped(request: RawRequest) -> Iterator[RawRequest]:
    """The request with one bit of its query, of its body or of a signed header turned over."""
    head, _, query = request.target.partition("?")
    for changed in _flips(query.encode()):
        text = changed.decode("utf-8", "surrogateescape")
        yield msgspec.structs.replace(request, target=f"{head}?{text}")
    for changed in _flips(request.body):
        yield msgspec.structs.replace(request, body=changed)
    for at, (name, value) in enumerate(request.headers):
        if name.startswith("Wechatpay-") and name != "Wechatpay-Serial":
            for changed in _flips(value.encode()):
                header = (name, changed.decode("utf-8", "replace"))
                headers = (*request.headers[:at], header, *request.headers[at + 1 :])
                yield msgspec.structs.replace(request, headers=headers)


def _flips(raw: bytes) -> Iterator[bytes]:
    for bit in range(len(raw) * 8):
        changed = bytearray(raw)
        changed[bit // 8] ^= 1 << bit % 8
        yield bytes(changed)


def offered(request: RawRequest) -> tuple[object, ...]:
    """The signature of a request, wherever it stands."""
    fields = read_fields(request)
    return fields.get("sign"), fields.get("signature"), request.headers


@pytest.mark.parametrize("kind", sorted(GATEWAYS))
def test_any_flipped_bit_is_refused_or_says_the_same(kind: str) -> None:
    """A flip may change how something is written (`%e6` for `%E6`), never what is believed."""
    keys, request = VECTORS[kind]
    gateway = GATEWAYS[kind](keys)
    original = gateway.read(request)
    assert original.signature == Signature.VALID
    requests = list(flipped(request))[:: STEP.get(kind, 1)]
    believed = [one for one in requests if gateway.read(one).signature == Signature.VALID]
    assert all(gateway.read(one) == original for one in believed)
    assert all(offered(one) == offered(request) for one in believed)
    assert len(believed) < len(requests) / 6
