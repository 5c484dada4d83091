"""Signed requests: a source speaks for itself, once, now, and nobody learns who else there is."""

import base64
import gzip
import json
from collections.abc import Mapping

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from monitor.adapters.signing import webhook_headers
from monitor.api.auth import Gate
from monitor.api.caller import INGEST, Caller
from monitor.api.signed import Signatures, is_signed
from monitor.model.endpoints import Listen, SourceSecrets
from monitor.model.errors import AuthError, InputError, MonitorError
from monitor.model.secret import Secret
from tests.unit.api.samples import RECEIVED_MS
from tests.unit.api.serving import Answered, Server, ask, serving

OLD, NEW, OTHER = (
    Secret("whsec_" + base64.b64encode(letter * 24).decode()) for letter in (b"o", b"n", b"x")
)
SOURCES = (SourceSecrets("shop", (NEW, OLD)), SourceSecrets("other", (OTHER,)))
SIGNATURES = Signatures(SOURCES)
BODY = b'{"type":"order.paid","order_id":"A1","id":"e1"}'


def verdict(
    headers: Mapping[str, str],
    source: str | None = "shop",
    body: bytes = BODY,
    signatures: Signatures = SIGNATURES,
) -> Caller | str:
    """The caller, or the code of the refusal."""
    try:
        return signatures.verify(headers, source, body, RECEIVED_MS)
    except MonitorError as error:
        return error.code


def signed(secret: Secret = NEW, at_ms: int = RECEIVED_MS, body: bytes = BODY) -> dict[str, str]:
    return webhook_headers(secret, "msg_1", at_ms, body)


def test_source_that_signed_is_the_caller() -> None:
    """It may send events as itself and nothing else."""
    caller = verdict(signed())
    assert isinstance(caller, Caller)
    assert (caller.name, caller.source, caller.scopes) == ("shop", "shop", (INGEST,))
    assert caller.message is not None
    assert caller.message.message_id == "msg_1"


