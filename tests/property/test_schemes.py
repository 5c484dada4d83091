"""Of a signed request every single bit matters, whichever scheme signed it."""

from copy import copy

import msgspec
import pytest

from monitor.model.errors import AuthError, InputError
from monitor.model.shops import RawRequest
from tests.schemes import SCHEMES, Scheme

BITS = range(8)


def is_taken(scheme: Scheme, request: RawRequest) -> bool:
    """Whether the adapter believes a request."""
    try:
        scheme.push.read(request)
    except AuthError:
        return False
    except InputError:
        return True  # it was believed, whatever it said
    return True


def flipped(raw: bytes, place: int, bit: int) -> bytes:
    """The bytes with one bit turned."""
    return raw[:place] + bytes([raw[place] ^ (1 << bit)]) + raw[place + 1 :]


def with_header(request: RawRequest, name: str, value: bytes) -> RawRequest:
    """The request with another value of a header, as the edge reads bytes of headers."""
    text = value.decode("utf-8", "surrogateescape")
    headers = tuple((key, text if key == name else was) for key, was in request.headers)
    return msgspec.structs.replace(request, headers=headers)


@pytest.mark.parametrize("scheme", [made() for made in SCHEMES], ids=lambda scheme: scheme.name)
def test_any_single_flipped_bit_is_refused(scheme: Scheme) -> None:
    """Every bit of the body, of the signature and of what is signed with it, one by one."""
    assert is_taken(scheme, scheme.request)
    body = scheme.request.body
    for place in range(len(body)):
        for bit in BITS:
            other = msgspec.structs.replace(scheme.request, body=flipped(body, place, bit))
            assert not is_taken(scheme, other), f"body, byte {place}, bit {bit}"
    for name in scheme.covered:
        value = scheme.request.header(name).encode()
        for place in range(len(value)):
            for bit in BITS:
                other = with_header(scheme.request, name, flipped(value, place, bit))
                assert not is_taken(scheme, other), f"{name}, byte {place}, bit {bit}"


@pytest.mark.parametrize("scheme", [made() for made in SCHEMES], ids=lambda scheme: scheme.name)
def test_shortened_or_missing_proof_is_refused(scheme: Scheme) -> None:
    """Nothing, a part, and other letters prove nothing."""
    for name in scheme.covered:
        value = scheme.request.header(name)
        for other in ("", value[:-1], value.upper()):
            if other != value:
                raw = other.encode()
                assert not is_taken(scheme, with_header(scheme.request, name, raw)), repr(other)
        rest = tuple(pair for pair in scheme.request.headers if pair[0] != name)
        assert not is_taken(scheme, msgspec.structs.replace(scheme.request, headers=rest))


@pytest.mark.parametrize("scheme", [made() for made in SCHEMES], ids=lambda scheme: scheme.name)
def test_source_without_a_secret_believes_nobody(scheme: Scheme) -> None:
    """Not even who signs with the empty key."""
    naked = copy(scheme.push)
    naked.secrets = ()
    assert not is_taken(msgspec.structs.replace(scheme, push=naked), scheme.request)