def test_published_vector_is_accepted() -> None:
    """The example of the Standard Webhooks libraries: secret, id, time, body and signature."""
    secret = Secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    headers = {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    signatures = Signatures((SourceSecrets("shop", (secret,)),))
    body = b'{"test": 2432232314}'
    assert signatures.verify(headers, None, body, 1_614_265_330_000).name == "shop"
    with pytest.raises(AuthError):
        signatures.verify(headers, None, body + b" ", 1_614_265_330_000)


def test_old_and_new_secret_are_both_in_force() -> None:
    """A rotation refuses nobody."""
    assert [isinstance(verdict(signed(secret)), Caller) for secret in (OLD, NEW)] == [True, True]


@pytest.mark.parametrize("source", ["other", "nobody", "", None])
def test_signature_of_another_source_is_wrong_whatever_it_is_called(source: str | None) -> None:
    """Another source, one that does not exist and none at all are told the same words."""
    told = set()
    for name in (source, "nobody"):
        with pytest.raises(AuthError) as caught:
            SIGNATURES.verify(signed(), name, BODY, RECEIVED_MS)
        told.add((caught.value.code, str(caught.value), caught.value.hint))
    assert len(told) == 1


def test_only_source_that_signs_need_not_be_named() -> None:
    """Its address is that of everybody."""
    alone = Signatures(SOURCES[:1])
    assert isinstance(verdict(signed(), None, signatures=alone), Caller)
    assert verdict(signed(), "other", signatures=alone) == "bad_signature"


@pytest.mark.parametrize(
    ("window_s", "shift_s", "expected"),
    [(300, 300, None), (300, 301, "stale_signature"), (300, -301, "stale_signature"),
     (30, 31, "stale_signature"), (900, 900, None)],
)  # fmt: skip
def test_window_is_the_configured_one(window_s: int, shift_s: int, expected: str | None) -> None:
    """The edge itself is still inside."""
    headers = signed(at_ms=RECEIVED_MS - shift_s * 1000)
    got = verdict(headers, signatures=Signatures(SOURCES, window_s))
    assert got == expected if expected else isinstance(got, Caller)


@given(st.sampled_from(("webhook-id", "webhook-timestamp", "webhook-signature", "body")), st.data())
def test_any_flipped_bit_is_refused(part: str, data: st.DataObject) -> None:
    """There is no bit in a signed request that could be another."""
    headers, body = signed(), BODY
    text = body if part == "body" else headers[part].encode()
    bit = data.draw(st.integers(0, len(text) * 8 - 1))
    flipped = bytearray(text)
    flipped[bit // 8] ^= 1 << bit % 8
    if part == "body":
        body = bytes(flipped)
    else:
        headers[part] = flipped.decode("utf-8", "surrogateescape")
    assert isinstance(verdict(headers, body=body), str)


@given(st.text(), st.text(), st.text(), st.none() | st.text(), st.binary())
@example("a", "1767578400", "v1,", None, b"")
@example("a", "1767578400", "v1,\ud800", "\ud800", b"\xff")
def test_whatever_a_stranger_sends_is_refused_in_good_order(
    name: str, when: str, signature: str, source: str | None, body: bytes
) -> None:
    """Only the two errors of the product, never the caller."""
    headers = {"webhook-id": name, "webhook-timestamp": when, "webhook-signature": signature}
    assert verdict(headers, source, body) in ("bad_signature", "stale_signature")


def test_id_that_could_swallow_the_timestamp_is_refused() -> None:
    """`a.1` signed at 2 over `x` has the signed text of `a` signed at 1 over `2.x`."""
    when, later = RECEIVED_MS // 1000, RECEIVED_MS // 1000 + 1
    headers = webhook_headers(NEW, "a", RECEIVED_MS, b"%d.x" % later)
    assert isinstance(verdict(headers, body=b"%d.x" % later), Caller)
    shifted = headers | {"webhook-id": f"a.{when}", "webhook-timestamp": str(later)}
    assert verdict(shifted, body=b"x") == "bad_signature"


def test_key_that_only_fills_up_the_time_is_not_believed() -> None:
    """A source with one secret is checked for as long as one with two."""
    filling = Secret("whsec_" + base64.b64encode(bytes(32)).decode())
    assert verdict(signed(filling), "other") == "bad_signature"
    assert verdict(signed(filling), "nobody") == "bad_signature"


def test_event_in_headers_is_refused() -> None:
    """The signature does not cover them: whoever is between us could change the order's id."""
    with pytest.raises(InputError) as caught:
        SIGNATURES.verify(signed() | {"Ce-Subject": "A1"}, "shop", BODY, RECEIVED_MS)
    assert caught.value.code == "unsigned_attributes"


def test_signing_sources_close_a_loopback_listener() -> None:
    """Who asks one shop for its signature does not want others to come without."""
    gate = Gate(Listen(), signatures=SIGNATURES)
    with pytest.raises(AuthError):
        gate.admit({}, INGEST, RECEIVED_MS)


def test_token_beside_a_signature_goes_first() -> None:
    """A wrong token is never ignored."""
    assert is_signed({"webhook-signature": "v1,x"})
    assert not is_signed({"webhook-signature": "v1,x", "Authorization": "Bearer dm_x"})


async def post(
    server: Server, headers: Mapping[str, str], body: bytes = BODY, path: str = "/v1/events"
) -> Answered:
    given = {"Content-Type": "application/json", **headers}
    return await ask(server, path, method="POST", token=None, headers=given, raw=body)


async def test_signed_event_is_taken_as_that_of_its_source() -> None:
    """The source of the event is that of the signature."""
    async with serving(signatures=SIGNATURES) as server:
        answer = await post(server, signed(), path="/v1/events?source=shop")
        assert (answer.status, answer.body["accepted"]) == (202, 1)
        assert server.service.events[0].source == "shop"


async def test_signed_body_is_verified_as_it_was_sent() -> None:
    """The signature is that of the bytes on the wire; what they inflate to comes later."""
    packed = gzip.compress(BODY)
    async with serving(signatures=SIGNATURES) as server:
        path = "/v1/events?source=shop"
        encoding = {"Content-Encoding": "gzip"}
        good = await post(server, signed(body=packed) | encoding, packed, path)
        assert good.status == 202
        bad = await post(server, signed(body=BODY) | encoding, packed, path)
        assert (bad.status, bad.body["code"]) == (401, "bad_signature")


async def test_signature_opens_no_other_route() -> None:
    """It does not cover the path."""
    async with serving(signatures=SIGNATURES) as server:
        for path in ("/v1/switches/dec_1/ack", "/v1/switches"):
            body = json.dumps({"status": "applied"}).encode()
            answer = await post(server, signed(body=body), body, f"{path}?source=shop")
            assert (answer.status, answer.body["code"]) == (401, "unauthorized")


async def test_signed_source_cannot_speak_for_another() -> None:
    """What a body says of its source is no proof."""
    async with serving(signatures=SIGNATURES) as server:
        body = json.dumps({"type": "order.paid", "order_id": "A1", "source": "other"}).encode()
        answer = await post(server, signed(body=body), body, "/v1/events?source=shop")
        assert (answer.status, answer.body["code"]) == (400, "wrong_source")
        assert server.service.events == []


async def test_replay_gets_the_same_answer_with_everything_duplicates() -> None:
    """Also for events that nothing else would recognise: no id, no time."""
    body = b'[{"type":"source.heartbeat"},{"type":"order.paid","order_id":"A1"},{"type":"x"}]'
    headers = signed(body=body)
    async with serving(signatures=SIGNATURES) as server:
        answers = [await post(server, headers, body, "/v1/events?source=shop") for _ in range(3)]
        assert [one.status for one in answers] == [202, 202, 202]
        counts = [(one.body["accepted"], one.body["duplicates"]) for one in answers]
        assert counts == [(2, 0), (0, 2), (0, 2)]
        assert [len(one.body["rejected"]) for one in answers] == [1, 1, 1]
        assert len(server.service.events) == 2


async def test_other_body_under_the_same_id_is_refused() -> None:
    """The id names one message; the sender is told so."""
    async with serving(signatures=SIGNATURES) as server:
        await post(server, signed(), path="/v1/events?source=shop")
        other = BODY.replace(b"A1", b"A2")
        answer = await post(server, signed(body=other), other, "/v1/events?source=shop")
        assert (answer.status, answer.body["code"]) == (422, "webhook_id_reused")
        assert len(server.service.events) == 1
